"""Studies that read recordings or sets of images, and `jaxrkd dynamics` on stored runs."""

import csv
import dataclasses
import json
import pathlib
import re
import subprocess
import sys

import numpy as np
import tiny
from absl.testing import absltest, parameterized

from jaxrkd.errors import InputError
from jaxrkd.evaluate import particle_statistics, trajectories
from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import (
  particle_sets,
  stored_dynamics,
  study,
  study_check,
  study_choice,
  study_pages,
  study_plan,
  study_run,
)

SMALL = {
  'data': tiny.config().data.to_dict(),
  'student': tiny.config().student.to_dict(),
  'epochs': 3,
  'batch_size': 16,
  'schedule': dict(name='cosine', peak=0.1),
  'evaluation.batch_size': 16,
  'select.every': 3,
  'threat.eps': 0.1,
  'evaluation.threat.eps': 0.1,
  'trajectories.attack': dict(name='pgd', steps=2, step_size=0.05),
}
OF_TEACHER = {**SMALL, 'select.metric': 'clean', 'select.split': 'test'}
TEACHER = study.Row('T', 'natural', OF_TEACHER)
TAUGHT_BY = {
  'teachers.robust': configs.teacher(configs.load_spec('natural'), kind='robust'),
  **{f'teachers.robust.config.{key}': value for key, value in OF_TEACHER.items()},
}
STUDENT = study.Row(
  'S',
  'rslad',
  {**SMALL, 'attack.steps': 2, 'attack.step_size': 0.05, **TAUGHT_BY},
  teacher='T',
)
PARTS = ('easiest', 'hardest')


def made(**changes):
  """Two trainings that are recorded, and every quantity of them."""
  recorded = lambda *more: study.Recorded(*more)
  whole = study.Study(
    'P',
    'Figure 1',
    'Which?',
    study.Protocol('P', dict(fgsm={}), dict(split='test'), record=('train', 'test')),
    [TEACHER, STUDENT],
    [
      study.Shown('Clean', 'clean'),
      study.Shown('Entropy', recorded('entropy', 'clean', 'all', 'train')),
      *(
        study.Shown(f'{what} {images} {part}', recorded(what, images, part))
        for what in ('similarity', 'improvement')
        for images in ('clean', 'adversarial')
        for part in PARTS
      ),
    ],
    claims=[
      study.Claim(
        'easy ones differ',
        (
          study.Comparison(
            study.Cell('S', 'improvement clean hardest'),
            study.Cell('S', 'improvement clean easiest'),
          ),
        ),
      )
    ],
    figures=[
      study.Figure(
        'Entropy', 'curves', recorded=(recorded('entropy', 'clean', 'all', 'train'),)
      ),
      study.Figure('Images', 'images', rows=('S',), recorded=(recorded('improvement'),)),
      study.Figure('Both', 'images', recorded=(recorded('probability'),)),
      study.Figure(
        'Gallery',
        'gallery',
        recorded=(recorded('difficulty', 'clean', 'all', 'train'),),
        label=1,
      ),
    ],
    difficulty='T',
  )
  return dataclasses.replace(whole, **changes)


