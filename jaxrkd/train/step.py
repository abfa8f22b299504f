"""The one training step that every method shares."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import optax

from jaxrkd.attacks import Search
from jaxrkd.methods import Method
from jaxrkd.methods.base import batch_mean
from jaxrkd.optimizers import update_average
from jaxrkd.particles import spread
from jaxrkd.runtime import sharding
from jaxrkd.train import micro
from jaxrkd.train.attack import attack_all, batch_axes
from jaxrkd.train.crew import STUDENT, Crew
from jaxrkd.train.state import NetState, Optimizers, TrainState
from jaxrkd.train.teachers import Faculty, Heard

Array = jax.Array
Tree = Any
Metrics = dict[str, Array]
Batch = Mapping[str, Array]


def make_update(
  crew: Crew,
  faculty: Faculty,
  method: Method,
  search: Search,
  optimizers: Optimizers,
  *,
  attack_bn: str = 'eval',
  steps_per_epoch: int = 1,
  mesh: jax.sharding.Mesh | None = None,
  micro_batch: int = 0,
) -> Callable[[TrainState, Tree, Batch], tuple[TrainState, Metrics]]:
  """Builds (state, joined teacher variables, batch) -> (new state, scalars).

  A batch has `image` [B, H, W, C] in [0, 1], `label` [B], `key` [B]; `mask` [B] where
  some rows are padding, and `target` [B, classes] where labels are mixed or smoothed.

  Args:
    crew: the networks that are trained.
    faculty: frozen teachers.
    method: inner problem, losses and weights.
    search: the attack that raises the inner problem.
    optimizers: see `Optimizers`.
    attack_bn: BatchNorm of those attacked: 'eval', 'batch' or 'train'.
    steps_per_epoch: updates per epoch.
    mesh: devices, where state and teachers may be split over some.
    micro_batch: images at once in attacks and teachers; 0 is all.
  """
  whole = functools.partial(sharding.gathered, mesh) if mesh else lambda tree: tree

  def update(state, teacher_vars, batch):
    params = whole({name: state.nets[name].params for name in crew.nets})
    stats = whole({name: state.nets[name].stats for name in crew.nets})
    teacher_vars = whole(teacher_vars)
    student = crew.logits_fn(params, stats)
    batch = {**batch, 'epoch': state.step // steps_per_epoch}
    heard: Heard = {}
    teachers = faculty.teachers(teacher_vars, batch, student, micro_batch, mesh, heard)
    if micro_batch:

      def attacked(part):
        own: Heard = {}
        asked = faculty.teachers(teacher_vars, part, student, heard=own)
        given = (crew, params, stats, method, asked, part, search, attack_bn)
        return attack_all(*given)[0], own

      axes = (batch_axes(method), 1)
      images, answers = micro.in_parts(attacked, batch, micro_batch, axes, mesh)
      heard.update(answers)
    else:
      images, stats = attack_all(
        crew, params, stats, method, teachers, batch, search, attack_bn
      )

    def loss_fn(params):
      terms, new_stats = terms_of(params, stats, teachers, batch, images)
      weights, weights_opt, memory = move_weights(state, terms, batch['epoch'])
      loss = method.total(terms, weights)
      return loss, (terms, new_stats, weights, weights_opt, memory)

    (loss, found), grads = jax.value_and_grad(loss_fn, has_aux=True)(params)
    terms, stats, weights, weights_opt, memory = found
    new = TrainState(
      step=state.step + 1,
      key=state.key,
      nets={
        name: moved(state, state.nets[name], grads[name], stats[name])
        for name in crew.nets
      },
      weights=weights,
      weights_opt=weights_opt,
      memory=memory,
    )
    scalars = {f'loss_{name}': value for name, value in terms.items()}
    scalars.update(method.report(weights, memory, terms))
    if method.group:
      apart = spread(images.particles)
      scalars |= {f'particles_{k}': batch_mean(v, batch) for k, v in apart.items()}
    return new, {'loss': loss, **scalars, 'grad_norm': optax.tree.norm(grads)}

  def terms_of(params, stats, teachers, batch, images):
    """The method's losses as a function of all trained parameters, and all new stats."""
    mask = batch.get('mask')
    if method.group:
      return method.terms(crew.networks(params, mask), stats, teachers, batch, images)

    def student(stats, inputs):
      return crew.nets[STUDENT].apply_train(params[STUDENT], stats, inputs, mask)

    terms, own = method.terms(student, stats[STUDENT], teachers, batch, images)
    return terms, {STUDENT: own}

  def moved(state, old, grads, stats):
    """One network after its own optimiser's step."""
    changes, opt = optimizers.student.update(grads, old.opt, old.params)
    params = optax.apply_updates(old.params, changes)
    average = update_average(
      old.average, params, state.step, optimizers.ema_decay, optimizers.ema_warmup
    )
    return NetState(params, stats, opt, average)

  def move_weights(state, terms, epoch):
    """The method's weights after this step's losses, by which the loss is weighted."""
    terms = jax.lax.stop_gradient(terms)
    memory = method.observe(state.memory, terms, epoch, state.step == 0)
    pull = method.weight_gradient(state.weights, memory, terms)
    changes, weights_opt = optimizers.weights.update(
      pull, state.weights_opt, state.weights
    )
    return optax.apply_updates(state.weights, changes), weights_opt, memory

  return update


def make_train_step(
  update: Callable[..., tuple[TrainState, Metrics]],
  make_batch: Callable[[Array, dict[str, Array], Array], Batch],
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
    batch = make_batch(key, data, order[state.step % order.shape[0]])
    return update(state, teacher_vars, batch)

  return train_step
