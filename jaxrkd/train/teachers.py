"""The frozen teachers of a run, by the roles that its method asks for."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxrkd.amalgamation import Amalgamation, Average
from jaxrkd.methods import Batch, Teacher
from jaxrkd.methods.base import labels
from jaxrkd.models import Net
from jaxrkd.models.group import Stack
from jaxrkd.models.net import Fold

Array = jax.Array
Tree = Any
# Role -> {teacher's name: its share}.
Roles = Mapping[str, Mapping[str, float]]


@dataclasses.dataclass(frozen=True)
class Faculty:
  """Teachers, grouped so that those asked together run in one vmapped call.

  Attributes:
    stacks: networks of one architecture that always answer together, and their names.
    roles: see `Roles`.
    average: how a role with several teachers answers: with the shares of its role, or
      with weights found image by image.
    folds: what makes the variables of a stack's network from a teacher's; see
      `Net.frozen`.
  """

  stacks: tuple[tuple[Stack, tuple[str, ...]], ...]
  roles: Roles
  average: Average | Amalgamation
  folds: Mapping[Net, Fold | None]

  @property
  def names(self) -> tuple[str, ...]:
    """Teachers that play any role."""
    return tuple(name for _, names in self.stacks for name in names)

  def join(
    self,
    variables: Mapping[str, tuple[Tree, Tree]],
    sharding: jax.sharding.Sharding | None = None,
  ) -> Tree:
    """What `teachers` takes, from each teacher's (params, stats).

    It is an argument of the compiled step and not a closure, which would become a
    constant of the program. Only teachers that share one vmapped call are copied.
    """

    def joined(stack: Stack, names: tuple[str, ...]) -> Tree:
      # Frozen for good, so BatchNorm is folded here and not at every step.
      members = [variables[name] for name in names]
      fold = self.folds[stack.net]
      if fold:
        members = [jax.jit(fold, out_shardings=sharding)(*member) for member in members]
      if stack.size == 1 or not stack.mapped:
        return stack.join(members)
      return jax.jit(stack.join, out_shardings=sharding)(members)

    return tuple(joined(stack, names) for stack, names in self.stacks)

  def teachers(
    self,
    joined: Tree,
    batch: Batch | None = None,
    student: Callable[[Array], Array] | None = None,
  ) -> dict[str, Teacher]:
    """The method's view of the teachers: role -> (images, temperature) -> logits.

    Args:
      joined: from `join`.
      batch: with the labels by which an amalgamation weighs.
      student: its logits_fn in evaluation mode, for an amalgamation that asks it. It is
        asked about the images that the teachers are asked about.
    """

    def answer(role: str) -> Teacher:
      shares = self.roles[role]
      asked = [k for k, (_, names) in enumerate(self.stacks) if names[0] in shares]
      ordered = [shares[name] for k in asked for name in self.stacks[k][1]]

      def teacher(images: Array, temperature: float = 1.0) -> Array:
        parts = [self.stacks[k][0].logits(joined[k], images) for k in asked]
        logits = jnp.concatenate(parts)
        if not isinstance(self.average, Amalgamation):
          return self.average(logits, ordered, temperature)
        if len(ordered) == 1:
          return logits[0] / temperature
        assert batch is not None
        own = student(images) if self.average.asks_student and student else None
        return self.average(logits, labels(batch), own, temperature)

      return teacher

    return {role: answer(role) for role in self.roles}


def make_faculty(
  nets: Mapping[str, Net],
  roles: Roles,
  average: Average | Amalgamation,
  mapped: bool = True,
) -> Faculty:
  """Groups teachers by architecture and by the roles they play.

  Args:
    nets: by teacher's name; networks of one architecture are the same object.
    roles: role -> {teacher's name: its share of the answer}, without zeros.
    average: a row of `AVERAGES`, or an amalgamation.
    mapped: ask those of one group in one vmapped call, not in a loop.
  """
  groups: dict[Any, list[str]] = {}
  for name in nets:
    played = frozenset(role for role, shares in roles.items() if name in shares)
    if played:
      groups.setdefault((nets[name], played), []).append(name)
  frozen = {net: net.frozen() for net, _ in groups}
  stacks = tuple(
    (Stack(frozen[net][0], len(names), mapped), tuple(names))
    for (net, _), names in groups.items()
  )
  return Faculty(stacks, roles, average, dict(frozen.values()))
