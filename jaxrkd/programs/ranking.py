"""Several teachers in one table: `jaxrkd doctor --rank`."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from jaxrkd import experiment
from jaxrkd.attacks.threat import radius
from jaxrkd.data import SOURCES, Dataset
from jaxrkd.errors import InputError, choose, whole_number
from jaxrkd.evaluate import teacher_checks, teacher_ranking
from jaxrkd.evaluate.confidence import wilson
from jaxrkd.evaluate.robustness import load_split
from jaxrkd.evaluate.task import Subject
from jaxrkd.evaluate.teacher_ranking import Choice, Measured
from jaxrkd.evaluate.verdicts import Verdicts
from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import make, run
from jaxrkd.experiment.load import Trained
from jaxrkd.experiment.scale import shorten
from jaxrkd.interop import RECIPES
from jaxrkd.paths import expanded
from jaxrkd.programs.admission import admit, broken, student_of
from jaxrkd.programs.examination import PGD_COLUMNS, Examination, Examined
from jaxrkd.report import ranking_page
from jaxrkd.runtime import files, sharding
from jaxrkd.runtime.progress import say

# Data that recipes have a word for.
WORDS_FOR_DATA = ('cifar10', 'cifar100', 'digits', 'svhn', 'gtsrb', 'tiny_imagenet')
# Keys of the data that choose a part of them.
PARTS = ('heldout', 'train_limit', 'test_limit')
# Warnings of the doctor about logits that are scaled: entropy then says nothing of images.
SCALED = ('mean entropy', 'calibration error')


def rank_teachers(
  teachers: Sequence[str],
  workdir: str | pathlib.Path,
  *,
  students: Sequence[str] = (),
  short: Sequence[str] = ('sat', 'trades'),
  epochs: int = 10,
  images: int = 1000,
  attacked: int = 200,
  train_images: int = 2000,
  image_shape: Sequence[int] = (),
  overrides: Sequence[str] = (),
  data_dir: str = '',
) -> Choice:
  """Ranks teachers as teachers, prints the table and writes it.

  Args:
    teachers: workdirs of runs or imports, or 'RECIPE=FILE' for files of weights.
    workdir: folder for `ranking.json`, `ranking.html`, `ranking.svg` and short students.
    students: workdirs of robust networks that had no teacher. Empty trains short ones,
      once: another call with the same workdir takes them.
    short: recipes of the short students, such as 'sat:cifar10,mobilenet_v2'; one without an
      argument gets that of the teachers' data, where it has one.
    epochs: of each short student.
    images: test images for accuracy, entropy and calibration; 0 takes all.
    attacked: how many of them are attacked; 0 takes all.
    train_images: training images to look for those that no student withstands; 0 takes all.
    image_shape: (H, W, C) of files' images, where these are not 32 x 32.
    overrides: 'key=value' texts for every teacher's config: data, radius.
    data_dir: where TFDS data lie.

  Raises:
    InputError: teachers or students of different data, measured within different balls, or
      not to be read.
  """
  if len(teachers) < 2:
    raise InputError(f'--teachers names {len(teachers)}; name two or more to rank')
  if not str(workdir):
    raise InputError('no --workdir; name a folder for the table and the short students')
  _check_once(teachers)
  whole_number(epochs, 1, '--epochs')
  workdir = expanded(workdir).resolve()
  examined = {name: _read(name, list(overrides), tuple(image_shape)) for name in teachers}
  first = next(iter(examined.values()))
  _check_alike(examined)
  data = experiment.dataset(first.config, data_dir)
  for name, one in examined.items():
    shape = teacher_checks.check_shape(one.classes, one.image_shape, data)
    weight = broken(one.variables)
    if shape.status == 'fail':
      raise InputError(
        f'{name} knows {shape.value}, and {data.name} has {shape.expected}; leave this '
        'teacher out'
      )
    if weight:
      raise InputError(f'{name}: weight {weight} is no number; leave this teacher out')
  homes = {text: expanded(text) for text in students}
  if not homes:
    homes = _train_short(first, data, workdir, short, epochs, data_dir)
  peers = {name: student_of(home, first) for name, home in homes.items()}
  for name, peer in peers.items():
    _check_student(name, peer.config, first.config)
  found, robust = _measured(examined, peers, data, images, attacked, train_images)
  choice = teacher_ranking.choose(found, robust)
  _tell(choice, found, robust, first, workdir)
  return choice


def _check_once(teachers: Sequence[str]) -> None:
  """Raises `InputError` where two names mean one teacher."""
  places: dict[tuple[str, pathlib.Path], str] = {}
  for name in teachers:
    recipe, path = _parts(name)
    place = (recipe, path.resolve())
    if place in places:
      same = (
        '' if places[place] == name else f' ({places[place]} and {name} are the same)'
      )
      raise InputError(f'--teachers names one twice{same}; name each once')
    places[place] = name


def _parts(name: str) -> tuple[str, pathlib.Path]:
  """'RECIPE=FILE' or a path, as (recipe or '', path)."""
  recipe, equals, file = name.partition('=')
  if equals and not expanded(name).exists():
    choose(RECIPES, recipe, 'recipe', '; jaxrkd convert --list describes them')
    return recipe, expanded(file)
  return '', expanded(name)


def _read(name: str, overrides: list[str], shape: tuple[int, ...]) -> Examined:
  recipe, path = _parts(name)
  return admit(path, recipe, overrides, shape)


def _check_alike(examined: Mapping[str, Examined]) -> None:
  """Raises `InputError` unless all are asked about the same images and the same ball."""
  told = {}
  for name, one in examined.items():
    threat, split = one.config.evaluation.threat.to_dict(), one.config.evaluation.split
    asked = {
      'data': one.config.data.to_dict(),
      'evaluation': dict(threat=threat, split=split),
    }
    told[name] = {key: _plain(value) for key, value in configs.leaves(asked)}
  (first, wanted), *others = told.items()
  for name, own in others:
    for key in ('data.name', 'data.classes'):
      if wanted.get(key) != own.get(key):
        raise InputError(
          f'{first} and {name} know other classes: config.{key} is {wanted.get(key)!r} and '
          f'{own.get(key)!r}; rank teachers of the same classes'
        )
    for key in sorted({*wanted, *own}):
      mine, theirs = wanted.get(key, 'absent'), own.get(key, 'absent')
      if mine != theirs:
        raise InputError(
          f'{first} and {name} are not measured alike: config.{key} is {mine!r} and '
          f'{theirs!r}; give all one value with --config.{key}=VALUE'
        )


def _plain(value: Any) -> Any:
  """Runs keep lists where defaults have tuples."""
  return list(value) if isinstance(value, tuple) else value


def _check_student(name: str, own: ConfigDict, teachers: ConfigDict) -> None:
  """Raises `InputError` unless a student is robust by itself, on the teachers' data."""
  mine, wanted = (
    {
      key: _plain(value)
      for key, value in configs.leaves(config.data.to_dict())
      if key not in PARTS
    }
    for config in (own, teachers)
  )
  if mine != wanted:
    key = next(k for k in {**wanted, **mine} if mine.get(k) != wanted.get(k))
    raise InputError(
      f'the student {name} learnt other data than the teachers: its data.{key} is '
      f'{mine.get(key)!r}, and theirs {wanted.get(key)!r}; name a student of the same data'
    )
  if own.teachers or own.get('online'):
    raise InputError(
      f'the student {name} had teachers; what no student withstands is told by students '
      'without one, such as those of sat or trades'
    )
  if make.method(own).inner.prepare is None:
    raise InputError(
      f'the student {name} learnt from clean images alone, so that it withstands hardly any '
      'attack; name one that is trained to be robust, such as by sat or trades'
    )


