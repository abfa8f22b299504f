"""Studies: tables of papers as data, planned, done at the smallest scale, read and judged."""

import copy
import csv
import dataclasses
import json
import pathlib
import re
import shutil
from unittest import mock

import numpy as np
import tiny
from absl.testing import absltest, parameterized

from jaxrkd.errors import InputError
from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import (
  scale,
  study,
  study_check,
  study_choice,
  study_config,
  study_files,
  study_pages,
  study_plan,
  study_run,
  study_table,
)
from jaxrkd.programs import study_dry_run

PAGE = pathlib.Path(__file__).parent
PRINTED = configs.SHIPPED / 'studies' / 'printed'
# A study -> numbers of its file that stand in two of its cells, or in none.
TWICE = {'ataka_table4': 72, 'mmard_table6': 9}
# MTARD repeats the clean accuracy under every attack.
REPEATED = {
  'mtard_table2': 36,
  'mtard_table3': 36,
  'mtard_table4': 20,
  'mtard_table5': 20,
}


def resolved(name, key, size='paper'):
  found = study_files.load_study(name)
  return study_config.row_config(found, found.row(key), scale.SCALES[size])


class StudiesTest(parameterized.TestCase):
  """jaxrkd's own, against what the papers print and methods.md transcribes."""

  @parameterized.parameters(*study_files.names())
  def test_every_row_resolves_and_every_printed_number_is_shown(self, name):
    found = study_files.load_study(name)
    for size in scale.SCALES:
      plan = study_plan.plan(found, size)
      self.assertEqual(plan.refused, {}, size)
      if size == 'paper':
        costs = json.loads(study_dry_run.COSTS.read_text(encoding='utf-8'))
        told = 'run benchmarks/study_costs.py'
        self.assertGreater(costs[name].pop('flop'), 0)
        self.assertEqual(costs[name], study_dry_run.cost(plan), told)
      for training in plan.trainings.values():
        for mark in training.teachers.values():
          order = list(plan.trainings)
          self.assertLess(order.index(mark), order.index(training.mark))
    if not found.printed:
      return
    lines = [line for line in study_table.read_printed(found.printed) if line['value']]
    cells = study_table.entries(found, study_run.Outcome([], {}))
    shown = sum(c.paper is not None for row in cells.values() for c in row.values())
    want = len(lines) + TWICE.get(name, 0) - REPEATED.get(name, 0)
    self.assertEqual(shown, want)

  def test_study_of_the_docs(self):
    text = (PAGE.parent / 'docs' / 'studies.md').read_text()
    (block,) = re.findall(r'```python\n(.*?)```', text, re.S)
    file = tiny.folder(self) / 'my_study.py'
    file.write_text(block)
    plan = study_plan.plan(study_files.load_study(str(file)))
    self.assertLen(plan.wanted, 9)
    self.assertEqual(plan.refused, {})

  def test_the_list_has_every_study(self):
    text = study_dry_run.listing()
    for name in study_files.names():
      self.assertIn(f'{name} ', text)

  def test_every_table_has_a_study(self):
    read = {study_files.load_study(name).printed for name in study_files.names()} - {''}
    files = {path.name for path in PRINTED.glob('*.csv')}
    self.assertEqual(files, read)

  def test_what_the_papers_do_differently(self):
    for data, alpha, temperature in (('CIFAR-10', 1, 30), ('CIFAR-100', 1, 30)):
      table = {'CIFAR-10': 'mmard_table3', 'CIFAR-100': 'mmard_table4'}[data]
      config = resolved(table, f'{data}, ResNet-18: ARD')
      self.assertEqual(
        (config.method.alpha, config.method.temperature), (alpha, temperature)
      )
    self.assertEqual(
      resolved('mtard_table2', 'CIFAR-100, ResNet-18: ARD').method.temperature, 5
    )
    # MMARD and AKD have other columns than MTARD.
    columns = resolved('mmard_table3', 'CIFAR-10, ResNet-18: SAT').evaluation.attacks
    self.assertEqual(columns.cw_inf.steps, 20)
    columns = resolved('mtard_table2', 'CIFAR-10, ResNet-18: SAT').evaluation.attacks
    self.assertEqual(columns.cw_inf.steps, 30)
    for name in ('akd_table1', 'akd_table2', 'akd_fig1'):
      self.assertEqual(study_files.load_study(name).protocol.checkpoint, 'last')
    # The robust CIFAR-100 teacher of MTARD has CIFAR-10's constants.
    config = resolved('mtard_table2', 'CIFAR-100, ResNet-18: RSLAD')
    self.assertEqual(config.teachers.robust.config.student.normalisation, 'cifar10')
    config = resolved('mtard_table1', 'CIFAR-100: WRN-70-16')
    self.assertEqual(config.student.normalisation, 'cifar10')
    config = resolved('mmard_table4', 'CIFAR-100, ResNet-18: RSLAD')
    self.assertEqual(config.teachers.robust.config.student.normalisation, 'cifar100')

  def test_early_stopping_and_mixing_of_akd(self):
    # methods.md, 2.12, "Which row each main table uses".
    for key, alpha, epoch in (
      ('CIFAR-10: teacher Std.', 0.5, 20),
      ('CIFAR-10: teacher AT_FFGSM', 0.5, 20),
      ('CIFAR-10: teacher AT_PGD-7', 0.75, 30),
      ('CIFAR-100: teacher Std.', 0.6, 20),
      ('CIFAR-100: teacher AT_FFGSM', 0.5, 20),
      ('CIFAR-100: teacher AT_PGD-7', 0.75, 30),
    ):
      config = resolved('akd_table2', key)
      (teacher,) = config.teachers.values()
      self.assertEqual((config.method.alpha, teacher.epoch), (alpha, epoch), key)
    (teacher,) = resolved('akd_fig1', 'AT teacher, teacher of epoch 35').teachers.values()
    self.assertEqual(teacher.epoch, 35)


