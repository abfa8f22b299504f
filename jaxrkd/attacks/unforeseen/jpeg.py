"""JPEG: adversarial rounding of the coefficients of JPEG's cosine transform."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxrkd.attacks.base import Attack
from jaxrkd.attacks.built_once import built_once
from jaxrkd.attacks.threat import L2
from jaxrkd.attacks.unforeseen.corruption import (
  Corruption,
  corruption_search,
  step_length,
  to_unit,
)
from jaxrkd.attacks.unforeseen.frank_wolfe import (
  frank_wolfe_search,
  in_l1_ball,
  l1_corner,
)
from jaxrkd.errors import InputError, one_of

Array = jax.Array
SIDE = 8
CAP = 2.0  # largest change of one coefficient in l2 and l1, before it is halved
NORMS = ('linf', 'l2', 'l1')

# Quantisation tables of quality 50: ITU-T T.81, Annex K, Tables K.1 and K.2.
LUMA = np.array(
  [
    [16, 11, 10, 16, 24, 40, 51, 61],
    [12, 12, 14, 19, 26, 58, 60, 55],
    [14, 13, 16, 24, 40, 57, 69, 56],
    [14, 17, 22, 29, 51, 87, 80, 62],
    [18, 22, 37, 56, 68, 109, 103, 77],
    [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101],
    [72, 92, 95, 98, 112, 100, 103, 99],
  ]
)
CHROMA = np.full((SIDE, SIDE), 99)
CHROMA[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]


@built_once
def jpeg(
  *,
  norm: str = 'linf',
  strength: float = 0.125,
  steps: int = 200,
  step_size: float = 0.0,
) -> Attack:
  """Ascent on JPEG's quantised coefficients (Kang et al., 2019, 1908.08016).

  Every coefficient may move by half a variable, in quanta of quality 50; the variables
  lie in a ball. Nothing is rounded; colour images lose chroma (4:2:0). Steps: signs in
  'linf', normalised gradients in 'l2', Frank-Wolfe in 'l1'. Published strengths:

  linf: CIFAR-10 0.03125, 0.0625, 0.125, 0.25, 0.5, 1; ImageNet-100 0.0625 to 2, doubling.
  l2: CIFAR-10 0.25, 0.5, 1, 2, 4, 8; ImageNet-100 8 to 256, doubling.
  l1: CIFAR-10 2, 8, 64, 256, 512, 1024; ImageNet-100 256, 1024, 4096, 16384, 65536,
  131072.

  Args:
    norm: of the ball, 'linf', 'l2' or 'l1'; in the last two no variable exceeds 2.
    strength: radius of the ball in half quanta.
    steps: gradient evaluations.
    step_size: in half quanta; 0 takes the published strength / sqrt(steps). 'l1' has none.

  Raises:
    InputError: an unknown norm, strength not above 0, fewer than 1 step, a negative step
      size; when called, images whose sides are no multiples of 8 (16 in colour).
  """
  one_of(norm, NORMS, 'jpeg norm')
  if norm == 'l1' and step_size:
    raise InputError(
      f'attack step_size is {step_size}, but Frank-Wolfe in l1 has no step size; leave it 0'
    )
  step_size = step_length(strength, steps, step_size)

  def corner(gradient: Array, image: Array) -> Array:
    del image
    return l1_corner(gradient, jnp.full_like(gradient, CAP), strength)

  corruption = jpeg_corruption(norm, strength)
  if norm == 'l1':
    return Attack(frank_wolfe_search(corruption, corner, steps=steps))
  return Attack(corruption_search(corruption, steps=steps, step_size=step_size))


def jpeg_corruption(norm: str, radius: float) -> Corruption:
  """The change by `jpeg`; free are the coefficients [count] in half quanta."""

  def start(key: Array, image: Array):
    shape = (count(image.shape),)
    if norm == 'linf':
      return jax.random.uniform(key, shape, image.dtype, -radius, radius), ()
    if norm == 'l2':
      return radius * L2(1.0).noise(key, shape, image.dtype), ()
    return radius * in_l1_ball(key, shape, image.dtype), ()

  def render(free: Array, fixed, image: Array) -> Array:
    del fixed
    return to_unit(decode(free, image))

  def project(free: Array, fixed, image) -> Array:
    del fixed, image
    if norm == 'linf':
      return jnp.clip(free, -radius, radius)
    if norm == 'l1':
      return free  # a mean of corners stays in the ball
    free = free * jnp.minimum(1, radius / jnp.maximum(jnp.linalg.norm(free), 1e-12))
    return jnp.clip(free, -CAP, CAP)

  def ascend(free: Array, gradient: Array, step_size: float) -> Array:
    return free + step_size * gradient / jnp.maximum(jnp.linalg.norm(gradient), 1e-12)

  if norm == 'l2':
    return Corruption(start, render, project, ascend)
  return Corruption(start, render, project)


def count(shape: tuple[int, ...]) -> int:
  """Number of coefficients of an image [H, W, C].

  Raises:
    InputError: not 1 or 3 channels, sides not made of whole blocks.
  """
  height, width, channels = shape
  if channels not in (1, 3):
    raise InputError(f'jpeg needs images of 1 or 3 channels, but these have {channels}')
  block = SIDE if channels == 1 else 2 * SIDE
  if height % block or width % block:
    raise InputError(
      f'jpeg needs sides that are multiples of {block} for {channels}-channel images, '
      f'but these are {height}x{width}'
    )
  # Two chroma planes at a quarter of the pixels each.
  return height * width + (height * width // 2 if channels == 3 else 0)


def decode(free: Array, image: Array) -> Array:
  """The image after its coefficients moved by free / 2 quanta, not clipped.

  Without rounding, the transform and its inverse cancel on the clean image, so only the
  change is transformed.

  Args:
    free: [count], of luma, then of the two chroma planes at half the resolution.
    image: [H, W, C] in [0, 1].
  """
  height, width, channels = image.shape
  luma = change(free[: height * width], height, width, LUMA)
  if channels == 1:
    return image + luma[..., None]
  blue_free, red_free = jnp.split(free[height * width :], 2)
  half = (height // 2, width // 2)
  y, blue, red = to_ycbcr(image)
  blue = enlarge(shrink(blue) + change(blue_free, *half, CHROMA))
  red = enlarge(shrink(red) + change(red_free, *half, CHROMA))
  return to_rgb(y + luma, blue, red)


def change(free: Array, height: int, width: int, table: np.ndarray) -> Array:
  """[H, W] in [0, 1] pixels: the inverse transform of H * W half quanta."""
  blocks = free.reshape(height // SIDE, width // SIDE, SIDE, SIDE)
  blocks = blocks * jnp.asarray(table / (2 * 255), free.dtype)[None, None]
  waves = jnp.asarray(cosines(), free.dtype)
  # Full precision: GPUs otherwise round products to 10 bits.
  plane = jnp.einsum('abuv,ux,vy->axby', blocks, waves, waves, precision='highest')
  return plane.reshape(height, width)


def cosines() -> np.ndarray:
  """[8, 8] orthonormal matrix of the cosine transform: rows are waves."""
  wave, at = np.arange(SIDE)[:, None], np.arange(SIDE)
  matrix = np.cos((2 * at + 1) * wave * np.pi / (2 * SIDE)) / 2
  matrix[0] /= np.sqrt(2)
  return matrix


def to_ycbcr(image: Array) -> tuple[Array, Array, Array]:
  """[H, W, 3] -> luma and two chroma planes around 0 (JFIF)."""
  red, green, blue = image[..., 0], image[..., 1], image[..., 2]
  return (
    0.299 * red + 0.587 * green + 0.114 * blue,
    -0.168736 * red - 0.331264 * green + 0.5 * blue,
    0.5 * red - 0.418688 * green - 0.081312 * blue,
  )


def to_rgb(luma: Array, blue: Array, red: Array) -> Array:
  """The inverse of `to_ycbcr`, [H, W, 3]."""
  green = luma - 0.344136 * blue - 0.714136 * red
  return jnp.stack([luma + 1.402 * red, green, luma + 1.772 * blue], -1)


def shrink(plane: Array) -> Array:
  """[H, W] -> [H/2, W/2], means of 2x2 pixels."""
  height, width = plane.shape
  return plane.reshape(height // 2, 2, width // 2, 2).mean((1, 3))


def enlarge(plane: Array) -> Array:
  """[H, W] -> [2H, 2W], each pixel four times."""
  return jnp.repeat(jnp.repeat(plane, 2, 0), 2, 1)
