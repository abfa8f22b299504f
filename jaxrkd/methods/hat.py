"""HAT: helper-based adversarial training (Rade and Moosavi-Dezfooli, ICLR 2022).

A standardly trained helper labels images that lie beyond the adversarial ones, which keeps
the margin no larger than it must be. Defaults are those of the released code.
"""

import jax.numpy as jnp

from jaxrkd import losses
from jaxrkd.errors import above_zero, in_range, one_of
from jaxrkd.methods import inner
from jaxrkd.methods.base import Method, batch_mean, labels
from jaxrkd.methods.divergence import Divergence


def hat(
  beta: float = 2.5,
  gamma: float = 0.5,
  distance: float = 2.0,
  robust_loss: str = 'kl',
  helper: str = 'clean',
) -> Method:
  """CE(S(x), y) + beta KL(S(x) || S(x')) + gamma CE(S(x_h), argmax H(x')).

  x_h = x + distance (x' - x) is not clipped. The clean pass serves both terms, and the
  gradient passes through it in both. x' raises KL(S(x) || S(x')).

  Args:
    beta: weight of the robust term.
    gamma: weight of the helper's term.
    distance: how far x_h lies along x' - x; 1 is x'.
    robust_loss: 'kl', or 'ce' for CE(S(x'), y), which x' then raises.
    helper: H: 'all', a kind ('clean', 'robust'), or a teacher's name.
  """
  in_range(beta, 0, float('inf'), 'method.beta')
  in_range(gamma, 0, float('inf'), 'method.gamma')
  above_zero(distance, 'method.distance')
  one_of(robust_loss, ('kl', 'ce'), 'method.robust_loss')
  divergence = Divergence()

  def terms(student, stats, teachers, batch, adversarial):
    image = batch['image']
    nat, stats = student(stats, image)
    adv, stats = student(stats, adversarial)
    beyond, stats = student(stats, image + distance * (adversarial - image))
    answer = jnp.argmax(teachers[helper](adversarial), axis=-1)
    if robust_loss == 'kl':
      robust = divergence(nat, adv, batch)
    else:
      robust = batch_mean(losses.cross_entropy(adv, labels(batch)), batch)
    return {
      'nat': batch_mean(losses.cross_entropy(nat, labels(batch)), batch),
      'adv': robust,
      'helper': batch_mean(losses.cross_entropy(beyond, answer), batch),
    }, stats

  def total(terms, weights):
    del weights
    return terms['nat'] + beta * terms['adv'] + gamma * terms['helper']

  problem = inner.kl_clean_self() if robust_loss == 'kl' else inner.ce()
  return Method(problem, terms, (helper,), total)
