"""Test settings: eight virtual CPU devices, one compilation cache."""

import os
import tempfile

# Read when jax starts, and by the programs that tests start. Compiling takes most of the
# time of most tests. With few optimizations it is quicker, and twice as quick again with
# XLA's older emitters of fusions.
os.environ.setdefault('JAX_PLATFORMS', 'cpu')
os.environ.setdefault('JAX_DISABLE_MOST_OPTIMIZATIONS', '1')
os.environ.setdefault('JAX_COMPILATION_CACHE_DIR', tempfile.mkdtemp('-jax-cache'))
quick = '--xla_cpu_use_fusion_emitters=false'
os.environ['XLA_FLAGS'] = f'{os.environ.get("XLA_FLAGS", "")} {quick}'

import jax  # noqa: E402
import pytest  # noqa: E402

jax.config.update('jax_num_cpu_devices', 8)
# The small ones, too: many tests, and the programs that tests start, compile the same.
jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)


def pytest_collection_modifyitems(items):
  """Whole programs first: they take longest, and the others fill the gaps.

  jax writes a compiled program in place, so that another worker may read half of it; it
  then compiles for itself, with a warning that is no failure of the test.
  """
  items.sort(key=lambda item: 'programs_test' not in item.nodeid)
  half = 'default:Error reading persistent compilation cache'
  for item in items:
    item.add_marker(pytest.mark.filterwarnings(half))
