"""SAAD: images whose teacher is uncertain count more, against a linearised teacher.

The inner problem asks the teacher for one gradient, where AdaAD asks it at every step.
Formulas and defaults are those of the released code.
"""

import jax
import jax.numpy as jnp

from jaxrkd import losses
from jaxrkd.errors import above_zero, in_range
from jaxrkd.methods.base import Method, batch_mean
from jaxrkd.methods.inner import kl_teacher_linear

Array = jax.Array
# Inside the logarithms of the entropy.
TINY = 1e-12


def saad(
  alpha: float = 1.0,
  beta: float = 0.0,
  gamma: float = 1.0,
  slope: float = 1.0,
  entropy_scale: float = 5.0,
  normalise: bool = False,
  teacher: str = 'robust',
) -> Method:
  """w [KL(T(x') || S(x')) + alpha r KL(T' || S')] + beta (1 - w~) KL(T(x) || S(x)).

  T' = T(x') - T(x - d) and S' = S(x') - S(x - d) with d = x' - x, which is not clipped; r
  is the share of the epochs that are done. H is the entropy of T(x'), w = entropy_scale
  (H - min H) and w~ = w scaled to [0, 1], with the extremes of the batch: the most certain
  image of a batch counts nothing, and all weights depend on the batch size. x' raises the
  KL between a teacher that is linearised at x and the student.

  Args:
    alpha: weight of the differences; the code has 1 on CIFAR-10, 10 on CIFAR-100.
    beta: weight of the clean term.
    gamma: order of the Renyi entropy; 1 is Shannon's.
    slope: share of the teacher's gradient in the inner problem.
    entropy_scale: factor of the weights; the code has 5 whatever its argument says.
    normalise: divide the weights by their mean over the batch; the code does not.
    teacher: 'all', a kind ('clean', 'robust'), or a teacher's name.
  """
  for name, value in (('alpha', alpha), ('beta', beta), ('slope', slope)):
    in_range(value, 0, float('inf'), f'method.{name}')
  above_zero(gamma, 'method.gamma')
  above_zero(entropy_scale, 'method.entropy_scale')

  def terms(student, stats, teachers, batch, adversarial):
    image = batch['image']
    opposite = image - (adversarial - image)
    adv, stats = student(stats, adversarial)
    back, stats = student(stats, opposite)
    # Both passes count in BatchNorm, whatever their weights.
    nat, stats = student(stats, image)
    ask = teachers[teacher]
    target = ask(adversarial)
    entropy = renyi_entropy(target, gamma)
    weight = entropy_scale * (entropy - least(entropy, batch))
    share = (weight - least(weight, batch)) / (
      -least(-weight, batch) - least(weight, batch) + 1e-8
    )
    if normalise:
      weight = weight / jnp.maximum(batch_mean(weight, batch), TINY)
    differences = losses.kl(target - ask(opposite), adv - back)
    return {
      'adv': batch_mean(weight * losses.kl(target, adv), batch),
      'differences': alpha * batch['progress'] * batch_mean(weight * differences, batch),
      'nat': beta * batch_mean((1 - share) * losses.kl(ask(image), nat), batch),
    }, stats

  return Method(kl_teacher_linear(teacher, slope), terms, (teacher,))


def renyi_entropy(logits: Array, order: float) -> Array:
  """[B] of logits [B, classes]: -sum p log p for order 1, else log(sum p^order) / (1 - order)."""
  probs = jax.nn.softmax(logits)
  if order == 1:
    return -jnp.sum(probs * jnp.log(probs + TINY), axis=-1)
  return jnp.log(jnp.sum(probs**order, axis=-1) + TINY) / (1 - order)


def least(values: Array, batch) -> Array:
  """The smallest of [B] values over the rows that count."""
  if 'mask' not in batch:
    return jnp.min(values)
  return jnp.min(jnp.where(batch['mask'] > 0, values, jnp.inf))
