"""The one training step that every method shares."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxrkd.attacks import Search, example_keys
from jaxrkd.data.augment import crop_and_flip
from jaxrkd.data.batches import gather
from jaxrkd.methods import Method
from jaxrkd.models import Net
from jaxrkd.optimizers import update_average
from jaxrkd.train.state import NetState, Optimizers, TrainState

Array = jax.Array
Tree = Any
Metrics = dict[str, Array]
STUDENT = 'student'


def make_update(
  net: Net,
  teacher_nets: Mapping[str, Net],
  method: Method,
  search: Search,
  optimizers: Optimizers,
  *,
  attack_bn: str = 'eval',
  steps_per_epoch: int = 1,
) -> Callable[[TrainState, Tree, Mapping[str, Array]], tuple[TrainState, Metrics]]:
  """Builds (state, teacher variables, batch) -> (new state, scalars).

  A batch has `image` [B, H, W, C] in [0, 1], `label` [B], `key` [B] and, where some rows
  are padding, `mask` [B]. Teacher variables are {name: (params, stats)}: arguments, not
  closures, which would become constants of the compiled program.

  Args:
    net: the student.
    teacher_nets: frozen networks, by the names the method uses.
    method: inner objective, losses and weights.
    search: the attack that raises the inner objective.
    optimizers: see `Optimizers`.
    attack_bn: the student's BatchNorm in the attack: 'eval', 'batch' or 'train'.
    steps_per_epoch: updates per epoch.
  """

  def adversarial(params, stats, teachers, batch) -> tuple[Array, Tree]:
    """The batch's adversarial images, and the statistics after making them."""
    mask, inner = batch.get('mask'), method.objective
    if inner is None:
      return batch['image'], stats
    if attack_bn == 'train':

      def moving(images, carry):
        seen = [carry]

        def student(inputs):
          logits, seen[0] = net.apply_train(params, seen[0], inputs, mask)
          return logits

        values = inner(student, teachers, batch)(images)
        return values, seen[0]

      return search.with_carry(batch['key'], moving, batch['image'], stats)
    if attack_bn == 'batch':

      def student(inputs):
        return net.apply_train(params, stats, inputs, mask)[0]
    else:
      student = net.logits_fn(params, stats)
    objective = inner(student, teachers, batch)
    return search(batch['key'], objective, batch['image']), stats

  def update(state, teacher_vars, batch):
    old = state.nets[STUDENT]
    teachers = {
      name: teacher.logits_fn(*teacher_vars[name])
      for name, teacher in teacher_nets.items()
    }
    images, stats = adversarial(old.params, old.stats, teachers, batch)

    def loss_fn(params):
      def student(stats, inputs):
        return net.apply_train(params, stats, inputs, batch.get('mask'))

      terms, new_stats = method.terms(student, stats, teachers, batch, images)
      weights, weights_opt, memory = move_weights(state, terms)
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

  def move_weights(state, terms):
    """The method's weights after this step's losses, by which the loss is weighted."""
    terms = jax.lax.stop_gradient(terms)
    epoch = state.step // steps_per_epoch
    memory = method.observe(state.memory, terms, epoch, state.step == 0)
    pull = method.weight_gradient(state.weights, memory, terms)
    changes, weights_opt = optimizers.weights.update(
      pull, state.weights_opt, state.weights
    )
    return optax.apply_updates(state.weights, changes), weights_opt, memory

  return update


def make_train_step(
  update: Callable[..., tuple[TrainState, Metrics]],
  *,
  pad: int,
  flip: bool,
  masked: bool,
  split: jax.sharding.NamedSharding,
) -> Callable[[TrainState, Tree, dict[str, Array], Array], tuple[TrainState, Metrics]]:
  """Puts choosing, augmenting and keying a batch in front of `update`.

  The result takes (state, teacher variables, data, order): `data` is the training set as
  it lies on the devices (`image` uint8, `label`, `index`), `order` the epoch's positions
  [steps, B]; the state's step says which row is next. Nothing comes from the host.

  Args:
    update: see `make_update`.
    pad: zero-padding of the random crop, in pixels.
    flip: whether to mirror.
    masked: whether the order has padding in it.
    split: how the rows of a batch lie on the devices.
  """
  augment = jax.vmap(functools.partial(crop_and_flip, pad=pad, flip=flip))

  def train_step(state, teacher_vars, data, order):
    batch = gather(data, order[state.step % order.shape[0]])
    batch = jax.lax.with_sharding_constraint(batch, split)
    if not masked:
      del batch['mask']
    keys = example_keys(jax.random.fold_in(state.key, state.step), batch['index'])
    augment_keys, attack_keys = jnp.moveaxis(jax.vmap(jax.random.split)(keys), 1, 0)
    batch['image'] = (
      augment(augment_keys, batch['image']).astype(jnp.result_type(float)) / 255
    )
    batch['key'] = attack_keys
    return update(state, teacher_vars, batch)

  return train_step
