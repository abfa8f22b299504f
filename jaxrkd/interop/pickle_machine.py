"""What a pickle describes, followed step by step without running what it asks for.

A pickle is a program for a small machine that can import and call anything. This is another
machine, with a closed list of opcodes, that imports nothing: names that are on a table make
plain values, every other name is `Opaque`, on which calls and changes have no effect.
"""

import dataclasses
import pickle
import pickletools
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

# (machine, *arguments of the call) -> what stands in the place of the result.
Maker = Callable[..., Any]
Table = Mapping[tuple[str, str], Maker]

# Opcodes of one pickle: WRN-70-16 beside its optimiser has 40,000.
STEPS = 5_000_000
# Containers inside of containers; letters in a name; axes of an array.
DEPTH, NAME, AXES = 100, 300, 32
# No name of these is looked up, as none is. But whoever wrote them wanted a command to run
# where the file is read, so the file is refused instead of read around them.
COMMANDS = (
  *('os', 'posix', 'nt', 'sys', 'subprocess', 'commands', 'shutil', 'runpy', 'importlib'),
  *('ctypes', 'socket', 'pty', 'code', 'timeit', 'webbrowser', 'pip'),
)
BUILTINS = ('eval', 'exec', 'execfile', 'compile', 'open', '__import__')


class Refused(pickle.UnpicklingError):
  """The pickle is made of something that only code would need."""


class Source:
  """A file from where it stands; reads never ask for more than there is.

  Args:
    file: opened for bytes.
    left: how many of them there are.
  """

  def __init__(self, file: Any, left: int):
    self._file, self.left = file, left

  def read(self, count: int) -> bytes:
    data = self._file.read(max(0, min(count, self.left)))
    self.left -= len(data)
    return data

  def readline(self) -> bytes:
    data = self._file.readline(self.left)
    self.left -= len(data)
    return data


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Opaque:
  """Stands for an object, or what makes it, that is neither looked up nor read."""

  name: str


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Known:
  """A name that is on the table."""

  name: str
  make: Maker


class Box:
  """A value of a table whose contents follow in a BUILD, and are checked there."""

  __slots__ = ()

  def build(self, machine: 'Machine', state: Any) -> None:
    raise NotImplementedError


LITERALS = {
  *('INT', 'BININT', 'BININT1', 'BININT2', 'LONG', 'LONG1', 'LONG4', 'FLOAT', 'BINFLOAT'),
  *('STRING', 'BINSTRING', 'SHORT_BINSTRING', 'UNICODE', 'BINUNICODE'),
  *('SHORT_BINUNICODE', 'BINUNICODE8', 'BINBYTES', 'SHORT_BINBYTES', 'BINBYTES8'),
}
MAKES: Mapping[str, Callable[[], Any]] = {
  'NONE': lambda: None,
  'NEWTRUE': lambda: True,
  'NEWFALSE': lambda: False,
  'EMPTY_LIST': list,
  'EMPTY_DICT': dict,
  'EMPTY_TUPLE': tuple,
  'EMPTY_SET': list,
}


