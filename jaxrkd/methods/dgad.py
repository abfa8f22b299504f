"""DGAD: dynamic guidance, where a teacher that errs is put right before it is asked.

Images that the teacher takes for another class are learned clean, the others attacked.
Defaults are those of the released code, put right where it divides by nothing.
"""

import jax
import jax.numpy as jnp

from jaxrkd import losses
from jaxrkd.errors import in_range
from jaxrkd.methods import inner
from jaxrkd.methods.base import Method, batch_mean

Array = jax.Array


def dgad(beta: float = 1.0, swap: bool = True, teacher: str = 'robust') -> Method:
  """KL(T(x) || S(x)) where T(x) errs, KL(T(x') || S(x')) elsewhere, + beta |s(x') - s(x)|^2.

  In T(x) and T(x') the logits of the label and of a larger other class have changed places.
  s are probabilities, and the last term is a mean over images and classes through which
  both sides learn. x' raises KL(T(x') || S(x')).

  The released code divides by a constant batch size and by the number of images of which
  the teacher is right, which fails for a last, smaller batch and where there is none.

  Args:
    beta: weight of the last term.
    swap: put the teacher right; without it, it errs as it does.
    teacher: 'all', a kind ('clean', 'robust'), or a teacher's name.
  """
  in_range(beta, 0, float('inf'), 'method.beta')

  def terms(student, stats, teachers, batch, adversarial):
    nat, stats = student(stats, batch['image'])
    adv, stats = student(stats, adversarial)
    clean = teachers[teacher](batch['image'])
    attacked = teachers[teacher](adversarial)
    errs = jnp.argmax(clean, axis=-1) != batch['label']
    if swap:
      clean = jnp.where(errs[:, None], put_right(clean, batch['label']), clean)
      attacked = put_right(attacked, batch['label'])
    apart = jnp.mean((jax.nn.softmax(adv) - jax.nn.softmax(nat)) ** 2, axis=-1)
    return {
      'nat': batch_mean(jnp.where(errs, losses.kl(clean, nat), 0), batch),
      'adv': batch_mean(jnp.where(errs, 0, losses.kl(attacked, adv)), batch),
      'alp': batch_mean(apart, batch),
    }, stats

  def total(terms, weights):
    del weights
    return terms['nat'] + terms['adv'] + beta * terms['alp']

  return Method(inner.kl_teacher_adv(teacher), terms, (teacher,), total)


def put_right(logits: Array, label: Array) -> Array:
  """Logits [B, classes] in which no other class is above the label's.

  Where one is, the largest other logit and the label's change places.
  """
  places = jnp.arange(logits.shape[-1])
  own = label[:, None] == places
  others = jnp.where(own, -jnp.inf, logits)
  best = jnp.argmax(others, axis=-1)[:, None] == places
  mine = jnp.sum(jnp.where(own, logits, 0), axis=-1, keepdims=True)
  theirs = jnp.max(others, axis=-1, keepdims=True)
  swapped = jnp.where(own, theirs, jnp.where(best, mine, logits))
  return jnp.where(mine < theirs, swapped, logits)
