"""An attack made to its end on one network, for another one."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxrkd.attacks.built_once import built_once
from jaxrkd.attacks.objectives import LogitsFn
from jaxrkd.attacks.stepwise import AtOnce, Points, Stepwise, not_finite

Array = jax.Array


@built_once
def uninterrupted(attack: Stepwise) -> Stepwise:
  """A whole run as one step that never stops early: examples to try on another network."""

  def pushed(state: Any, clean: Array) -> Array:
    if not attack.minimum_norm:
      return state.found
    # Behind the boundary of its own network another one may still be right: the way goes on
    # to the border of the ball.
    ball = attack.threat
    assert ball is not None
    way = state.nearest - clean
    size = ball.norm(way)
    rate = jnp.where(size > 0, ball.eps / jnp.where(size > 0, size, 1), 0)
    return ball.project(clean + way * rate.astype(clean.dtype), clean)

  def begin(points: Points) -> AtOnce:
    no = jnp.zeros(points.label.shape, bool)
    return AtOnce(no, points.clean, no)

  def step(logits_fn: LogitsFn, points: Points, state: AtOnce, i: Array) -> AtOnce:
    del state

    def one(number, state):
      return attack.step(logits_fn, points, state, i * 0 + number)

    state = jax.lax.fori_loop(0, attack.steps, one, attack.begin(points))
    yes = jnp.ones(points.label.shape, bool)
    return AtOnce(yes, pushed(state, points.clean), not_finite(state))

  queries = attack.queries * attack.steps
  shape = (1, attack.runs, queries, attack.targeted)
  return Stepwise(begin, step, *shape, threat=attack.threat, aim=attack.aim)
