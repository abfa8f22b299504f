"""Scalars of a run for experiment trackers: Weights & Biases, trackio; also a plugin's own.

A tracker is one row of `TRACKERS`: (`Tracked`) -> something with `log(step, values)` and
`close()`. What it raises never ends a training: it is said once, and the tracker is left.
"""

import functools
import importlib.util
import json
import math
import os
import pathlib
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from jaxrkd.errors import InputError, choose
from jaxrkd.runtime import files
from jaxrkd.runtime.progress import say

# What continues a run in its tracker: kept in the workdir.
FILE = 'trackers.json'


class Tracked(NamedTuple):
  """A run, as a tracker is told of it.

  Attributes:
    project: the folder that the workdir lies in.
    name: of the workdir.
    id: of the run, the same after it was interrupted.
    workdir: where files may be kept.
    config: the config, as JSON has it.
  """

  project: str
  name: str
  id: str
  workdir: pathlib.Path
  config: Mapping[str, Any]


class Tracker(Protocol):
  """What a row of `TRACKERS` makes."""

  def log(self, step: int, values: Mapping[str, float]) -> None: ...

  def close(self) -> None: ...


class Wandb:
  """Weights & Biases: kept in WORKDIR/wandb for `wandb sync`, unless WANDB_MODE says online."""

  def __init__(self, run: Tracked):
    import wandb

    self._run = wandb.init(
      project=os.environ.get('WANDB_PROJECT') or run.project,
      name=run.name,
      id=run.id,
      resume='allow',
      dir=str(run.workdir),
      config=dict(run.config),
      mode=os.environ.get('WANDB_MODE') or 'offline',
      # Several seeds train in one process.
      reinit='create_new',
    )

  def log(self, step: int, values: Mapping[str, float]) -> None:
    self._run.log(dict(values), step=step)

  def close(self) -> None:
    self._run.finish()


class Trackio:
  """trackio: kept on this machine; `trackio show` opens it."""

  def __init__(self, run: Tracked):
    import trackio

    self._run = trackio.init(
      project=run.project,
      # It continues runs by name.
      name=f'{run.name}-{run.id}',
      resume='allow',
      config=dict(run.config),
    )

  def log(self, step: int, values: Mapping[str, float]) -> None:
    self._run.log(dict(values), step=step)

  def close(self) -> None:
    self._run.finish()


TRACKERS: dict[str, Callable[[Tracked], Tracker]] = {'wandb': Wandb, 'trackio': Trackio}
# Row -> package that it needs.
PACKAGES = {'wandb': 'wandb', 'trackio': 'trackio'}


def check_trackers(names: Sequence[str]) -> None:
  """Raises `InputError` for an unknown tracker, one named twice, or one not installed."""
  for name in names:
    choose(TRACKERS, name, 'tracker')
    package = PACKAGES.get(name)
    if package and not _installed(package):
      raise InputError(
        f'config.trackers has {name!r}, whose package is not installed; install it with pip '
        f'install {package}, or leave it out'
      )
  if len(set(names)) < len(names):
    raise InputError(f'config.trackers is {list(names)}; name each once')


def _installed(package: str) -> bool:
  return importlib.util.find_spec(package) is not None


class Trackers:
  """All trackers of a run.

  Args:
    names: rows of `TRACKERS`; of none nothing is imported.
    workdir: of the run.
    config: of the run.
    enabled: False for all processes but the first.
  """

  def __init__(
    self,
    names: Sequence[str],
    workdir: pathlib.Path,
    config: Mapping[str, Any],
    enabled: bool = True,
  ):
    self._open: dict[str, Tracker] = {}
    if not names or not enabled:
      return
    run = Tracked(
      workdir.parent.name or 'jaxrkd', workdir.name, _id(workdir), workdir, config
    )
    for name in names:
      self._tried(name, functools.partial(self._start, name, run))

  def _start(self, name: str, run: Tracked) -> None:
    self._open[name] = TRACKERS[name](run)

  def _tried(self, name: str, call: Callable[[], None]) -> None:
    try:
      call()
    except (Exception, SystemExit) as error:
      self._open.pop(name, None)
      say(
        f'note: tracker {name} failed ({type(error).__name__}: {str(error)[:200]}) and is '
        'left out; metrics.jsonl has everything'
      )

  def write(self, step: int, values: Mapping[str, float]) -> None:
    """Tells all of them; values that are not finite are left out."""
    finite = {
      key: float(value)
      for key, value in values.items()
      if isinstance(value, int | float) and math.isfinite(value)
    }
    for name, tracker in list(self._open.items()):
      self._tried(name, functools.partial(tracker.log, step, finite))

  def close(self) -> None:
    for name, tracker in list(self._open.items()):
      self._tried(name, tracker.close)
    self._open.clear()


def _id(workdir: pathlib.Path) -> str:
  path = workdir / FILE
  try:
    return str(json.loads(path.read_text(encoding='utf-8'))['id'])
  except (OSError, ValueError, KeyError, TypeError):
    found = uuid.uuid4().hex[:12]
    files.write_json(path, {'id': found})
    return found
