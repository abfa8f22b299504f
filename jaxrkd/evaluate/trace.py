"""What a function computes, read off its traced program: for recognising and for checks."""

import hashlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrkd.attacks.stepwise import ask

Array = jax.Array
# Types with fewer digits than float32.
COARSE = ('bfloat16', 'float16')
# Primitives whose work is done outside of the program, where it cannot be read.
OPAQUE = ('pure_callback', 'io_callback', 'ffi_call', 'custom_call')


def signature(logits_fn: Callable[..., Any], image: np.ndarray) -> tuple[str, bool]:
  """A short name for what a classifier computes, forwards and backwards.

  Two functions have the same name where programs, gradients and all numbers in them are
  the same: weights that moved by a last digit, or another gradient under the same answers,
  make another classifier.

  Args:
    logits_fn: the classifier.
    image: one, [1, H, W, C].

  Returns:
    The name, and whether parts of it could not be read: callbacks into other frameworks.
  """
  keys = jax.random.split(jax.random.key(0), 1)

  def both(x: Array) -> tuple[Array, Array]:
    logits, pull = jax.vjp(lambda x: ask(logits_fn, x, keys), x)
    return logits, pull(jnp.ones_like(logits))[0]

  try:
    program = jax.make_jaxpr(both)(jnp.asarray(image))
  except Exception:
    # Without a gradient there is still Square.
    program = jax.make_jaxpr(lambda x: ask(logits_fn, x, keys))(jnp.asarray(image))
  return digest(program), not primitives(program.jaxpr).isdisjoint(OPAQUE)


def digest(program: Any) -> str:
  """A short name for a traced program and all numbers in it."""
  # Without the places in memory where functions lie.
  text = re.sub(r'0x[0-9a-f]+', '', str(program))
  mark = hashlib.sha256(text.encode())
  for number in numbers_of(program):
    mark.update(f'{number.shape} {number.dtype}'.encode() + number.tobytes())
  return mark.hexdigest()[:32]


def low_precision(logits_fn: Callable[..., Any], image: np.ndarray) -> str:
  """The type with few digits that a classifier computes in somewhere, or ''."""
  keys = jax.random.split(jax.random.key(0), 1)
  traced = jax.make_jaxpr(lambda x: ask(logits_fn, x, keys))(jnp.asarray(image))
  found = {
    str(variable.aval.dtype)
    for equation in equations(traced.jaxpr)
    for variable in equation.outvars
    if hasattr(variable.aval, 'dtype')
  }
  return next((kind for kind in COARSE if kind in found), '')


def primitives(jaxpr: Any) -> set[str]:
  """Names of all primitives of a program, those of its parts included."""
  return {equation.primitive.name for equation in equations(jaxpr)}


def equations(jaxpr: Any) -> Iterator[Any]:
  """All equations of a program and of its parts."""
  for equation in jaxpr.eqns:
    yield equation
    for part in _parts(equation):
      yield from equations(getattr(part, 'jaxpr', part))


def numbers_of(program: Any) -> Iterator[np.ndarray]:
  """All constants of a program and of its parts: weights that a function closes over."""
  for constant in getattr(program, 'consts', ()):
    yield _plain(constant)
  jaxpr = getattr(program, 'jaxpr', program)
  for equation in jaxpr.eqns:
    for variable in equation.invars:
      if hasattr(variable, 'val'):
        yield _plain(variable.val)
    for part in _parts(equation):
      yield from numbers_of(part)


def _parts(equation: Any) -> Iterator[Any]:
  leaves = jax.tree.leaves(
    equation.params, is_leaf=lambda leaf: hasattr(leaf, 'eqns') or hasattr(leaf, 'jaxpr')
  )
  for leaf in leaves:
    if hasattr(leaf, 'eqns') or hasattr(leaf, 'jaxpr'):
      yield leaf


def _plain(number: Any) -> np.ndarray:
  if hasattr(number, 'dtype') and jnp.issubdtype(number.dtype, jax.dtypes.prng_key):
    number = jax.random.key_data(number)
  split = isinstance(number, jax.Array) and not (
    number.is_fully_addressable or number.is_fully_replicated
  )
  if split:
    # Of weights that lie on several machines, each process knows its own part.
    parts = [np.ravel(shard.data) for shard in number.addressable_shards]
    return np.concatenate(parts)
  return np.asarray(number)
