"""IGDM: a student also learns how its teacher's answer changes along an attack.

Lee, Cho and Kim, Indirect Gradient Matching for Adversarial Robust Distillation, ICLR 2025.
"""

from typing import Any

import jax

from jaxrkd import losses
from jaxrkd.errors import InputError, in_range, whole_number
from jaxrkd.methods.answering import answering
from jaxrkd.methods.base import Batch, Method, Terms, Tree, batch_mean

TERM = 'igdm'
POINTS = ('adv', 'nat', 'plus', 'minus')


def with_igdm(
  base: Method,
  alpha: float = 5.0,
  beta: float = 1.0,
  gamma: float = 1.0,
  order: str = 'shared',
  ramp: int = 0,
  teacher: str = 'robust',
) -> Method:
  """A method with one more term: alpha r KL(T+ - T- || S+ - S-).

  T+ and S+ are logits at x + beta d, T- and S- at x - gamma d with d = x' - x; neither point
  is clipped. r is the share of the epochs that are done.

  Args:
    base: the method.
    alpha: weight of the term at the end. The paper searches it: on CIFAR-10 5 to 10 for
      AdaAD and ARD, 0.9 to 1 for RSLAD; on CIFAR-100 15 to 100 and 3 to 10.
    beta: how far x+ lies along d; 1 is x'.
    gamma: how far x- lies against d.
    order: 'shared' takes x' for x+ where beta is 1 and passes x- through the student after
      the method's own passes (SAAD's code). Any order of the points adv, nat, plus and
      minus, joined by _, passes them in this order, once each, and the method takes its own
      from there: 'plus_nat_minus_adv' for AdaAD, 'adv_plus_nat_minus' for RSLAD and
      'plus_nat_minus' for ARD are those of the copied official code. BatchNorm's running
      statistics alone depend on it.
    ramp: epochs after which r is 1; 0 takes those of the training, the code 200.
    teacher: 'all', a kind ('clean', 'robust'), or a teacher's name.

  Raises:
    InputError: an option that makes no sense, or a method with a group.
  """
  for name, value in (('alpha', alpha), ('beta', beta), ('gamma', gamma)):
    in_range(value, 0, float('inf'), f'igdm.{name}')
  whole_number(ramp, 0, 'igdm.ramp')
  if not beta + gamma:
    raise InputError(
      'igdm.beta and igdm.gamma are both 0, so that its points are one and its term is 0; '
      'the authors take 1 and 1, or give igdm.alpha=0 for none'
    )
  passes = _passes(order, beta)
  if base.group:
    raise InputError(
      'igdm compares one student with frozen teachers, but the method trains a group of '
      'networks; choose another method, or igdm.alpha=0'
    )

  def terms(student, stats, teachers, batch, adversarial):
    teachers = answering(teachers, (teacher,))
    image = batch['image']
    moved = adversarial - image
    points = {
      'adv': adversarial,
      'nat': image,
      'plus': adversarial if beta == 1 else image + beta * moved,
      'minus': image - gamma * moved,
    }
    logits: dict[str, Any] = {}

    def watched(stats, inputs):
      found, stats = student(stats, inputs)
      if inputs is adversarial:
        logits['adv'] = found
      return found, stats

    def answered(stats, inputs):
      name = 'adv' if inputs is adversarial else 'nat'
      if name in logits and (inputs is adversarial or inputs is image):
        return logits[name], stats
      return student(stats, inputs)

    if passes:
      for name in passes:
        logits[name], stats = student(stats, points[name])
      for name, other in (('adv', 'plus'), ('plus', 'adv')):
        logits.setdefault(name, logits.get(other))
      found, stats, *seen = base.terms(answered, stats, teachers, batch, adversarial)
    else:
      found, stats, *seen = base.terms(watched, stats, teachers, batch, adversarial)
      if beta == 1 and 'adv' in logits:
        logits['plus'] = logits['adv']
      else:
        logits['plus'], stats = student(stats, points['plus'])
      logits['minus'], stats = student(stats, points['minus'])
    ask = teachers[teacher]
    target = ask(points['plus']) - ask(points['minus'])
    apart = losses.kl(target, logits['plus'] - logits['minus'])
    share = (batch['epoch'] + 1) / ramp if ramp else batch['progress']
    return {**found, TERM: alpha * share * batch_mean(apart, batch)}, stats, *seen

  def total(found: Terms, weights: Tree) -> jax.Array:
    return base.total(_own(found), weights) + found[TERM]

  def observe(memory: Tree, found: Terms, batch: Batch) -> Tree:
    return base.observe(memory, _own(found), batch)

  return base._replace(
    terms=terms,
    total=total,
    observe=observe,
    teachers=tuple(dict.fromkeys((*base.teachers, teacher))),
    weight_gradient=lambda weights, memory, found: base.weight_gradient(
      weights, memory, _own(found)
    ),
    report=lambda weights, memory, found: base.report(weights, memory, _own(found)),
  )


def _own(found: Terms) -> Terms:
  return {name: value for name, value in found.items() if name != TERM}


def _passes(order: str, beta: float) -> tuple[str, ...]:
  """The points in the order in which the student sees them; none for 'shared'."""
  if order == 'shared':
    return ()
  names = tuple(order.split('_'))
  known = set(names) <= set(POINTS) and len(set(names)) == len(names)
  if not known or 'minus' not in names or not {'plus', 'adv'} & set(names):
    raise InputError(
      f"igdm.order is {order!r}; give 'shared', or minus, one of plus and adv, and others of "
      "adv, nat, plus, each once, joined by _: 'plus_nat_minus_adv'"
    )
  if not {'plus', 'adv'} <= set(names) and beta != 1:
    raise InputError(
      f'igdm.order {order!r} takes plus and adv for the same images, which igdm.beta '
      f'{beta:g} moves apart; name both, or set igdm.beta to 1'
    )
  return names