class ScaleTest(parameterized.TestCase):
  def test_epochs_keep_their_share(self):
    self.assertEqual(scale.epoch_at(20, 50, 20), 8)
    self.assertEqual(scale.epoch_at(1, 300, 20), 1)
    self.assertEqual(scale.epoch_at(285, 300, 20), 19)
    small = resolved('mtard_table2', 'CIFAR-10, ResNet-18: MTARD', 'small')
    self.assertEqual(small.epochs, 20)
    self.assertEqual(small.schedule.milestones, (14, 17, 19))
    self.assertEqual(small.method.kl_scale, 1.0)
    ard = resolved('mtard_table2', 'CIFAR-10, ResNet-18: ARD', 'small')
    self.assertEqual(ard.method.kl_reduction, 'batch_mean')
    (teacher,) = resolved(
      'akd_table2', 'CIFAR-10: teacher Std.', 'small'
    ).teachers.values()
    self.assertEqual((teacher.epoch, teacher.config.epochs), (8, 20))
    self.assertIn(8, teacher.config.keep_epochs)
    # 0.9 an epoch for 50 is as much in 20.
    self.assertAlmostEqual(teacher.config.schedule.factor**20, 0.9**50)
    iad = resolved('mmard_table3', 'CIFAR-10, ResNet-18: IAD', 'small')
    self.assertEqual(iad.method.begin, 6)  # 60 of 200

  def test_extras_keep_their_share(self):
    config = resolved('mtard_table2', 'CIFAR-10, ResNet-18: MTARD').to_dict()
    config['swa']['start'], config['igdm']['ramp'] = 215, 150
    config['awp']['warmup'] = 30
    config['attack']['ramp'] = 300
    config['augment']['late'] = dict(epoch=215, preset='idbh_weak')
    small = scale.scaled(config, scale.SCALES['small'])
    shares = small['swa']['start'], small['igdm']['ramp'], small['awp']['warmup']
    self.assertEqual(shares, (14, 10, 2))
    self.assertEqual(
      (small['attack']['ramp'], small['augment']['late']['epoch']), (20, 14)
    )

  def test_a_late_recipe_stays_late(self):
    config = resolved('mtard_table2', 'CIFAR-10, ResNet-18: MTARD').to_dict()
    config['augment']['late'] = dict(epoch=3, preset='idbh_weak')
    for epochs, want in ((10, (2, 'idbh_weak')), (1, (0, ''))):
      shorter = copy.deepcopy(config)
      scale.shorten(shorter, epochs)
      late = shorter['augment']['late']
      self.assertEqual((late['epoch'], late['preset']), want)

  def test_paper_changes_nothing(self):
    for key in ('CIFAR-10, ResNet-18: ARD', 'CIFAR-100, ResNet-18: MTARD'):
      config = resolved('mtard_table2', key).to_dict()
      self.assertEqual(scale.scaled(config, scale.SCALES['paper']), config)

  def test_teachers_that_differ_stay_different(self):
    made = study_plan.plan(study_files.load_study('mmard_table5'), 'small')
    robust = {t.config.student.widths for t in made.trainings.values() if not t.teachers}
    self.assertLen(robust, 4)


