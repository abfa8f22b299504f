"""TRADES (Zhang et al., 2019, arXiv:1901.08573), as its released code computes it."""

import jax

from jaxrkd import losses
from jaxrkd.errors import InputError, in_range, one_of
from jaxrkd.methods import inner
from jaxrkd.methods.base import FORWARD_ORDERS, Method, batch_mean, labels
from jaxrkd.methods.divergence import Divergence


def trades(
  beta: float = 6.0,
  detach: bool = False,
  forwards: int = 3,
  variant: str = 'original',
  kl_reduction: str = 'batch_mean',
  forward_order: str = 'nat_adv',
) -> Method:
  """mean CE(S(x), y) + beta * mean KL(S(x) || S(x')).

  x' raises KL(S(x) || S(x')). The code passes x, then x', then x again through the
  training-mode student, so BatchNorm sees clean images twice.

  Args:
    beta: weight of the robust term.
    detach: stop the gradient through the target S(x); the code does not.
    forwards: 3 as in the code, or 2 to use the first clean pass as the target.
    variant: 'original', or 'deepmind' (Gowal et al., 2020, arXiv:2010.03593): the clean
      pass uses the batch's statistics without storing them, then x'. Its adversary is
      `config.attack.name=adam` with `bn=batch`.
    kl_reduction: 'batch_mean' as in the code, or 'element_mean'.
    forward_order: 'nat_adv' as in the code: x, x', x; or 'adv_nat': x', x, x, as in AWP's.
  """
  one_of(forward_order, FORWARD_ORDERS, 'method.forward_order')
  if forward_order == 'adv_nat' and variant == 'deepmind':
    raise InputError(
      "method.variant 'deepmind' has an order of its own; leave method.forward_order out"
    )
  in_range(beta, 0, float('inf'), 'method.beta')
  one_of(forwards, (2, 3), 'method.forwards')
  one_of(variant, ('original', 'deepmind'), 'method.variant')
  divergence = Divergence(kl_reduction)

  def terms(student, stats, teachers, batch, adversarial):
    del teachers
    if forward_order == 'adv_nat':
      logits, stats = student(stats, adversarial)
      clean, stats = student(stats, batch['image'])
    else:
      clean, seen = student(stats, batch['image'])
      logits, stats = student(stats if variant == 'deepmind' else seen, adversarial)
    target = clean
    if forwards == 3 and variant == 'original':
      target, stats = student(stats, batch['image'])
    if detach:
      target = jax.lax.stop_gradient(target)
    nat = batch_mean(losses.cross_entropy(clean, labels(batch)), batch)
    return {'nat': nat, 'robust': divergence(target, logits, batch)}, stats

  def total(terms, weights):
    del weights
    return terms['nat'] + beta * terms['robust']

  return Method(inner.kl_clean_self(), terms, total=total)
