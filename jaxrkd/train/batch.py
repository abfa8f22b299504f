"""A training batch out of the data on the devices: chosen, augmented, labelled, keyed."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxrkd.attacks import example_keys
from jaxrkd.data import augment
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
  options: Mapping[str, Any],
  smoothing: float,
  smooth_all: bool,
  chosen: bool = False,
  split: jax.sharding.NamedSharding,
) -> Callable[[Array, dict[str, Array], Array], dict[str, Array]]:
  """Builds (key, data, positions [B]) -> batch; see `step.make_update` for its keys.

  Random numbers depend on the key and each image's index in its source alone.

  Args:
    classes: number of labels.
    real_images: positions from here on are extra images.
    masked: whether positions may be padding.
    options: `config.augment`.
    smoothing: of labels; 0 leaves them.
    smooth_all: smooth all labels, not only those of extra images.
    chosen: data are the rows of one batch already, and not the whole set.
    split: how the rows of a batch lie on the devices.
  """

  def augmented(key: Array, image: Array) -> Array:
    # Apart from the crop's key, so that a hole changes no crop.
    hole_key = jax.random.fold_in(key, 1)
    image = augment.crop_and_flip(key, image, pad=options['pad'], flip=options['flip'])
    return augment.cutout(hole_key, image, size=options['cutout'])

  def make_batch(key, data, positions):
    if chosen:
      batch = {name: data[name] for name in ('image', 'label', 'index')}
      batch['mask'] = (positions >= 0).astype(jnp.float32)
    else:
      batch = gather(data, positions)
    batch = jax.lax.with_sharding_constraint(batch, split)
    if not masked:
      del batch['mask']
    augment_keys, attack_keys = keys_of(key, batch['index'])
    images = jax.vmap(augmented)(augment_keys, batch['image'])
    batch['image'] = images.astype(jnp.result_type(float)) / 255
    batch['key'] = attack_keys
    if smoothing or options['cutmix']:
      amount = smoothing if smooth_all else smoothing * (positions >= real_images)
      batch['target'] = smoothed(batch['label'], classes, amount)
    if options['cutmix']:
      mix_keys = jax.vmap(functools.partial(jax.random.fold_in, data=2))(augment_keys)
      batch['image'], batch['target'] = augment.cutmix(
        mix_keys, batch['image'], batch['target'], beta=options['cutmix']
      )
    return batch

  return make_batch