class Machine:
  """Reads one pickle.

  Args:
    source: at the pickle's first byte.
    table: (module, name) -> what a call of it makes.
    persistent: what stands for a persistent id; None where there may be none.
  """

  def __init__(
    self, source: Source, table: Table, persistent: Callable[[Any], Any] | None = None
  ):
    self._source, self._table, self._persistent = source, table, persistent
    self._stack: list[Any] = []
    self._marks: list[int] = []
    self._memo: dict[int, Any] = {}
    # What is copied of what was read may not be much more than that.
    self._copies = 2 * source.left + 1000

  def load(self) -> Any:
    """The value that the pickle describes.

    Raises:
      Refused: it asks for a command.
      pickle.UnpicklingError, ValueError, ...: damage; see `weights_file.DAMAGE`.
    """
    steps = pickletools.genops(self._source)  # type: ignore[arg-type]
    for count, (opcode, argument, _) in enumerate(steps):
      if count >= STEPS:
        raise pickle.UnpicklingError(f'more than {STEPS:,} steps')
      if opcode.name == 'STOP':
        break
      if opcode.name in LITERALS:
        self._stack.append(argument)
      elif opcode.name in MAKES:
        self._stack.append(MAKES[opcode.name]())
      elif opcode.name in ACTS:
        ACTS[opcode.name](self, argument)
      else:
        raise pickle.UnpicklingError(
          f'an opcode {opcode.name}, which weights do not need'
        )
    return self._pop()

  def spend(self, size: int) -> None:
    """Counts what is copied: a few bytes could otherwise ask for any amount of memory."""
    self._copies -= size
    if self._copies < 0:
      raise pickle.UnpicklingError('the same contents are copied again and again')

  def call(self, function: Any, arguments: Any) -> Any:
    """What a call makes."""
    if isinstance(function, Opaque):
      return function
    if not isinstance(function, Known) or not isinstance(arguments, tuple):
      raise pickle.UnpicklingError('a call of something that is no function')
    self.spend(len(arguments))
    return function.make(self, *arguments)

  def _pop(self) -> Any:
    if len(self._stack) <= (self._marks[-1] if self._marks else 0):
      raise pickle.UnpicklingError('nothing is left to take')
    return self._stack.pop()

  def _pop_mark(self) -> list[Any]:
    """What was put down since the last mark."""
    start = self._marks.pop()
    values = self._stack[start:]
    del self._stack[start:]
    return values

  def _push_mark(self, _: Any) -> None:
    self._marks.append(len(self._stack))

  def _throw_away(self, _: Any) -> None:
    if self._marks and self._marks[-1] == len(self._stack):
      self._marks.pop()
    else:
      self._pop()

  def _throw_away_marked(self, _: Any) -> None:
    self._pop_mark()

  def _twice(self, _: Any) -> None:
    value = self._pop()
    self._stack += [value, value]

  def _put(self, index: Any) -> None:
    value = self._pop()
    self._memo[len(self._memo) if index is None else index] = value
    self._stack.append(value)

  def _get(self, index: int) -> None:
    self._stack.append(self._memo[index])

  def _tuple_of(self, count: int) -> None:
    values = [self._pop() for _ in range(count)]
    self._stack.append(tuple(values[::-1]))

  def _extend(self, values: list[Any]) -> None:
    target = self._pop()
    if isinstance(target, list):
      target.extend(values)
    elif not isinstance(target, Opaque):
      raise pickle.UnpicklingError('members of something that is no list')
    self._stack.append(target)

  def _set_items(self, values: list[Any]) -> None:
    target = self._pop()
    if isinstance(target, dict):
      target.update(to_dict(values))
    elif not isinstance(target, Opaque):
      raise pickle.UnpicklingError('entries of something that is no dictionary')
    self._stack.append(target)

  def _find(self, module: Any, name: Any) -> None:
    if not isinstance(module, str) or not isinstance(name, str):
      raise pickle.UnpicklingError('a name that is no text')
    if len(module) + len(name) > NAME:
      raise pickle.UnpicklingError(f'a name of more than {NAME} letters')
    shown = re.sub(r'[^\w.<>]', '?', f'{module}.{name}', flags=re.ASCII)
    builtin = module in ('builtins', '__builtin__') and name in BUILTINS
    if builtin or module.partition('.')[0] in COMMANDS:
      raise Refused(shown)
    make = self._table.get((module, name))
    self._stack.append(Known(shown, make) if make else Opaque(shown))

  def _find_named(self, argument: str) -> None:
    module, _, name = argument.partition(' ')
    self._find(module, name)

  def _find_stacked(self, _: Any) -> None:
    name, module = self._pop(), self._pop()
    self._find(module, name)

  def _call(self, _: Any) -> None:
    arguments, function = self._pop(), self._pop()
    self._stack.append(self.call(function, arguments))

  def _call_named(self, _: Any) -> None:
    """NEWOBJ_EX: with named arguments, which nothing on a table takes."""
    named, arguments, function = self._pop(), self._pop(), self._pop()
    if named and not isinstance(function, Opaque):
      raise pickle.UnpicklingError('a call with named arguments')
    self._stack.append(self.call(function, arguments))

  def _call_marked(self, _: Any) -> None:
    function, *arguments = self._pop_mark()
    self._stack.append(self.call(function, tuple(arguments)))

  def _instance(self, argument: str) -> None:
    arguments = self._pop_mark()
    self._find_named(argument)
    self._stack.append(self.call(self._pop(), tuple(arguments)))

  def _build(self, _: Any) -> None:
    state, target = self._pop(), self._pop()
    if isinstance(target, Box):
      target.build(self, state)
    # The attributes of an ordered dictionary are no entries of it.
    elif not isinstance(target, Opaque | dict):
      raise pickle.UnpicklingError('a change of something that cannot be changed')
    self._stack.append(target)

  def _refer(self, _: Any) -> None:
    if self._persistent is None:
      raise pickle.UnpicklingError('a reference out of the pickle')
    self._stack.append(self._persistent(self._pop()))


