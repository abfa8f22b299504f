"""AdaAD: adaptive adversarial distillation (Huang et al., CVPR 2023)."""

from jaxrkd.errors import InputError, in_range, one_of
from jaxrkd.methods import inner
from jaxrkd.methods.base import FORWARD_ORDERS, Method, forward_both
from jaxrkd.methods.divergence import Divergence


def adaad(
  alpha: float = 1.0,
  teacher_input_grad: bool = True,
  teacher: str = 'robust',
  kl_reduction: str = 'batch_mean',
  kl_scale: float = 0.1,
  forward_order: str = 'nat_adv',
) -> Method:
  """alpha KL(T(x') || S(x')) + (1 - alpha) KL(T(x) || S(x)); x' raises KL(T(x') || S(x')).

  The inner problem is MMARD's. The clean pass runs at alpha = 1 too.

  Args:
    alpha: weight of the adversarial term.
    teacher_input_grad: let the attack's gradient pass through the teacher's input.
    teacher: 'all', a kind ('clean', 'robust'), or a teacher's name.
    kl_reduction: 'batch_mean' sums over classes, 'element_mean' divides by their number.
    kl_scale: factor on both terms; 0.1 is the code's element mean on CIFAR-10, its
      CIFAR-100 runs use 1.
    forward_order: 'nat_adv' as in the code, 'adv_nat', or 'adv' without a clean pass, for
      alpha = 1 alone (SAAD's code).

  Raises:
    InputError: an option out of range, or no clean pass where its term has a weight.
  """
  in_range(alpha, 0, 1, 'method.alpha')
  one_of(forward_order, (*FORWARD_ORDERS, 'adv'), 'method.forward_order')
  if forward_order == 'adv' and alpha < 1:
    raise InputError(
      f"method.forward_order 'adv' has no clean pass, but method.alpha is {alpha:g}; set "
      "alpha to 1, or the order to 'nat_adv'"
    )
  divergence = Divergence(kl_reduction, kl_scale)

  def terms(student, stats, teachers, batch, adversarial):
    images = {'adv': adversarial, 'nat': batch['image']}
    logits, stats = forward_both(student, stats, images, forward_order)
    return {
      name: divergence(teachers[teacher](images[name]), logits[name], batch)
      for name in ('adv', 'nat')
      if name in logits
    }, stats

  def total(terms, weights):
    del weights
    if forward_order == 'adv':
      return terms['adv']
    return alpha * terms['adv'] + (1 - alpha) * terms['nat']

  problem = inner.kl_teacher_adv(teacher, teacher_input_grad)
  return Method(problem, terms, (teacher,), total)