class RecordedStudyTest(parameterized.TestCase):
  def test_cells_are_those_of_a_loop_over_images(self):
    root = tiny.folder(self)
    plan = study_plan.plan(made())
    outcome = study_run.do(plan, root)
    found = study_pages.write('own', 'paper', plan, outcome, root, 'jaxrkd study')
    self.assertEqual(outcome.failed, {})
    runs = {one.wanted.row.key: one.run for one in outcome.measured}
    read = lambda key, split: trajectories.read(
      runs[key] / 'trajectories' / f'{split}.npy'
    )
    teacher, student = read('T', 'test'), read('S', 'test')
    cells = {row['name']: row['cells'] for row in found['rows']}
    count = len(student.label)
    hard = [
      -np.mean([np.log(float(p)) for p in teacher.clean[:, k]]) for k in range(count)
    ]
    order = sorted(range(count), key=lambda k: (hard[k], k))
    ends = {
      'easiest': order[: round(count / 5)],
      'hardest': order[::-1][: round(count / 5)],
    }
    for part, rows in ends.items():
      for images in ('clean', 'adversarial'):
        s, t = getattr(student, images), getattr(teacher, images)
        cosines, gains = [], []
        for k in rows:
          a, b = s[:, k].astype(float), t[:, k].astype(float)
          cosines.append(sum(a * b) / (sum(a * a) * sum(b * b)) ** 0.5)
          gains.append(100 * (a[-1] - b[-1]))
        for what, want in (('similarity', cosines), ('improvement', gains)):
          cell = cells['S'][f'{what} {images} {part}']
          self.assertAlmostEqual(cell['mean'], np.mean(want), places=5)
          self.assertIsNone(cells['T'][f'{what} {images} {part}']['mean'])
    for key in ('T', 'S'):
      self.assertAlmostEqual(
        cells[key]['Entropy']['mean'], read(key, 'train').entropy[-1].mean(), places=5
      )
    # Other images on both sides: as two samples.
    why = found['claims'][0]['found'][0]
    self.assertIn(f'{len(ends["easiest"])} images', why)
    page = (root / 'own-paper' / 'index.html').read_text()
    self.assertEqual(page.count('<svg'), 4)
    self.assertIn('Entropy (nats)', page)
    for name in ('entropy', 'images', 'both', 'gallery'):
      self.assertTrue((root / 'own-paper' / f'{name}.png').is_file(), name)

    with self.subTest('the same from stored runs'):
      self.stored(root, runs, cells)
    with self.subTest('recordings of other images'):
      self.mistakes(root, runs)

  def stored(self, root, runs, cells):
    plan, outcome = stored_dynamics.build(
      {'S': runs['S']}, 'test', teacher=runs['T'], difficulty=None
    )
    self.assertEqual(plan.study.difficulty, 'teacher')
    plan = stored_dynamics.galleries(plan, outcome, 'test', {1: 'car'})
    found = study_pages.leave(plan, outcome, root / 'dynamics', 'jaxrkd dynamics')
    row = found['rows'][0]['cells']
    for what in ('similarity', 'improvement'):
      for images in ('clean', 'adversarial'):
        for part in PARTS:
          self.assertEqual(
            row[f'{what.capitalize()}, {part} {images}']['mean'],
            cells['S'][f'{what} {images} {part}']['mean'],
          )
    page = (root / 'dynamics' / 'index.html').read_text()
    self.assertIn('Class car', page)
    heads = re.findall('<h2>(.*?)</h2>', page)
    self.assertEqual(heads[0], 'Measured')
    self.assertFalse([head for head in heads if 'paper' in head])
    text = stored_dynamics.per_image(plan.study, outcome, 'test')
    command = [sys.executable, '-m', 'jaxrkd', 'dynamics', f'--runs=S={runs["S"]}']
    command += [f'--teacher={runs["T"]}', f'--workdir={root / "command"}']
    subprocess.run(command, check=True, capture_output=True)
    self.assertEqual((root / 'command' / 'images.csv').read_text(), text)
    kept = json.loads((root / 'command' / 'table.json').read_text())
    self.assertEqual(kept['rows'], found['rows'])
    self.assertIn(f'--teacher={runs["T"]}', kept['command'])
    lines = list(csv.DictReader(text.splitlines()))
    self.assertLen(lines, 2 * 24)
    hard = [float(line['difficulty']) for line in lines if line['row'] == 'S']
    self.assertEqual(hard, sorted(hard))
    gains = [float(line['improvement clean']) for line in lines if line['row'] == 'S']
    every = row['Improvement, all clean']['mean']
    self.assertAlmostEqual(np.mean(gains), every, places=3)

  def mistakes(self, root, runs):
    with self.assertRaisesRegex(InputError, 'no recording of the heldout split'):
      stored_dynamics.build({'S': runs['S']}, 'heldout')
    with self.assertRaisesRegex(InputError, 'names one run twice'):
      stored_dynamics.build({'a': runs['S'], 'b': runs['S']}, 'test')
    with self.assertRaisesRegex(InputError, 'is not the workdir of a run'):
      stored_dynamics.build({'a': root}, 'test')
    with self.assertRaisesRegex(InputError, "two runs have the name 'teacher'"):
      stored_dynamics.build({'teacher': runs['S']}, 'test', teacher=runs['T'])
    plan, outcome = stored_dynamics.build({'S': runs['S']}, 'test', teacher=runs['T'])
    said = pathlib.Path(runs['T']) / 'trajectories' / 'test.npy.json'
    text = said.read_text()
    for change, message in (
      (('"eps": 0.1', '"eps": 0.3'), 'differ in the threat'),
      (('"steps": 2', '"steps": 9'), 'differ in the attack'),
      (('"index": [', '"index": [77, '), 'different images'),
    ):
      self.assertIn(change[0], text)
      said.write_text(text.replace(*change))
      with self.assertRaisesRegex(InputError, message):
        stored_dynamics.per_image(plan.study, outcome, 'test')
    said.write_text(text)
    path = pathlib.Path(runs['T']) / 'trajectories' / 'test.npy'
    whole = np.load(path)
    torn = whole.copy()
    torn[-1] = np.nan
    np.save(path, torn)
    with self.assertRaisesRegex(InputError, 'has 2 of 3 epochs'):
      stored_dynamics.per_image(plan.study, outcome, 'test')
    # In a study the other rows keep their numbers.
    plan = study_plan.plan(made(figures=[]))
    outcome = study_run.do(plan, root)
    found = study_pages.write('own', 'paper', plan, outcome, root, 'jaxrkd study')
    self.assertIn('has 2 of 3 epochs', found['failed']['S'])
    self.assertIsNotNone(found['rows'][1]['cells']['Clean']['mean'])
    np.save(path, whole)

  @parameterized.parameters(
    (dict(difficulty=''), 'does not say which row measures'),
    (dict(difficulty='X'), "no row 'X'"),
    (
      dict(protocol=study.Protocol('P', dict(fgsm={}), record=('test',))),
      "recordings of 'train', which its protocol does not make",
    ),
    (
      dict(columns=[study.Shown('x', study.Recorded('loss'))]),
      "a recorded quantity is 'loss'",
    ),
    (
      dict(columns=[study.Shown('x', 'particles:l7')]),
      "a column of particles is 'l7'",
    ),
  )
  def test_mistakes_in_a_study(self, changes, message):
    with self.assertRaisesRegex(InputError, message):
      study_check.check(made(**changes))

  def test_another_teacher_than_its_own(self):
    rows = [
      TEACHER,
      dataclasses.replace(
        STUDENT, changes={**STUDENT.changes, 'teachers.robust.config.epochs': 2}
      ),
    ]
    with self.assertRaisesRegex(InputError, "compared with 'T', which did not teach it"):
      study_plan.plan(made(rows=rows))
    ensemble = dataclasses.replace(STUDENT, changes={**STUDENT.changes, 'members': 2})
    plan = study_plan.plan(made(rows=[TEACHER, ensemble]))
    self.assertIn('is an ensemble of 2', plan.refused['S'])

  def test_rows_that_others_are_read_with_stay(self):
    chosen = study_choice.chosen_rows(made(), 'S')
    self.assertEqual([row.key for row in chosen.rows], ['T', 'S'])


