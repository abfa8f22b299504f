"""The frozen teachers of a run, by the roles that its method asks for."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxrkd.methods import Teacher
from jaxrkd.models import Net
from jaxrkd.models.ensemble import Average, Stack

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
    average: how a role with several teachers answers.
  """

  stacks: tuple[tuple[Stack, tuple[str, ...]], ...]
  roles: Roles
  average: Average

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
    constant of the program. A teacher that answers alone is not copied.
    """

    def joined(stack: Stack, names: tuple[str, ...]) -> tuple[Tree, Tree]:
      members = [variables[name] for name in names]
      if stack.size == 1:
        return members[0]
      return jax.jit(stack.join, out_shardings=sharding)(members)

    return tuple(joined(stack, names) for stack, names in self.stacks)

  def teachers(self, joined: Tree) -> dict[str, Teacher]:
    """The method's view of the teachers: role -> (images, temperature) -> logits."""

    def answer(role: str) -> Teacher:
      shares = self.roles[role]
      asked = [k for k, (_, names) in enumerate(self.stacks) if names[0] in shares]
      ordered = [shares[name] for k in asked for name in self.stacks[k][1]]

      def teacher(images: Array, temperature: float = 1.0) -> Array:
        parts = [self.stacks[k][0].logits(joined[k], images) for k in asked]
        return self.average(jnp.concatenate(parts), ordered, temperature)

      return teacher

    return {role: answer(role) for role in self.roles}


def make_faculty(nets: Mapping[str, Net], roles: Roles, average: Average) -> Faculty:
  """Groups teachers by architecture and by the roles they play.

  Args:
    nets: by teacher's name; networks of one architecture are the same object.
    roles: role -> {teacher's name: its share of the answer}, without zeros.
    average: a row of `models.ensemble.AVERAGES`.
  """
  groups: dict[Any, list[str]] = {}
  for name in nets:
    played = frozenset(role for role, shares in roles.items() if name in shares)
    if played:
      groups.setdefault((nets[name], played), []).append(name)
  stacks = tuple(
    (Stack(net, len(names)), tuple(names)) for (net, _), names in groups.items()
  )
  return Faculty(stacks, roles, average)
