"""MTARD: a clean and a robust teacher, balanced by Adaptive Normalization Loss.

Zhao et al., Enhanced Accuracy and Robustness via Multi-Teacher Adversarial Distillation,
ECCV 2022; defaults are those of its released code.
"""

import functools

from jaxrkd.errors import in_range, one_of
from jaxrkd.methods import anl as balance
from jaxrkd.methods import inner
from jaxrkd.methods.base import FORWARD_ORDERS, Method
from jaxrkd.methods.divergence import Divergence


def mtard(
  anl: bool = True,
  anl_rate: float = 0.025,
  anl_wlr_decay: bool = True,
  anl_beta: float = 1.0,
  anl_ema: float = 0.0,
  anl_init: str = 'batch',
  teachers: str = 'both',
  kl_reduction: str = 'batch_mean',
  kl_scale: float = 0.1,
  kl_epsilon: float = 1e-5,
  forward_order: str = 'adv_nat',
) -> Method:
  """w_adv KL(T_robust(x') || S(x')) + w_nat KL(T_clean(x) || S(x)); x' raises CE(S(x'), y).

  The weights start at 0.5 and move before each update of the student, by that step's
  losses.

  Args:
    anl: move the weights; False keeps 0.5 each ("Baseline+MT" of Figure 2), and still
      reports the relative losses.
    anl_rate: r_w of equation (10).
    anl_wlr_decay: let r_w fall with the student's learning rate, as the code does.
    anl_beta: exponent of the relative losses.
    anl_ema: smoothing of the losses that the weights follow; the code has none.
    anl_init: 'batch' takes L(0) from the first mini-batch, 'epoch' from the first epoch.
    teachers: 'both', or 'adv_only' for the robust teacher alone ("Baseline").
    kl_reduction: 'batch_mean' sums over classes, 'element_mean' divides by their number.
    kl_scale: factor on both terms. The code's element mean (times 10 on CIFAR-100) is
      0.1 times the batch mean on both data sets.
    kl_epsilon: added inside log p of the teacher, as the code does.
    forward_order: 'adv_nat' as in the code, or 'nat_adv'; BatchNorm's running
      statistics depend on it.
  """
  one_of(teachers, ('both', 'adv_only'), 'method.teachers')
  one_of(forward_order, FORWARD_ORDERS, 'method.forward_order')
  balance.check_options(anl_ema, anl_init, anl_beta)
  in_range(anl_rate, 0, 1, 'method.anl_rate')
  divergence = Divergence(kl_reduction, kl_scale, kl_epsilon)
  names = ('adv', 'nat') if teachers == 'both' else ('adv',)

  def terms(student, stats, frozen, batch, adversarial):
    sides = {
      'adv': (frozen['robust'], adversarial),
      'nat': (frozen.get('clean'), batch['image']),
    }
    found = {}
    for name in forward_order.split('_'):
      if name in names:
        teacher, images = sides[name]
        logits, stats = student(stats, images)
        found[name] = divergence(teacher(images), logits, batch)
    return found, stats

  def total(found, weights):
    if teachers == 'adv_only':
      return found['adv']
    return weights['adv'] * found['adv'] + weights['nat'] * found['nat']

  method = Method(
    teachers=('clean', 'robust') if teachers == 'both' else ('robust',),
    inner=inner.ce(),
    terms=terms,
    total=total,
    weights={} if teachers == 'adv_only' else {'adv': 0.5, 'nat': 0.5},
  )
  if teachers == 'adv_only':
    return method
  # The relative losses are watched whether they move the weights or not (Figure 4).
  watched = method._replace(
    memory=balance.initial_memory(names),
    observe=functools.partial(balance.observe, anl_ema=anl_ema, anl_init=anl_init),
    report=balance.report,
  )
  if not anl:
    return watched
  return watched._replace(
    weight_rate=anl_rate,
    weight_rate_decays=anl_wlr_decay,
    weight_gradient=lambda weights, memory, terms: balance.gradient(
      weights, memory, beta=anl_beta
    ),
  )
