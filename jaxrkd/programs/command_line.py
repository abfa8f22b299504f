"""What the programs share: flags, config overrides, errors as one line."""

# First: before anything opens a file.
from jaxrkd.programs import open_streams  # noqa: F401  # isort: skip

import contextlib
import importlib
import io
import os
import pathlib
import sys

from absl import flags
from ml_collections import ConfigDict

from jaxrkd import experiment
from jaxrkd.commands import command, remember
from jaxrkd.errors import InputError
from jaxrkd.experiment import config_files as configs
from jaxrkd.paths import absolute, expanded
from jaxrkd.programs import exit_status
from jaxrkd.runtime import compiled, distributed, host_memory, preemption
from jaxrkd.runtime.progress import put

PREFIX = '--config.'
SHARED = (
  *('workdir', 'data_dir', 'plugins', 'coordinator', 'processes', 'process_id'),
  *('join_timeout', 'compiled'),
)


def _define_shared() -> None:
  flags.DEFINE_string('workdir', '', 'Folder of the run; a training makes it.')
  flags.DEFINE_string(
    'data_dir', '', 'Where TFDS data lie; empty takes TFDS_DATA_DIR or its default.'
  )
  flags.DEFINE_string(
    'coordinator',
    '',
    'host:port of the first of several processes; empty takes what Slurm or the environment '
    'of a TPU pod says, auto asks the TPU machine, too.',
  )
  flags.DEFINE_integer('processes', 0, 'Number of processes of the job.')
  flags.DEFINE_integer('process_id', -1, 'Number of this process in the job, from 0.')
  flags.DEFINE_float(
    'join_timeout', 300, 'Seconds to wait for the other processes of the job.'
  )
  flags.DEFINE_string(
    'compiled',
    compiled.DEFAULT,
    'Folder for compiled programs, which makes the next start faster; empty keeps none.',
  )
  flags.DEFINE_list(
    'plugins', [], 'Python files to run first: methods, networks, data of your own.'
  )


def start(name: str) -> None:
  """Runs a program of this folder: its `define()`, and then its `main(overrides)`.

  Defines the flags, parses the command line and joins the job before `main`.
  `--config.key=value` may appear any number of times, also in a `--flagfile`; each becomes
  an override. A mistake of the user ends in one line on stderr and status 2, Ctrl-C in
  status 130, a machine that is taken away (SIGTERM) in 143.
  """
  _print_anything()
  try:
    program = importlib.import_module(f'jaxrkd.programs.{name}')
    _define_shared()
    shared = set(flags.FLAGS)
    program.define()
    own = [flag for flag in flags.FLAGS if flag not in shared]
    remember(name, sys.argv[1:])
    given = _with_flag_files(sys.argv[1:])
    overrides = [arg[len(PREFIX) :] for arg in given if arg.startswith(PREFIX)]
    rest = [arg for arg in given if not arg.startswith(PREFIX)]
    if '--help' in rest or '-h' in rest:
      _help(name, program.__doc__ or '', own)
      return
    left = flags.FLAGS([sys.argv[0], *rest])[1:]
    if left:
      raise InputError(f'unexpected argument {left[0]!r}; every argument is a --flag')
    found = flags.FLAGS
    preemption.listen()
    compiled.keep_compiled(found.compiled)
    host_memory.keep_freed()
    distributed.join(
      found.coordinator, found.processes, found.process_id, found.join_timeout
    )
    for path in found.plugins:
      configs.run_file(path, 'plugin')
    program.main(overrides)
  except (InputError, flags.Error) as error:
    put(f'error: {error}', sys.stderr)
    _leave(exit_status.WRONG)
  except (KeyboardInterrupt, preemption.Preempted) as stop:
    put('stopped; the same command goes on from what was saved', sys.stderr)
    if isinstance(stop, preemption.Preempted):
      preemption.part()
      _leave(preemption.status())
    _leave(exit_status.INTERRUPTED)


def _print_anything() -> None:
  """What a locale has no letters for is printed as numbers."""
  for stream in (sys.stdout, sys.stderr):
    if isinstance(stream, io.TextIOWrapper):  # a notebook's is none
      stream.reconfigure(errors='backslashreplace')


