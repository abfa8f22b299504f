"""Test settings: eight virtual CPU devices, one compilation cache."""

import os
import tempfile

# Read when jax starts, and by the programs that tests start.
os.environ.setdefault('JAX_PLATFORMS', 'cpu')
_cache = os.environ.setdefault(
  'JAX_COMPILATION_CACHE_DIR', tempfile.mkdtemp('-jax-cache')
)

import jax  # noqa: E402

jax.config.update('jax_num_cpu_devices', 8)
# Compiling takes most of the time of most tests. The programs that tests start compile as
# users' do.
jax.config.update('jax_disable_most_optimizations', True)
jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.2)


def pytest_collection_modifyitems(items):
  """Whole programs first: they take longest, and the others fill the gaps."""
  items.sort(key=lambda item: 'programs_test' not in item.nodeid)
