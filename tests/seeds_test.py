"""Several seeds trained at once: each as if it were alone, interrupted or not."""

import json
import shutil

import jax
import numpy as np
import tiny
from absl.testing import absltest, parameterized

from jaxrkd import experiment
from jaxrkd.errors import InputError
from jaxrkd.experiment.load import load_trained, read_config
from jaxrkd.experiment.result_names import ending
from jaxrkd.programs import evaluate as remeasure
from jaxrkd.runtime import sharding
from jaxrkd.train.loop import Program


def losses(workdir):
  lines = (workdir / 'metrics.jsonl').read_text().splitlines()
  rows = [json.loads(line) for line in lines]
  return {row['step']: row['loss'] for row in rows if 'loss' in row}


def leaves(workdir, kind='last'):
  found = load_trained(workdir, kind, sharding.data_mesh())
  return jax.tree.leaves((found.state.params, found.state.stats, found.state.opt))


class SeedsTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = tiny.folder(self)

  def train(self, name, **changes):
    config = experiment.resolve(tiny.config('mtard', **changes))
    return experiment.train_and_evaluate(config, self.folder / name)

  @parameterized.parameters('vmap', 'loop')
  def test_each_is_what_it_would_be_alone(self, stacking):
    with jax.enable_x64(True):
      runs = [
        tiny.Run(tiny.config('mtard', seed=s, stacking=stacking, **tiny.AUGMENTED))
        for s in (0, 3)
      ]
      alone = [run.steps(run.setup.init(), 3) for run in runs]
      program = Program([run.setup for run in runs])
      state = program.join([run.setup.init() for run in runs])
      given = runs[0].teachers, runs[0].images, program.order(0)
      rows = []
      for _ in range(3):
        state, scalars = program.step(state, *given)
        rows.append(scalars['loss'])
      for k, own in enumerate(program.split(state)):
        want, losses_alone = alone[k]
        np.testing.assert_allclose(
          [row[k] for row in rows], [row['loss'] for row in losses_alone], rtol=1e-9
        )
        for a, b in zip(
          jax.tree.leaves(own.nets), jax.tree.leaves(want.nets), strict=True
        ):
          np.testing.assert_allclose(a, b, rtol=0, atol=1e-9)
    self.assertNotAlmostEqual(alone[0][1][0]['loss'], alone[1][1][0]['loss'])

  def test_results(self):
    whole = self.train('run', seeds=(0, 3))
    found = [
      json.loads((self.folder / 'run' / 'seeds' / s / 'results.json').read_text())
      for s in ('0', '3')
    ]
    clean = [row['student']['best']['clean'] for row in found]
    self.assertAlmostEqual(whole['student']['best']['mean']['clean'], np.mean(clean))
    self.assertAlmostEqual(whole['student']['best']['sd']['clean'], np.std(clean, ddof=1))
    runs = [self.folder / 'run' / 'seeds' / s for s in ('0', '3')]
    self.assertNotEqual(losses(runs[0]), losses(runs[1]))
    with self.subTest('again: nothing to do'):
      self.assertEqual(self.train('run', seeds=(0, 3)), whole)
    with self.subTest('a seed is a run, all of them are none'):
      load_trained(runs[1], 'best', sharding.data_mesh())
      with self.assertRaisesRegex(InputError, "runs of 2 seeds; .* '.*run/seeds/0'"):
        load_trained(self.folder / 'run', 'best', sharding.data_mesh())

    with self.subTest('measured again, all of them'):
      run, changes = self.folder / 'run', ['evaluation.threat.eps=0.2']
      again = remeasure.remeasure(run, changes, attacks=['fgsm'])
      (path,) = run.glob('results-*.json')
      self.assertEqual(json.loads(path.read_text()), again)
      own = [
        json.loads((place / path.name).read_text())['student']['best'] for place in runs
      ]
      robust = [row['attacks']['fgsm']['robust'] for row in own]
      mean = again['student']['best']['mean']
      self.assertAlmostEqual(mean['attacks']['fgsm']['robust'], np.mean(robust))
      self.assertEqual(mean['clean'], whole['student']['best']['mean']['clean'])
      same = f'teachers.clean.workdir={run / "teachers" / "clean"}'
      config = read_config(run)
      self.assertEqual(ending(experiment.resolve(config, [same]), config, run), '')
      with self.assertRaisesRegex(InputError, "each of which .* '.*run/seeds/0'"):
        remeasure.remeasure(run, ['seed=1'])

  def test_a_seed_that_is_behind(self):
    """Cut off between two checkpoints: all go back, and nothing is different after it."""
    self.train('run', seeds=(0, 1))
    run = self.folder / 'run'
    runs = [run / 'seeds' / seed for seed in ('0', '1')]
    whole = [(losses(own), leaves(own)) for own in runs]
    for folder in (run, *runs):
      (folder / 'results.json').unlink()
    last = runs[1] / 'checkpoints' / 'last'
    shutil.rmtree(max(last.iterdir(), key=lambda path: int(path.name)))
    self.train('run', seeds=(0, 1))
    for own, (before, state) in zip(runs, whole):
      self.assertEqual(losses(own), before)
      for a, b in zip(leaves(own), state, strict=True):
        np.testing.assert_array_equal(a, b)

  @parameterized.parameters(
    (dict(seeds=(0, 0)), 'with one of them twice'),
    (dict(seeds=(0, -1)), 'whole numbers from 0'),
    (dict(seeds=(0, 1), members=2), 'config.members=2 cannot be'),
    (dict(seeds=(0, 1), stream='always'), 'config.stream=always cannot give'),
  )
  def test_mistakes(self, changes, message):
    with self.assertRaisesRegex(InputError, message):
      experiment.resolve(tiny.config('mtard', **changes))


if __name__ == '__main__':
  absltest.main()
