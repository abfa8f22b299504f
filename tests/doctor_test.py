"""The teacher doctor: each check on made-up answers, and whole teachers, right and wrong."""

import contextlib
import io
import json
import pathlib

import numpy as np
import tiny
from absl.testing import absltest, parameterized

from jaxrkd import experiment, interop
from jaxrkd.errors import InputError
from jaxrkd.evaluate import teacher_checks as checks
from jaxrkd.programs import doctor


def share(right, count):
  return np.arange(count) < right


class CheckTest(parameterized.TestCase):
  @parameterized.parameters(
    # right of 1000, expected in %, status
    (850, 84.9, 'pass'),
    (850, 88.0, 'pass'),  # within a point of the interval
    (850, 90.0, 'warn'),
    (850, 80.0, 'warn'),
    (850, 97.0, 'fail'),
    (850, None, 'pass'),
    (150, None, 'fail'),
  )
  def test_accuracy(self, right, expected, status):
    found = checks.check_accuracy(
      'clean accuracy', share(right, 1000), expected, floor=20.0, advice='Evaluation.'
    )
    self.assertEqual(found.status, status)
    self.assertEqual(bool(found.advice), status != 'pass')
    self.assertIn(f'{right / 10:.1f} % of 1000', found.value)

  def test_a_lower_bound_is_no_estimate(self):
    at = lambda right: checks.check_accuracy(
      'PGD', share(right, 200), 53.08, floor=10.0, at_least=True, advice='Evaluation.'
    )
    self.assertEqual(
      [at(160).status, at(106).status, at(20).status], ['pass', 'pass', 'fail']
    )

  def test_normalisation(self):
    right = share(400, 500)
    other = {'none': share(150, 500), 'cifar10': share(395, 500)}
    found = checks.check_normalisation(right, other, 'imagenet')
    self.assertEqual((found.status, found.advice), ('pass', ''))
    found = checks.check_normalisation(
      other['none'], {'imagenet': right, **other}, 'none'
    )
    self.assertEqual(found.status, 'fail')
    self.assertIn('With imagenet (or cifar10, which is nearly as good', found.advice)
    # 8 images changed sides, all to one: too many for chance, too few to matter.
    found = checks.check_normalisation(share(992, 1000), {'x': share(1000, 1000)}, 'y')
    self.assertEqual(found.status, 'warn')

  @parameterized.parameters(
    (0.0, 'warn', 'nearly uniform'), (2.0, 'pass', ''), (200.0, 'warn', 'temperature')
  )
  def test_entropy(self, scale, status, advice):
    logits = scale * np.random.default_rng(0).normal(size=(200, 10))
    found = checks.check_entropy(logits)
    p = np.exp(logits - logits.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    by_hand = -np.mean(np.sum(p * np.log(np.maximum(p, 1e-300)), axis=-1))
    self.assertAlmostEqual(found.number, by_hand, places=9)
    self.assertEqual(found.status, status)
    self.assertIn(advice, found.advice)

  def test_calibration_against_a_double_loop(self):
    rng = np.random.default_rng(1)
    logits, label = 3 * rng.normal(size=(300, 5)), rng.integers(0, 5, 300)
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    total = 0.0
    for k in range(15):
      inside = [i for i in range(300) if k / 15 <= p[i].max() < (k + 1) / 15]
      if inside:
        right = np.mean([p[i].argmax() == label[i] for i in inside])
        total += len(inside) / 300 * abs(right - np.mean([p[i].max() for i in inside]))
    found = checks.check_calibration(logits, label)
    self.assertAlmostEqual(found.number, total, places=9)
    self.assertIn('overconfident', found.value)
    self.assertEqual(found.status, 'warn')

  def test_transfer(self):
    at = lambda fooled: checks.check_transfer(100, fooled).status
    self.assertEqual([at(30), at(65), at(90)], ['pass', 'warn', 'fail'])
    self.assertEqual(checks.check_transfer(0, 0).status, 'skip')

  def test_table_and_verdict(self):
    found = [
      checks.check_weights(''),
      checks.check_steady(0.5),
      checks.check_gradients(0.2),
      checks.Finding('x', 'skip', '', ''),
    ]
    self.assertEqual(checks.verdict(found), 'fail')
    lines = checks.table(found).splitlines()
    self.assertLen(lines, 7)
    self.assertTrue(lines[-2].startswith('fail: repeated answers. '))
    self.assertEqual(checks.verdict(found[:1]), 'pass')


class DoctorTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.folder = pathlib.Path(cls.enterClassContext(tiny.temporary_folder()))
    config = tiny.config('natural', teachers=[], epochs=12, batch_size=64)
    config.schedule = dict(name='cosine', peak=0.3)
    config.data = dict(name='digits', heldout=200)
    # Trained on images in [-1, 1].
    config.student = dict(
      name='convnet', widths=(8, 16), strides=(1, 2), mean=(0.5,), std=(0.5,)
    )
    config.select = dict(metric='clean', every=12)
    config.evaluation.batch_size = 64
    config.evaluation.attacks = dict(fgsm=dict())
    config.evaluation.threat.eps = 0.05
    with contextlib.redirect_stdout(io.StringIO()):
      experiment.train_and_evaluate(experiment.resolve(config), cls.folder / 'run')
      experiment.export(cls.folder / 'run', [cls.folder / 't.npz', cls.folder / 't.pt'])

  def examine(self, teacher, **options):
    with contextlib.redirect_stdout(io.StringIO()) as out:
      found = doctor.examine(teacher, seconds=0, attacked=60, **options)
    self.assertIn(f'teacher: {checks.verdict(found)}', out.getvalue())
    return {finding.name: finding for finding in found}

  def test_a_right_teacher(self):
    run = self.folder / 'run'
    found = self.examine(run, student=run)
    self.assertEqual(found['input normalisation'].status, 'pass')
    self.assertEqual(found['clean accuracy'].status, 'pass')
    own = json.loads((run / 'results.json').read_text())['student']['best']['clean']
    self.assertAlmostEqual(found['clean accuracy'].number, 100 * own)
    # It is its own student: whatever fools one fools the other.
    self.assertEqual(found['transfer from the student'].number, 1.0)
    self.assertEqual(found['transfer from the student'].status, 'fail')
    kept = json.loads((run / 'doctor.json').read_text())
    self.assertEqual([row['name'] for row in kept], list(found))

  def test_a_file_with_the_wrong_constants(self):
    state = interop.read_network(self.folder / 't.pt')
    self.assertEqual(tuple(state.node['std']), (0.5,))
    found = self.examine(
      self.folder / 't.pt', overrides=['student.mean=0,', 'student.std=1,']
    )
    self.assertEqual(found['input normalisation'].status, 'fail')
    self.assertIn('With half', found['input normalisation'].advice)
    self.assertNotEqual(found['clean accuracy'].status, 'pass')  # its card knows better

  def test_a_file_as_it_is(self):
    found = self.examine(self.folder / 't.pt', kind='clean')
    self.assertEqual(found['input normalisation'].status, 'pass')
    self.assertEqual(found['clean accuracy'].status, 'pass')
    self.assertIn('%', found['clean accuracy'].expected)

  def test_weights_that_are_no_numbers_and_other_classes(self):
    images = experiment.dataset(experiment.resolve(tiny.config('natural', teachers=[])))
    self.assertEqual(checks.check_shape(3, (8, 8, 1), images).status, 'pass')
    self.assertEqual(checks.check_shape(10, (8, 8, 1), images).status, 'fail')
    self.assertEqual(checks.check_shape(3, (32, 32, 3), images).status, 'fail')
    self.assertEqual(checks.check_weights('conv1/kernel').status, 'fail')

  def test_another_data_set_ends_at_once(self):
    found = self.examine(
      self.folder / 'run',
      overrides=['data.name=synthetic', 'data.classes=3', 'data.heldout=10'],
    )
    self.assertEqual(list(found), ['classes and images', 'weights'])
    self.assertEqual(found['classes and images'].status, 'fail')

  def test_mistakes(self):
    with self.assertRaisesRegex(InputError, 'does not exist'):
      doctor.examine(self.folder / 'nothing.pt')
    with self.assertRaisesRegex(InputError, 'is for a file of weights'):
      doctor.examine(self.folder / 'run', recipe='trades_wrn_34_10')


if __name__ == '__main__':
  absltest.main()
