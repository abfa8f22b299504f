"""Snow: flakes of adversarial brightness, drawn as blurred diagonal lines."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxrkd.attacks.base import Attack
from jaxrkd.attacks.built_once import built_once
from jaxrkd.attacks.unforeseen.corruption import (
  Corruption,
  convolve,
  corruption_search,
  step_length,
  to_unit,
)
from jaxrkd.errors import in_range

Array = jax.Array
SPACING = 4  # pixels between flakes of one kind
BLOCK = 8  # flakes, in each direction, that share one budget
REACH = 6  # pixels of a line on each side of its middle
WIDTHS = (1, 3, 5)
WIDTH_SHARES = (0.6, 0.3, 0.1)
LUMA = (0.2126, 0.7152, 0.0722)
# (row, column) within a cell of SPACING x SPACING, for each of the 7 kinds of flake.
PLACES = ((0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (2, 0), (3, 0))


@built_once
def snow(
  *,
  strength: float = 0.25,
  steps: int = 200,
  step_size: float = 0.0,
  budget: float = 0.2,
  discolour: float = 0.25,
) -> Attack:
  """Sign ascent on the intensity of snowflakes (Kang et al., 2019, 1908.08016).

  Seven kinds of flake, each with its own line as a shape, lie on grids of spacing 4; a
  flake's brightness is the fourth power of its intensity. Published strengths, for
  ImageNet-100 only: 0.0625, 0.125, 0.25, 2, 4, 8.

  Args:
    strength: brightness of a flake of intensity 1, in [0, 1] pixels; may be above 1.
    steps: gradient evaluations.
    step_size: in the intensities' own range [0, 1]; 0 takes the published 0.002236.
    budget: largest mean intensity over 8x8 flakes of a kind; sets the start's rate too.
    discolour: share of a paler, greyer image that the image is mixed with.

  Raises:
    InputError: strength not above 0, fewer than 1 step, negative step size, budget
      outside [0.001, 1], discolour outside [0, 1].
  """
  step_size = step_length(strength, steps, step_size, 0.002236)
  corruption = snow_corruption(strength, budget, discolour)
  return Attack(corruption_search(corruption, steps=steps, step_size=step_size))


def snow_corruption(
  strength: float, budget: float = 0.2, discolour: float = 0.25
) -> Corruption:
  """The change by `snow`; free are the flakes [7, ceil(H/4), ceil(W/4)] in [0, 1]."""
  in_range(budget, 0.001, 1, 'snow budget')
  in_range(discolour, 0, 1, 'snow discolour')

  def start(key: Array, image: Array):
    flakes_key, lines_key = jax.random.split(key)
    cells = tuple(-(-side // SPACING) for side in image.shape[:2])
    uniform = jax.random.uniform(flakes_key, (len(PLACES), *cells), image.dtype)
    return jnp.exp(-uniform / budget), draw_lines(lines_key, image.dtype)

  def render(flakes: Array, lines: Array, image: Array) -> Array:
    pale = 1.5 * _grey(image) + 0.5
    image = (1 - discolour) * image + discolour * jnp.maximum(image, pale)
    fall = convolve(scatter(flakes**4, *image.shape[:2]), lines)
    return to_unit(image + strength * fall[..., None])

  def project(flakes: Array, lines, image) -> Array:
    del lines, image
    # Not 0, where the fourth power has no slope to leave by.
    return within_budget(jnp.clip(flakes, 1e-9, 1), budget)

  return Corruption(start, render, project)


def _grey(image: Array) -> Array:
  """[H, W, C] -> [H, W, 1], the luma of colour images and the mean of others."""
  if image.shape[-1] != 3:
    return image.mean(-1, keepdims=True)
  return (image * jnp.asarray(LUMA, image.dtype)).sum(-1, keepdims=True)


def scatter(bright: Array, height: int, width: int) -> Array:
  """Flakes [7, ceil(H/4), ceil(W/4)] -> planes [7, H, W], zero between the flakes."""
  mask = np.zeros((len(PLACES), SPACING, SPACING))
  for kind, place in enumerate(PLACES):
    mask[(kind, *place)] = 1
  kinds, rows, columns = bright.shape
  planes = bright[:, :, None, :, None] * jnp.asarray(mask, bright.dtype)[:, None, :, None]
  planes = planes.reshape(kinds, rows * SPACING, columns * SPACING)
  return planes[:, :height, :width]


def within_budget(flakes: Array, budget: float) -> Array:
  """Scales down each block whose mean intensity exceeds `budget`; [7, h, w] as given."""
  rows, columns = (_blocks(side, flakes.dtype) for side in flakes.shape[1:])
  total = _spread(rows, flakes, columns.T)
  count = (rows.sum(1)[:, None] * columns.sum(1)[None])[None]
  scale = budget / jnp.maximum(total / count, budget)
  return flakes * _spread(rows.T, scale, columns)


def _blocks(side: int, dtype: jnp.dtype) -> Array:
  """[blocks, side]: 1 where a flake lies in a block."""
  return jax.nn.one_hot(jnp.arange(side) // BLOCK, -(-side // BLOCK), dtype=dtype).T


def _spread(left: Array, planes: Array, right: Array) -> Array:
  # Full precision: GPUs otherwise round products to 10 bits.
  return jnp.einsum('ab,kbc,cd->kad', left, planes, right, precision='highest')


def draw_lines(key: Array, dtype: jnp.dtype) -> Array:
  """[7, 13, 13] random line kernels through the middle, all falling the same way."""
  down_key, across_key, width_key, blur_key, flip_key = jax.random.split(key, 5)
  kinds = (len(PLACES),)
  shares = jnp.asarray(WIDTH_SHARES)
  lines = jnp.asarray(line_table(), dtype)[
    jax.random.randint(down_key, kinds, 0, REACH - 1),
    jax.random.randint(across_key, kinds, 0, REACH - 1),
    jax.random.choice(width_key, len(WIDTHS), kinds, p=shares),
  ]
  lines = jnp.where(jax.random.bernoulli(flip_key), lines[..., ::-1], lines)
  sigma = jax.random.uniform(blur_key, (*kinds, 1, 1), dtype, 0.41, 0.6)
  neighbour = jnp.exp(-0.5 / sigma**2)
  return _blur(_blur(lines, neighbour, 1), neighbour, 2)


def _blur(lines: Array, neighbour: Array, axis: int) -> Array:
  """Three-point smoothing with weights 1 and twice `neighbour`, zero outside."""
  pad = [(1, 1) if i == axis else (0, 0) for i in range(3)]
  wide = jnp.pad(lines, pad)
  around = jax.lax.slice_in_dim(wide, 0, lines.shape[axis], axis=axis)
  around += jax.lax.slice_in_dim(wide, 2, None, axis=axis)
  return (lines + neighbour * around) / (1 + 2 * neighbour)


@functools.cache
def line_table() -> np.ndarray:
  """[5, 5, 3, 13, 13]: every line from the middle by (2..6, 2..6), for every width."""
  ends = range(2, REACH + 1)
  return np.array([[[_line(d, a, w) for w in WIDTHS] for a in ends] for d in ends])


def _line(down: int, across: int, width: float) -> np.ndarray:
  """[13, 13] anti-aliased line between +-(down, across), with weights in [0, 1]."""
  if down > across:
    return _line(across, down, width).T
  slope = down / across
  thickness = width * np.sqrt(1 + slope) / 2
  at = np.arange(REACH + 1)
  quarter = np.clip(1 + thickness / 2 - np.abs(at[:, None] - slope * at), 0, 1)
  quarter[:, across + 1 :] = 0
  line = np.zeros((2 * REACH + 1, 2 * REACH + 1))
  line[REACH:, REACH:] = quarter
  return np.maximum(line, line[::-1, ::-1])