class ParticleStudyTest(absltest.TestCase):
  def test_rows_of_sets(self):
    root = tiny.folder(self)
    changes = {**SMALL, 'select.metric': 'clean', 'epochs': 1}
    whole = made(
      protocol=study.Protocol('P', dict(fgsm={}), dict(split='test')),
      rows=[study.Row(n, 'natural', changes, particles=n) for n in ('PGD', 'SVGD')],
      columns=[
        study.Shown('L1', 'particles:l1'),
        study.Shown('Right', 'particles:accuracy'),
      ],
      claims=[],
      figures=[],
      difficulty='',
    )
    plan = study_plan.plan(whole)
    self.assertLen(plan.trainings, 1)
    outcome = study_run.do(plan, root)
    self.assertEqual(outcome.failed, {})
    found = study_pages.write('own', 'paper', plan, outcome, root, 'x')
    cells = {row['name']: row['cells'] for row in found['rows']}
    run = outcome.measured[0].run
    threat = outcome.measured[0].wanted.evaluation['threat']
    kept = particle_sets.measure(
      run, 'best', 'SVGD', study_run.IMAGES, study_run.PARTICLES, threat
    )
    self.assertLen(kept['l1'], 24)
    self.assertAlmostEqual(cells['SVGD']['L1']['mean'], kept['l1'].mean(), places=5)
    self.assertAlmostEqual(
      cells['SVGD']['Right']['mean'], 100 * kept['accuracy'].mean(), places=5
    )
    self.assertNotEqual(cells['SVGD']['L1']['mean'], cells['PGD']['L1']['mean'])
    self.assertEqual(set(kept), {*particle_statistics.UNITS, 'index'})


if __name__ == '__main__':
  absltest.main()
