"""Test settings: eight virtual CPU devices, one compilation cache."""

import gc
import os
import re
import shutil
import tempfile

# Read when jax starts, and by the programs that tests start. Compiling takes most of the
# time of most tests. With few optimizations it is quicker, twice as quick again with XLA's
# older emitters of fusions, and a third quicker where it does not split small programs
# among threads.
os.environ.setdefault('JAX_PLATFORMS', 'cpu')
os.environ.setdefault('JAX_DISABLE_MOST_OPTIMIZATIONS', '1')
# Of the process that starts the others, which removes it in the end.
CACHE = ''
if 'JAX_COMPILATION_CACHE_DIR' not in os.environ:
  CACHE = os.environ['JAX_COMPILATION_CACHE_DIR'] = tempfile.mkdtemp('-jax-cache')
quick = '--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1'
os.environ['XLA_FLAGS'] = f'{os.environ.get("XLA_FLAGS", "")} {quick}'

import jax  # noqa: E402
import pytest  # noqa: E402

jax.config.update('jax_num_cpu_devices', 8)
# Tracing allocates much that lives on. Looked through as often as Python would, it takes a
# quarter longer to trace.
gc.freeze()
gc.set_threshold(100_000, 50, 100)
# The small ones, too: many tests, and the programs that tests start, compile the same.
jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)


# Files about batches that get smaller with the images that are left, and one whose images
# take longer than compiling.
SHRINKING = (
  'cascade_test',
  'compiled_once_test',
  'robustness_test',
  'autoattack_golden_test',
)


@pytest.fixture(autouse=True, scope='module')
def batches_of_one_size(request):
  """Each size is a compilation, and none changes a verdict: see `cascade_test`."""
  from jaxrkd.attacks import lanes

  before = lanes.HALVINGS
  if request.module.__name__ not in SHRINKING:
    lanes.HALVINGS = 0
  yield
  lanes.HALVINGS = before


# Files about programs over all devices. Elsewhere a mesh that nobody chose has one: eight
# take a tenth to a fifth longer to compile for.
OVER_ALL_DEVICES = (
  'compiled_once_test',
  'distill_test',
  'doors_test',
  'library_test',
  'readme_test',
  'scale_test',
)


@pytest.fixture(autouse=True, scope='module')
def one_device(request):
  from jaxrkd.runtime import sharding

  every = sharding.data_mesh
  if request.module.__name__ not in OVER_ALL_DEVICES:

    def chosen(devices=None, fsdp=1):
      return every(jax.devices()[:fsdp] if devices is None else devices, fsdp)

    sharding.data_mesh = chosen
  yield
  sharding.data_mesh = every


# Rows that came with --plugins.
OWN = pytest.StashKey[set[str]]()


def pytest_addoption(parser):
  parser.addoption(
    '--plugins',
    dest='rows_from',
    default='',
    help='Python files, separated by commas, whose rows (methods, attacks, networks, ...) '
    'are tested, and nothing else.',
  )


def pytest_configure(config):
  if not config.getoption('rows_from'):
    return
  from jaxrkd import attacks, data, methods, models, optimizers
  from jaxrkd.errors import InputError
  from jaxrkd.experiment.config_files import run_file

  tables = (methods.METHODS, methods.INNERS, attacks.ATTACKS, attacks.UNFORESEEN)
  tables += (models.NETWORKS, optimizers.OPTIMIZERS, optimizers.SCHEDULES, data.SOURCES)
  before = [set(table) for table in tables]
  for path in config.getoption('rows_from').split(','):
    try:
      run_file(path, 'plugin')
    except InputError as error:
      raise pytest.UsageError(str(error)) from error
  new = [set(table) - old for table, old in zip(tables, before)]
  config.stash[OWN] = set().union(*new)
  if not config.stash[OWN]:
    raise pytest.UsageError('the files of --plugins add no row to any table')


def pytest_unconfigure(config):
  if CACHE:
    shutil.rmtree(CACHE, ignore_errors=True)


def _is_about(item, names):
  """Whether a test has one of these rows among its parameters."""
  function = getattr(item.obj, '__func__', item.obj)
  told = getattr(function, '__x_params_repr__', '')
  # Named tests end in the names of their rows.
  return any(
    f"'{name}'" in told or re.search(rf'_{re.escape(name)}(_(linf|l2|l1))?$', item.name)
    for name in names
  )


def pytest_collection_modifyitems(config, items):
  """Whole programs first: they take longest, and the others fill the gaps.

  jax writes a compiled program in place, so that another worker may read half of it; it
  then compiles for itself, with a warning that is no failure of the test.
  """
  if OWN in config.stash:
    kept = [item for item in items if _is_about(item, config.stash[OWN])]
    config.hook.pytest_deselected(items=[i for i in items if i not in kept])
    items[:] = kept
  items.sort(key=lambda item: 'programs_test' not in item.nodeid)
  half = 'default:Error reading persistent compilation cache'
  for item in items:
    item.add_marker(pytest.mark.filterwarnings(half))
