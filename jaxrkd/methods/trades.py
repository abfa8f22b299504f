"""TRADES (Zhang et al., 2019, arXiv:1901.08573), as its released code computes it."""

import jax

from jaxrkd import losses
from jaxrkd.errors import one_of
from jaxrkd.methods.base import Method, batch_mean


def trades(beta: float = 6.0, detach: bool = False, forwards: int = 3) -> Method:
  """mean CE(S(x), y) + beta * mean KL(S(x) || S(x')), batch mean.

  x' raises KL(S(x) || S(x')). The code passes x, then x', then x again through the
  training-mode student, so BatchNorm sees clean images twice.

  Args:
    beta: weight of the robust term.
    detach: stop the gradient through the target S(x); the code does not.
    forwards: 3 as in the code, or 2 to use the first clean pass as the target.
  """
  one_of(forwards, (2, 3), 'method.forwards')

  def objective(student, teachers, batch):
    del teachers
    target = jax.lax.stop_gradient(student(batch['image']))
    return lambda images: losses.kl(target, student(images))

  def terms(student, stats, teachers, batch, adversarial):
    del teachers
    clean, stats = student(stats, batch['image'])
    logits, stats = student(stats, adversarial)
    target = clean
    if forwards == 3:
      target, stats = student(stats, batch['image'])
    if detach:
      target = jax.lax.stop_gradient(target)
    nat = batch_mean(losses.cross_entropy(clean, batch['label']), batch)
    robust = batch_mean(losses.kl(target, logits), batch)
    return {'nat': nat, 'robust': robust}, stats

  def total(terms, weights):
    del weights
    return terms['nat'] + beta * terms['robust']

  return Method(teachers=(), objective=objective, terms=terms, total=total)
