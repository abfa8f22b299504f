"""RSLAD: robust soft labels (Zi et al., ICCV 2021, 2108.07969), with label mixing."""

import jax

from jaxrkd.errors import in_range, one_of
from jaxrkd.methods import inner
from jaxrkd.methods.base import FORWARD_ORDERS, Method, forward_both, label_probs
from jaxrkd.methods.divergence import Divergence


def rslad(
  adv_weight: float = 5 / 6,
  alpha: float = 1.0,
  attack_target: str = 'teacher',
  teacher: str = 'robust',
  kl_reduction: str = 'batch_mean',
  kl_scale: float = 0.1,
  kl_epsilon: float = 1e-5,
  forward_order: str = 'adv_nat',
) -> Method:
  """5/6 KL(q || S(x')) + 1/6 KL(q || S(x)) with q = alpha T(x) + (1 - alpha) y.

  x' raises KL(T(x) || S(x')). alpha below 1 is the label mixing of AKD (Maroto et al.,
  appendix A.2).

  Args:
    adv_weight: weight of the adversarial term; the clean term has the rest. 5/6 is the
      code's; AKD's code weighs the same way, against its own formula.
    alpha: share of the teacher in q.
    attack_target: 'teacher' attacks against T(x); 'mixed' against q; 'label' against y
      (x' as AKD defines it). A role or teacher's name attacks against that alone, as
      AKD's code does with the first of an ensemble.
    teacher: 'all', a kind ('clean', 'robust'), or a teacher's name.
    kl_reduction: 'batch_mean' sums over classes, 'element_mean' divides by their number.
    kl_scale: factor on both terms. The code's element mean (times 10 on CIFAR-100) is
      0.1 times the batch mean on both data sets.
    kl_epsilon: added inside log q, as the code does.
    forward_order: 'adv_nat' as in the code, or 'nat_adv'.
  """
  in_range(adv_weight, 0, 1, 'method.adv_weight')
  in_range(alpha, 0, 1, 'method.alpha')
  one_of(forward_order, FORWARD_ORDERS, 'method.forward_order')
  divergence = Divergence(kl_reduction, kl_scale, kl_epsilon)
  if attack_target == 'label':
    problem = inner.ce()
  elif attack_target == 'mixed':
    problem = inner.mixed_target(teacher, alpha)
  else:
    problem = inner.kl_teacher_clean(
      teacher if attack_target == 'teacher' else attack_target
    )

  def terms(student, stats, teachers, batch, adversarial):
    images = {'adv': adversarial, 'nat': batch['image']}
    logits, stats = forward_both(student, stats, images, forward_order)
    target = teachers[teacher](batch['image'])
    if alpha == 1:
      found = {name: divergence(target, z, batch) for name, z in logits.items()}
    else:
      mixed = alpha * jax.nn.softmax(target)
      mixed += (1 - alpha) * label_probs(batch, target.shape[-1])
      found = {name: divergence.to_probs(mixed, z, batch) for name, z in logits.items()}
    return found, stats

  def total(terms, weights):
    del weights
    return adv_weight * terms['adv'] + (1 - adv_weight) * terms['nat']

  return Method(problem, terms, (teacher,), total)
