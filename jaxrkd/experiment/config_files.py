"""Configs as files and as texts of a command line: read, changed, compared.

A config is data. Files in `configs/` start from `base()` (`defaults.py`) and set what
differs.
"""

import ast
import contextlib
import functools
import importlib.util
import inspect
import pathlib
import re
import traceback
from collections.abc import Collection, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

from ml_collections import ConfigDict

from jaxrkd.errors import InputError, nearest

# What config files say `configs.` to.
from jaxrkd.experiment.defaults import EIGHT as EIGHT
from jaxrkd.experiment.defaults import base as base
from jaxrkd.experiment.defaults import base_values as base_values
from jaxrkd.experiment.defaults import teacher as teacher
from jaxrkd.paths import absolute, expanded


def _shipped() -> pathlib.Path:
  package = pathlib.Path(__file__).parent.parent
  installed = package / 'configs'
  return installed if installed.is_dir() else package.parent / 'configs'


# jaxrkd's own configs: in the package once it is installed, beside it in a checkout.
SHIPPED = _shipped()


def place(spec: str, folder: str = '') -> str:
  """'mtard_digits:smoke' -> the file of jaxrkd's own config, and the words behind it.

  Args:
    spec: 'path' or 'path:words'; a path that ends in .py stays as it is.
    folder: of `configs/`, to look in: 'studies'.

  Raises:
    InputError: neither a Python file nor one of jaxrkd's own.
  """
  name, colon, argument = spec.partition(':')
  if name.endswith('.py'):
    return spec
  home = SHIPPED / folder
  if not (home / f'{name}.py').is_file():
    known = own(folder)
    raise InputError(
      f'no config {name!r}{nearest(name, known)} (jaxrkd has {", ".join(known)}; a file of '
      'your own ends in .py)'
    )
  return f'{home / name}.py{colon}{argument}'


def own(folder: str = '') -> list[str]:
  """Names of jaxrkd's own configs."""
  helpers = ('__init__', 'setting')
  found = (path.stem for path in (SHIPPED / folder).glob('*.py'))
  return sorted(
    name for name in found if name not in helpers and not name.startswith('papers')
  )


def run_file(path: str | pathlib.Path, what: str = 'config file') -> ModuleType:
  """Runs a Python file and returns it as a module.

  Args:
    path: the file.
    what: name for messages.

  Raises:
    InputError: no such file, or not a Python file.
  """
  path = expanded(path)
  if not path.is_file():
    others = sorted(str(p) for p in path.parent.glob('*.py'))
    raise InputError(
      f'no {what} {str(path)!r}{nearest(str(path), others)} '
      f'(there: {", ".join(others) or "none"})'
    )
  spec = importlib.util.spec_from_file_location(f'config_{path.stem}', path)
  if spec is None or spec.loader is None:
    raise InputError(f'{str(path)!r} is not a Python file ending in .py')
  module = importlib.util.module_from_spec(spec)
  with _mistakes_of(path, what):
    spec.loader.exec_module(module)
  return module


@contextlib.contextmanager
def _mistakes_of(path: pathlib.Path, what: str) -> Iterator[None]:
  """Whatever a file of the user raises becomes one sentence that names its line."""
  try:
    yield
  except InputError:
    raise
  except Exception as error:
    frames = traceback.extract_tb(error.__traceback__)
    here = str(path.resolve())
    inside = [f.lineno for f in frames if str(pathlib.Path(f.filename).resolve()) == here]
    if isinstance(error, SyntaxError) and not inside:
      inside = [error.lineno]
    at = f', line {inside[-1]}' if inside else ''
    reason = ' '.join(str(error).split())  # on one line, whatever its author wrote
    raise InputError(
      f'{what} {str(path)!r}{at}: {type(error).__name__}: {reason}'
    ) from error


def sibling(file: str, name: str) -> ModuleType:
  """Runs the Python file `name` that lies beside `file`: what config files share."""
  return run_file(
    pathlib.Path(file).parent / name, f'file {name!r} beside {pathlib.Path(file).name!r}:'
  )


