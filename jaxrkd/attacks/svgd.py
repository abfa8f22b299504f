"""SVGD: particles of one image that climb together and keep apart."""

import functools

import jax
import jax.numpy as jnp

from jaxrkd.attacks import kernels
from jaxrkd.attacks.base import (
  Attack,
  Carry,
  CarryObjective,
  Climbed,
  Search,
  particle_keys,
)
from jaxrkd.attacks.built_once import built_once
from jaxrkd.attacks.repeat import repeat
from jaxrkd.attacks.slopes import finite
from jaxrkd.attacks.starts import STARTS, Start
from jaxrkd.attacks.step_size import TRADES, check_budget, step_length
from jaxrkd.attacks.threat import Threat, ascend, check_threat
from jaxrkd.errors import InputError, choose, in_range, one_of, whole_number
from jaxrkd.particles import merge, part

Array = jax.Array


@built_once
def svgd_search(
  threat: Threat,
  *,
  particles: int = 0,
  steps: int = 20,
  step_size: float | None = None,
  start: str | Start = 'uniform',
  bandwidth: str = 'median',
  sigma: float = 1.0,
  gamma: float = 1.0,
  average: str = 'printed',
  gradient: str = 'own',
  signed: bool = True,
) -> Search:
  """Stein variational gradient ascent (AT-AKA, equation 2; Liu & Wang, 2016, 1608.04471).

  x_i <- project(x_i + step_size * sign(phi_i)) with
  phi_i = sum_j [k(x_j, x_i) grad L_j(x_j) + gamma/n grad_{x_j} k(x_j, x_i)]. The second
  term pushes particles apart; L is the loss of one image, so that both terms keep their
  proportion in any batch. `svgd_paper` has the paper's literal width, 1e-3, at which k is
  the identity and every particle is on its own.

  A call of the search returns the strongest particle of each image; `Search.together`
  returns all, each on an objective of its own.

  Args:
    threat: where the images may move.
    particles: of each image in a call; 0 is one. `together` is told how many, and 0
      accepts any number.
    steps: iterations.
    step_size: of one iteration in [0, 1] pixels and the norm of `threat`; None is AT-AKA's
      0.003 at the Linf radius 8/255, and the same share of other radii.
    start: a name in `STARTS` or a function (threat, keys, clean) -> images; one draw for
      each particle.
    bandwidth: 'median', 'fixed' or 'scaled'; see `kernels.bandwidth`.
    sigma: see `kernels.bandwidth`.
    gamma: weight of the push.
    average: 'printed' divides only the push by n, 'standard' both terms.
    gradient: 'own', grad L_j(x_j), asks each network about its own particle; 'receiver',
      grad L_i(x_j) as printed, asks every network about every particle.
    signed: move by the threat's steepest direction along phi (its sign in Linf); False
      moves by phi itself.

  Raises:
    InputError: no threat set, an option out of range, or signed steps that cannot reach
      the border of the ball.
  """
  check_threat(threat)
  whole_number(particles, 0, 'attack.particles')
  whole_number(steps, 1, 'attack.steps')
  if signed or step_size is None:
    size = step_length(step_size, threat.eps, TRADES)
  else:
    size = in_range(step_size, 0, float('inf'), 'attack.step_size')
  if signed:
    check_budget(steps, steps * size, threat.eps)
  in_range(gamma, 0, float('inf'), 'attack.gamma')
  one_of(average, ('printed', 'standard'), 'attack.average')
  one_of(gradient, ('own', 'receiver'), 'attack.gradient')
  width = kernels.bandwidth(bandwidth, sigma)
  first = choose(STARTS, start, 'start') if isinstance(start, str) else start

  def direction(images: Array, slopes: Array) -> Array:
    """phi [n, B, H, W, C]; slopes [network, particle, B, H, W, C], or without network."""
    count = images.shape[0]
    flat = merge(images).reshape(-1, count, images[0, 0].size)
    k, push = kernels.gaussian(flat, width)
    pairs = 'bij,ijbd->bid' if slopes.ndim > images.ndim else 'bij,jbd->bid'
    slopes = slopes.reshape(*slopes.shape[: -images.ndim + 2], -1)
    pull = jnp.einsum(pairs, k, slopes, precision='highest')
    if average == 'standard':
      pull = pull / count
    return jnp.moveaxis(pull + gamma / count * push, 0, 1).reshape(images.shape)

  def slopes_of(objective: CarryObjective, images: Array, carry: Carry):
    def total(x, carry):
      values, carry = objective(x, carry)
      return values.sum(), carry

    count = images.shape[0]
    grow = jax.grad(total, has_aux=True)

    def climb(images, carry):
      found, carry = grow(images, carry)
      sound, broken = finite(merge(found))
      return (part(sound, count), part(broken, count)), carry

    if gradient == 'own':
      (found, broken), carry = climb(images, carry)
      return found, broken, carry
    # Network i meets particle i + s in round s.
    rounds, broken = [], jnp.zeros(images.shape[:2], bool)
    for shift in range(count):
      (found, now), carry = climb(jnp.roll(images, -shift, axis=0), carry)
      rounds.append(found)
      broken |= jnp.roll(now, shift, axis=0)
    place = (jnp.arange(count)[None] - jnp.arange(count)[:, None]) % count
    turned = jax.vmap(lambda row, turn: row[turn])(jnp.stack(rounds, 1), place)
    return turned, broken, carry

  def climb_together(keys, objective, clean, count, carry):
    if count > 1 and particles not in (0, count):
      raise InputError(
        f'attack.particles is {particles}, but there are {count} networks and each one '
        f'learns from its own particle; set it to {count}, or to 0 for one per network'
      )
    each = functools.partial(jax.vmap, in_axes=(0, None, 0, None))
    climb_all = each(functools.partial(ascend, threat))
    walk = each(lambda x, clean, move, size: threat.project(x + size * move, clean))

    def step(state):
      images, broken, carry = state
      slopes, now, carry = slopes_of(objective, images, carry)
      move = direction(images, slopes)
      climb = climb_all if signed else walk
      return climb(images, clean, move, size), broken | now, carry

    again = merge(jnp.broadcast_to(clean, (count, *clean.shape)))
    begin = part(first(threat, merge(particle_keys(keys, count)), again), count)
    nowhere = jnp.zeros(begin.shape[:2], bool)
    images, broken, carry = repeat(steps, step, (begin, nowhere, carry))
    return Climbed(images, carry, broken)

  def climb(keys, objective, clean, carry):
    count = max(particles, 1)

    def alike(images, carry):
      if not jax.tree.leaves(carry):
        return jax.vmap(lambda x: objective(x, carry)[0])(images), carry
      # A memory passes from particle to particle.
      values = []
      for x in images:
        value, carry = objective(x, carry)
        values.append(value)
      return jnp.stack(values), carry

    found, carry, broken = climb_together(keys, alike, clean, count, carry)
    broken = jnp.any(broken, axis=0)
    if count == 1:
      return Climbed(found[0], carry, broken)
    values, _ = alike(found, carry)
    # A loss that is no number is a wrong answer: the strongest there is.
    best = jnp.argmax(jnp.where(jnp.isnan(values), jnp.inf, values), axis=0)
    images = jax.vmap(lambda row, k: row[k], (1, 0))(found, best)
    return Climbed(images, carry, broken)

  # A call asks one network, whatever `gradient` says, once for each pair or particle.
  asked = max(particles, 1) ** (2 if gradient == 'receiver' else 1)
  return Search(climb, climb_together, queries=steps * asked, threat=threat)


@functools.wraps(svgd_search, assigned=())
def svgd(threat: Threat, **options) -> Attack:
  """SVGD on the cross-entropy; the strongest particle of each image counts.

  Arguments as `svgd_search`. With one particle it is PGD on the sign of the gradient.
  """
  return Attack(svgd_search(threat, **options))
