"""The one training step that every method shares."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import optax

from jaxrkd.attacks import Search
from jaxrkd.methods import Inner, Method, Teacher
from jaxrkd.models import Net
from jaxrkd.optimizers import update_average
from jaxrkd.train.state import NetState, Optimizers, TrainState
from jaxrkd.train.teachers import Faculty

Array = jax.Array
Tree = Any
Metrics = dict[str, Array]
Batch = Mapping[str, Array]
STUDENT = 'student'


def adversarial_images(
  net: Net,
  variables: tuple[Tree, Tree],
  inner: Inner,
  teachers: Mapping[str, Teacher],
  batch: Batch,
  search: Search,
  attack_bn: str,
) -> tuple[Array, Tree]:
  """Solves the inner problem of a batch.

  Args:
    net: the student.
    variables: its (params, stats), held fixed.
    inner: the problem.
    teachers: by role.
    batch: see `make_update`.
    search: the attack.
    attack_bn: 'eval' uses running statistics, 'batch' those of the batch, 'train' those
      of the batch, and every step of the attack moves the running ones.

  Returns:
    (images, stats after making them).
  """
  params, stats = variables
  mask = batch.get('mask')
  if inner.prepare is None:
    return batch['image'], stats
  problem = inner.prepare(teachers, batch)
  if attack_bn == 'train':

    def moving(images, carry):
      seen = [carry]

      def student(inputs):
        logits, seen[0] = net.apply_train(params, seen[0], inputs, mask)
        return logits

      values = problem(student)(images)
      return values, seen[0]

    return search.with_carry(batch['key'], moving, batch['image'], stats)
  if attack_bn == 'batch':

    def student(inputs):
      return net.apply_train(params, stats, inputs, mask)[0]
  else:
    student = net.logits_fn(params, stats)
  return search(batch['key'], problem(student), batch['image']), stats


def make_update(
  net: Net,
  faculty: Faculty,
  method: Method,
  search: Search,
  optimizers: Optimizers,
  *,
  attack_bn: str = 'eval',
  steps_per_epoch: int = 1,
) -> Callable[[TrainState, Tree, Batch], tuple[TrainState, Metrics]]:
  """Builds (state, joined teacher variables, batch) -> (new state, scalars).

  A batch has `image` [B, H, W, C] in [0, 1], `label` [B], `key` [B]; `mask` [B] where
  some rows are padding, and `target` [B, classes] where labels are mixed or smoothed.

  Args:
    net: the student.
    faculty: its teachers.
    method: inner problem, losses and weights.
    search: the attack that raises the inner problem.
    optimizers: see `Optimizers`.
    attack_bn: the student's BatchNorm in the attack: 'eval', 'batch' or 'train'.
    steps_per_epoch: updates per epoch.
  """

  def update(state, teacher_vars, batch):
    old = state.nets[STUDENT]
    teachers = faculty.teachers(teacher_vars)
    batch = {**batch, 'epoch': state.step // steps_per_epoch}
    images, stats = adversarial_images(
      net, (old.params, old.stats), method.inner, teachers, batch, search, attack_bn
    )

    def loss_fn(params):
      def student(stats, inputs):
        return net.apply_train(params, stats, inputs, batch.get('mask'))

      terms, new_stats = method.terms(student, stats, teachers, batch, images)
      weights, weights_opt, memory = move_weights(state, terms, batch['epoch'])
      loss = method.total(terms, weights)
      return loss, (terms, new_stats, weights, weights_opt, memory)

    (loss, found), grads = jax.value_and_grad(loss_fn, has_aux=True)(old.params)
    terms, stats, weights, weights_opt, memory = found
    changes, opt = optimizers.student.update(grads, old.opt, old.params)
    params = optax.apply_updates(old.params, changes)
    average = update_average(
      old.average, params, state.step, optimizers.ema_decay, optimizers.ema_warmup
    )
    new = TrainState(
      step=state.step + 1,
      key=state.key,
      nets={**state.nets, STUDENT: NetState(params, stats, opt, average)},
      weights=weights,
      weights_opt=weights_opt,
      memory=memory,
    )
    scalars = {f'loss_{name}': value for name, value in terms.items()}
    scalars.update(method.report(weights, memory, terms))
    return new, {'loss': loss, **scalars, 'grad_norm': optax.tree.norm(grads)}

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
