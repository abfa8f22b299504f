"""LBGAT: a standardly trained guide, trained along, gives the logits to be robust with.

Cui et al., Learnable Boundary Guided Adversarial Training, ICCV 2021; defaults are those of
the released code.
"""

from jaxrkd import losses
from jaxrkd.errors import in_range
from jaxrkd.methods import inner
from jaxrkd.methods.base import Method, batch_mean, labels
from jaxrkd.methods.divergence import Divergence, squared_distance
from jaxrkd.methods.peeraid import only_one


def lbgat(beta: float = 6.0) -> Method:
  """mean |S(x') - G(x)|^2 over logits + CE(G(x), y) + beta KL(S(x) || S(x')).

  G is a guide that learns from clean images. The first term moves it, too, and the target
  of the last is not constant. x' raises KL(S(x) || S(x')).

  Args:
    beta: weight of TRADES' term; 0 is LBGAT0.
  """
  in_range(beta, 0, float('inf'), 'method.beta')
  divergence, distance = Divergence(), squared_distance('class_mean')

  def terms(networks, stats, teachers, batch, adversarial):
    del teachers
    adv, stats = networks.student(stats, adversarial)
    nat, stats = networks.student(stats, batch['image'])
    (guide,), stats = networks.group(stats, batch['image'][None])
    return {
      'mse': batch_mean(distance(adv, guide), batch),
      'guide': batch_mean(losses.cross_entropy(guide, labels(batch)), batch),
      'robust': divergence(nat, adv, batch),
    }, stats

  def total(terms, weights):
    del weights
    return terms['mse'] + terms['guide'] + beta * terms['robust']

  return Method(
    inner.kl_clean_self(),
    terms,
    total=total,
    group='teachers',
    attacks_group=False,
    check_group=only_one('a guide'),
  )
