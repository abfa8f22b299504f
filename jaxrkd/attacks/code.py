"""What a classifier computes, apart from its weights: functions with one code share programs.

A function that closes over its weights is traced, and the arrays in it become arguments. What
is compiled then serves every function with the same code, such as the same network with the
weights of another checkpoint, and holds none of them.
"""

import contextlib
import enum
import hashlib
import inspect
import re
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrkd.attacks.built_once import is_fixed
from jaxrkd.attacks.objectives import LogitsFn
from jaxrkd.attacks.stepwise import Randomised, ask

Array = jax.Array
Tree = Any
# Types with fewer digits than float32.
COARSE = ('bfloat16', 'float16')
# Primitives whose work is done outside of the program, where it cannot be read.
OPAQUE = ('pure_callback', 'io_callback', 'ffi_call', 'custom_call', 'call_exported')
# Functions among the options of a primitive that a gradient's program shows.
INLINED = {
  'custom_jvp_call': ('jvp_jaxpr_fun', 'jvp_jaxpr_thunk'),
  'custom_vjp_call': ('fwd', 'bwd', 'fwd_jaxpr_thunk', 'out_trees'),
  'custom_vjp_call_jaxpr': ('fwd', 'bwd', 'fwd_jaxpr_thunk', 'out_trees'),
}
# What a text says completely.
TOLD = (
  *(bool, int, float, complex, str, bytes, np.dtype, np.generic, enum.Enum),
  *(jax.sharding.Sharding, jax.sharding.Mesh, jax.sharding.PartitionSpec),
  *(jax.sharding.AbstractMesh, jax.core.AbstractValue),
)


class DependsOnBatch(Exception):
  """A function closes over other arrays where a batch has another size."""


class _Known(threading.local):
  """Functions with one code that are in use, and the arrays in them, in each thread."""

  def __init__(self) -> None:
    self.stack: list[tuple[LogitsFn, Sequence[Any]]] = []


class Code:
  """The code of a classifier, without weights; equal codes are one object.

  A classifier of `evaluate` whose variables are the arrays of a function. While `using` is
  open it knows a function with this code, from which programs are traced.

  Args:
    name: see `told_by_code`.
  """

  def __init__(self, name: str):
    self.name = name
    self._known = _Known()

  @contextlib.contextmanager
  def using(self, logits_fn: LogitsFn, arrays: Sequence[Any]) -> Iterator[None]:
    """Has programs traced from this function, which is forgotten afterwards.

    Args:
      logits_fn: a function with this code.
      arrays: those in it.
    """
    self._known.stack.append((logits_fn, arrays))
    try:
      yield
    finally:
      self._known.stack.pop()

  def logits_fn(self, params: Sequence[Array], stats: Tree) -> LogitsFn:
    """The function with these arrays in the place of its own; inside of `using`."""
    del stats
    function, own = self._known.stack[-1]
    if isinstance(function, Randomised):
      inside = function.logits_fn
      return Randomised(lambda x, keys: _with_arrays(inside, own, params, x, keys))
    return lambda x: _with_arrays(function, own, params, x)


class Coded(NamedTuple):
  """A function, its code, and the arrays in it."""

  code: Code
  function: LogitsFn
  arrays: tuple[Any, ...]

  def using(self) -> contextlib.AbstractContextManager[None]:
    return self.code.using(self.function, self.arrays)


# Only what is compiled keeps a code alive.
_CODES: 'weakref.WeakValueDictionary[str, Code]' = weakref.WeakValueDictionary()


