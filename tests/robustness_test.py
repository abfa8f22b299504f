"""Verdicts: right counts, and the same whatever the batch size and device count."""

import json
import re
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import tiny
from absl.testing import absltest, parameterized

from jaxrkd.attacks import ATTACKS, L2, Linf
from jaxrkd.data import SOURCES
from jaxrkd.errors import InputError
from jaxrkd.evaluate import evaluator, results, robustness
from jaxrkd.evaluate.task import Subject
from jaxrkd.evaluate.verdicts import stored
from jaxrkd.experiment import seeds
from jaxrkd.models import Net, conv
from jaxrkd.models.named import named_network, network_options
from jaxrkd.runtime import sharding

ATTACK_NAMES = tuple((name, name) for name in ATTACKS if name != 'autoattack')


def mesh(devices=1):
  return sharding.data_mesh(jax.devices()[:devices])


def linear_net(classes=10):
  """A fixed linear classifier of digits, strong enough to be right often."""
  train, _ = SOURCES['digits']()
  images = train.image.reshape(len(train), -1).astype(np.float64) / 255
  design = np.c_[images, np.ones(len(images))]
  targets = np.eye(classes)[train.label]
  weights = np.linalg.solve(design.T @ design + 10 * np.eye(65), design.T @ targets) * 10
  variables = (
    jnp.asarray(weights[:-1], jnp.float32),
    jnp.asarray(weights[-1], jnp.float32),
  )
  apply = lambda w, b, x: x.reshape(len(x), -1) @ w + b[None]
  return Net(None, apply, None), variables


class PrecisionTest(absltest.TestCase):
  def test_float32_means_all_its_digits_on_every_device(self):
    # What a GPU would round to TF32, and a TPU to bfloat16, says so where it is traced.
    net = named_network(network_options({'name': 'resnet8'}), 4, (8, 8, 1))
    variables = jax.eval_shape(net.init, jax.random.key(0))
    batch = {'index': jnp.arange(2), 'label': jnp.zeros(2, int)}
    batch |= dict.fromkeys(('image', 'clean'), jnp.zeros((2, 8, 8, 1)))
    for on_cpu in (True, False):
      with mock.patch.object(conv, 'on_cpu', lambda flag=on_cpu: flag):
        look = evaluator.evaluator.__wrapped__(net, mesh(), None)
        text = look._ask.lower(variables, jax.random.key(0), batch).as_text()
      products = re.findall(r'stablehlo\.(?:dot_general|convolution).*', text)
      self.assertGreater(len(products), 8)
      for line in products:
        self.assertRegex(line, r'HIGHEST.*HIGHEST')


class InvarianceTest(parameterized.TestCase):
  @parameterized.named_parameters(*ATTACK_NAMES)
  def test_batch_size_and_devices(self, name):
    net, variables = linear_net()
    usual = {} if name == 'fgsm' else {'step_size': 0.02}
    if name == 'targeted_pgd':  # The least likely class is out of reach in this ball.
      usual['target'] = 'most_likely'
    ball = L2(0.7) if name in tiny.L2_ONLY else Linf(0.1)
    attack = ATTACKS[name](ball, **tiny.QUICK.get(name, usual))
    test = SOURCES['digits']()[1].take(np.arange(60))
    found = {}
    # `cascade_test` has more of those that go step by step; each batch is a compilation.
    more = {'fgsm': ((256, 1), (64, 4)), 'pgd_sat': ((1, 1), (256, 1), (8, 2), (64, 4))}
    for batch, devices in ((7, 1), (8, 8), *more.get(name, ())):
      where = mesh(devices)
      loaded = robustness.load_split(test, batch, where)
      found[batch, devices] = robustness.measure(
        Subject(net, variables), loaded, attack, jax.random.key(0), threat=ball
      )
    first = found[7, 1]
    self.assertBetween(first.robust_accuracy, 0.05, first.clean_accuracy - 0.1)
    for verdicts in found.values():
      np.testing.assert_array_equal(verdicts.robust, first.robust)
      np.testing.assert_array_equal(
        verdicts.adversarial_prediction, first.adversarial_prediction
      )
      np.testing.assert_allclose(verdicts.margin, first.margin, rtol=1e-3, atol=1e-4)

  def test_adversarial_images_of_8_bits(self):
    """A step of less than half a level is rounded away; one of whole levels stays."""
    net, variables = linear_net()
    test = SOURCES['digits']()[1].take(np.arange(60))
    loaded = robustness.load_split(test, 16, mesh())
    for eps, start in ((0.4 / 255, 'none'), (40 / 255, 'none')):
      attack = ATTACKS['fgsm'](Linf(eps), start=start)
      found = robustness.measure(
        Subject(net, variables), loaded, attack, jax.random.key(0), keep=True
      )
      broken = found.stage >= 0
      own = np.round(found.images * 255) / 255
      logits = net.apply(*variables, own.astype(np.float32))
      wrong = np.asarray(logits).argmax(-1) != test.label
      np.testing.assert_array_equal(found.eight_bit, broken & wrong)
      if eps < 1 / 255:
        self.assertFalse(found.eight_bit.any())
      else:
        np.testing.assert_array_equal(found.eight_bit, broken)
        self.assertGreater(broken.sum(), 5)

  def test_order_of_images_and_seed(self):
    net, variables = linear_net()
    attack = ATTACKS['pgd_sat'](Linf(0.1), step_size=0.02)
    test = SOURCES['digits']()[1].take(np.arange(40))
    turned = np.random.default_rng(0).permutation(40)
    margins = []
    for split, seed in ((test, 0), (test.take(turned), 0), (test, 1)):
      loaded = robustness.load_split(split, 16, mesh())
      margins.append(
        robustness.measure(
          Subject(net, variables), loaded, attack, jax.random.key(seed)
        ).margin
      )
    np.testing.assert_allclose(margins[0][turned], margins[1], rtol=1e-4, atol=1e-5)
    self.assertGreater(float(np.abs(margins[0] - margins[2]).max()), 1e-4)