class PlanTest(parameterized.TestCase):
  def test_teachers_are_shared_and_idle_ones_are_not_trained(self):
    made = study_plan.plan(study_files.load_study('mtard_table2'), only=['CIFAR-10,'])
    teachers = [t for t in made.trainings.values() if t.config.student.name != 'resnet18']
    self.assertLen(teachers, 2)
    (robust,) = (t for t in teachers if t.config.method.name == 'trades')
    self.assertLen(robust.users, 3)
    made = study_plan.plan(study_files.load_study('mtard_fig2'), only=['Baseline'])
    baseline = made.trainings[made.wanted[0].mark]
    self.assertEqual(list(baseline.teachers), ['robust'])

  def test_rows_of_several_names(self):
    whole = study_files.load_study('mtard_table2')
    parts = [study_plan.plan(whole, only=[text]).study for text in ('SAT', 'TRADES')]
    made = study_plan.plan(whole, only=['SAT', 'TRADES'])
    keys = [{row.key for row in study.rows} for study in (*parts, made.study)]
    self.assertEqual(keys[0] | keys[1], keys[2])
    self.assertEmpty(keys[0] & keys[1])
    name = study_pages.folder_name('t', 'paper', made, ['SAT', 'TRADES'])
    self.assertStartsWith(name, 't-paper-SAT-TRADES')

  def test_one_teacher_keeps_every_epoch_that_is_asked_for(self):
    made = study_plan.plan(study_files.load_study('akd_fig1'))
    teachers = [t for t in made.trainings.values() if not t.teachers]
    self.assertLen(teachers, 1)
    self.assertLessEqual(set(range(5, 51, 5)), teachers[0].keep)

  def test_roles_do_not_matter(self):
    # One model and the first of four are one training.
    made = study_plan.plan(study_files.load_study('akd_table4'), only=['CIFAR-10: Std.'])
    self.assertLen([t for t in made.trainings.values() if not t.teachers], 4)

  def test_files_stand_in(self):
    files = {'trades_wrn_34_10': 'model.pt'}
    made = study_plan.plan(
      study_files.load_study('mtard_table2'),
      only=['CIFAR-10,'],
      files=files,
      seeds=[0, 1],
    )
    sources = [t for t in made.trainings.values() if t.source]
    self.assertLen(sources, 1)
    self.assertEqual(sources[0].source.file, str(pathlib.Path('model.pt').absolute()))
    self.assertNotIn(
      'wrn_34_10',
      [t.config.get('student', {}).get('name') for t in made.trainings.values()],
    )
    whole = study_files.load_study('mtard_table2')
    with self.assertRaisesRegex(InputError, 'the study has no such teacher'):
      study_plan.plan(whole, files={'other': 'x'})
    with self.subTest('whatever is done to the data'):
      made = study_plan.plan(
        whole, only=['CIFAR-10,'], files=files, overrides=['data.train_limit=500']
      )
      self.assertLen([t for t in made.trainings.values() if t.source], 1)
    for options in (
      dict(only=['Natural']),
      dict(only=['CIFAR-10,'], overrides=['teachers.robust.config.epochs=3']),
    ):
      with self.assertRaisesRegex(InputError, 'but no row takes it'):
        study_plan.plan(whole, files=files, **options)

  def test_overrides_reach_the_rows_that_have_the_key(self):
    made = study_plan.plan(
      study_files.load_study('mtard_table2'),
      only=['CIFAR-10,'],
      overrides=['teachers.robust.file=model.pt', 'epochs=3'],
    )
    sources = [t for t in made.trainings.values() if t.source]
    self.assertLen(sources, 1)
    self.assertLen(sources[0].users, 3)
    self.assertEqual({made.trainings[w.mark].config.epochs for w in made.wanted}, {3})

  def test_images_of_other_rows_are_made_on_the_teacher_that_taught(self):
    made = study_plan.plan(
      study_files.load_study('mtard_table4'),
      only=['CIFAR-10,'],
      overrides=['teachers.robust.config.epochs=3', 'data.train_limit=500'],
    )
    robust = {mark for one in made.wanted for mark, _ in one.surrogates.values()}
    self.assertLen(robust, 1)
    (mark,) = robust
    self.assertEqual(made.trainings[mark].config.epochs, 3)
    taught = [t for t in made.trainings.values() if mark in t.teachers.values()]
    self.assertLen(taught, 3)  # ARD, RSLAD, MTARD
    with self.assertRaisesRegex(InputError, 'give its file by --files'):
      study_plan.plan(
        study_files.load_study('mtard_table4'),
        only=['CIFAR-10, ResNet-18: SAT'],
        overrides=['teachers.robust.file=x.pt'],
      )

  def test_a_training_is_told_by_the_ball_that_it_is_measured_in(self):
    # Its best checkpoint, its recordings and its particles are of this ball.
    marks = [
      {one.mark for one in study_plan.plan(own(), overrides=more).wanted}
      for more in ((), ('evaluation.threat.eps=0.3',), ('evaluation.images=8',))
    ]
    self.assertEmpty(marks[0] & marks[1])
    self.assertEqual(marks[0], marks[2])

  def test_rows_that_others_need_stay(self):
    cost = study_choice.chosen_rows(study_files.load_study('akd_cost'), 'AT_PGD')
    self.assertEqual([row.key for row in cost.rows], ['Std.', 'AT_PGD-7'])
    self.assertEqual(cost.columns[-1].unit, 'times')
    table = study_choice.chosen_rows(
      study_files.load_study('mmard_table5'), 'RSLAD: Average'
    )
    self.assertIn('RSLAD: ResNet-18', [row.key for row in table.rows])
    self.assertNotIn('ARD: ResNet-18', [row.key for row in table.rows])
    gains = study_choice.chosen_rows(
      study_files.load_study('mmard_table6'), 'inner problem: IAD'
    )
    self.assertIn('own inner problem (Table 3): IAD', [row.key for row in gains.rows])

  @parameterized.parameters(
    (dict(overrides=['seed=5'], seeds=[0, 1, 2]), 'given by --seeds=0,1,2'),
    (dict(overrides=['teachers.robst.config.epochs=1']), "no row has a teacher 'robst'"),
    (dict(seeds=[]), 'no seeds'),
    (dict(seeds=[3, 3]), 'has one twice'),
    (dict(scale='tiny'), "scale is 'tiny'; choose one of paper, small, smoke"),
    (dict(only=['SVM']), "no row has 'SVM' in its name"),
    (dict(only=['SAT', 'SVM']), "no row has 'SVM' in its name"),
    (dict(overrides=['epoch=1']), "unknown config key 'epoch'"),
  )
  def test_mistakes(self, options, message):
    with self.assertRaisesRegex(InputError, message):
      study_plan.plan(study_files.load_study('mtard_table2'), **options)

  @parameterized.parameters(
    (dict(rows=[]), 'no rows'),
    (dict(rows=[study.Row('a', 'sat'), study.Row('a', 'sat')]), "two rows named 'a'"),
    (dict(rows=[study.Row('a')]), 'neither a config nor'),
    (dict(columns=[study.Shown('x', 'pgd')]), "reads 'pgd', which the protocol does not"),
    (dict(rows=[study.Row('a', 'sat', checkpoint='b')]), "shows the checkpoint 'b'"),
    (dict(rows=[study.Row('a', 'sat', baseline='b')]), "no row 'b'"),
    (dict(rows=[study.Row('a', 'sat', mean_of=('a',))]), 'both a config and'),
    (dict(rows=study.Row('a', 'sat')), r'give a list of study.Row\(...\)'),
    (dict(columns=['Clean']), r'give a list of study.Shown\(...\)'),
    (dict(columns=[study.Shown('x', 'seconds', ratio_to='b')]), "no row 'b'"),
    (dict(figures=[study.Figure('F', 'pie', ('Clean',))]), "kind of F is 'pie'"),
    (dict(figures=[study.Figure('F', 'bars', ('Cleen',))]), "draws the column 'Cleen'"),
    (dict(figures=[study.Figure('F', 'bars')]), 'draws no column'),
    (dict(figures=[study.Figure('F', 'gallery')]), 'has 0 recorded quantities'),
    (
      dict(figures=[study.Figure(n, 'bars', ('Clean',)) for n in ('A b', 'a B')]),
      "two figures named 'a_b'",
    ),
    (dict(claims=[study.Claim('c', ())]), "the claim 'c' compares"),
    (dict(printed='nix.csv'), 'is not there'),
    (dict(only=dict(smal={})), "a key of only is 'smal'"),
    (dict(only=dict(small=dict(tst_limit=3))), "is 'tst_limit'"),
    (dict(protocol=study.Protocol('P', dict(fgsm={}), seeds=3)), 'give whole numbers'),
    (dict(protocol=study.Protocol('P', ['fgsm'])), 'give name -> options'),
    (dict(protocol=study.Protocol('P', dict(fgsm={}), record='test')), 'give a tuple'),
    (
      dict(rows=[study.Row('a', 'sat', particles='PGD', epoch=3)]),
      'of the checkpoint alone',
    ),
  )
  def test_mistakes_in_a_study(self, changes, message):
    whole = dict(
      rows=[study.Row('a', 'sat')], columns=[study.Shown('Clean', 'clean')], **{}
    )
    whole['protocol'] = study.Protocol('P', dict(fgsm={}))
    made = study.Study('P', 'T', 'Q?', **{**whole, **changes})
    with self.assertRaisesRegex(InputError, message):
      study_check.check(made)


