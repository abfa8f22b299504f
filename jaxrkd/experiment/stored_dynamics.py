"""Training dynamics of stored runs: a study of what they recorded, without training."""

import csv
import dataclasses
import io
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxrkd.errors import InputError
from jaxrkd.evaluate import dynamics
from jaxrkd.experiment.load import read_config, teacher_folder
from jaxrkd.experiment.scale import SCALES
from jaxrkd.experiment.study import Figure, Protocol, Recorded, Row, Shown, Study
from jaxrkd.experiment.study_plan import Plan, Wanted
from jaxrkd.experiment.study_recordings import Recordings
from jaxrkd.experiment.study_run import Measured, Outcome
from jaxrkd.experiment.watch import recording_path
from jaxrkd.paths import absolute

ENDS = ('easiest', 'hardest')
MOST_CLASSES = 10


def build(
  runs: Mapping[str, pathlib.Path],
  split: str,
  teacher: pathlib.Path | None = None,
  difficulty: pathlib.Path | None = None,
) -> tuple[Plan, Outcome]:
  """The runs as rows of a study, with all that their recordings can tell.

  Args:
    runs: name -> workdir, with ':network' for one of several.
    split: 'train', 'test' or 'heldout'.
    teacher: workdir of the training that all are compared with; None takes each run's own
      teacher, if it has one that recorded the split.
    difficulty: workdir of the training that says how hard an image is; None takes the
      teacher of the first run, or the first run itself.

  Raises:
    InputError: a folder that is not a run, has not recorded the split, or is named twice.
  """
  found = {name: _place(path) for name, path in runs.items()}
  titles = {path: name for name, path in found.items()}
  if len(titles) < len(found):
    raise InputError('--runs names one run twice; give each once')
  teachers = {
    name: _place(teacher) if teacher else _own_teacher(path[0], split)
    for name, path in found.items()
  }
  if teacher and len(found) == 1 and _place(teacher) in titles:
    raise InputError(
      f'--teacher is {str(teacher)!r}, but --runs has only this run; name the run that '
      'taught it, or leave --teacher out'
    )
  for number, path in enumerate(dict.fromkeys(p for p in teachers.values() if p)):
    titles.setdefault(path, 'teacher' if number == 0 else f'teacher {number + 1}')
  first = next(iter(found))
  hard = _place(difficulty) if difficulty else teachers[first] or found[first]
  titles.setdefault(hard, 'difficulty')
  rows = [
    Row(
      titles[path],
      config='',
      teacher=titles[own] if (own := teachers.get(titles[path])) and own != path else '',
    )
    for path in dict.fromkeys([*found.values(), *filter(None, teachers.values()), hard])
  ]
  places = {title: path for path, title in titles.items()}
  if len(places) < len(titles):
    twice = next(t for t in places if list(titles.values()).count(t) > 1)
    raise InputError(
      f'two runs have the name {twice!r}; write --runs=NAME=PATH with another NAME'
    )
  for title, path in places.items():
    if not recording_path(path[0], split, path[1]).is_file():
      raise InputError(
        f'{title!r}, {str(path[0])!r}, has no recording of the {split} split, and none can be '
        f'added; train it in a new --workdir with --config.trajectories.splits={split}, or as '
        f'a teacher with --config.teachers.NAME.config.trajectories.splits={split}'
      )
  study = _study(rows, split, titles[hard])
  measured = [
    Measured(
      Wanted(row, 0, '', 'last', {}, {}, places[row.name][1]),
      {},
      places[row.name][0],
      places[row.name][0],
    )
    for row in rows
  ]
  plan = Plan(study, SCALES['paper'], {}, [one.wanted for one in measured], {})
  return plan, Outcome(measured, {})


def _place(path: pathlib.Path) -> tuple[pathlib.Path, str]:
  """The folder and network of 'PATH' or 'PATH:network'."""
  folder, _, network = str(path).partition(':')
  read_config(pathlib.Path(folder))
  return absolute(folder), network


