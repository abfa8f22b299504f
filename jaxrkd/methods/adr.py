"""ADR: labels are softened by what the student's own moving average answers.

Wu, Wang and Chen, Annealing Self-Distillation Rectification Improves Adversarial Training,
ICLR 2024; the formula is that of the released code, which needs no teacher to be downloaded.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxrkd.errors import above_zero, in_range, one_of
from jaxrkd.methods.base import Batch, Method, label_probs
from jaxrkd.methods.inner import Inner
from jaxrkd.methods.sat import sat
from jaxrkd.methods.trades import trades

Array = jax.Array
BASES = {'sat': sat, 'trades': trades}


def adr(
  base: str = 'sat',
  beta: float = 6.0,
  tau_start: float = 2.5,
  tau_end: float = 2.0,
  share_start: float = 0.7,
  share_end: float = 0.95,
) -> Method:
  """SAT or TRADES with y replaced by l A^t(x) + (1 - l) y, in the attack, too.

  A is the moving average of the student (`config.ema`), A^t its answer at temperature t, and
  l = clip(s - (max A^t - A^t_y), 0, 1): less, the more it prefers another class. t and s
  move from their start to their end along a cosine, at every step.

  The average has the student's own running statistics; the released code averages these, too.

  Args:
    base: 'sat' or 'trades'.
    beta: weight of TRADES' robust term.
    tau_start: temperature at the start. The ends are said to be the paper's for CIFAR-10; they
      have not been read there.
    tau_end: temperature at the end.
    share_start: s at the start.
    share_end: s at the end.
  """
  one_of(base, tuple(BASES), 'method.base')
  in_range(beta, 0, float('inf'), 'method.beta')
  for name, value in (('tau_start', tau_start), ('tau_end', tau_end)):
    above_zero(value, f'method.{name}')
  for name, value in (('share_start', share_start), ('share_end', share_end)):
    in_range(value, 0, 1, f'method.{name}')
  made = trades(beta) if base == 'trades' else sat()

  def rectified(teachers: Any, batch: Batch) -> Batch:
    progress = batch['fraction']
    tau = along_cosine(tau_start, tau_end, progress)
    share = along_cosine(share_start, share_end, progress)
    answer = jax.lax.stop_gradient(teachers['average'](batch['image'], tau))
    probs = jax.nn.softmax(answer)
    own = label_probs(batch, probs.shape[-1]).astype(probs.dtype)
    excess = jnp.max(probs, axis=-1) - jnp.sum(probs * own, axis=-1)
    trust = jnp.clip(share - excess, 0, 1)[:, None]
    return {**batch, 'target': trust * probs + (1 - trust) * own}

  def prepare(teachers, batch):
    assert made.inner.prepare is not None
    return made.inner.prepare(teachers, rectified(teachers, batch))

  def terms(student, stats, teachers, batch, adversarial):
    return made.terms(student, stats, teachers, rectified(teachers, batch), adversarial)

  return made._replace(inner=Inner(prepare), terms=terms, asks_average=True)


def along_cosine(start: float, end: float, fraction: Array | float) -> Array:
  """From `start` to `end` while `fraction` goes from 0 to 1."""
  return end + 0.5 * (start - end) * (1 + jnp.cos(jnp.pi * fraction))