def coded(logits_fn: LogitsFn, images: Any) -> Coded | None:
  """The code of a classifier on images of one shape.

  Two functions have the same code where their programs, forwards and backwards, are the
  same but for the arrays that they close over. Numbers that cannot be taken out, such as
  those in a backward pass of one's own, are part of the code.

  Args:
    logits_fn: the classifier.
    images: [B, H, W, C], or their shape and type.

  Returns:
    None where its arrays cannot be told apart from it: what calls into other frameworks,
    has parts that cannot be read, or closes over other arrays for a batch of another size;
    and inside of a larger program that it depends on.
  """
  inside = logits_fn.logits_fn if isinstance(logits_fn, Randomised) else logits_fn
  randomised = isinstance(logits_fn, Randomised)

  def like(count: int) -> tuple[Any, ...]:
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), count))
    shape = jax.ShapeDtypeStruct((count, *images.shape[1:]), images.dtype)
    return (shape, keys) if randomised else (shape,)

  whole = _traced(inside, *like(images.shape[0]))[0]
  if any(isinstance(number, jax.core.Tracer) for number in _constants(whole)):
    return None  # a part of a larger program
  arrays = tuple(arrays_of(whole))
  shapes = [jax.ShapeDtypeStruct(np.shape(a), jnp.asarray(a).dtype) for a in arrays]

  def forward(params: Sequence[Array], *given: Array) -> Array:
    return _with_arrays(inside, arrays, params, *given)

  def both(params: Sequence[Array], images: Array, *keys: Array) -> Any:
    logits, pull = jax.vjp(lambda x: forward(params, x, *keys), images)
    return logits, pull(jnp.ones_like(logits))[0]

  mark = hashlib.sha256(b'keys' if randomised else b'plain')
  try:
    # What is done by itself, and forwards on the way to a gradient, may be two programs; a
    # batch of another size may be a third.
    given = like(images.shape[0])
    programs = [jax.make_jaxpr(forward)(shapes, *g) for g in (given, like(1))]
    try:
      programs.append(jax.make_jaxpr(both)(shapes, *given))
    except DependsOnBatch:
      raise
    except Exception:
      mark.update(b'without a gradient')  # there is still Square
    for program in programs:
      if is_opaque(program):
        return None
      mark.update(digest(program).encode())
  except Exception:
    return None
  name = mark.hexdigest()
  code = _CODES.get(name)
  if code is None:
    code = _CODES[name] = Code(name)
  return Coded(code, logits_fn, arrays)


