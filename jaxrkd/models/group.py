"""Several networks asked at once, those of one architecture in one call or in a loop."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrkd.errors import one_of
from jaxrkd.models.net import Net

Array = jax.Array
Tree = Any
Variables = tuple[Tree, Tree]
# (net, (params, stats), images) -> arrays.
Call = Callable[[Net, Variables, Array], Tree]
STACKING = ('auto', 'vmap', 'loop')


def is_mapped(stacking: str = 'auto') -> bool:
  """Whether networks of one architecture run in one vmapped call.

  Args:
    stacking: 'vmap', 'loop', or 'auto': a loop on CPU, where it was as fast or faster
      (`benchmarks/teachers.py`, `benchmarks/seeds.py`); one call on other devices, which
      small networks leave idle. On a GPU several seeds were measured so, several teachers
      were not; docs/performance.md has the numbers.
  """
  one_of(stacking, STACKING, 'config.stacking')
  if stacking == 'auto':
    return jax.default_backend() != 'cpu'
  return stacking == 'vmap'


class Stack(NamedTuple):
  """`size` networks of one architecture.

  Attributes:
    net: the architecture.
    size: how many.
    mapped: one vmapped call, or a loop; the results are the same.
  """

  net: Net
  size: int
  mapped: bool = True

  @property
  def _one_call(self) -> bool:
    return self.mapped and self.size > 1

  def join(self, members: Sequence[Variables]) -> Tree:
    """Their (params, stats) for `each`: with a leading axis where one call takes all."""
    if self._one_call:
      return jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)
    return tuple(members)

  def each(
    self, call: Call, joined: Tree, images: Array, shared: bool = False
  ) -> list[Tree]:
    """The result of every member.

    Args:
      call: see `Call`.
      joined: from `join`.
      images: [size, B, H, W, C], or [B, H, W, C] if `shared`.
      shared: give every member the same images.
    """
    if self._one_call:
      one = lambda variables, x: call(self.net, variables, x)
      found = jax.vmap(one, in_axes=(0, None if shared else 0))(joined, images)
      return [jax.tree.map(lambda leaf, k=k: leaf[k], found) for k in range(self.size)]
    return [
      call(self.net, variables, images if shared else images[k])
      for k, variables in enumerate(joined)
    ]

  def logits(self, joined: Tree, images: Array) -> Array:
    """[size, B, classes] on the same images, in evaluation mode."""
    return jnp.stack(self.each(evaluate, joined, images, shared=True))


def evaluate(net: Net, variables: Variables, images: Array) -> Array:
  """A `Call`: logits in evaluation mode."""
  return net.logits_fn(*variables)(images)


class Group(NamedTuple):
  """Networks in an order, of one architecture or several.

  Attributes:
    stacks: those of one architecture, and their places in the order.
  """

  stacks: tuple[tuple[Stack, tuple[int, ...]], ...]

  @property
  def size(self) -> int:
    return sum(stack.size for stack, _ in self.stacks)

  def join(self, members: Sequence[Variables]) -> Tree:
    """Their (params, stats) for the other methods."""
    return tuple(
      stack.join([members[place] for place in places]) for stack, places in self.stacks
    )

  def each(
    self, call: Call, joined: Tree, images: Array, shared: bool = False
  ) -> list[Tree]:
    """The result of every member, in order; see `Stack.each`."""
    found: list[Tree] = [None] * self.size
    for (stack, places), variables in zip(self.stacks, joined):
      own = images if shared or stack.size == self.size else images[np.array(places)]
      for place, result in zip(places, stack.each(call, variables, own, shared)):
        found[place] = result
    return found

  def logits(self, joined: Tree, images: Array, shared: bool = False) -> Array:
    """[size, B, classes], in evaluation mode."""
    return jnp.stack(self.each(evaluate, joined, images, shared))

  def train(
    self, members: Sequence[Variables], images: Array, mask: Array | None = None
  ) -> tuple[Array, list[Tree]]:
    """Logits [size, B, classes] in training mode, and the new stats of every member.

    Args:
      members: (params, stats) of each.
      images: [size, B, H, W, C], one batch for each.
      mask: [B], rows that count; see `Net.apply_train`.
    """
    call = lambda net, variables, x: net.apply_train(*variables, x, mask)
    found = self.each(call, self.join(members), images)
    return jnp.stack([logits for logits, _ in found]), [stats for _, stats in found]


def make_group(nets: Sequence[Net], mapped: bool) -> Group:
  """Finds the networks of one architecture, which are equal `Net`s."""
  # A NamedTuple of functions is equal where the functions are the same.
  kinds = list(dict.fromkeys(nets))
  places = [tuple(i for i, net in enumerate(nets) if net == kind) for kind in kinds]
  return Group(
    tuple((Stack(kind, len(place), mapped), place) for kind, place in zip(kinds, places))
  )
