"""The .npy files of DeepMind's JAX networks: a pickled pair of parameters and state."""

import io
import pathlib
from typing import Any

import numpy as np

from jaxrkd.interop.torch_pickle import TensorUnpickler, plain


class _Mapping(dict):
  """Haiku's immutable mapping, in both of its pickled forms."""

  def __init__(self, *arguments: Any):
    super().__init__(arguments[0] if arguments and isinstance(arguments[0], dict) else {})

  def __setstate__(self, state: Any) -> None:
    if isinstance(state, dict):
      for value in state.values():
        if isinstance(value, dict):
          self.update(value)


def _jax_array(make: Any, arguments: tuple, state: Any, *_: Any) -> Any:
  """How JAX pickles an array: as numpy does, beside a note on weak types."""
  array = make(*arguments)
  array.__setstate__(state)
  return array


ALLOWED = {
  ('haiku._src.data_structures', 'FlatMapping'): _Mapping,
  ('haiku._src.data_structures', 'FlatMap'): _Mapping,
  ('haiku._src.data_structures', 'frozendict'): _Mapping,
  ('jax._src.array', '_reconstruct_array'): _jax_array,
  ('jax._src.device_array', 'reconstruct_device_array'): _jax_array,
  ('jax.interpreters.xla', 'DeviceArray'): lambda array: array,
}


def read_npy(path: pathlib.Path) -> Any:
  """The object in a .npy file, as nested dictionaries and lists of arrays.

  Raises:
    ValueError: the file is cut off, or is an array of numbers only.
    torch_pickle.Refused: see there.
  """
  data = path.read_bytes()
  file = io.BytesIO(data)
  version = np.lib.format.read_magic(file)
  read = {(1, 0): np.lib.format.read_array_header_1_0}.get(
    version, np.lib.format.read_array_header_2_0
  )
  _, _, dtype = read(file)
  if not dtype.hasobject:
    raise ValueError('an array of numbers, without names of layers')
  return plain(TensorUnpickler(file, ALLOWED).load())