def signature(logits_fn: Callable[..., Any], image: np.ndarray) -> tuple[str, bool]:
  """A short name for what a classifier computes, forwards and backwards, with its weights.

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
  return digest(program), is_opaque(program)


def digest(program: Any) -> str:
  """A short name for a traced program and all numbers in it."""
  # Without the places in memory where functions lie.
  text = re.sub(r'0x[0-9a-f]+', '', str(program))
  mark = hashlib.sha256(text.encode())
  for equation in equations(program.jaxpr):
    for name in sorted(equation.params):
      # As far as the text leaves it out; what cannot be read is told by `is_opaque`.
      with contextlib.suppress(_Unreadable):
        mark.update(_encoded(equation.params[name]).encode())
  for number in numbers_of(program):
    mark.update(f'{number.shape} {number.dtype}'.encode() + number.tobytes())
  return mark.hexdigest()[:32]


def is_opaque(program: Any) -> bool:
  """Whether parts of a traced program cannot be read.

  These are callbacks into other frameworks, and functions among the options of a primitive,
  whose code and numbers nothing shows.
  """
  for equation in equations(program.jaxpr):
    if equation.primitive.name in OPAQUE:
      return True
    inlined = INLINED.get(equation.primitive.name, ())
    try:
      for name, value in equation.params.items():
        if name not in inlined:
          _encoded(value)
    except _Unreadable:
      return True
  return False


class _Unreadable(Exception):
  """An option of a primitive that no text shows."""


def _encoded(value: Any, depth: int = 0) -> str:
  """An option of a primitive as a text that holds all of it; programs are left out."""
  if hasattr(value, 'eqns') or hasattr(getattr(value, 'jaxpr', None), 'eqns'):
    return ''  # `equations` goes into them
  if value is None or isinstance(value, TOLD):
    return repr(value)
  if isinstance(value, np.ndarray | jax.Array):
    return f'{value.shape} {value.dtype} {_plain(value).tobytes().hex()}'
  if inspect.isroutine(value) and is_fixed(value):
    return f'{value.__module__}.{value.__qualname__}'
  if depth > 5 or inspect.isroutine(value):
    raise _Unreadable
  if isinstance(value, dict):
    value = sorted(value.items(), key=lambda item: str(item[0]))
  if isinstance(value, tuple | list | set | frozenset):
    parts = value if isinstance(value, tuple | list) else sorted(value, key=str)
    return f'({",".join(_encoded(part, depth + 1) for part in parts)})'
  if isinstance(value, type):
    return f'{value.__module__}.{value.__qualname__}'
  names = {*getattr(value, '__dict__', {}), *getattr(type(value), '__slots__', ())}
  # What a function is called, and where it is written.
  names = {n for n in names if not n.startswith('__') and n != 'debug'}
  if callable(value) and not names:
    raise _Unreadable
  own = [f'{n}={_encoded(getattr(value, n, None), depth + 1)}' for n in sorted(names)]
  return f'{type(value).__qualname__}({",".join(own)})'


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


def _constants(program: Any) -> Iterator[Any]:
  """All constants of a program and of its parts, as they are."""
  yield from getattr(program, 'consts', ())
  for equation in getattr(program, 'jaxpr', program).eqns:
    for part in _parts(equation):
      yield from _constants(part)


def arrays_of(program: Any) -> Iterator[Any]:
  """The arrays that a traced function closes over, where they can be given from outside."""
  yield from (constant for constant in program.consts if _is_array(constant))
  for equation in program.jaxpr.eqns:
    for variable in equation.invars:
      if _is_array(getattr(variable, 'val', None)):
        yield variable.val
    if _is_opened(equation):
      yield from arrays_of(equation.params['jaxpr'])
  for variable in program.jaxpr.outvars:
    if _is_array(getattr(variable, 'val', None)):
      yield variable.val


def _with_arrays(
  function: Callable[..., Array], own: Sequence[Any], arrays: Sequence[Array], *given: Any
) -> Array:
  """function(*given) with other arrays in the place of those that it closes over."""
  program, shape = _traced(function, *given)
  there = list(arrays_of(program))
  if len(there) != len(own) or not all(map(_same, there, own)):
    raise DependsOnBatch
  leaves = _evaluated(program, iter(arrays), jax.tree.leaves(given))
  return jax.tree.unflatten(jax.tree.structure(shape), leaves)


def _traced(function: Callable[..., Array], *given: Any) -> tuple[Any, Any]:
  """The program of a function as it is now, and the shape of what it gives."""
  # jax remembers the programs of functions that it has seen, with the arrays of that time.
  anew = lambda *given: function(*given)
  return jax.make_jaxpr(anew, return_shape=True)(*given)


def _evaluated(program: Any, arrays: Iterator[Array], given: Sequence[Any]) -> list[Any]:
  """The results of a traced program whose arrays are taken from `arrays`, in order."""
  jaxpr, values = program.jaxpr, {}
  for variable, constant in zip(jaxpr.constvars, program.consts):
    values[variable] = next(arrays) if _is_array(constant) else constant
  values.update(zip(jaxpr.invars, given))

  def read(variable: Any) -> Any:
    if hasattr(variable, 'val'):
      return next(arrays) if _is_array(variable.val) else variable.val
    return values[variable]

  for equation in jaxpr.eqns:
    inputs = [read(variable) for variable in equation.invars]
    if _is_opened(equation):
      found = _evaluated(equation.params['jaxpr'], arrays, inputs)
    else:
      found = list(_bound(equation, inputs))
    values.update(zip(equation.outvars, found))
  return [read(variable) for variable in jaxpr.outvars]


def _bound(equation: Any, inputs: Sequence[Any]) -> Sequence[Any]:
  """The results of one equation."""
  options = equation.primitive.get_bind_params(equation.params)
  # Functions among them stand apart in some versions of jax.
  functions, options = options if isinstance(options, tuple) else ((), options)
  with equation.ctx.manager:
    found = equation.primitive.bind(*functions, *inputs, **options)
  return found if equation.primitive.multiple_results else [found]


def _is_opened(equation: Any) -> bool:
  """Whether a part of a program is a compiled function that closes over arrays."""
  if equation.primitive.name not in ('jit', 'pjit'):
    return False
  return next(arrays_of(equation.params['jaxpr']), None) is not None


def _is_array(value: Any) -> bool:
  return np.ndim(value) > 0 if hasattr(value, 'dtype') else False


def _same(one: Any, other: Any) -> bool:
  if one is other:
    return True
  if np.shape(one) != np.shape(other) or one.dtype != other.dtype:
    return False
  return bool(np.array_equal(_plain(one), _plain(other), equal_nan=True))


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