class DryRunTest(absltest.TestCase):
  def told(self, made):
    lines = []
    with mock.patch.object(study_dry_run, 'say', lines.append):
      try:
        study_dry_run.describe(made)
      except InputError as error:
        return '\n'.join(lines), str(error)
    return '\n'.join(lines), ''

  def test_what_is_trained_for_whom_and_what_it_costs(self):
    traced = []
    real = study_dry_run._traced
    with mock.patch.object(
      study_dry_run, '_traced', lambda *given: traced.append(1) or real(*given)
    ):
      told, error = self.told(study_plan.plan(own(), seeds=[0, 1]))
    self.assertEqual(error, '')
    self.assertLen(traced, 3)  # Natural, the teacher, RSLAD: once for both seeds.
    self.assertIn('2 rows, 2 seeds, 6 trainings', told)
    self.assertRegex(
      told, r'rslad-convnet-\w+: synthetic, seed 1, 8 epochs, .* on one H200'
    )
    self.assertRegex(told, r'for RSLAD\n    taught by natural-convnet-\w+')
    self.assertIn('6 trainings: ', told)

  def test_what_would_fail_is_said_once(self):
    rows = [
      dataclasses.replace(row, changes={**row.changes, 'batch_size': 10**6})
      for row in own().rows[:2]
    ]
    made = study_plan.plan(own(rows=rows, claims=[], figures=[]), seeds=[0, 1])
    told, error = self.told(made)
    self.assertEqual(error.count('batch_size is 1000000'), 1)
    self.assertIn('4 of 6 trainings would fail. Natural, seed 0; ', error)
    self.assertIn('2 trainings: ', told)
    missing = study_plan.plan(
      own(), overrides=['teachers.robust.workdir=/nowhere/run'], only=['RSLAD']
    )
    self.assertIn("'/nowhere/run' is not the workdir of a run", self.told(missing)[1])


