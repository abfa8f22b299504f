"""Experiment trackers: told what metrics.jsonl holds, and never in the way of a training."""

import contextlib
import io
import json
import types
from unittest import mock

import tiny
from absl.testing import absltest

from jaxrkd import experiment
from jaxrkd.errors import InputError
from jaxrkd.experiment import run
from jaxrkd.runtime import trackers
from jaxrkd.runtime.trackers import Trackers, check_trackers


class Stand:
  """A stand-in for wandb and trackio."""

  def __init__(self, fails=''):
    self.started, self.rows, self.finished, self.fails = [], [], 0, fails

  def module(self):
    return types.SimpleNamespace(init=self.init)

  def init(self, **options):
    if self.fails == 'init':
      raise RuntimeError('no service')
    self.started.append(options)
    return self

  def log(self, values, step):
    if self.fails == 'log':
      raise OSError('full')
    self.rows.append({'step': step, **values})

  def finish(self):
    self.finished += 1


class TrackersTest(absltest.TestCase):
  def with_packages(self, **modules):
    self.enterContext(tiny.modules(**modules))
    self.enterContext(mock.patch.object(trackers, '_installed', modules.__contains__))

  def test_the_numbers_of_the_end(self):
    stand = Stand()
    self.with_packages(wandb=stand.module())
    workdir = tiny.folder(self) / 'mine'
    made = tiny.config('natural', teachers=[], epochs=2, trackers=('wandb',))
    with contextlib.redirect_stdout(io.StringIO()):
      found = run.train_and_evaluate(experiment.resolve(made), workdir)
    # As the same run, at a step that it has not passed.
    first, second = stand.started
    self.assertEqual(first['id'], second['id'])
    told = stand.rows[-1]
    self.assertEqual(told.pop('step'), stand.rows[-2]['step'])
    want = {}
    for version, row in found['student'].items():
      want[f'test_{version}_clean'] = row['clean']
      want[f'test_{version}_worst_case'] = row['worst_case']
      for name, column in row['attacks'].items():
        want[f'test_{version}_{name}'] = column['robust']
    self.assertIn('test_last_worst_case', want)
    self.assertEqual(told, want)
    self.assertEqual(stand.finished, 2)

  def train(self, workdir, **changes):
    made = tiny.config('natural', teachers=[], epochs=2, trackers=('wandb',), **changes)
    made.log_every = 1
    with contextlib.redirect_stdout(io.StringIO()) as printed:
      run.train(experiment.resolve(made), workdir)
    return printed.getvalue()

  def test_a_run(self):
    stand = Stand()
    self.with_packages(wandb=stand.module())
    workdir = tiny.folder(self) / 'project' / 'mine'
    with mock.patch.dict('os.environ', clear=False) as env:
      env.pop('WANDB_MODE', None)
      self.train(workdir)
    (told,) = stand.started
    self.assertEqual((told['project'], told['name']), ('project', 'mine'))
    self.assertEqual((told['mode'], told['resume']), ('offline', 'allow'))
    self.assertEqual(told['config']['method']['name'], 'natural')
    self.assertEqual(told['dir'], str(workdir))
    self.assertEqual(stand.finished, 1)
    lines = [json.loads(x) for x in (workdir / 'metrics.jsonl').read_text().splitlines()]
    self.assertEqual(
      [row['step'] for row in stand.rows], [line['step'] for line in lines]
    )
    self.assertEqual(
      [row.get('loss') for row in stand.rows], [line.get('loss') for line in lines]
    )
    # Another process goes on with the same run.
    again = Trackers(['wandb'], workdir, {})
    again.close()
    self.assertEqual(stand.started[1]['id'], told['id'])

  def test_its_faults_end_nothing(self):
    for fails in ('init', 'log'):
      stand = Stand(fails)
      self.with_packages(wandb=stand.module())
      workdir = tiny.folder(self) / 'run'
      printed = self.train(workdir)
      self.assertEqual(printed.count('note: tracker wandb failed'), 1, printed)
      self.assertTrue((workdir / 'trained.json').is_file())

  def test_values_that_are_no_numbers(self):
    stand = Stand()
    self.with_packages(trackio=stand.module())
    told = Trackers(['trackio'], tiny.folder(self), {})
    told.write(3, {'loss': float('nan'), 'rate': 0.5, 'none': None})
    told.close()
    self.assertEqual(stand.rows, [{'step': 3, 'rate': 0.5}])
    self.assertEqual(stand.finished, 1)

  def test_nothing_unless_asked(self):
    self.enterContext(tiny.modules(wandb=None, trackio=None))
    workdir = tiny.folder(self)
    told = Trackers([], workdir, {})
    told.write(1, {'loss': 1.0})
    told.close()
    Trackers(['wandb'], workdir, {}, enabled=False).close()
    self.assertEqual(list(workdir.iterdir()), [])

  def test_mistakes(self):
    with self.assertRaisesRegex(InputError, "unknown tracker 'wandbb'.*'wandb'"):
      check_trackers(['wandbb'])
    with mock.patch.object(trackers, '_installed', lambda name: False):
      with self.assertRaisesRegex(InputError, 'pip install trackio'):
        check_trackers(['trackio'])
      # What was trained with one is measured without.
      made = tiny.config('natural', teachers=[], trackers=('wandb',))
      self.assertEqual(tuple(experiment.resolve(made, past=True).trackers), ('wandb',))
    self.with_packages(wandb=Stand().module())
    with self.assertRaisesRegex(InputError, 'name each once'):
      check_trackers(['wandb', 'wandb'])

  def test_on_the_command_line(self):
    made = tiny.config('natural', teachers=[])
    for text, want in (('wandb', ('wandb',)), ('wandb,trackio', ('wandb', 'trackio'))):
      found = experiment.resolve(made, [f'trackers={text}'])
      self.assertEqual(tuple(found.trackers), want)


if __name__ == '__main__':
  absltest.main()