def _own_teacher(run: pathlib.Path, split: str) -> tuple[pathlib.Path, str] | None:
  """The one teacher of a run that recorded the split."""
  config = read_config(run)
  there = [
    (absolute(teacher_folder(config, run, name)), entry.get('network', ''))
    for name, entry in config.teachers.items()
  ]
  there = [one for one in there if recording_path(one[0], split, one[1]).is_file()]
  return there[0] if len(there) == 1 else None


def _study(rows: list[Row], split: str, difficulty: str) -> Study:
  compared = any(row.teacher for row in rows)
  whats = ('similarity', 'improvement') if compared else ('probability',)
  quantities = [(what, images) for what in whats for images in dynamics.IMAGES]
  columns = [
    Shown('Entropy', Recorded('entropy', split=split)),
    *(
      Shown(f'{what.capitalize()}, {part} {images}', Recorded(what, images, part, split))
      for what, images in quantities
      for part in ('all', *ENDS)
    ),
  ]
  students = tuple(row.key for row in rows if row.teacher) or tuple(r.key for r in rows)
  epochs = [
    Recorded('entropy', split=split),
    *(Recorded('probability', images, split=split) for images in dynamics.IMAGES),
  ]
  figures = [
    Figure('By epoch', 'curves', recorded=tuple(epochs), caption='Means over all images.')
  ]
  for what in whats:
    figures.append(
      Figure(
        what.capitalize(),
        'images',
        rows=students,
        recorded=tuple(Recorded(what, images, split=split) for images in dynamics.IMAGES),
        caption='By image, easiest first; lines are moving averages over 5 % of them.',
      )
    )
  return Study(
    '',
    'Training dynamics',
    f'How {len(rows)} {"training" if len(rows) == 1 else "trainings"} learned the {split} '
    'images',
    Protocol('', {}, checkpoint='last', record=(split,)),
    rows,
    columns,
    figures=figures,
    difficulty=difficulty,
    deviations=(
      f'Difficulty is the mean cross-entropy of {difficulty!r} over its epochs (AKD, '
      'equation 6); easiest and hardest are a fifth of the images each',
      *(
        (
          'Improvement is the probability of the right class by the student less that by its '
          'teacher, both after their last epoch; similarity is the cosine of both '
          'trajectories',
        )
        if compared
        else ()
      ),
    ),
  )


def galleries(plan: Plan, outcome: Outcome, split: str, names: Mapping[int, str]) -> Plan:
  """The plan with a picture of the easiest and hardest images of each class."""
  study = plan.study
  recorded = Recordings(study, outcome).of(study.difficulty, 0, split)
  assert recorded is not None
  labels = np.unique(recorded.label)[:MOST_CLASSES]
  more = [
    Figure(
      f'Class {names.get(int(label), int(label))}',
      'gallery',
      recorded=(Recorded('difficulty', split=split),),
      label=int(label),
      caption='The easiest and hardest images of this class, the most extreme first.',
    )
    for label in labels
  ]
  return dataclasses.replace(
    plan, study=dataclasses.replace(study, figures=[*study.figures, *more])
  )


def per_image(study: Study, outcome: Outcome, split: str) -> str:
  """One line per image and row, as CSV, easiest first."""
  recordings = Recordings(study, outcome)
  hard = recordings.difficulty(0, split)
  assert hard is not None
  text = io.StringIO()
  writer = csv.writer(text, lineterminator='\n')
  columns = [
    (what, images)
    for what in ('probability', 'similarity', 'improvement')
    for images in dynamics.IMAGES
  ]
  heads = [f'{what} {images}' for what, images in columns]
  writer.writerow(['row', 'place', 'label', 'difficulty', 'entropy', *heads])
  order = dynamics.easiest_first(hard)
  for row in study.rows:
    recorded = recordings.of(row.key, 0, split)
    assert recorded is not None
    recordings.difficulty(0, split, recorded)
    values: list[Any] = [recordings.images(row.key, 0, Recorded('entropy', split=split))]
    values += [
      recordings.images(row.key, 0, Recorded(what, images, split=split))
      for what, images in columns
    ]
    for k in order:
      numbers = ['' if v is None else f'{v.value[k]:.6g}' for v in values]
      about = [row.name, recorded.place[k], recorded.label[k], f'{hard[k]:.6g}']
      writer.writerow([*about, *numbers])
  return text.getvalue()