def own(**changes):
  """A study of two rows on made-up images, with a figure of each kind and a claim."""
  small = {
    'data': tiny.config().data.to_dict(),
    'student': tiny.config().student.to_dict(),
    'epochs': 8,
    'batch_size': 8,
    'augment.pad': 0,
    'augment.flip': False,
    'schedule': dict(name='cosine', peak=0.03),
    'evaluation.batch_size': 16,
    'select.every': 8,
    'threat.eps': 0.02,
    'evaluation.threat.eps': 0.02,
  }
  teacher = tiny.config(
    'natural', teachers=[], epochs=8, batch_size=8, schedule__peak=0.03, select__every=8
  )
  robust = configs.teacher(teacher, kind='robust')
  rows = [
    study.Row('Natural', 'natural', {**small, 'select.metric': 'clean'}),
    study.Row(
      'RSLAD',
      'rslad',
      {**small, 'teachers.robust': robust, 'log_every': 5, 'method.kl_scale': 1.0},
      at=1.0,
      line='x',
    ),
    study.Row('both', mean_of=('Natural', 'RSLAD')),
  ]
  made = study.Study(
    'Paper',
    'Table <1>',
    'Which?',
    study.Protocol('Paper', dict(fgsm={}, cw_inf={}), dict(split='test')),
    rows,
    [
      study.Shown('Clean', 'clean'),
      study.Shown('FGSM', 'fgsm'),
      study.Shown('W', 'weighted:fgsm'),
      study.Shown('times', 'seconds', ratio_to='Natural'),
    ],
    claims=[
      study.Claim(
        'more than nothing',
        (study.Comparison(study.Cell('RSLAD', 'Clean'), -1.0),),
      )
    ],
    figures=[
      study.Figure('Bars', 'bars', ('Clean', 'FGSM')),
      study.Figure('Sweep', 'sweep', ('Clean',), 'x', ('RSLAD',)),
      study.Figure('Curve', 'curves', ('loss',), 'epoch'),
    ],
  )
  return dataclasses.replace(made, **changes)


