"""The networks that a step trains: a student, online teachers beside it, or equal students."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxrkd.methods import Networks
from jaxrkd.models import Net
from jaxrkd.models.group import Group, make_group

Array = jax.Array
Tree = Any
# images -> logits.
LogitsFn = Callable[[Array], Array]
STUDENT = 'student'


@dataclasses.dataclass(frozen=True)
class TrainedNetworks:
  """Trained networks by name.

  Attributes:
    nets: all of them.
    names: the members of the group, in order; empty where there is only the student.
    group: these members, asked together.
  """

  nets: Mapping[str, Net]
  names: tuple[str, ...]
  group: Group

  @property
  def student(self) -> Net | None:
    """The student beside the group; None where all of the group are students."""
    return self.nets.get(STUDENT)

  def logits_fn(
    self, params: Mapping[str, Tree], stats: Mapping[str, Tree]
  ) -> LogitsFn | None:
    """The student's images -> logits in evaluation mode, if there is one."""
    if self.student is None:
      return None
    return self.student.logits_fn(params[STUDENT], stats[STUDENT])

  def answers(
    self, params: Mapping[str, Tree], stats: Mapping[str, Tree]
  ) -> dict[str, LogitsFn]:
    """The members of the group as teachers: name -> logits_fn in evaluation mode.

    One alone also answers as 'online', so that a method need not know its name.
    """
    found = {
      name: self.nets[name].logits_fn(params[name], stats[name]) for name in self.names
    }
    return {'online': found[self.names[0]], **found} if len(found) == 1 else found

  def members(
    self, params: Mapping[str, Tree], stats: Mapping[str, Tree]
  ) -> list[tuple[Tree, Tree]]:
    """[(params, stats)] of the group."""
    return [(params[name], stats[name]) for name in self.names]

  def as_functions(self, params: Mapping[str, Tree], mask: Array | None) -> Networks:
    """What a method with a group trains, as functions of the statistics."""

    def rows(images: Array, axis: int) -> Array | None:
      # Where an image has several particles, its row of the mask counts for all of them.
      return (
        None if mask is None else jnp.repeat(mask, images.shape[axis] // mask.shape[0])
      )

    def student(stats: Tree, images: Array) -> tuple[Array, Tree]:
      assert self.student is not None
      logits, own = self.student.apply_train(
        params[STUDENT], stats[STUDENT], images, rows(images, 0)
      )
      return logits, {**stats, STUDENT: own}

    def group(stats: Tree, particles: Array) -> tuple[Array, Tree]:
      logits, own = self.group.train(
        self.members(params, stats), particles, rows(particles, 1)
      )
      return logits, {**stats, **dict(zip(self.names, own))}

    def still(stats: Tree, particles: Array) -> Array:
      joined = self.group.join(self.members(params, stats))
      return self.group.logits(joined, particles)

    return Networks(student, group, still)


def make_networks(
  student: Net, group: str, members: Mapping[str, Net], mapped: bool = True
) -> TrainedNetworks:
  """The networks of a method.

  Args:
    student: `config.student`.
    group: see `Method.group`.
    members: of the group, by name.
    mapped: see `models.group.is_mapped`.
  """
  nets = dict(members) if group == 'students' else {STUDENT: student, **members}
  return TrainedNetworks(nets, tuple(members), make_group(list(members.values()), mapped))