ACTS: Mapping[str, Callable[[Machine, Any], None]] = {
  'PROTO': lambda machine, _: None,
  'FRAME': lambda machine, _: None,
  'MARK': Machine._push_mark,
  'POP': Machine._throw_away,
  'POP_MARK': Machine._throw_away_marked,
  'DUP': Machine._twice,
  'BYTEARRAY8': lambda machine, data: machine._stack.append(bytes(data)),
  **dict.fromkeys(('PUT', 'BINPUT', 'LONG_BINPUT', 'MEMOIZE'), Machine._put),
  **dict.fromkeys(('GET', 'BINGET', 'LONG_BINGET'), Machine._get),
  'TUPLE1': lambda machine, _: machine._tuple_of(1),
  'TUPLE2': lambda machine, _: machine._tuple_of(2),
  'TUPLE3': lambda machine, _: machine._tuple_of(3),
  'TUPLE': lambda machine, _: machine._stack.append(tuple(machine._pop_mark())),
  'FROZENSET': lambda machine, _: machine._stack.append(tuple(machine._pop_mark())),
  'LIST': lambda machine, _: machine._stack.append(machine._pop_mark()),
  'DICT': lambda machine, _: machine._stack.append(to_dict(machine._pop_mark())),
  'APPEND': lambda machine, _: machine._extend([machine._pop()]),
  'APPENDS': lambda machine, _: machine._extend(machine._pop_mark()),
  'ADDITEMS': lambda machine, _: machine._extend(machine._pop_mark()),
  'SETITEM': lambda machine, _: machine._set_items(
    [machine._pop(), machine._pop()][::-1]
  ),
  'SETITEMS': lambda machine, _: machine._set_items(machine._pop_mark()),
  'GLOBAL': Machine._find_named,
  'STACK_GLOBAL': Machine._find_stacked,
  'REDUCE': Machine._call,
  'NEWOBJ': Machine._call,
  'NEWOBJ_EX': Machine._call_named,
  'OBJ': Machine._call_marked,
  'INST': Machine._instance,
  'BUILD': Machine._build,
  'BINPERSID': Machine._refer,
}


def to_dict(values: list[Any]) -> dict[Any, Any]:
  """Keys and values, one after the other, as a dictionary."""
  if len(values) % 2:
    raise pickle.UnpicklingError('a key without a value')
  return {_key(key): value for key, value in zip(values[::2], values[1::2])}


def _key(key: Any) -> Any:
  """A key that can be compared and shown; others belong to nothing that is looked for."""
  if isinstance(key, int) and -(2**63) < key < 2**63:
    return key
  return key if isinstance(key, str | float | None) else Opaque(type(key).__name__)


def _ordered_dict(machine: Machine, pairs: Any = ()) -> dict[Any, Any]:
  values = pairs.items() if isinstance(pairs, dict) else pairs
  machine.spend(len(values))
  return to_dict([value for key, value_of in values for value in (key, value_of)])


def _bytes(machine: Machine, text: str, encoding: str = 'latin1') -> bytes:
  """How Python 2's protocols spell bytes."""
  machine.spend(len(text))
  return text.encode('latin1' if encoding == 'latin1' else 'utf-8')


def _no_bytes(machine: Machine, *contents: Any) -> bytes | Opaque:
  """How Python 2's protocols spell b''."""
  del machine
  return Opaque('builtins.bytes') if contents else b''


class _Type(Box):
  """numpy's dtype in a pickle: plain numbers, or 'O' for a list of objects.

  numpy's own would take field offsets and flags from the file.
  """

  __slots__ = ('code', 'objects')
  CODE = re.compile(r'[<>=|]?(?:[biuf][1248]|b1|[?bBhHiIlLqQefdg]|O8?|c8|c16)')

  def __init__(self, code: str):
    self.objects = code.strip('<>=|').startswith('O')
    self.code = code

  def build(self, machine: Machine, state: Any) -> None:
    del machine
    # (version, byte order, then what only structures have)
    if isinstance(state, tuple) and len(state) > 1 and state[1] in ('<', '>'):
      self.code = state[1] + self.code.lstrip('<>=|')

  def numbers(self, machine: Machine, data: Any) -> np.ndarray:
    if isinstance(data, str):
      data = _bytes(machine, data)
    if self.objects or not isinstance(data, bytes):
      raise pickle.UnpicklingError('numbers that are none')
    dtype = np.dtype(self.code)
    numbers = np.frombuffer(data, dtype) if data else np.zeros(0, dtype)
    if dtype.isnative:
      return numbers
    machine.spend(len(data))
    return numbers.astype(dtype.newbyteorder('='))