class RunTest(parameterized.TestCase):
  def done(self, made, folder):
    plan = study_plan.plan(made)
    outcome = study_run.do(plan, folder)
    return study_pages.write('own', 'paper', plan, outcome, folder, 'jaxrkd study')

  def test_a_study_from_nothing_to_its_page(self):
    folder = tiny.folder(self)
    found = self.done(own(), folder)
    self.assertEqual(found['failed'], {})
    rows = {row['name']: row['cells'] for row in found['rows']}
    for title in ('Clean', 'FGSM', 'W'):
      mean = (rows['Natural'][title]['mean'] + rows['RSLAD'][title]['mean']) / 2
      self.assertAlmostEqual(rows['both'][title]['mean'], mean)
      self.assertAlmostEqual(
        rows['RSLAD']['W']['mean'],
        (rows['RSLAD']['Clean']['mean'] + rows['RSLAD']['FGSM']['mean']) / 2,
      )
    # Nothing here is what it is because all numbers are equal.
    values = [rows[r][t]['mean'] for r in ('Natural', 'RSLAD') for t in ('Clean', 'FGSM')]
    self.assertLen(set(values), 4)
    verdicts = np.load(next((folder / 'runs').glob('natural*/eval*/best/fgsm.npz')))
    self.assertAlmostEqual(values[1], 100 * verdicts['robust'].mean())
    self.assertEqual(rows['Natural']['times']['mean'], 1.0)
    self.assertEqual(found['claims'][0]['verdict'], study_table.HOLDS)
    place = folder / 'own-paper'
    page = (place / 'index.html').read_text()
    self.assertIn('Table &lt;1&gt;', page)
    self.assertIn(
      'Networks of the rows: convnet 4. Networks of teachers: convnet 4.', page
    )
    self.assertIn('Attacked in linf, eps 0.02. FGSM: FGSM, one step. W: the mean', page)
    self.assertEqual(page.count('<svg'), 3)
    self.assertNotIn(
      'http://',
      page.replace('http://www.w3.org', '')
      .replace('http://purl', '')
      .replace('http://creativecommons', ''),
    )
    for name in ('bars', 'sweep', 'curve'):
      for kind in ('svg', 'png'):
        self.assertTrue((place / f'{name}.{kind}').is_file(), name)
    with (place / 'table.csv').open() as lines:
      self.assertLen(list(csv.DictReader(lines)), 12)
    self.assertIn('| RSLAD |', (place / 'table.md').read_text())
    self.assertIn('own-paper/index.html', (folder / 'index.html').read_text())
    self.assertEqual(json.loads((place / 'table.json').read_text()), found)
    # Again: nothing is trained, and everything is the same.
    with mock.patch.object(study_run, 'evaluate_run', side_effect=AssertionError):
      self.assertEqual(self.done(own(), folder), found)

    with self.subTest('another study takes the runs, and measures what it lacks'):
      other = dataclasses.replace(
        own(),
        protocol=study.Protocol(
          'P', dict(pgd_sat=dict(steps=20, step_size=0.01), fgsm={}), dict(split='test')
        ),
      )
      before = set((folder / 'runs').iterdir())
      plan = study_plan.plan(other)
      outcome = study_run.do(plan, folder)
      self.assertEqual(set((folder / 'runs').iterdir()), before)
      self.assertEqual(outcome.failed, {})
      self.assertEqual(set(outcome.measured[0].row['attacks']), {'fgsm', 'pgd_sat'})

    with self.subTest('what was changed is said, on a page of its own'):
      plan = study_plan.plan(own(), overrides=['evaluation.images=8'], only=['Natural'])
      outcome = study_run.do(plan, folder)
      found = study_pages.write(
        'own', 'paper', plan, outcome, folder, 'x', only=['Natural']
      )
      mark = study_pages.folder_name('own', 'paper', plan, ['Natural'])
      self.assertStartsWith(mark, 'own-paper-Natural-')
      page = (folder / mark / 'index.html').read_text()
      self.assertIn('<code>evaluation.images=8</code>', page)
      self.assertIn('on 8 test images', page)
      self.assertEqual(found['images'], [8])
      # Neither figure has all that it draws here.
      self.assertEqual(list((folder / mark).glob('sweep.*')), [])
      self.assertTrue((place / 'sweep.svg').is_file())

    with self.subTest('rows in several balls are told apart'):
      cells = (study.Cell(row, 'FGSM') for row in ('Natural', 'RSLAD'))
      claims = [study.Claim('better', (study.Comparison(*cells),)), *own().claims]
      plan = study_plan.plan(own(claims=claims))
      outcome = study_run.do(plan, folder)
      one, *others = outcome.measured
      smaller = {**one.wanted.evaluation, 'threat': dict(name='linf', eps=0.01)}
      one = one._replace(wanted=one.wanted._replace(evaluation=smaller))
      found = study_pages.write(
        'balls', 'paper', plan, outcome._replace(measured=[one, *others]), folder, 'x'
      )
      note = 'attacked in linf, eps 0.01, other rows in another ball: do not compare them'
      self.assertEqual(found['notes'][note], ['Natural'])
      better, more = found['claims']
      self.assertIn('against RSLAD: attacked in other balls', better['found'][0])
      self.assertEqual(better['verdict'], 'cannot be told')
      self.assertEqual(more['verdict'], 'holds here')
      table = next(folder.glob('balls*/table.md')).read_text()
      self.assertIn(f'- {note} (Natural)', table)
      self.assertIn('attacked in linf, eps 0.02, other rows', table)

    with self.subTest('other data'):
      path = folder / 'data.json'
      whole = json.loads(path.read_text())
      path.write_text(json.dumps(dict.fromkeys(whole, 'changed')))
      with self.assertRaisesRegex(InputError, 'are not those that the runs in'):
        self.done(own(), folder)
      path.write_text(json.dumps(whole))

    with self.subTest('a row that fails takes no other along'):
      rows = list(own().rows)
      rows[1] = dataclasses.replace(
        rows[1], changes={**rows[1].changes, 'batch_size': 10**6}
      )
      found = self.done(own(rows=rows, claims=[], figures=[]), folder)
      self.assertIn('batch_size is 1000000', found['failed']['RSLAD'])
      self.assertIn('Rows that could not be done', (place / 'index.html').read_text())
      cells = {row['name']: row['cells'] for row in found['rows']}
      self.assertIsNotNone(cells['Natural']['Clean']['mean'])
      self.assertIsNone(cells['RSLAD']['Clean']['mean'])
      self.assertIsNone(cells['both']['Clean']['mean'])


