"""The resolved config of a row of a study, and of a teacher."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from jaxrkd import experiment
from jaxrkd.errors import InputError
from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import make
from jaxrkd.experiment.scale import Scale, scaled
from jaxrkd.experiment.study import Row, Study

Load = Callable[[str], ConfigDict]


def row_config(
  study: Study,
  row: Row,
  scale: Scale,
  seed: int = 0,
  overrides: Sequence[str] = (),
  load: Load = configs.load_spec,
) -> ConfigDict:
  """The resolved config of a row: the protocol's, the row's changes, the scale, overrides.

  Args:
    study: that it is of.
    row: of the study, or made for a teacher.
    scale: how large it is trained.
    seed: of the training.
    overrides: 'key=value' texts.
    load: gives the config of a spec; what it gives is not changed.
  """
  given = load(row.config).copy_and_resolve_references()
  given.evaluation.attacks = ConfigDict(
    {name: dict(options) for name, options in study.protocol.attacks.items()}
  )
  recording = study.protocol.record
  given.trajectories.splits = recording
  for key, value in study.protocol.select.items():
    given.select[key] = ConfigDict(dict(value)) if isinstance(value, Mapping) else value
  for key, value in row.if_there.items():
    _change(given, key, value, passing=True)
  for key, value in row.changes.items():
    _change(given, key, value)
  for column in given.evaluation.attacks.values():
    # By the name of a network of the study; `_surrogates` finds it.
    if column.get('surrogate'):
      column.surrogate = ''
  own = [entry.config for entry in given.teachers.values() if entry.config]
  given.seed = seed * given.get('members', 1)
  stride = 1 + max((config.seed for config in own), default=0)
  for config in own:
    config.seed += seed * stride
    config.evaluation = given.evaluation.copy_and_resolve_references()
    config.trajectories.splits = recording
  resolved = experiment.resolve(given)
  _leave_out_idle(resolved)
  small = ConfigDict(scaled(resolved.to_dict(), scale))
  return experiment.resolve(small, _fitting(overrides, small))


def teacher_config(
  study: Study,
  spec: str,
  scale: Scale,
  seed: int,
  overrides: Sequence[str],
  name: str = '',
  load: Load = configs.load_spec,
) -> ConfigDict:
  """The config of a teacher, as it is in a row that has it under a name.

  Raises:
    InputError: an override puts another network in its place.
  """
  own, prefix = [], f'teachers.{name}.'
  for text in overrides:
    if text.startswith('data.'):
      own.append(text)
    elif text.startswith(f'{prefix}config.'):
      own.append(text.removeprefix(f'{prefix}config.'))
    elif name and text.startswith((f'{prefix}file', f'{prefix}workdir')):
      raise InputError(
        f'--config.{text} replaces a teacher on which the study makes images of other '
        'rows, too; give its file by --files=RECIPE=FILE instead'
      )
  return row_config(study, Row(spec, spec), scale, seed, own, load)


def _change(config: ConfigDict, key: str, value: Any, passing: bool = False) -> None:
  """Sets 'a.b.c'; groups that are not there are made, a None takes a teacher out.

  Raises:
    InputError: a key of a teacher that the row does not have, unless it is passed over.
  """
  *groups, last = key.split('.')
  nodes = [config]
  if (
    len(groups) > 1
    and groups[0] == 'teachers'
    and groups[1] not in ('*', *config.teachers)
  ):
    if passing:
      return
    raise InputError(
      f'the change {key!r} is of a teacher that the row does not have (there: '
      f'{", ".join(config.teachers) or "none"})'
    )
  for group in groups:
    if group == '*':
      nodes = [inner for node in nodes for inner in node.values()]
      continue
    for node in nodes:
      if group not in node:
        node[group] = ConfigDict()
    nodes = [node[group] for node in nodes]
  for node in nodes:
    if value is None and groups == ['teachers']:
      del node[last]
    else:
      node[last] = ConfigDict(dict(value)) if isinstance(value, Mapping) else value


def _fitting(overrides: Sequence[str], config: ConfigDict) -> list[str]:
  """Overrides without those of teachers that a row does not have."""

  def fits(text: str) -> bool:
    parts = configs.split_override(text)[0].split('.')
    return parts[0] != 'teachers' or len(parts) < 2 or parts[1] in config.teachers

  return [text for text in overrides if fits(text)]


def _leave_out_idle(config: ConfigDict) -> None:
  """Takes out teachers that the method never asks: they would be trained for nothing."""
  made = make.method(config)
  asked = {*made.teachers, *made.inner.teachers}
  if 'all' in asked:
    return
  with config.unlocked():
    for name, entry in list(config.teachers.items()):
      if name not in asked and entry.kind not in asked:
        del config.teachers[name]
