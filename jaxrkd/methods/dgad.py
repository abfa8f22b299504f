"""DGAD: dynamic guidance, where a teacher that errs is put right before it is asked.

Images that the teacher takes for another class are learned clean, the others attacked.
Defaults are those of the released code, put right where it divides by nothing.
"""

import jax
import jax.numpy as jnp

from jaxrkd import losses
from jaxrkd.errors import in_range, whole_number
from jaxrkd.methods import inner
from jaxrkd.methods.base import Method, batch_mean

Array = jax.Array


def dgad(
  beta: float = 1.0,
  swap: bool = True,
  teacher: str = 'robust',
  batch_size: int = 0,
  product: bool = False,
) -> Method:
  """KL(T(x) || S(x)) where T(x) errs, KL(T(x') || S(x')) elsewhere, + beta |s(x') - s(x)|^2.

  In T(x) and T(x') the logits of the label and of a larger other class have changed places.
  s are probabilities, and the last term is a mean over images and classes through which
  both sides learn. x' raises KL(T(x') || S(x')).

  The released code weighs both terms by a constant batch size, which is wrong for a last,
  smaller batch, and for MobileNet-V2 multiplies them. Both are options, off by default. It
  divides by the number of images of which the teacher is right, and fails where there is
  none; here the term is 0.

  Args:
    beta: weight of the last term.
    swap: put the teacher right; without it, it errs as it does.
    teacher: 'all', a kind ('clean', 'robust'), or a teacher's name.
    batch_size: the constant b of the code: with n of B images on which T(x) errs, the mean
      over those has weight n / b and the mean over the others (b - n) / b. 0 is B itself.
    product: half the product ((n / b) clean + (b - n) / b) adversarial in the place of the
      sum, as a misplaced bracket of the code has it for MobileNet-V2.
  """
  in_range(beta, 0, float('inf'), 'method.beta')
  whole_number(batch_size, 0, 'method.batch_size')

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
    found = {
      'nat': batch_mean(jnp.where(errs, losses.kl(clean, nat), 0), batch),
      'adv': batch_mean(jnp.where(errs, 0, losses.kl(attacked, adv)), batch),
      'alp': batch_mean(apart, batch),
    }
    if batch_size or product:
      found |= _as_released(found, batch_mean(errs.astype(adv.dtype), batch), batch)
    return found, stats

  def _as_released(found, wrong, batch):
    # Shares of a batch of b images, where the terms above are shares of this batch.
    count = jnp.sum(batch['mask']) if 'mask' in batch else len(batch['label'])
    size = batch_size or count
    rest = 1 - wrong * count / size
    mean = found['adv'] / jnp.where(wrong < 1, 1 - wrong, 1)
    nat = found['nat'] * count / size
    if product:
      return {'nat': nat, 'adv': mean, 'rest': rest}
    return {'nat': nat, 'adv': rest * mean}

  def total(terms, weights):
    del weights
    if product:
      both = 0.5 * (terms['nat'] + terms['rest']) * terms['adv']
    else:
      both = terms['nat'] + terms['adv']
    return both + beta * terms['alp']

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
