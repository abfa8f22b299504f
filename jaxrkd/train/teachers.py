"""The frozen teachers of a run, by the roles that its method asks for."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import get_opaque_trace_state

from jaxrkd.amalgamation import Amalgamation, Average
from jaxrkd.methods import Batch, Teacher
from jaxrkd.methods.base import labels
from jaxrkd.models import Net
from jaxrkd.models.group import Stack
from jaxrkd.models.net import Fold
from jaxrkd.runtime import sharding
from jaxrkd.train import micro

Array = jax.Array
Tree = Any
# Role -> {teacher's name: its share}.
Roles = Mapping[str, Mapping[str, float]]
# First name of a stack -> logits [teachers, B, classes].
StackLogits = dict[str, Array]


@dataclasses.dataclass(frozen=True)
class FrozenTeachers:
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
    mesh: jax.sharding.Mesh | None = None,
  ) -> Tree:
    """What `by_role` takes, from each teacher's (params, stats).

    It is an argument of the compiled step and not a closure, which would become a
    constant of the program. Only teachers that share one vmapped call, are folded, or
    are split over devices are copied.

    Args:
      variables: by teacher's name.
      mesh: devices of the step.
    """

    def placed(make: Callable[..., Tree], *given: Tree) -> Tree:
      places = sharding.spread(mesh, jax.eval_shape(make, *given)) if mesh else None
      return jax.jit(make, out_shardings=places)(*given)

    def joined(stack: Stack, names: tuple[str, ...]) -> Tree:
      # Frozen for good, so BatchNorm is folded here and not at every step.
      members = [variables[name] for name in names]
      fold = self.folds[stack.net]
      if fold:
        members = [placed(fold, *member) for member in members]
      elif mesh and mesh.shape['fsdp'] > 1:
        members = [placed(lambda *member: member, *member) for member in members]
      if stack.size == 1 or not stack.mapped:
        return stack.join(members)
      return placed(stack.join, members)

    return tuple(joined(stack, names) for stack, names in self.stacks)

  def by_role(
    self,
    joined: Tree,
    batch: Batch | None = None,
    student: Callable[[Array], Array] | None = None,
    micro_batch: int = 0,
    mesh: jax.sharding.Mesh | None = None,
    answers: StackLogits | None = None,
  ) -> dict[str, Teacher]:
    """The method's view of the teachers: role -> (images, temperature) -> logits.

    About the batch's own images each is asked once, however often the inner problem, the
    losses and several roles want its answer.

    Args:
      joined: from `join`.
      batch: with the labels by which an amalgamation weighs.
      student: its logits_fn in evaluation mode, for an amalgamation that asks it. It is
        asked about the images that the teachers are asked about.
      micro_batch: how many images they are asked about at once; 0 is all.
      mesh: devices that share the images.
      answers: where the answers about the batch's own images are looked for, and kept if
        they are asked for where `teachers` was called: those from inside a loop or
        another transform mean nothing outside of it.
    """
    answers = {} if answers is None else answers
    here = get_opaque_trace_state()

    def ask(k: int, images: Array) -> Array:
      stack, names = self.stacks[k]
      one = lambda images: stack.logits(joined[k], images)
      if batch is None or images is not batch.get('image'):
        return micro.in_parts(one, images, micro_batch, 1, mesh)
      if names[0] in answers:
        return answers[names[0]]
      found = micro.in_parts(one, images, micro_batch, 1, mesh)
      if get_opaque_trace_state() == here:
        answers[names[0]] = found
      return found

    def answer(role: str) -> Teacher:
      shares = self.roles[role]
      asked = [k for k, (_, names) in enumerate(self.stacks) if names[0] in shares]
      ordered = [shares[name] for k in asked for name in self.stacks[k][1]]

      def teacher(images: Array, temperature: float = 1.0) -> Array:
        parts = [ask(k, images) for k in asked]
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


def freeze_teachers(
  nets: Mapping[str, Net],
  roles: Roles,
  average: Average | Amalgamation,
  mapped: bool = True,
) -> FrozenTeachers:
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
  return FrozenTeachers(stacks, roles, average, dict(frozen.values()))
