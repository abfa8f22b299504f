"""Programs in processes that begin with everything imported: a tenth of the time to start."""

import multiprocessing
import os
import pathlib
import runpy
import subprocess
import sys
import tempfile
import warnings

LAUNCH = pathlib.Path(__file__).parent.parent / 'launch'
SERVER = multiprocessing.get_context('forkserver')
SERVER.set_forkserver_preload(
  [
    f'jaxrkd.programs.{name}'
    for name in ('train', 'evaluate', 'convert', 'doctor', 'export')
  ]
)


def run(
  script: str, *arguments: str, devices: int = 1, home: str = ''
) -> subprocess.CompletedProcess[str]:
  """What `python launch/SCRIPT ARGUMENTS` prints, and its status."""
  with tempfile.TemporaryDirectory() as folder:
    said = [pathlib.Path(folder) / name for name in ('out', 'err')]
    given = (script, arguments, devices, home, said)
    process = SERVER.Process(target=_run, args=given)
    process.start()
    process.join(600)
    texts = [path.read_text(encoding='utf-8') for path in said]
  assert process.exitcode is not None, 'the program does not end'
  return subprocess.CompletedProcess(arguments, process.exitcode, *texts)


def _run(script, arguments, devices, home, said):
  for number, path in enumerate(said, 1):
    os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
  if home:
    os.environ['HOME'] = home
  # Read from the environment when jax was imported, and not yet used.
  import jax

  jax.config.update('jax_num_cpu_devices', devices)
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)
  warnings.simplefilter('error')
  # As in conftest.py.
  warnings.filterwarnings('default', 'Error reading persistent compilation cache')
  path = str(LAUNCH / script)
  sys.argv = [path, *arguments]
  runpy.run_path(path, run_name='__main__')
