"""Random crops, flips, shifts, holes and mixtures, inside the compiled step."""

import jax
import jax.numpy as jnp

Array = jax.Array


def crop_and_flip(key: Array, image: Array, *, pad: int, flip: bool) -> Array:
  """Zero-pads by `pad`, cuts the original size at random, mirrors with probability 1/2.

  Args:
    key: this image's key.
    image: [H, W, C], any type.
    pad: pixels on each side; 0 does not crop.
    flip: whether to mirror left and right at all.
  """
  crop_key, flip_key = jax.random.split(key)
  if pad:
    padded = jnp.pad(image, ((pad, pad), (pad, pad), (0, 0)))
    top, left = jax.random.randint(crop_key, (2,), 0, 2 * pad + 1)
    image = jax.lax.dynamic_slice(padded, (top, left, 0), image.shape)
  if flip:
    image = jnp.where(jax.random.bernoulli(flip_key), image[:, ::-1], image)
  return image


def crop_shift(key: Array, image: Array, *, most: int) -> Array:
  """Cuts a part out and puts it somewhere on black (Li & Spratling, 2023, 2301.09879).

  The lines and columns that are lost are `most` together or fewer, each number as likely.

  Args:
    key: this image's key.
    image: [H, W, C], any type.
    most: lines and columns that may be lost, less than H and W; 0 does nothing.
  """
  if not most:
    return image
  share_key, row_key, column_key = jax.random.split(key, 3)
  strength_key, axis_key = jax.random.split(share_key)
  lost = jax.random.randint(strength_key, (), 0, most + 1)
  columns = jax.random.randint(axis_key, (), 0, lost + 1)

  def axis(key: Array, length: int, lost: Array) -> tuple[Array, Array]:
    start, place = jax.random.randint(key, (2,), 0, lost + 1)
    offset = jnp.arange(length) - place
    return jnp.clip(offset + start, 0, length - 1), (offset >= 0) & (
      offset < length - lost
    )

  height, width, _ = image.shape
  rows, in_rows = axis(row_key, height, lost - columns)
  across, in_columns = axis(column_key, width, columns)
  kept = in_rows[:, None] & in_columns[None]
  return jnp.where(kept[..., None], image[rows][:, across], 0).astype(image.dtype)


# How often a box is drawn until one fits.
TRIES = 10


def random_erasing(
  key: Array,
  image: Array,
  *,
  chance: float,
  area: tuple[float, float] = (0.02, 0.33),
  aspect: tuple[float, float] = (0.3, 3.3),
) -> Array:
  """Sets a random box to 0 (Zhong et al., AAAI 2020, 1708.04896).

  Args:
    key: this image's key.
    image: [H, W, C].
    chance: how often; 0 does nothing.
    area: smallest and largest share of the image.
    aspect: smallest and largest height by width; its logarithm is uniform.
  """
  if not chance:
    return image
  chance_key, area_key, aspect_key, place_key = jax.random.split(key, 4)
  height, width, _ = image.shape
  share = jax.random.uniform(area_key, (TRIES,), minval=area[0], maxval=area[1])
  low, high = jnp.log(jnp.array(aspect, jnp.float32))
  ratio = jnp.exp(jax.random.uniform(aspect_key, (TRIES,), minval=low, maxval=high))
  pixels = share * (height * width)
  rows = jnp.round(jnp.sqrt(pixels * ratio)).astype(jnp.int32)
  columns = jnp.round(jnp.sqrt(pixels / ratio)).astype(jnp.int32)
  fits = (rows < height) & (columns < width)
  first = jnp.argmax(fits)
  rows, columns = rows[first], columns[first]
  spare = jnp.maximum(jnp.stack([height - rows, width - columns]), 0)
  top, left = jax.random.randint(place_key, (2,), 0, spare + 1)
  y, x = jnp.arange(height)[:, None], jnp.arange(width)[None]
  box = (y >= top) & (y < top + rows) & (x >= left) & (x < left + columns)
  box &= fits[first] & jax.random.bernoulli(chance_key, chance)
  return jnp.where(box[..., None], 0, image).astype(image.dtype)


def _box(key: Array, height: int, width: int, rows: Array, columns: Array) -> Array:
  """A mask [H, W]: True in a box around a random pixel, cut off at the borders."""
  top_key, left_key = jax.random.split(key)
  top = jax.random.randint(top_key, (), 0, height) - rows // 2
  left = jax.random.randint(left_key, (), 0, width) - columns // 2
  y, x = jnp.arange(height)[:, None], jnp.arange(width)[None]
  return (y >= top) & (y < top + rows) & (x >= left) & (x < left + columns)


def cutout(key: Array, image: Array, *, size: int) -> Array:
  """Sets a square around a random pixel to 0 (DeVries & Taylor, 2017, 1708.04552).

  Args:
    key: this image's key.
    image: [H, W, C].
    size: side of the square in pixels, part of which may lie outside; 0 does nothing.
  """
  if not size:
    return image
  height, width, _ = image.shape
  hole = _box(key, height, width, jnp.int32(size), jnp.int32(size))
  return jnp.where(hole[..., None], 0, image).astype(image.dtype)


def cutmix(
  keys: Array, images: Array, targets: Array, *, beta: float
) -> tuple[Array, Array]:
  """Puts a box of the next image of the batch into each (Yun et al., 2019, 1905.04899).

  A batch is in random order, so the next image is any image. Labels mix by area. The
  share that stays is drawn from Beta(beta, beta), for each image on its own.

  Args:
    keys: [B].
    images: [B, H, W, C].
    targets: [B, classes], probabilities.
    beta: 1 draws the share uniformly; 0 does nothing.

  Returns:
    (images, targets).
  """
  if not beta:
    return images, targets
  height, width = images.shape[1:3]

  def draw(key: Array) -> Array:
    share_key, box_key = jax.random.split(key)
    side = jnp.sqrt(1 - jax.random.beta(share_key, beta, beta))
    rows, columns = (jnp.int32(side * length) for length in (height, width))
    return _box(box_key, height, width, rows, columns)

  boxes = jax.vmap(draw)(keys)
  mixed = jnp.where(boxes[..., None], jnp.roll(images, -1, 0), images)
  gone = jnp.mean(boxes, (1, 2), dtype=targets.dtype)[:, None]
  return mixed, (1 - gone) * targets + gone * jnp.roll(targets, -1, 0)
