"""A training batch out of the data on the devices: chosen, augmented, labelled, keyed."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxrkd.attacks import example_keys
from jaxrkd.data.augment import cutmix as cut_and_mix
from jaxrkd.data.augmentation import Augmentation
from jaxrkd.data.batches import gather
from jaxrkd.data.targets import smoothed

Array = jax.Array


def keys_of(key: Array, index: Array) -> tuple[Array, Array]:
  """Two keys for each image, to augment and to attack it.

  Args:
    key: of the step.
    index: [B], each image's number in its source.
  """
  keys = jax.vmap(jax.random.split)(example_keys(key, index))
  augment_keys, attack_keys = jnp.moveaxis(keys, 1, 0)
  return augment_keys, attack_keys


def make_batcher(
  *,
  classes: int,
  real_images: int,
  masked: bool,
  augmentation: Augmentation,
  late: tuple[int, Augmentation] | None = None,
  cutmix: float = 0.0,
  smoothing: float,
  smooth_all: bool,
  chosen: bool = False,
  split: jax.sharding.NamedSharding,
) -> Callable[[Array, dict[str, Array], Array, Array], dict[str, Array]]:
  """Builds (key, data, positions [B], step) -> batch; see `step.make_update` for its keys.

  Random numbers depend on the key and each image's index in its source alone.

  Args:
    classes: number of labels.
    real_images: positions from here on are extra images.
    masked: whether positions may be padding.
    augmentation: of each image.
    late: the step from which on another one takes its place, and that one.
    cutmix: parameter of CutMix's Beta distribution; 0 is off.
    smoothing: of labels; 0 leaves them.
    smooth_all: smooth all labels, not only those of extra images.
    chosen: data are the rows of one batch already, and not the whole set.
    split: how the rows of a batch lie on the devices.
  """

  def augmented(keys, images, step):
    if late is None:
      return jax.vmap(augmentation)(keys, images)
    first, other = late
    return jax.lax.cond(
      step >= first, jax.vmap(other), jax.vmap(augmentation), keys, images
    )

  def make_batch(key, data, positions, step):
    if chosen:
      batch = {name: data[name] for name in ('image', 'label', 'index')}
      batch['mask'] = (positions >= 0).astype(jnp.float32)
    else:
      batch = gather(data, positions)
    batch = jax.lax.with_sharding_constraint(batch, split)
    if not masked:
      del batch['mask']
    augment_keys, attack_keys = keys_of(key, batch['index'])
    images = augmented(augment_keys, batch['image'], step)
    batch['image'] = images.astype(jnp.result_type(float)) / 255
    batch['key'] = attack_keys
    if smoothing or cutmix:
      amount = smoothing if smooth_all else smoothing * (positions >= real_images)
      batch['target'] = smoothed(batch['label'], classes, amount)
    if cutmix:
      mix_keys = jax.vmap(functools.partial(jax.random.fold_in, data=2))(augment_keys)
      batch['image'], batch['target'] = cut_and_mix(
        mix_keys, batch['image'], batch['target'], beta=cutmix
      )
    return batch

  return make_batch