class VerdictTest(absltest.TestCase):
  def judged(self, logits, attacked, labels, name='a'):
    """Verdicts of a classifier with these logits before and after an attack."""
    count = len(labels)
    split = tiny_split(labels)

    def apply(attacked, logits, images):
      row = jnp.round(images[:, 1, 1, 0] * 255).astype(int)
      return jnp.where(images[:, :1, 0, 0] > 0.5, attacked[row], logits[row])

    net = Net(None, apply, None)
    attack = ATTACKS['fgsm'](Linf(1.0))
    moved = type(attack)(
      type(attack.search)(lambda k, o, x, c: (x.at[:, 0, 0].set(1.0), c)),
      attack.objective,
    )
    variables = (jnp.asarray(attacked), jnp.asarray(logits))
    loaded = robustness.load_split(split, count, mesh())
    return robustness.measure(
      Subject(net, variables), loaded, moved, jax.random.key(0), name=name
    )

  def test_already_wrong_and_not_a_number_count_as_not_robust(self):
    right, wrong, nan = [2.0, 1.0], [1.0, 2.0], [np.nan, np.nan]
    found = self.judged(
      [right, right, wrong, right], [right, wrong, right, nan], [0, 0, 0, 0]
    )
    np.testing.assert_array_equal(found.clean_correct, [True, True, False, True])
    np.testing.assert_array_equal(found.robust, [True, False, False, False])
    self.assertEqual((found.clean_accuracy, found.robust_accuracy), (0.75, 0.25))
    self.assertEqual(found.weighted, 0.5)
    summary = results.summarize({'a': found})
    self.assertEqual(summary['attacks']['a']['robust'], 0.25)
    self.assertEqual(summary['attacks']['a']['weighted'], 0.5)
    self.assertEqual(summary['images'], 4)

  def test_worst_case_names_the_first_attack_that_broke_an_image(self):
    right, wrong = [2.0, 1.0], [1.0, 2.0]
    clean = [right, right, right, wrong]
    verdicts = {
      'a': self.judged(clean, [right, wrong, right, wrong], [0, 0, 0, 0]),
      'b': self.judged(clean, [right, wrong, wrong, wrong], [0, 0, 0, 0], 'b'),
    }
    worst = results.worst_case(verdicts)
    self.assertEqual(list(worst['winner']), ['', 'a', 'b', 'clean'])
    self.assertEqual(results.summarize(verdicts)['worst_case'], 0.25)
    text = results.table({'net': results.summarize(verdicts)})
    self.assertIn('75.00', text)
    told = results.table({'net': results.summarize(verdicts)}, {'a': 'a, eps 0.1'})
    of_seeds = {'best': {'mean': results.summarize(verdicts)}}
    whole = {'student': of_seeds, 'heads': {'a': 'a, eps 0.1'}}
    self.assertIn('W a, eps 0.1', seeds.table(whole))
    self.assertRegex(told, r'clean +a, eps 0\.1 +b +worst +W a, eps 0\.1 +W b')

  def test_stored_verdicts_are_used_only_for_the_same_settings(self):
    path = tiny.folder(self) / 'a.npz'
    found = self.judged([[2.0, 1.0]], [[1.0, 2.0]], [0])
    calls = []

    def compute(partial):
      del partial
      calls.append(1)
      return found

    for mark in ('x', 'x', 'y'):
      back = stored([path], mark, compute)
      np.testing.assert_array_equal(back.robust, found.robust)
    self.assertLen(calls, 2)
    path.write_bytes(path.read_bytes()[:100])
    stored([path], 'y', compute)
    self.assertLen(calls, 3)

  def test_batch_size_that_devices_do_not_divide(self):
    with self.assertRaisesRegex(
      InputError, 'is 12, which 8 devices do not divide.*8 or 16'
    ):
      robustness.load_split(tiny_split([0, 1]), 12, mesh(8))

  def test_versions_are_json(self):
    self.assertIn('jax', json.loads(json.dumps(results.versions())))


def tiny_split(labels):
  from jaxrkd.data.dataset import make_split

  images = np.zeros((len(labels), 2, 2, 1), np.uint8)
  images[:, 1, 1, 0] = np.arange(len(labels))
  return make_split(images, np.array(labels), 'x')


if __name__ == '__main__':
  absltest.main()
