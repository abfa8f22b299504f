"""MMARD: a better min-max process for robust distillation (Wang et al.; no code)."""

import jax.numpy as jnp

from jaxrkd import losses
from jaxrkd.errors import above_zero, in_range, one_of
from jaxrkd.methods import inner
from jaxrkd.methods.base import FORWARD_ORDERS, Method, batch_mean, forward_both
from jaxrkd.methods.divergence import Divergence


def mmard(
  alpha: float = 1.0,
  trd_space: str = 'probabilities',
  trd_delta: float = 1.0,
  trd_reduction: str = 'mean',
  teacher_input_grad: bool = True,
  teacher: str = 'robust',
  kl_reduction: str = 'batch_mean',
  kl_scale: float = 0.1,
  forward_order: str = 'adv_nat',
) -> Method:
  """KL(T(x') || S(x')) + alpha L_TRD; x' raises KL(T(x') || S(x')).

  L_TRD, the triangular relation, is the Huber distance between the cosines, of teacher
  and student, of the angle at y between the predictions on x and x'.

  Args:
    alpha: weight of L_TRD; 0 is Table 7's first row.
    trd_space: 'probabilities', or 'logits' for the other reading of the paper.
    trd_delta: of the Huber distance; among probabilities every delta from 1/2 is equal.
    trd_reduction: 'mean' over the batch, or 'sum'.
    teacher_input_grad: let the attack's gradient pass through the teacher's input, as
      Algorithm 1 differentiates it.
    teacher: 'all', a kind ('clean', 'robust'), or a teacher's name.
    kl_reduction: 'batch_mean' sums over classes, 'element_mean' divides by their number.
    kl_scale: factor on the KL term. 0.1 is that of RSLAD's code, whose recipe MMARD uses;
      1 is the plain batch mean.
    forward_order: 'adv_nat' as RSLAD, or 'nat_adv'. The clean pass always runs.
  """
  in_range(alpha, 0, float('inf'), 'method.alpha')
  above_zero(trd_delta, 'method.trd_delta')
  one_of(trd_space, ('probabilities', 'logits'), 'method.trd_space')
  one_of(trd_reduction, ('mean', 'sum'), 'method.trd_reduction')
  one_of(forward_order, FORWARD_ORDERS, 'method.forward_order')
  divergence = Divergence(kl_reduction, kl_scale)
  angle = losses.label_angle if trd_space == 'probabilities' else losses.logit_angle

  def terms(student, stats, teachers, batch, adversarial):
    images = {'adv': adversarial, 'nat': batch['image']}
    logits, stats = forward_both(student, stats, images, forward_order)
    targets = {name: teachers[teacher](x) for name, x in images.items()}
    psi_t, psi_s = (angle(z['nat'], z['adv'], batch['label']) for z in (targets, logits))
    triangle = batch_mean(losses.huber(psi_t - psi_s, trd_delta), batch)
    if trd_reduction == 'sum':
      rows = batch['mask'] if 'mask' in batch else jnp.ones(len(batch['label']))
      triangle = triangle * jnp.sum(rows)
    return {
      'adv': divergence(targets['adv'], logits['adv'], batch),
      'triangle': triangle,
    }, stats

  def total(terms, weights):
    del weights
    return terms['adv'] + alpha * terms['triangle']

  problem = inner.kl_teacher_adv(teacher, teacher_input_grad)
  return Method(problem, terms, (teacher,), total)
