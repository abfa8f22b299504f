"""Several networks as one, whose prediction is the average of theirs ("en-SAT")."""

from collections.abc import Callable, Sequence

import jax

from jaxrkd.amalgamation import Average
from jaxrkd.models.group import Variables, is_mapped, make_group
from jaxrkd.models.net import Net, one_note

Array = jax.Array


def ensemble(
  nets: Sequence[Net],
  shares: Sequence[float],
  average: Average,
  stacking: str = 'auto',
) -> tuple[Net, Callable[[Sequence[Variables]], Variables]]:
  """A network whose prediction is the average of others'.

  Args:
    nets: the members; those that are the same object are evaluated together.
    shares: their weights, summing to 1.
    average: a row of `AVERAGES`.
    stacking: see `group.is_mapped`.

  Returns:
    The network, and a function that makes its (params, stats) from the members'. Its
    training mode trains every member on the gradient of the average.
  """
  group = make_group(nets, is_mapped(stacking))

  def join(members: Sequence[Variables]) -> Variables:
    return tuple(params for params, _ in members), tuple(stats for _, stats in members)

  def init(key: Array) -> Variables:
    keys = jax.random.split(key, len(nets))
    return join([net.init(k) for net, k in zip(nets, keys)])

  def apply(params, stats, images):
    joined = group.join(list(zip(params, stats)))
    return average(group.logits(joined, images, shared=True), shares, 1.0)

  def apply_train(params, stats, images, mask=None):
    again = jax.numpy.broadcast_to(images, (len(nets), *images.shape))
    logits, moved = group.train(list(zip(params, stats)), again, mask)
    return average(logits, shares, 1.0), tuple(moved)

  note = one_note([net.note for net in nets])
  return Net(init, apply, apply_train, note=note), join