def load(path: str | pathlib.Path, argument: str = '') -> ConfigDict:
  """Runs `get_config(argument)` of a config file.

  Raises:
    InputError: no such file, or it has no `get_config`.
  """
  module = run_file(path)
  if not hasattr(module, 'get_config'):
    raise InputError(f'config {str(path)!r} does not define get_config(arg)')
  if not inspect.signature(module.get_config).parameters:
    if argument:
      raise InputError(f'config {str(path)!r} takes no argument, not {argument!r}')
    given: tuple[str, ...] = ()
  else:
    given = (argument,)
  with _mistakes_of(expanded(path), 'config file'):
    return module.get_config(*given)


def words(argument: str, allowed: Collection[str]) -> set[str]:
  """The comma-separated words of a config's argument, each checked.

  Raises:
    InputError: a word that is not in `allowed`.
  """
  found = {word for word in argument.split(',') if word}
  for word in sorted(found):
    if word not in allowed:
      raise InputError(
        f'unknown config argument {word!r}{nearest(word, allowed)} '
        f'(known: {", ".join(sorted(allowed))})'
      )
  return found


def one_word(found: Collection[str], allowed: Sequence[str]) -> str:
  """The word of `allowed` that is among those found; the first of `allowed` if none is.

  Raises:
    InputError: more than one.
  """
  chosen = [word for word in allowed if word in found]
  if len(chosen) > 1:
    raise InputError(
      f'the config argument has both {chosen[0]!r} and {chosen[1]!r}; give one of '
      f'{", ".join(allowed)}'
    )
  return chosen[0] if chosen else allowed[0]


def load_spec(spec: str) -> ConfigDict:
  """`load` for 'path' or 'path:argument'; see `place`."""
  path, _, argument = place(spec).partition(':')
  return load(path, argument)


def load_rows(path: str | pathlib.Path) -> dict[str, str]:
  """The experiments of a file: its `ROWS`, {name of a row: 'config:words'}.

  Configs are named from the folder above the file's, or from the working directory.

  Raises:
    InputError: no such file, or it has no `ROWS`.
  """
  module = run_file(path, 'study')
  rows = getattr(module, 'ROWS', None)
  if not isinstance(rows, dict) or hasattr(module, 'STUDY'):
    raise InputError(
      f'study {str(path)!r} does not define ROWS, {{name: config}}; one that defines STUDY '
      f'is run by jaxrkd study --name={expanded(path).stem}'
    )
  home = expanded(path).resolve().parent.parent

  def place(spec: str) -> str:
    if spec.startswith('~'):
      return str(absolute(spec))
    beside = home / spec.partition(':')[0]
    here = pathlib.Path(spec.partition(':')[0])
    return spec if here.is_file() and not beside.is_file() else str(home / spec)

  return {name: place(spec) for name, spec in rows.items()}


def leaves(tree: Mapping[str, Any], prefix: str = '') -> Iterator[tuple[str, Any]]:
  """Yields ('a.b.c', value) for every value that is not a group."""
  for name, value in tree.items():
    if isinstance(value, Mapping | ConfigDict):
      yield from leaves(value, f'{prefix}{name}.')
    else:
      yield prefix + name, value


def leaf(config: ConfigDict, key: str) -> Any:
  """The value of 'a.b.c'."""
  return functools.reduce(lambda node, name: node[name], key.split('.'), config)


def split_override(text: str) -> tuple[str, str]:
  """'a.b=c' -> ('a.b', 'c')."""
  key, equals, value = text.partition('=')
  if not equals:
    raise InputError(f'--config.{text} has no value; write --config.{key}=VALUE')
  return key, value


def set_leaf(config: ConfigDict, key: str, text: str) -> None:
  """Sets 'a.b' from the text of a command line, in the type it has now.

  Numbers may be fractions: 8/255.

  Raises:
    InputError: no such key, or the text is not of its type.
  """
  *groups, last = key.split('.')
  node = config
  for group in groups:
    if not isinstance(node, ConfigDict) or group not in node:
      raise InputError(_unknown(config, key))
    node = node[group]
  if not isinstance(node, ConfigDict) or last not in node:
    raise InputError(_unknown(config, key))
  if isinstance(node[last], ConfigDict):
    inside = ', '.join(f'{key}.{name}' for name in node[last]) or 'nothing'
    raise InputError(f'config.{key} is a group; set a key in it: {inside}')
  with node.unlocked():
    node[last] = parse(text, node[last], key)