def _dtype(machine: Machine, code: Any, *_: Any) -> _Type | Opaque:
  del machine
  known = isinstance(code, str) and _Type.CODE.fullmatch(code)
  return _Type(code) if known else Opaque('numpy.dtype')


class Array(Box):
  """numpy's array in a pickle: an array, a list of objects, or opaque."""

  __slots__ = ('value',)

  def __init__(self) -> None:
    self.value: Any = None

  def build(self, machine: Machine, state: Any) -> None:
    _, shape, dtype, fortran, data = state
    if isinstance(dtype, Opaque):
      self.value = Opaque('numpy.ndarray')
    elif not isinstance(dtype, _Type):
      raise pickle.UnpicklingError('an array without a type')
    elif dtype.objects:
      self.value = data if isinstance(data, list) else Opaque('numpy.ndarray')
    else:
      self.value = _shaped(dtype.numbers(machine, data), shape, fortran)


def _shaped(numbers: np.ndarray, shape: Any, fortran: Any) -> np.ndarray:
  sizes = whole(shape)
  # Columns first are the rows of the array turned round.
  return numbers.reshape(sizes[::-1]).T if fortran else numbers.reshape(sizes)


def whole(values: Any) -> tuple[int, ...]:
  """Sizes, strides or the like; raises unless all are whole numbers that are not negative."""
  if not isinstance(values, tuple | list) or len(values) > AXES:
    raise pickle.UnpicklingError('sizes that are none')
  # Products of endless numbers would take endless time.
  if not all(type(value) is int and 0 <= value < 2**63 for value in values):
    raise pickle.UnpicklingError('sizes that are no whole numbers')
  return tuple(values)


def new_array(machine: Machine, *_: Any) -> Array:
  """An array whose contents follow."""
  del machine
  return Array()


def _scalar(machine: Machine, dtype: Any, data: Any = None) -> Any:
  if isinstance(dtype, Opaque):
    return dtype
  if not isinstance(dtype, _Type):
    raise pickle.UnpicklingError('a number without a type')
  return dtype.numbers(machine, data)[0]


def _from_buffer(
  machine: Machine, data: Any, dtype: Any, shape: Any, order: Any = 'C'
) -> Any:
  """How protocol 5 spells an array."""
  if isinstance(dtype, Opaque):
    return dtype
  if not isinstance(dtype, _Type):
    raise pickle.UnpicklingError('an array without a type')
  return _shaped(dtype.numbers(machine, data), shape, order == 'F')


# What PyTorch's and Haiku's files share.
PLAIN: dict[tuple[str, str], Maker] = {
  ('collections', 'OrderedDict'): _ordered_dict,
  ('numpy', 'dtype'): _dtype,
  ('_codecs', 'encode'): _bytes,
  ('__builtin__', 'bytes'): _no_bytes,
  ('builtins', 'bytes'): _no_bytes,
}
for _module in ('numpy.core', 'numpy._core'):
  PLAIN[f'{_module}.multiarray', 'scalar'] = _scalar
  PLAIN[f'{_module}.multiarray', '_reconstruct'] = new_array
  PLAIN[f'{_module}.numeric', '_frombuffer'] = _from_buffer


def plain(value: Any, view: Callable[[Any], Any] = lambda value: value) -> Any:
  """Plain containers with an array in the place of each stand-in that has numbers.

  Args:
    value: from `Machine.load`.
    view: makes arrays of values that only the caller knows.

  Raises:
    pickle.UnpicklingError: containers that are nested too deeply, or within themselves.
  """
  # By identity: a container that is met a thousand times is converted once.
  done: dict[int, Any] = {}

  def convert(value: Any, depth: int) -> Any:
    if isinstance(value, Array):
      value = value.value
    if isinstance(value, Known):
      return Opaque(value.name)
    if not isinstance(value, dict | list | tuple):
      return view(value)
    if depth > DEPTH:
      raise pickle.UnpicklingError(f'containers are nested deeper than {DEPTH}')
    if id(value) not in done:
      done[id(value)] = (
        {key: convert(inside, depth + 1) for key, inside in value.items()}
        if isinstance(value, dict)
        else [convert(inside, depth + 1) for inside in value]
      )
    return done[id(value)]

  return convert(value, 0)
