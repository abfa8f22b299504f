"""Square: random search with squares, which asks for no gradient."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrkd import losses
from jaxrkd.attacks.built_once import built_once
from jaxrkd.attacks.objectives import LogitsFn
from jaxrkd.attacks.projections import l1_ball_and_box
from jaxrkd.attacks.square_windows import Windows, mask
from jaxrkd.attacks.stepwise import Points, Stepwise, ask, fools, pick
from jaxrkd.attacks.threat import L1, L2, Linf, Threat, check_threat
from jaxrkd.errors import InputError, in_range, whole_number

Array = jax.Array
# From after which iteration, of 10,000, the share of changed pixels is halved once more.
HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)


class SquareState(NamedTuple):
  """State of Square, see `stepwise.State`.

  Attributes:
    fooled, found: as there; `found` is the image with the smallest margin so far.
    margin: [B], of the true class over the best other one, there.
  """

  fooled: Array
  found: Array
  margin: Array


@built_once
def square(
  threat: Threat,
  *,
  queries: int = 5000,
  restarts: int = 1,
  p: float = 0.8,
  rescale: bool = False,
) -> Stepwise:
  """Square attack (Andriushchenko et al., 2020, 1912.00049; L1: Croce & Hein, 2103.01208).

  Changes a square of pixels at random and keeps the change if the margin falls. Squares
  and signs are drawn for each image by itself; in the L1 and L2 balls a square is a bump
  beside its negative, and takes its length from another one.

  Args:
    threat: where the images may move.
    queries: changes that are tried, after the start.
    restarts: runs, each with other draws, on the images that still stand.
    p: share of the pixels in the first square.
    rescale: spread the schedule, made for 10,000 queries, over `queries`; AutoAttack does
      not, MTARD's numbers with 100 queries need it.

  Raises:
    InputError: an option out of range, or a threat set without squares.
  """
  check_threat(threat)
  whole_number(queries, 1, 'attack.queries')
  whole_number(restarts, 1, 'attack.restarts')
  in_range(p, 0, 1, 'attack.p')
  if not isinstance(threat, Linf | L2 | L1):
    raise InputError(f'Square has no squares for {threat}; use one of Linf, L2, L1')
  shares = p_schedule(queries, p, rescale)
  moves: Callable[..., Moves] = _linf_moves if isinstance(threat, Linf) else _window_moves

  def begin(points: Points) -> SquareState:
    begin, _ = moves(threat, points.clean.shape[1:], shares)
    found = begin(points.run_key(), points.clean)
    # The first look takes whatever is there.
    margin = jnp.full(points.label.shape, jnp.inf, found.dtype)
    return SquareState(margin < 0, found, margin)

  def step(
    logits_fn: LogitsFn, points: Points, state: SquareState, i: Array
  ) -> SquareState:
    _, change = moves(threat, points.clean.shape[1:], shares)
    keys = jax.vmap(jax.random.fold_in)(points.run_key(), i)
    place = jnp.maximum(i - 1, 0)
    tried = change(keys, points.clean, state.found, place)
    tried = pick(i == 0, state.found, tried)
    logits = ask(logits_fn, tried, keys)
    margin = -losses.margin(logits, points.label)
    wrong = fools(logits, points.label)
    better = wrong | (margin < state.margin)
    found = pick(better, tried, state.found)
    return SquareState(wrong, found, pick(better, margin, state.margin))

  return Stepwise(begin, step, queries + 1, restarts, threat=threat)


def p_schedule(queries: int, p: float, rescale: bool) -> np.ndarray:
  """Share of the pixels in the square of each iteration, [queries]."""
  iteration = np.arange(queries)
  if rescale:
    iteration = (iteration / queries * 10_000).astype(int)
  return p / 2.0 ** np.searchsorted(HALVINGS, iteration)


def square_sides(shares: np.ndarray, height: int, width: int) -> np.ndarray:
  """Side of the square of each iteration in the Linf ball, [queries]."""
  sides = np.round(np.sqrt(shares * height * width)).astype(int)
  return np.clip(sides, 1, min(height, width))


def window_sides(shares: np.ndarray, height: int, width: int) -> np.ndarray:
  """As `square_sides` in the L1 and L2 balls: odd, at least 3, at most the image."""
  sides = np.maximum(np.round(np.sqrt(shares * height * width)).astype(int), 3)
  return np.minimum(sides + (sides % 2 == 0), min(height, width))


# (begin, change): (keys, clean) -> images, and (keys, clean, images, iteration) -> images.
Moves = tuple[Callable[..., Array], Callable[..., Array]]


def _linf_moves(threat: Linf, shape: tuple[int, ...], shares: np.ndarray) -> Moves:
  height, width, channels = shape
  sides = square_sides(shares, height, width)
  eps = threat.eps

  def stripes(key: Array) -> Array:
    return jax.random.rademacher(key, (1, width, channels), jnp.float32)

  def begin(keys: Array, clean: Array) -> Array:
    signs = jax.vmap(stripes)(keys).astype(clean.dtype)
    return jnp.clip(clean + eps * signs, 0, 1)

  def patch(key: Array, side: Array) -> Array:
    place, sign = jax.random.split(key)
    inside = mask(side, _corner(place, side, height, width), height, width)
    signs = jax.random.rademacher(sign, (1, 1, channels), jnp.float32)
    return inside[:, :, None] * signs

  def change(keys: Array, clean: Array, images: Array, iteration: Array) -> Array:
    side = jnp.asarray(sides)[iteration]
    patches = jax.vmap(patch)(keys, side).astype(clean.dtype)
    return threat.project(images + 2 * eps * patches, clean)

  return begin, change


def _corner(key: Array, side: Array, height: int, width: int) -> Array:
  # As published, which leaves the last row and column out.
  room = jnp.maximum(jnp.array([height, width]) - side, 1)
  return jax.random.randint(key, (2,), 0, room)


def _window_moves(threat: L2 | L1, shape: tuple[int, ...], shares: np.ndarray) -> Moves:
  height, width, channels = shape
  sides = window_sides(shares, height, width)
  power = 1 if isinstance(threat, L1) else 2
  windows = Windows(sides, height, width, power)
  kinds = jnp.asarray(windows.kinds)

  def length(moved: Array, axes: tuple[int, ...]) -> Array:
    total = jnp.sum(jnp.abs(moved) ** power, axis=axes, keepdims=True)
    return total ** (1 / power)

  def keep(moved: Array, clean: Array) -> Array:
    """On the border of the ball, as one image of a batch."""
    if isinstance(threat, L1):
      radius = threat.eps * (1 - 1e-6)
      return clean + l1_ball_and_box(moved[None], clean[None], radius)[0]
    scaled = threat.eps * moved / (length(moved, (0, 1, 2)) + 1e-12)
    return jnp.clip(clean + scaled, 0, 1)

  def begin_one(key: Array, clean: Array) -> Array:
    return keep(windows.grid(key, channels).astype(clean.dtype), clean)

  def change_one(key: Array, clean: Array, image: Array, iteration: Array) -> Array:
    keys = jax.random.split(key, 4)
    side = jnp.asarray(sides)[iteration]
    corner = _corner(keys[0], side, height, width)
    first = mask(side, corner, height, width)[:, :, None]
    other = _corner(keys[1], side, height, width)
    second = mask(side, other, height, width)[:, :, None]
    signs = jax.random.rademacher(keys[2], (1, 1, channels), jnp.float32)
    bump = signs * windows.bump(kinds[iteration], corner, keys[3])[:, :, None]
    moved = image - clean
    own = moved * first
    fresh = bump + own / (1e-12 + length(own, (0, 1)))
    fresh = fresh / (1e-12 + length(fresh, (0, 1)))
    # The new window takes the length of both old ones, and what the box had cut away.
    windows_length = length(moved * jnp.maximum(first, second), (0, 1, 2))
    left = jnp.maximum(threat.eps**power - length(moved, (0, 1, 2)) ** power, 0)
    size = (left / channels + windows_length**power) ** (1 / power)
    if power == 1:
      size = size * channels
    moved = jnp.where(second > 0, 0, moved)
    moved = jnp.where(first > 0, fresh * size, moved)
    return keep(moved.astype(image.dtype), clean)

  return jax.vmap(begin_one), jax.vmap(change_one)
