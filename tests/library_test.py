"""What `import jaxrkd` gives: rooms when they are used, runs and test sets in one line."""

import contextlib
import io
import pathlib
import subprocess
import sys

import jax
import numpy as np
import tiny
from absl.testing import absltest, parameterized

import jaxrkd
from jaxrkd import experiment
from jaxrkd.attacks import Linf, pgd
from jaxrkd.data import SOURCES
from jaxrkd.errors import InputError
from jaxrkd.experiment.load import load_trained
from jaxrkd.runtime import sharding

SLOW = ('orbax', 'tensorflow_datasets', 'matplotlib')


class ImportTest(parameterized.TestCase):
  @parameterized.parameters(
    ('import jaxrkd', ('jax', *SLOW)),
    ('import jaxrkd; [getattr(jaxrkd, name) for name in jaxrkd.ROOMS]', SLOW),
  )
  def test_nothing_is_imported_before_it_is_used(self, code, libraries):
    program = f'{code}; import sys; print([n for n in {libraries} if n in sys.modules])'
    command = [sys.executable, '-c', program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    self.assertEqual(done.stdout.strip(), '[]')

  def test_names(self):
    self.assertContainsSubset(jaxrkd.__all__, dir(jaxrkd))
    for name in jaxrkd.__all__:
      self.assertIsNotNone(getattr(jaxrkd, name))
    with self.assertRaisesRegex(AttributeError, "no attribute 'nothing'"):
      _ = jaxrkd.nothing


class LoadRunTest(parameterized.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.folder = pathlib.Path(cls.enterClassContext(tiny.temporary_folder()))
    config = tiny.config('natural', teachers=[])
    experiment.train_and_evaluate(experiment.resolve(config), cls.folder / 'run')

  def test_a_run_and_a_file_are_one_function(self):
    run, file = self.folder / 'run', self.folder / 'student.npz'
    found = jaxrkd.load_run(run)
    mesh = sharding.data_mesh()
    trained = load_trained(run, 'best', mesh, 'float32')
    images = np.random.default_rng(0).random((3, *found.image_shape), np.float32)
    want = trained.net.logits_fn(trained.state.params, trained.state.stats)(images)
    np.testing.assert_array_equal(found(images), want)
    self.assertEqual(want.shape[1], found.classes)
    experiment.export(run, [file], check=False)
    np.testing.assert_allclose(jaxrkd.load_run(file)(images), want, atol=1e-5)
    last = jaxrkd.load_run(run, checkpoint='last')
    self.assertEqual(last.net, found.net)
    # Attacks take it as it is.
    attacked = pgd(Linf(0.1), steps=4)(
      jax.random.key(0), found, images, np.zeros(3, np.int32)
    )
    self.assertEqual(attacked.shape, images.shape)

  def test_mistakes(self):
    for path, options, message in (
      ('nothing', {}, 'nothing'),
      ('run', dict(recipe='trades_wrn_34_10'), 'is a folder; leave it out'),
      ('run', dict(checkpoint='ema'), 'kept no average'),
      ('file.pt', dict(checkpoint='last'), 'leave checkpoint and network out'),
    ):
      with self.assertRaisesRegex(InputError, message):
        jaxrkd.load_run(self.folder / path, **options)


def blank(images):
  """A classifier that says the same of everything."""
  return 0 * images.reshape(len(images), -1)[:, :10] + np.arange(10.0, dtype=np.float32)


class BenchmarkTest(parameterized.TestCase):
  def test_a_named_test_set(self):
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
      found = jaxrkd.evaluate.benchmark(
        *(blank, 'digits', Linf(0.1)), attack=pgd(Linf(0.1), steps=4), count=30
      )
    _, test = SOURCES['digits']()
    want = (test.label[:30] == 9).mean()
    self.assertEqual((found.clean_accuracy, found.robust_accuracy), (want, want))
    self.assertIn('digits test, Linf(0.1), accuracy in %', said.getvalue())
    # A slow machine also shows how far the attack is.
    self.assertIn('trust checks on at most 30 images', said.getvalue())
    self.assertEndsWith(said.getvalue().strip(), found.table)
    status = {c.name: c.status for c in found.panel.checks}
    self.assertEqual(status['zero gradients'], 'fail')
    self.assertIn('The cross-entropy has no gradient', found.table)

  def test_mistakes(self):
    with self.assertRaisesRegex(InputError, "unknown data source 'mnist'"):
      jaxrkd.evaluate.benchmark(blank, 'mnist', Linf(0.1))
    with self.assertRaisesRegex(InputError, 'another|searches'):
      jaxrkd.evaluate.benchmark(blank, 'digits', Linf(0.1), attack=pgd(Linf(0.2)))
    self.assertIn('cifar10', SOURCES)


if __name__ == '__main__':
  absltest.main()
