"""What `--dry_run` predicts: whether a step fits, and what would."""

import contextlib
import io
from unittest import mock

import jax
import jax.numpy as jnp
import tiny
from absl.testing import absltest

from jaxrkd import experiment
from jaxrkd.programs import predict
from jaxrkd.programs.plan import dry_run


class PredictTest(absltest.TestCase):
  def test_memory_of_a_program(self):
    step = jax.jit(lambda x, y: (x + y, jnp.sum(x)), donate_argnums=0)
    given = jnp.zeros(1000), jnp.zeros(1000)
    memory = predict.memory_of(step.lower(*given).compile())
    self.assertEqual(memory.arguments, 8000)
    self.assertLess(memory.results, 200)  # the sum and a table; the rest was given
    self.assertEqual(memory.total, sum(memory))

  def test_parts(self):
    self.assertEqual(list(predict.smaller_parts(96, 1)), [48, 24, 12, 6, 3])
    self.assertEqual(list(predict.smaller_parts(96, 8)), [48, 24])
    self.assertEqual(list(predict.smaller_parts(9, 1)), [])

  def test_the_largest_that_fits(self):
    asked = []

    def compile_with(size, remat):
      asked.append((size, remat))
      return predict.Memory(100, (10 if remat else 20) * size, 0)

    find = lambda limit: predict.first_that_fits(compile_with, [8, 4, 2], limit)
    self.assertEqual(find(250)[:2], (4, False))
    self.assertEqual(asked, [(8, False), (4, False)])
    self.assertEqual(find(140)[:2], (2, True))
    self.assertIsNone(find(120))

  def test_matrix_rate(self):
    self.assertGreater(predict.matrix_rate('float32'), 1e8)


class DryRunTest(absltest.TestCase):
  def said(self, limit, **changes):
    student = dict(name='convnet', widths=(4, 8), strides=(1, 2))
    made = tiny.config('mmard', batch_size=32, student=student, **changes)
    config = experiment.resolve(made)
    patched = mock.patch.object(predict, 'device_limit', lambda: limit)
    with patched, contextlib.redirect_stdout(io.StringIO()) as out:
      found = dry_run(config)
    return found, out.getvalue()

  def test_it_fits(self):
    found, text = self.said(2**33)
    self.assertIn('it fits with 32 images at once', text)
    self.assertIn('loss', found)
    self.assertRegex(text, r'arithmetic: [\d.]+ GFLOP per image')
    self.assertRegex(text, 'one step: .* % of that rate|one step: .*%')

  def test_it_does_not_fit(self):
    found, text = self.said(2**16)
    self.assertEqual(found, {})  # nothing was run
    self.assertIn('trying micro_batch=16 ...', text)
    self.assertRegex(text, 'nothing fits|it fits with --config.micro_batch=')
    self.assertIn('would take at least', text)


if __name__ == '__main__':
  absltest.main()
