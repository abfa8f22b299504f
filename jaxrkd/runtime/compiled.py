"""Compiled programs kept on disk: the second start of a run does not compile."""

import os
import pathlib

import jax

DEFAULT = '~/.cache/jaxrkd/compiled'
# Shorter ones are compiled faster than they are found.
LEAST_SECONDS = 1.0


def keep_compiled(folder: str = DEFAULT) -> None:
  """Keeps what compiles longer than a second; JAX_COMPILATION_CACHE_DIR has precedence.

  Args:
    folder: where; empty keeps nothing.
  """
  if not folder or 'JAX_COMPILATION_CACHE_DIR' in os.environ:
    return
  try:
    place = pathlib.Path(folder).expanduser()
    place.mkdir(parents=True, exist_ok=True)
  except (OSError, RuntimeError):
    return  # no home, or one that cannot be written to: everything works, only slower
  jax.config.update('jax_compilation_cache_dir', str(place))
  jax.config.update('jax_persistent_cache_min_compile_time_secs', LEAST_SECONDS)
