"""Several experiments in one table: shared teachers, every seed, the right numbers."""

import json
import pathlib

import numpy as np
import tiny
from absl.testing import absltest

from jaxrkd import experiment
from jaxrkd.errors import InputError
from jaxrkd.programs import compare

TESTS = pathlib.Path(__file__).parent
CONFIG = """
import sys
sys.path.insert(0, {tests!r})
import tiny
def get_config(arg=''):
  return tiny.config({method!r}, epochs=1)
"""


class CompareTest(absltest.TestCase):
  def test_table(self):
    folder = tiny.folder(self)
    specs = {}
    for method in ('rslad', 'mtard'):
      specs[method] = str(folder / f'{method}.py')
      text = CONFIG.format(tests=str(TESTS), method=method)
      pathlib.Path(specs[method]).write_text(text)
    table = compare.compare(specs, (0, 1), folder / 'runs', ['log_every=1'])
    again = compare.compare(specs, (0, 1), folder / 'runs', ['log_every=1'])
    self.assertEqual(table, again)
    # The clean and the robust teacher have one config here: one training for each seed.
    self.assertLen(list((folder / 'runs/teachers').iterdir()), 2)
    rows = json.loads((folder / 'runs/table.json').read_text())
    self.assertEqual({len(row) for row in rows.values()}, {2})
    lines = table.splitlines()
    self.assertRegex(lines[2], 'teacher clean .natural.')
    cells = next(line for line in lines if line.startswith('| mtard')).split(' | ')
    clean = [
      json.loads((folder / f'runs/mtard/seed{s}/results.json').read_text())['student']
      for s in (0, 1)
    ]
    values = [100 * found['best']['clean'] for found in clean]
    want = f'{np.mean(values):.2f} ± {np.std(values, ddof=1):.2f}'
    self.assertEqual(cells[1], want)
    with self.subTest('the last checkpoint'):
      table = compare.compare(
        specs, (0, 1), folder / 'runs', ['log_every=1'], checkpoint='last'
      )
      line = next(line for line in table.splitlines() if line.startswith('| mtard'))
      last = [100 * found['last']['clean'] for found in clean]
      want = f'{np.mean(last):.2f} ± {np.std(last, ddof=1):.2f}'
      self.assertEqual(line.split(' | ')[1], want)
    with (
      self.subTest('no average'),
      self.assertRaisesRegex(InputError, "checkpoint is ema, but 'rslad' averages no"),
    ):
      compare.compare(specs, (0, 1), folder / 'runs', checkpoint='ema')
    self.assertGreater(float(cells[-1].strip(' |')), 0)

  def test_given_teachers_ensembles_and_teachers_that_differ(self):
    folder = tiny.folder(self)
    given = experiment.resolve(tiny.config('natural', epochs=1))
    experiment.train_and_evaluate(given, folder / 'given')
    text = CONFIG.format(tests=str(TESTS), method='rslad')
    specs = {}
    for name, more in (
      ('own', ''),
      ('given', f'  c.teachers.robust.workdir = {str(folder / "given")!r}\n'),
      ('longer', '  c.teachers.robust.config.epochs = 1\n'),
      ('ensemble', '  c.members = 2\n'),
    ):
      specs[name] = str(folder / f'{name}.py')
      body = text.replace('return ', 'c = ') + more + '  return c\n'
      pathlib.Path(specs[name]).write_text(body)
    compare.compare(specs, (0, 1), folder / 'runs')
    rows = json.loads((folder / 'runs/table.json').read_text())
    teachers = [name for name in rows if name.startswith('teacher robust')]
    self.assertLen(teachers, 3 + 1)  # own (of two seeds), given, longer (of two seeds)
    self.assertGreater(rows['ensemble'][0]['seconds_per_epoch'], 0)
    seeds = [
      json.loads((folder / f'runs/ensemble/seed{s}/members/{m}/config.json').read_text())[
        'seed'
      ]
      for s in (0, 1)
      for m in (0, 1)
    ]
    self.assertEqual(seeds, [0, 1, 2, 3])

  def test_teachers_by_other_names_of_other_epochs_and_from_a_file(self):
    folder = tiny.folder(self)
    text = CONFIG.format(tests=str(TESTS), method='rslad').replace('return ', 'c = ')
    text += '  c.teachers.robust.config.epochs = 2\n'
    experiment.train_and_evaluate(
      experiment.resolve(tiny.config('natural', epochs=1)), folder / 'given'
    )
    file = str(folder / 'given.safetensors')
    experiment.export(folder / 'given', [file])
    specs = {}
    for name, more in (
      ('first', '  c.teachers.robust.epoch = 1\n'),
      ('second', '  c.teachers.robust.epoch = 2\n'),
      ('renamed', '  c.teachers.other = c.teachers.robust\n  del c.teachers.robust\n'),
      ('file', f'  c.teachers.robust.file = {file!r}\n'),
    ):
      specs[name] = str(folder / f'{name}.py')
      pathlib.Path(specs[name]).write_text(text + more + '  return c\n')
    compare.compare(specs, (0,), folder / 'runs')
    self.assertLen(list((folder / 'runs/teachers').iterdir()), 1)
    rows = json.loads((folder / 'runs/table.json').read_text())
    for name in (
      'teacher robust (natural, epoch 1)',
      'teacher robust (natural, epoch 2)',
      'teacher other (natural)',
      'teacher robust (from a file)',
    ):
      self.assertLen(rows[name], 1, name)

  def test_numbers_of_the_table(self):
    rows = [
      {
        'clean': clean,
        'attacks': {'fgsm': {'robust': 0.5, 'weighted': 0.6}, 'pgd_sat': attack},
        'seconds_per_epoch': seconds,
      }
      for clean, attack, seconds in (
        (0.9, {'robust': 0.4, 'weighted': 0.65}, 3.0),
        (0.7, {'robust': 0.2, 'weighted': 0.45}, 1.0),
        (0.8, {'robust': 0.3, 'weighted': 0.55}, 1.5),
      )
    ]
    head, _, last, first = compare.markdown({'x': rows, 'teacher t': rows[:1]}).split(
      '\n'
    )
    self.assertEqual(head, '|  | clean | fgsm | pgd_sat | W fgsm | W pgd_sat | s/epoch |')
    self.assertEqual(last, '| teacher t | 90.00 | 50.00 | 40.00 | 60.00 | 65.00 | 3.00 |')
    self.assertEqual(
      first,
      '| x | 80.00 ± 10.00 | 50.00 ± 0.00 | 30.00 ± 10.00 | 60.00 ± 0.00 | '
      '55.00 ± 10.00 | 1.50 |',
    )

  def test_an_attack_that_did_not_work_is_marked(self):
    rows = [
      {
        'seed': seed,
        'clean': 0.9,
        'attacks': {'fgsm': {'robust': 0.5, 'weighted': 0.7, 'not_finite': broken}},
        'seconds_per_epoch': 1.0,
      }
      for seed, broken in ((0, 0), (1, 3))
    ]
    _, _, line, _, why = compare.markdown({'x': rows}).split('\n')
    self.assertIn('| 50.00 ± 0.00\\* | 70.00 ± 0.00 |', line)
    self.assertStartsWith(why, '\\* x, fgsm, seed 1: gradients or logits were not finite')
    self.assertNotIn('\\*', compare.markdown({'x': rows[:1]}))

  def test_a_mistake_in_the_last_config_costs_no_training(self):
    folder = tiny.folder(self)
    good = folder / 'good.py'
    good.write_text(CONFIG.format(tests=str(TESTS), method='natural'))
    specs = {'good': str(good), 'missing': str(folder / 'missing.py')}
    with self.assertRaisesRegex(InputError, 'no config file'):
      compare.compare(specs, (0,), folder / 'runs')
    self.assertFalse((folder / 'runs').exists())
    specs = {'good': str(good)}
    with self.assertRaisesRegex(InputError, "'good' has seed 5 twice"):
      compare.compare(specs, (0, 1), folder / 'runs', ['seed=5'])
    other = folder / 'other.py'
    other.write_text(
      good.read_text().replace('epochs=1', 'epochs=1, evaluation__attacks=dict(pgd={})')
    )
    with self.assertRaisesRegex(
      InputError, "'good' and 'other' are measured differently"
    ):
      compare.compare({**specs, 'other': str(other)}, (0,), folder / 'runs')
    self.assertFalse((folder / 'runs').exists())
    with self.assertRaisesRegex(InputError, 'nothing to compare'):
      compare.compare({}, (0,), folder / 'runs')


if __name__ == '__main__':
  absltest.main()