def _train_short(
  first: Examined,
  data: Dataset,
  workdir: pathlib.Path,
  short: Sequence[str],
  epochs: int,
  data_dir: str,
) -> dict[str, pathlib.Path]:
  """Trains robust students without a teacher, each for a few epochs."""
  if not short:
    raise InputError('neither --students nor --short names one; name one or more')
  planned = {spec: _short(spec, first, data, epochs) for spec in short}
  homes = {}
  for number, (spec, config) in enumerate(planned.items()):
    homes[spec] = workdir / 'students' / f'{number}-{spec.partition(":")[0]}'
    title = f'short student {spec}'
    run.train_and_evaluate(config, homes[spec], data_dir, title, alone=False)
  return homes


def _short(spec: str, first: Examined, data: Dataset, epochs: int) -> ConfigDict:
  """The config of a short student: a recipe on the teachers' data and within their ball."""
  own = first.config
  name = own.data.name.removeprefix('tfds:')
  others = {*SOURCES, *WORDS_FOR_DATA} - {name}
  if alien := others & {*spec.partition(':')[2].split(',')}:
    raise InputError(
      f'--short={spec} is for {alien.pop()}, and the teachers learnt {name}; short students '
      'learn what the teachers learnt: leave the word out'
    )
  known = name in WORDS_FOR_DATA and ':' not in spec
  given = configs.load_spec(f'{spec}:{name}' if known else spec)
  _check_student(spec, ConfigDict({**given.to_dict(), 'data': own.data.to_dict()}), own)
  given.data = own.data.to_dict()
  # Trained, selected and measured in the ball that the teachers are measured in.
  ball = own.evaluation.threat.to_dict()
  if given.threat.get('eps') != ball['eps'] or given.threat.get('name') != ball['name']:
    given.attack.step_size = None
  given.threat, given.evaluation.threat = dict(ball), dict(ball)
  given.evaluation.split = own.evaluation.split
  if given.select.split == 'heldout' and not own.data.get('heldout'):
    given.select.split = 'test'
  given = ConfigDict(experiment.resolve(given).to_dict())
  shorter = given.to_dict()
  shorten(shorter, epochs)
  given = ConfigDict(shorter)
  given.epochs, given.schedule_len = epochs, 0
  # Falls to its end, however few epochs there are; the rate is the recipe's.
  rate = given.schedule.get('peak', 0.1)
  given.schedule = dict(name='cosine', peak=rate)
  # Only its weights are wanted.
  given.evaluation.attacks = dict(fgsm=dict())
  given.evaluation.trust.images = given.evaluation.gallery.images = 0
  return experiment.resolve(given)


