"""The average over epochs (SWA) of a finished training, ready to be used as a network."""

import dataclasses
import pathlib
from collections.abc import Iterator

import jax

from jaxrkd.errors import InputError
from jaxrkd.runtime import stages
from jaxrkd.runtime.checkpoint import Checkpoints
from jaxrkd.runtime.progress import say
from jaxrkd.train.averages import epoch_average
from jaxrkd.train.feed import make_feed
from jaxrkd.train.norm_statistics import reestimated
from jaxrkd.train.setup import Setup

Array = jax.Array
KIND = 'swa'


def write(setup: Setup, workdir: pathlib.Path, title: str) -> None:
  """Makes the checkpoint of the average, with BatchNorm's statistics estimated anew.

  They are means over the batches of one epoch of training images, augmented as in training.
  A checkpoint that is there already is left alone.

  Args:
    setup: of the run.
    workdir: the run, trained to its end.
    title: for what is printed.

  Raises:
    InputError: the training's last checkpoint cannot be read, or it ended before an epoch
      counted.
  """
  folder = workdir / 'checkpoints'
  store = Checkpoints(folder / KIND)
  if store.steps():
    store.close()
    return
  last = Checkpoints(folder / 'last', writable=False)
  found = last.restore(setup.learner.like, say=say)
  last.close()
  if found is None:
    raise InputError(
      f'the last checkpoint of {str(workdir)!r} cannot be read; train it again in a new '
      'workdir'
    )
  state, record = found
  some = next(iter(state.nets.values()))
  if not int(some.average.epochs):
    raise InputError(
      f'{title}: the training ended before the end of epoch swa.start, so that there is no '
      'average over epochs; choose an earlier one in a new workdir'
    )
  stages.begin(f'statistics of the average of {title}')
  say(
    f'{title}: the mean of {int(some.average.epochs)} epochs; estimating its statistics'
  )
  nets = {}
  for name, own in state.nets.items():
    net, params = setup.learner.networks.nets[name], epoch_average(own.average)
    stats = reestimated(net, params, own.stats, _batches(setup, state.key))
    nets[name] = dataclasses.replace(own, params=params, stats=stats)
  placed = jax.device_put(dataclasses.replace(state, nets=nets), setup.learner.places)
  store.save(int(state.step), placed, record)
  store.wait()
  store.close()


def _batches(setup: Setup, key: Array) -> Iterator[tuple[Array, Array | None]]:
  """One epoch of augmented training images, with random numbers of its own."""
  feed = make_feed(setup, lambda epoch: setup.order(jax.numpy.int32(epoch)), 0, {})

  @jax.jit
  def made(key: Array, data, positions: Array):
    # As at the end of the training, where the augmentation may have been another one.
    batch = setup.make_batch(key, data, positions, jax.numpy.int32(setup.total_steps))
    return batch['image'], batch.get('mask')

  for step in range(setup.steps_per_epoch):
    data, order = feed.next(step)
    row = order[step % order.shape[0]]
    # None of the training's: those of its steps are folded in below.
    yield made(jax.random.fold_in(key, setup.total_steps + step), data, row)