def _with_flag_files(given: list[str]) -> list[str]:
  """The arguments, with what is in files in the place of `--flagfile=FILE`."""
  try:
    return flags.FLAGS.read_flags_from_files(given)
  except (flags.Error, UnicodeDecodeError) as error:
    # absl says ERROR:: itself; it reads files in the locale's letters.
    reason = str(error).replace('ERROR:: ', '')
    raise InputError(
      f'{reason}; --flagfile names a text file with one flag a line, such as '
      '--config.epochs=1'
    ) from error


def _help(program: str, usage: str, own: list[str]) -> None:
  """Prints how to use a program, in the way it was started."""
  put(usage.replace(f'jaxrkd {program}', command(program)))
  put('Flags:')
  for name in (*own, *SHARED):
    flag = flags.FLAGS[name]
    if isinstance(flag.default, bool):
      name = f'[no]{name}'
    shown = '' if flag.default in (None, '', []) else f' (default: {flag.default})'
    put(f'  --{name}: {flag.help}{shown}')
  put('  --config.KEY=VALUE: overrides a key of the config, any number of times.')
  put('  --flagfile=FILE: reads flags from a file, one a line; # begins a comment.')


def _leave(status: int) -> None:
  # Not sys.exit: the other processes of a job would be waited for, and they for us.
  for stream in (sys.stdout, sys.stderr):
    with contextlib.suppress(OSError, ValueError):  # nobody reads it any more
      stream.flush()
  os._exit(status)


def read_config(overrides: list[str]) -> ConfigDict:
  """The resolved config of --config and its overrides."""
  if not flags.FLAGS.config:
    raise InputError(
      'no --config; name an experiment, such as --config=mtard_digits, or a file of your own'
    )
  return experiment.resolve(configs.load_spec(flags.FLAGS.config), overrides)


def required_workdir() -> str:
  """--workdir, which must be given, from the root."""
  if not flags.FLAGS.workdir:
    raise InputError(
      'no --workdir; give a folder for the results, such as --workdir=runs/first'
    )
  if '://' in flags.FLAGS.workdir:
    raise InputError(
      f'--workdir is {flags.FLAGS.workdir}, but runs live in folders; mount the bucket and '
      'give the path where it is mounted'
    )
  return str(absolute(flags.FLAGS.workdir))


def home(path: str) -> str:
  """A path of a flag, with `~` at its beginning replaced; empty stays empty."""
  return str(expanded(path)) if path else ''


def image_shape(parts: list[str]) -> tuple[int, ...]:
  """--image_shape as numbers; empty if it was not given."""
  if parts and (
    len(parts) != 3 or not all(part.isascii() and part.isdigit() for part in parts)
  ):
    raise InputError(
      f'--image_shape is {",".join(parts)}; give three numbers, such as 32,32,3'
    )
  return tuple(map(int, parts))


def specs(parts: list[str]) -> list[str]:
  """Puts words back behind their config: both lists are separated by commas.

  A part that ends in `.py`, or has words, begins a config; after a config with words, so
  does nothing else. `mtard,rslad` are two configs, `mtard:digits,smoke` is one.
  """
  found: list[str] = []
  for part in parts:
    if found and ':' in found[-1] and ':' not in part and '.py' not in part:
      found[-1] += f',{part}'
    else:
      found.append(part)
  return [configs.place(spec) for spec in found]


def named_run(text: str) -> tuple[str, str]:
  """Name and workdir of '[NAME=]PATH[:network]'; without a name it is the folder's.

  Raises:
    InputError: no such folder.
  """
  name, _, path = text.rpartition('=')
  path = home(path)
  if not pathlib.Path(path.partition(':')[0]).is_dir():
    raise InputError(f'--runs names {path!r}, which is no folder; name finished runs')
  return name or pathlib.Path(path).name.replace(':', '-'), path


def spec_name(spec: str) -> str:
  """'configs/sat.py:digits' -> 'sat-digits'; a run's folder -> its name."""
  path, _, words = spec.partition(':')
  return '-'.join([pathlib.Path(path).stem, *filter(None, words.split(','))])
