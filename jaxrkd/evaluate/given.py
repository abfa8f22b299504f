"""A classifier that is given as a function, and what it is recognised by."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrkd.attacks import LogitsFn, doors, objectives
from jaxrkd.attacks.stepwise import ask
from jaxrkd.evaluate.task import Subject
from jaxrkd.evaluate.trace import signature


@dataclasses.dataclass(frozen=True, eq=False)
class Given:
  """A function in the place of a network; the same one is compiled once.

  Attributes:
    function: itself.
    name: of what it computes; see `trace.signature`. A function whose weights were changed
      where they lie is another one, and what was compiled of it is out of date.
  """

  function: LogitsFn
  name: str = ''

  def __hash__(self) -> int:
    # Modules that can be called may have no hash.
    return hash((id(self.function), self.name))

  def __eq__(self, other: object) -> bool:
    if not isinstance(other, Given):
      return False
    return other.function is self.function and other.name == self.name

  def logits_fn(self, params: Any, stats: Any) -> LogitsFn:
    del params, stats
    return self.function


class Known(NamedTuple):
  """A classifier and what was read off its program.

  Attributes:
    net: itself.
    opaque: whether parts of it could not be read; see `trace.signature`.
  """

  net: Given
  opaque: bool

  @property
  def subject(self) -> Subject:
    return Subject(self.net, ((), ()))


def known(logits_fn: LogitsFn, image: np.ndarray) -> Known:
  """Reads off a classifier's program what it computes.

  Args:
    logits_fn: the classifier.
    image: one, [1, H, W, C].

  Raises:
    InputError: it cannot be traced.
  """
  try:
    name, opaque = signature(logits_fn, image)
  except Exception as error:
    raise doors.fails(error, image.shape, image.dtype) from error
  return Known(Given(logits_fn, name), opaque)


def unit_slopes(logits_fn: LogitsFn, few: np.ndarray, labels: np.ndarray) -> np.ndarray:
  """Gradients of a few images, of unit size, flat: another backward pass is another
  classifier. Zeros where there is none."""
  keys = jax.random.split(jax.random.key(0), len(few))
  fixed = lambda x: ask(logits_fn, x, keys)
  value = objectives.cross_entropy(fixed, jnp.asarray(labels))
  try:
    slopes = np.asarray(jax.grad(lambda x: value(x).sum())(jnp.asarray(few)))
  except Exception:
    return np.zeros(few.size, np.float32)
  return (slopes / max(float(np.abs(slopes).max()), 1e-30)).ravel()