def _measured(
  examined: Mapping[str, Examined],
  peers: Mapping[str, Trained],
  data: Dataset,
  images: int,
  attacked: int,
  train_images: int,
) -> tuple[dict[str, Measured], dict[str, np.ndarray]]:
  """What is found of each teacher, and each student's verdicts on the attacked images."""
  looks = {
    name: Examination(one, data, images, attacked, 0) for name, one in examined.items()
  }
  ask = next(iter(looks.values()))
  train = load_split(data.train, ask.batch, ask.mesh, train_images)
  made: dict[str, Verdicts] = {}
  on_train: list[np.ndarray] = []
  for name, peer in peers.items():
    say(f'student {name}: attacked on {len(train.label)} training images')
    subject = Subject(peer.net, (peer.state.params, peer.state.stats))
    on_train.append(ask.attack(subject, train).robust)
    made[name] = ask.attack(subject, ask.loaded(ask.attacked), keep=True)
  hard = teacher_ranking.beyond_students(on_train)
  # What is made on the most robust one says most about a student of that kind.
  source = max(made, key=lambda name: float(np.mean(made[name].robust)))
  found = {}
  for name, look in looks.items():
    say(f'teacher {name}')
    logits, label = look.clean
    unsure = teacher_checks.entropies(look.answers(train))
    if not (np.isfinite(logits).all() and np.isfinite(unsure).all()):
      raise InputError(
        f'{name} gives values that are not finite numbers; leave this teacher out'
      )
    faults = [
      f'{f.name} ({f.value}; expected {f.expected})'
      for f in look.checks(look.examined.kind)
      if f.status == 'fail' or (f.status == 'warn' and f.name in SCALED)
    ]
    error, lean = teacher_checks.calibration(logits, label)
    tried, fooled = look.fooled_by(made[source])
    found[name] = Measured(
      clean=logits.argmax(-1) == label,
      robust=look.verdicts(),
      entropy=teacher_checks.entropies(logits),
      calibration=error,
      lean=lean,
      hard=unsure[hard],
      easy=unsure[~hard],
      fooled=fooled,
      tried=tried,
      faults=tuple(faults),
      note=look.examined.net.note,
    )
  return found, {name: one.robust for name, one in made.items()}


def _tell(
  choice: Choice,
  found: Mapping[str, Measured],
  students: Mapping[str, np.ndarray],
  first: Examined,
  workdir: pathlib.Path,
) -> None:
  """Prints the table and writes it."""
  threat = first.config.evaluation.threat
  ball = f'{threat.name} eps {radius(threat.eps)}'
  told = dict(
    data=first.config.data.name,
    ball=ball,
    attack=PGD_COLUMNS[0],
    take=choice.take,
    why=choice.why,
    teachers={
      name: {**_row(found[name]), 'excluded': choice.excluded.get(name, '')}
      for name in choice.order
    },
    students={name: _share(robust) for name, robust in students.items()},
  )
  say('\n' + ranking_page.plain(told))
  if not sharding.is_first_process():
    return
  workdir.mkdir(parents=True, exist_ok=True)
  files.write_json(workdir / 'ranking.json', told)
  page, picture = ranking_page.page(told)
  files.write_text(workdir / 'ranking.html', page)
  if picture:
    files.write_text(workdir / 'ranking.svg', picture)
  say(f'written to {workdir / "ranking.html"}')


def _share(right: np.ndarray) -> dict[str, Any]:
  low, high = wilson(int(np.sum(right)), len(right))
  return dict(value=float(np.mean(right)), low=low, high=high, images=len(right))


def _mean(values: np.ndarray) -> dict[str, Any]:
  """A mean with a 95 % interval by the normal distribution; None of no image."""
  if not len(values):
    return dict(value=None, low=None, high=None, images=0)
  middle = float(np.mean(values))
  half = 1.96 * float(np.std(values)) / len(values) ** 0.5
  return dict(value=middle, low=middle - half, high=middle + half, images=len(values))


def _row(found: Measured) -> dict[str, Any]:
  """A teacher's row of `ranking.json`."""
  fooled = np.arange(found.tried) < found.fooled
  transfer = _share(fooled) if found.tried else _mean(np.array([]))
  return dict(
    clean=_share(found.clean),
    robust=_share(found.robust),
    entropy=_mean(found.entropy),
    hard=_mean(found.hard),
    easy=_mean(found.easy),
    calibration=found.calibration,
    lean=found.lean,
    transfer=transfer,
    faults=list(found.faults),
    note=found.note,
  )
