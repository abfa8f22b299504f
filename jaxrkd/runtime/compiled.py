"""Compiled programs kept on disk: the second start of a run does not compile."""

import os
import warnings

import jax

from jaxrkd.errors import InputError
from jaxrkd.paths import expanded

DEFAULT = '~/.cache/jaxrkd/compiled'


def keep_compiled(folder: str = DEFAULT) -> None:
  """Keeps what is compiled from now on; JAX_COMPILATION_CACHE_DIR has precedence.

  Also what compiles in less than a second, which jax by itself leaves out: of such programs a
  run has a hundred.

  Args:
    folder: where; empty keeps nothing.
  """
  if not folder or 'JAX_COMPILATION_CACHE_DIR' in os.environ:
    return
  try:
    place = expanded(folder)
    place.mkdir(parents=True, exist_ok=True)
  except (OSError, InputError):
    return  # no home, or one that cannot be written to: everything works, only slower
  # A full disk is none either: one line for each of a hundred programs would say so.
  warnings.filterwarnings(
    'ignore', 'Error (writing|reading) persistent compilation cache'
  )
  jax.config.update('jax_compilation_cache_dir', str(place))
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)
