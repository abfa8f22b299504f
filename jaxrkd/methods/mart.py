"""MART: misclassification-aware adversarial training (Wang et al., ICLR 2020)."""

import jax
import jax.numpy as jnp

from jaxrkd import losses
from jaxrkd.errors import in_range, one_of
from jaxrkd.methods import inner
from jaxrkd.methods.base import (
  FORWARD_ORDERS,
  Method,
  batch_mean,
  forward_both,
  labels,
)
from jaxrkd.methods.divergence import REDUCTIONS

# Constants of the released code.
BOOST, KEEP, TINY = 1.0001, 1.0000001, 1e-12


def mart(
  beta: float = 5.0,
  detach: bool = False,
  kl_reduction: str = 'batch_mean',
  forward_order: str = 'nat_adv',
) -> Method:
  """mean BCE(S(x'), y) + beta * mean (1 - p_y) KL(S(x) || S(x')); x' raises CE(S(x'), y).

  BCE is CE - log(1.0001 - p'_m), with m the most probable wrong class of S(x'); p are the
  clean, p' the adversarial probabilities.

  Args:
    beta: weight of the second term: 5 for ResNet-18, 6 for WRN-34-10.
    detach: stop the gradient through S(x), in the target and in the weight; the code
      does not.
    kl_reduction: 'batch_mean' as in the code, or 'element_mean', of the second term.
    forward_order: 'nat_adv' as in the code, or 'adv_nat'; BatchNorm's running statistics
      depend on it.
  """
  in_range(beta, 0, float('inf'), 'method.beta')
  one_of(kl_reduction, REDUCTIONS, 'method.kl_reduction')
  one_of(forward_order, FORWARD_ORDERS, 'method.forward_order')

  def terms(student, stats, teachers, batch, adversarial):
    del teachers
    images = {'adv': adversarial, 'nat': batch['image']}
    logits, stats = forward_both(student, stats, images, forward_order)
    nat = jax.lax.stop_gradient(logits['nat']) if detach else logits['nat']
    probs, adv_probs = jax.nn.softmax(nat), jax.nn.softmax(logits['adv'])
    own = jax.nn.one_hot(batch['label'], probs.shape[-1], dtype=bool)
    wrong = jnp.max(jnp.where(own, 0, adv_probs), axis=-1)
    bce = losses.cross_entropy(logits['adv'], labels(batch)) - jnp.log(
      BOOST - wrong + TINY
    )
    log_ratio = jax.nn.log_softmax(nat) - jnp.log(adv_probs + TINY)
    weight = KEEP - losses.true_probability(nat, labels(batch))
    robust = jnp.sum(probs * log_ratio, axis=-1) * weight
    if kl_reduction == 'element_mean':
      robust = robust / probs.shape[-1]
    return {'adv': batch_mean(bce, batch), 'robust': batch_mean(robust, batch)}, stats

  def total(terms, weights):
    del weights
    return terms['adv'] + beta * terms['robust']

  return Method(inner.ce(), terms, total=total)
