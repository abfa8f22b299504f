"""The one training step that every method shares."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxrkd.attacks import Search
from jaxrkd.attacks.ramp import Ramp
from jaxrkd.errors import InputError
from jaxrkd.methods import Method, MethodState
from jaxrkd.methods.base import batch_mean
from jaxrkd.particles import spread
from jaxrkd.runtime import sharding
from jaxrkd.train import averages, micro
from jaxrkd.train.attack import Attacker
from jaxrkd.train.networks import STUDENT, TrainedNetworks
from jaxrkd.train.state import NetState, Optimizers, TrainState
from jaxrkd.train.teachers import FrozenTeachers, StackLogits
from jaxrkd.train.weight_perturbation import WeightPerturbation

Array = jax.Array
Tree = Any
Metrics = dict[str, Array]
Batch = Mapping[str, Array]


def make_update(
  networks: TrainedNetworks,
  frozen: FrozenTeachers,
  method: Method,
  search: Search | Ramp,
  optimizers: Optimizers,
  *,
  attack_bn: str = 'eval',
  steps_per_epoch: int = 1,
  epochs: int = 0,
  mesh: jax.sharding.Mesh | None = None,
  micro_batch: int = 0,
  awp: WeightPerturbation | None = None,
) -> Callable[[TrainState, Tree, Batch], tuple[TrainState, Metrics]]:
  """Builds (state, joined teacher variables, batch) -> (new state, scalars).

  A batch has `image` [B, H, W, C] in [0, 1], `label` [B], `key` [B]; `mask` [B] where
  some rows are padding, and `target` [B, classes] where labels are mixed or smoothed.

  Args:
    networks: those that are trained.
    frozen: the teachers.
    method: inner problem, losses and weights.
    search: the attack that raises the inner problem, or how it grows.
    optimizers: see `Optimizers`.
    attack_bn: BatchNorm of those attacked: 'eval', 'batch' or 'train'.
    steps_per_epoch: updates per epoch.
    epochs: of the whole training, for methods with terms that grow until its end; 0 lets
      them be at their end from the start.
    mesh: devices, where state and teachers may be split over some.
    micro_batch: images at once in attacks and teachers; 0 is all.
    awp: where the weights move before their gradient is taken.
  """
  whole = functools.partial(sharding.gathered, mesh) if mesh else lambda tree: tree
  whole_search = search.whole if isinstance(search, Ramp) else search
  full = Attacker(networks, method, whole_search, attack_bn)

  def update(state, teacher_vars, batch):
    if not jnp.issubdtype(batch['image'].dtype, jnp.floating):
      raise InputError(
        f'the images of a batch are {batch["image"].dtype}; give floats in [0, 1]'
      )
    params = whole({name: state.nets[name].params for name in networks.nets})
    stats = whole({name: state.nets[name].stats for name in networks.nets})
    teacher_vars = whole(teacher_vars)
    student = networks.logits_fn(params, stats)
    before = MethodState(state.step, state.weights, state.weights_opt, state.memory)
    rows = batch
    before, batch = method.begin(before, {**rows, **moment(state.step)})
    attacker = full
    if isinstance(search, Ramp):
      attacker = dataclasses.replace(full, search=search.at(batch['epoch']))
    answers: StackLogits = {}
    teachers: dict[str, Any] = dict(
      frozen.by_role(teacher_vars, batch, student, micro_batch, mesh, answers)
    )
    average = {}
    if method.asks_average:
      moving = averages.moving_average(state.nets[STUDENT].average)
      mean = networks.nets[STUDENT].logits_fn(whole(moving), stats[STUDENT])
      average = {'average': lambda images, temperature=1.0: mean(images) / temperature}
      teachers |= average
    if micro_batch:

      def attacked(part):
        own: StackLogits = {}
        # What is not of rows is not split.
        part = {**batch, **part}
        asked = {
          **frozen.by_role(teacher_vars, part, student, answers=own),
          **average,
        }
        images, _, counted = attacker(params, stats, asked, part)
        return images, counted, own

      axes = (attacker.batch_axes, 0, 1)
      images, counted, found = micro.in_parts(attacked, rows, micro_batch, axes, mesh)
      answers.update(found)
    else:
      images, stats, counted = attacker(params, stats, teachers, batch)
    batch = {**batch, **counted}

    def loss_fn(params):
      trained, own = trained_by(params, stats, batch)
      return method.loss(
        before, trained, own, teachers, batch, images, optimizers.weights
      )

    at = params
    if awp:
      slope = jax.grad(lambda params: loss_fn(params)[0])
      at = awp(slope, params, batch['epoch'])
    (loss, found), grads = jax.value_and_grad(loss_fn, has_aux=True)(at)
    after, terms = found.state, found.terms
    stats = found.stats if method.group else {STUDENT: found.stats}
    new = TrainState(
      step=after.step,
      key=state.key,
      nets={
        name: moved(
          state, state.nets[name], grads[name], stats[name], at[name] if awp else None
        )
        for name in networks.nets
      },
      weights=after.weights,
      weights_opt=after.weights_opt,
      memory=after.memory,
    )
    scalars = {f'loss_{name}': value for name, value in terms.items()}
    own = method.own_memory(after.memory)
    scalars.update(method.report(after.weights, own, terms))
    if attacker.has_particles:
      apart = spread(images.particles)
      scalars |= {f'particles_{k}': batch_mean(v, batch) for k, v in apart.items()}
    return new, {'loss': loss, **scalars, 'grad_norm': optax.tree.norm(grads)}

  def moment(step):
    """What a method may want to know of the time; see `methods.base.MOMENT`."""
    epoch = step // steps_per_epoch
    found = {'step': step, 'epoch': epoch}
    if epochs:
      found['fraction'] = jnp.minimum(step / (epochs * steps_per_epoch), 1)
      found['progress'] = jnp.minimum((epoch + 1) / epochs, 1)
    if optimizers.rate:
      found['rate'] = optimizers.rate(step)
    return found

  def trained_by(params, stats, batch):
    """What the method trains as functions of all parameters, and their stats."""
    mask = batch.get('mask')
    if method.group:
      return networks.as_functions(params, mask), stats

    def student(stats, inputs):
      return networks.nets[STUDENT].apply_train(params[STUDENT], stats, inputs, mask)

    return student, stats[STUDENT]

  def moved(state, old, grads, stats, at):
    """One network after its own optimiser's step; decay is that of where gradients are."""
    at = old.params if at is None else at
    changes, opt = optimizers.student.update(grads, old.opt, at)
    params = optax.apply_updates(old.params, changes)
    average = averages.updated(
      old.average,
      params,
      state.step,
      decay=optimizers.ema_decay,
      warmup=optimizers.ema_warmup,
      start=optimizers.swa_start,
      epoch_decay=optimizers.swa_decay,
      steps_per_epoch=steps_per_epoch,
    )
    return NetState(params, stats, opt, average)

  return update


def make_train_step(
  update: Callable[..., tuple[TrainState, Metrics]],
  make_batch: Callable[[Array, dict[str, Array], Array, Array], Batch],
) -> Callable[[TrainState, Tree, dict[str, Array], Array], tuple[TrainState, Metrics]]:
  """Puts choosing, augmenting and keying a batch in front of `update`.

  The result takes (state, teacher variables, data, order): `data` is the training set as
  it lies on the devices, `order` the epoch's positions [steps, B]; the state's step says
  which row is next. Nothing comes from the host.

  Args:
    update: see `make_update`.
    make_batch: see `batch.make_batcher`.
  """

  def train_step(state, teacher_vars, data, order):
    key = jax.random.fold_in(state.key, state.step)
    batch = make_batch(key, data, order[state.step % order.shape[0]], state.step)
    return update(state, teacher_vars, batch)

  return train_step
