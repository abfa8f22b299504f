"""Stage k of n, and the time left over all of them."""

import contextlib
import io
import pathlib
import re
import tomllib
from unittest import mock

import numpy as np
import tiny
from absl.testing import absltest, parameterized

from jaxrkd import experiment
from jaxrkd.experiment import config_files, stage_plan
from jaxrkd.runtime import progress, stages
from jaxrkd.runtime.stages import Stage


class StagesTest(parameterized.TestCase):
  def test_time_left_follows_the_work(self):
    made = stages.Stages([Stage('a', lambda: 10.0), Stage('b', lambda: 30.0)])
    self.assertEqual(made.left(0.5, 1.0), 0.0)  # not begun
    made.begin('a')
    self.assertEqual(made.left(0.0, 0.0), 0.0)  # nothing is known
    # Half of 10 in 2 seconds: 35 are left at 2.5 a second.
    self.assertAlmostEqual(made.left(0.5, 2.0), 14.0)
    made.begin('b')
    self.assertAlmostEqual(made.left(0.0, 0.0), 12.0)
    self.assertAlmostEqual(made.left(0.5, 3.0), 3.0)

  def test_what_is_done_already_is_passed_over(self):
    said = io.StringIO()
    names = [Stage(name, lambda: 1.0) for name in 'abca']
    with contextlib.redirect_stdout(said), stages.planned(lambda: names):
      for name in ('b', 'unplanned', 'a'):
        stages.begin(name)
    self.assertEqual(
      said.getvalue().split('\n'), ['', 'stage 2 of 4: b', '', 'stage 4 of 4: a', '']
    )

  def test_a_plan_inside_another_is_not_made(self):
    first, second = (
      lambda: [Stage('a', lambda: 1.0)],
      mock.Mock(side_effect=AssertionError),
    )
    with stages.planned(first), stages.planned(second):
      pass
    self.assertEqual(stages.left(0.5, 1.0), 0.0)

  def test_what_was_done_before_is_neither_left_nor_speed(self):
    plan = lambda: [Stage('a', lambda: 100.0), Stage('b', lambda: 100.0)]
    with stages.planned(plan):
      stages.begin('a')
      # A twentieth in 5 s, after nine tenths: a twentieth and all of b are left.
      self.assertAlmostEqual(stages.left(0.05, 5.0, 0.9), 105.0)

  def test_progress_shows_all_of_it(self):
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
      shown = progress.Progress(
        'student', 10, in_all=lambda share, s, before: 600 * share
      )
      shown.note('best 81.2 % at epoch 3')
      shown.show(5, {'loss': 0.5}, 0.0)
    self.assertIn('best 81.2 % at epoch 3  left 0:0', said.getvalue())
    self.assertIn(', 5:00 in all', said.getvalue())


class PlanTest(parameterized.TestCase):
  def test_stages_are_those_that_run(self):
    made = experiment.resolve(tiny.config('mtard', epochs=1))
    data = experiment.dataset(made)
    planned = [stage.title for stage in stage_plan.stages(made, data)]
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
      experiment.train_and_evaluate(made, tiny.folder(self))
    told = [line for line in said.getvalue().split('\n') if line.startswith('stage ')]
    self.assertLen(planned, 6)
    for number, (title, line) in enumerate(zip(planned, told, strict=True), 1):
      self.assertStartsWith(line, f'stage {number} of 6: {title}')

  def test_work_grows_with_what_is_done(self):
    def work(**changes):
      made = experiment.resolve(tiny.config('rslad', **changes))
      found = stage_plan.stages(made, experiment.dataset(made))
      return np.array([stage.work() for stage in found])

    once, twice = work(), work(epochs=4)
    np.testing.assert_allclose(twice / once, [1, 1, 2, 1])
    self.assertGreater(work(attack=dict(name='pgd', steps=20))[2], 2 * once[2])
    several = [stage.title for stage in self._stages(members=2)]
    self.assertEqual(several[-1], 'measuring student')
    self.assertIn('training student 1', several)
    self.assertIn(
      'measuring student, seed 7', [s.title for s in self._stages(seeds=(5, 7))]
    )

  def test_the_demo_stays_within_minutes(self):
    """Its parts: arithmetic that two cores do in two minutes, and what pip has to fetch."""
    made = experiment.resolve(config_files.load_spec('mtard_digits'))
    found = stage_plan.stages(made, experiment.dataset(made))
    self.assertLess(sum(stage.work() for stage in found), 8e12)
    text = (pathlib.Path(__file__).parents[1] / 'pyproject.toml').read_text()
    needed = tomllib.loads(text)['project']['dependencies']
    names = {re.split(r'[^\w-]', line)[0] for line in needed}
    # Pillow and pyarrow would come with matplotlib and tensorflow-datasets anyway.
    self.assertLessEqual(len(names - {'pillow', 'pyarrow'}), 18)
    self.assertFalse(names & {'torch', 'tensorflow', 'onnx', 'onnxruntime'})

  def _stages(self, **changes):
    made = experiment.resolve(tiny.config('sat', teachers=[], **changes))
    return stage_plan.stages(made, experiment.dataset(made))


if __name__ == '__main__':
  absltest.main()