def _unknown(config: ConfigDict, key: str) -> str:
  known = [name for name, _ in leaves(config)]
  return f'unknown config key {key!r}{meant(key, known)}; jaxrkd train --dry_run prints every key'


# What other code calls them -> our keys.
WORDS = {
  **dict.fromkeys(
    ('lr', 'learning_rate', 'base_lr', 'max_lr', 'lr_max'), 'schedule.peak'
  ),
  **dict.fromkeys(('wd', 'decay', 'l2'), 'optimizer.weight_decay'),
  **dict.fromkeys(('epsilon', 'eps', 'radius'), 'threat.eps'),
  **dict.fromkeys(('norm', 'threat_model'), 'threat.name'),
  **dict.fromkeys(('num_steps', 'n_steps', 'steps', 'perturb_steps'), 'attack.steps'),
  **dict.fromkeys(('iterations', 'iters', 'n_iter', 'nb_iter'), 'attack.steps'),
  **dict.fromkeys(
    ('alpha', 'step', 'stepsize', 'eps_iter', 'eps_step', 'perturb_step_size'),
    'attack.step_size',
  ),
  **dict.fromkeys(('arch', 'architecture', 'model', 'network', 'net'), 'student.name'),
  **dict.fromkeys(('dataset', 'dataset_name'), 'data.name'),
  **dict.fromkeys(('num_epochs', 'n_epochs', 'max_epochs', 'epoch'), 'epochs'),
  **dict.fromkeys(('batch', 'bs', 'batchsize', 'train_batch_size'), 'batch_size'),
  **dict.fromkeys(('random_seed', 'rng_seed', 'manual_seed'), 'seed'),
}


def meant(key: str, known: Collection[str]) -> str:
  """Returns "; did you mean 'x'?": what others call `key`, or what is spelt like it.

  Args:
    key: 'a.b.c', unknown.
    known: all keys that there are.
  """
  *groups, word = key.split('.')
  ours = WORDS.get(word.lower().replace('-', '_'), '')
  if ours:
    # In the same group, then in the same config, then in the one around it.
    places = [[*groups, ours.split('.')[-1]]]
    places += [[*groups[:end], ours] for end in range(len(groups), -1, -1)]
    for place in places:
      name = '.'.join(place)
      if name in known:
        return f'; did you mean {name!r}?'
  return nearest(key, known)


def parse(text: str, like: Any, key: str) -> Any:
  """Reads `text` as the type of `like`."""
  if key.split('.')[-1] == 'step_size' and text.lower() in ('none', ''):
    return None  # the attack's own share of the radius
  try:
    if like is None:
      return number(text)
    if isinstance(like, bool):
      return {'true': True, '1': True, 'false': False, '0': False}[text.lower()]
    if isinstance(like, int):
      return int(text)
    if isinstance(like, float):
      return number(text)
    if isinstance(like, list | tuple):
      items = [item for item in text.strip('()[]').split(',') if item.strip()]
      return tuple(literal(item) for item in items)
    return text
  except (ValueError, KeyError, SyntaxError, ZeroDivisionError) as error:
    kind = 'true or false' if isinstance(like, bool) else f'a {type(like).__name__}'
    if like is None:
      kind = 'a number, or none'
    raise InputError(
      f'config.{key} is {like!r} and takes {kind}, not {text!r}'
    ) from error


def number(text: str) -> float:
  """'0.5', '1e-3' or '8/255'."""
  top, slash, bottom = text.partition('/')
  return float(top) / float(bottom) if slash else float(text)


def literal(text: str) -> Any:
  """A number, a fraction, a tuple or a text, where no type is known."""
  text = text.strip()
  if re.fullmatch(r'[\d.eE+-]+/[\d.eE+-]+', text):
    return number(text)
  try:
    return ast.literal_eval(text)
  except (ValueError, SyntaxError):
    return text


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
  """Says in words where two configs differ, one entry per key."""
  before, after = dict(leaves(old)), dict(leaves(new))
  missing = '(absent)'
  return [
    f'{key} was {before.get(key, missing)!r} and is now {after.get(key, missing)!r}'
    for key in sorted({*before, *after})
    if before.get(key, missing) != after.get(key, missing)
  ]