class InterruptedTest(absltest.TestCase):
  def done(self, folder):
    plan = study_plan.plan(own())
    outcome = study_run.do(plan, folder)
    return study_pages.write('own', 'paper', plan, outcome, folder, 'jaxrkd study')

  def told(self, found):
    """What a page shows, but for times."""
    rows = [
      {**row, 'cells': {k: v for k, v in row['cells'].items() if k != 'times'}}
      for row in found['rows']
    ]
    runs = [{**run, 'seconds': 0} for run in found['runs']]
    return {**found, 'rows': rows, 'runs': runs}

  def test_interrupted_or_failing_anywhere_it_ends_with_the_same_page(self):
    folder = tiny.folder(self)
    want = self.told(self.done(folder / 'whole'))
    self.assertEqual(want['failed'], {})
    for name in ('train', 'evaluate_run'):
      real = getattr(study_run, name)
      # One call is let through each time, and the next is stopped.
      for error in (KeyboardInterrupt, RuntimeError):
        calls = []

        def stopped(*args, error=error, calls=calls, real=real, **options):
          calls.append(args)
          if len(calls) > 1:
            raise error('stopped here')
          return real(*args, **options)

        with mock.patch.object(study_run, name, stopped):
          if error is KeyboardInterrupt:
            with self.assertRaises(KeyboardInterrupt):
              self.done(folder / f'broken-{name}')
            continue
          found = self.done(folder / f'failed-{name}')
        self.assertIn('RuntimeError: stopped here', found['failed']['RSLAD'])
        self.assertNotIn('Natural', found['failed'])
        cells = {row['name']: row['cells'] for row in found['rows']}
        self.assertIsNotNone(cells['Natural']['Clean']['mean'])
        self.assertIsNone(cells['both']['Clean']['mean'])
      for place in (f'broken-{name}', f'failed-{name}'):
        self.assertEqual(self.told(self.done(folder / place)), want, place)

    with self.subTest('trained by an older version, which had fewer keys'):
      for path in (folder / 'whole/runs').glob('*/config.json'):
        config = json.loads(path.read_text())
        del config['evaluation']['gallery'], config['trajectories'], config['remat']
        path.write_text(json.dumps(config))
      with mock.patch.object(study_run, 'evaluate_run', side_effect=AssertionError):
        self.assertEqual(self.told(self.done(folder / 'whole')), want)

    with self.subTest('moved to another place, with a training left to do'):
      shutil.move(folder / 'whole', folder / 'moved')
      with mock.patch.object(study_run, 'evaluate_run', side_effect=AssertionError):
        self.assertEqual(self.told(self.done(folder / 'moved')), want)
      for run in (folder / 'moved/runs').glob('rslad*'):
        shutil.rmtree(next(run.glob('eval*')))
        next(run.glob('results*.json')).unlink()
      self.assertEqual(self.told(self.done(folder / 'moved')), want)


