"""The .npy files of DeepMind's JAX networks: a pickled pair of parameters and state."""

import os
import pathlib
import pickle
from typing import Any

import numpy as np

from jaxrkd.interop.pickle_machine import (
  PLAIN,
  Array,
  Box,
  Known,
  Machine,
  Maker,
  Opaque,
  Source,
  new_array,
  plain,
)


class _Mapping(dict, Box):
  """Haiku's immutable mapping, in both of its pickled forms."""

  def build(self, machine: Machine, state: Any) -> None:
    for value in state.values() if isinstance(state, dict) else ():
      if isinstance(value, dict):
        machine.spend(len(value))
        self.update(value)


def _mapping(machine: Machine, contents: Any = None, *_: Any) -> _Mapping:
  found = _Mapping()
  found.build(machine, {'': contents})
  return found


def _jax_array(machine: Machine, make: Any, arguments: Any, state: Any, *_: Any) -> Any:
  """How JAX pickles an array: as numpy does, beside a note on weak types."""
  if isinstance(make, Opaque):
    return make
  if not isinstance(make, Known) or make.make is not new_array:
    raise pickle.UnpicklingError('an array that is made of something else')
  del arguments
  array = Array()
  array.build(machine, state)
  return array


def _same(machine: Machine, array: Any, *_: Any) -> Any:
  del machine
  return array


TABLE: dict[tuple[str, str], Maker] = {
  **PLAIN,
  ('haiku._src.data_structures', 'FlatMapping'): _mapping,
  ('haiku._src.data_structures', 'FlatMap'): _mapping,
  ('haiku._src.data_structures', 'frozendict'): _mapping,
  ('jax._src.array', '_reconstruct_array'): _jax_array,
  ('jax._src.device_array', 'reconstruct_device_array'): _jax_array,
  ('jax.interpreters.xla', 'DeviceArray'): _same,
}


def read_npy(path: pathlib.Path) -> Any:
  """The object in a .npy file, as nested dictionaries and lists of arrays.

  Raises:
    ValueError: the file is cut off, or is an array of numbers only.
    Refused: see `pickle_machine`.
  """
  with path.open('rb') as file:
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0}.get(
      version, np.lib.format.read_array_header_2_0
    )
    _, _, dtype = read(file)
    if not dtype.hasobject:
      raise ValueError('an array of numbers, without names of layers')
    left = os.fstat(file.fileno()).st_size - file.tell()
    return plain(Machine(Source(file, left), TABLE).load())