class JudgeTest(parameterized.TestCase):
  def entry(self, *values):
    return study_table.Entry(dict(enumerate(values)))

  def test_a_number_in_doubt_keeps_its_mark_in_means_and_differences(self):
    rows = [
      study.Row('a', 'sat', baseline='b'),
      study.Row('b', 'sat'),
      study.Row('mean', mean_of=('a', 'b')),
    ]
    columns = [study.Shown('FGSM', 'fgsm'), study.Shown('gain', 'fgsm', relative=True)]
    made = own(rows=rows, columns=columns, claims=[], figures=[])
    measured = []
    for row, bad, value in zip(rows, (0, 3), (0.5, 0.25)):
      column = {'robust': value, 'weighted': value, 'not_finite': bad, 'outside': 0}
      wanted = study_plan.Wanted(row, 0, 'm', 'best', {}, {})
      found = {'clean': 1.0, 'attacks': {'fgsm': column}}
      measured.append(study_run.Measured(wanted, found, pathlib.Path(), pathlib.Path()))
    cells = study_table.entries(made, study_run.Outcome(measured, {}))
    self.assertEqual([cells[r]['FGSM'].star for r in ('a', 'b', 'mean')], ['', '*', '*'])
    self.assertEqual(cells['mean']['FGSM'].mean, 37.5)
    self.assertEqual((cells['a']['gain'].mean, cells['a']['gain'].star), (25.0, '*'))

  @parameterized.parameters(
    ((20, 21, 22), (10, 10, 11), study_table.HOLDS),
    ((10, 10, 11), (20, 21, 22), study_table.FAILS),
    ((10, 12, 11), (11, 11, 11), study_table.UNKNOWN),
    ((), (11, 11, 11), study_table.UNKNOWN),
  )
  def test_verdicts(self, more, less, verdict):
    claim = study.Claim(
      'c', (study.Comparison(study.Cell('a', 'x'), study.Cell('b', 'x')),)
    )
    found = {'a': {'x': self.entry(*more)}, 'b': {'x': self.entry(*less)}}
    made = own(claims=[claim])
    self.assertEqual(study_table.judge(made, found)[0].verdict, verdict)

  def test_gains_are_to_the_baseline(self):
    rows = [study.Row('a', 'sat'), study.Row('b', 'sat', baseline='a')]
    columns = [study.Shown('gain', 'clean', relative=True)]
    made = own(rows=rows, columns=columns, claims=[], figures=[])
    wanted = [study_plan.Wanted(row, 0, 'm', 'best', {}, {}) for row in rows]
    measured = [
      study_run.Measured(
        w, {'clean': value, 'attacks': {'fgsm': {}}}, pathlib.Path(), pathlib.Path()
      )
      for w, value in zip(wanted, (0.5, 0.75))
    ]
    found = study_table.entries(made, study_run.Outcome(measured, {}))
    self.assertIsNone(found['a']['gain'].mean)
    self.assertAlmostEqual(found['b']['gain'].mean, 25)


if __name__ == '__main__':
  absltest.main()
