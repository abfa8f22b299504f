"""Verdicts belong to a classifier: to its weights, its gradient and what it calls."""

import importlib
import pathlib
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import tiny
from absl.testing import absltest, parameterized
from cascade_test import digits, linear_digits

from jaxrkd import attacks
from jaxrkd.attacks import Linf
from jaxrkd.attacks.code import signature
from jaxrkd.errors import InputError
from jaxrkd.evaluate import attack_images, trust_panel

ATTACK = attacks.pgd(Linf(0.1))


def made(weights, scale=1.0):
  """A classifier that closes over its weights."""
  weights = jnp.asarray(weights)
  return lambda x: scale * (x.reshape(len(x), -1) @ weights[:-1] + weights[-1])


@jax.custom_vjp
def rounded(x):
  return jnp.round(x * 64) / 64


rounded.defvjp(lambda x: (rounded(x), None), lambda _, g: (jnp.zeros_like(g),))


@jax.custom_vjp
def rounded_repaired(x):
  """The same forward pass; backwards as if it were not there (BPDA)."""
  return jnp.round(x * 64) / 64


rounded_repaired.defvjp(lambda x: (rounded_repaired(x), None), lambda _, g: (g,))


def outside(weights, slope):
  """A classifier in another framework, with a backward pass of its own."""

  def forward(x):
    return (np.asarray(x).reshape(len(x), -1) @ weights[:-1] + weights[-1]).astype('f')

  def backward(x, g):
    return (slope * np.asarray(g) @ weights[:-1].T).reshape(x.shape).astype('f')

  @jax.custom_vjp
  def logits_fn(x):
    return jax.pure_callback(forward, jax.ShapeDtypeStruct((len(x), 10), x.dtype), x)

  def pull(x, g):
    return (jax.pure_callback(backward, jax.ShapeDtypeStruct(x.shape, x.dtype), x, g),)

  logits_fn.defvjp(lambda x: (logits_fn(x), x), pull)
  return logits_fn


class RecognisedTest(parameterized.TestCase):
  def judged(self, path, logits_fn, attack=ATTACK, **options):
    """Verdicts, and whether they were computed instead of read."""
    images, labels, _ = digits()
    room = importlib.import_module('jaxrkd.evaluate.attack_images')
    told: list[str] = []
    with (
      mock.patch.object(room, 'measure', wraps=room.measure) as measure,
      mock.patch('jaxrkd.evaluate.verdicts.say', told.append),
    ):
      found = attack_images(logits_fn, images, labels, attack, path=path, **options)
    self.assertEqual(any('; these are read' in text for text in told), not measure.called)
    return found, measure.called

  def path(self) -> pathlib.Path:
    return tiny.folder(self) / 'v.npz'

  def test_the_same_classifier_made_anew_is_read_and_that_is_said(self):
    path, weights = self.path(), digits()[2]
    first, computed = self.judged(path, made(weights))
    self.assertTrue(computed)
    again, computed = self.judged(path, made(weights.copy()))
    self.assertFalse(computed)
    np.testing.assert_array_equal(first.robust, again.robust)

  @parameterized.parameters(1e-5, -1e-5)
  def test_weights_that_moved_a_little(self, step):
    path, weights = self.path(), digits()[2]
    self.judged(path, made(weights))
    self.assertTrue(self.judged(path, made(weights * (1 + step)))[1])
    self.assertTrue(self.judged(path, made(weights, 1 + step))[1])

  def test_another_gradient_under_the_same_answers(self):
    path = self.path()
    masked, _ = self.judged(path, lambda x: linear_digits(rounded(x)))
    found, computed = self.judged(path, lambda x: linear_digits(rounded_repaired(x)))
    self.assertTrue(computed)
    self.assertEqual(masked.clean_accuracy, found.clean_accuracy)
    self.assertGreater(masked.robust_accuracy, found.robust_accuracy + 0.3)

  def test_search_networks_and_surrogates_count(self):
    path, weights = self.path(), digits()[2]
    for name in ('search_logits_fn', 'surrogate'):
      self.judged(path, linear_digits, **{name: made(weights)})
      self.assertFalse(self.judged(path, linear_digits, **{name: made(weights)})[1])
      moved = made(weights * (1 + 1e-5))
      self.assertTrue(self.judged(path, linear_digits, **{name: moved})[1])

  def test_another_framework_is_told_by_its_answers_and_slopes(self):
    path, weights = self.path(), digits()[2]
    self.judged(path, outside(weights, 1.0))
    self.assertFalse(self.judged(path, outside(weights.copy(), 1.0))[1])
    # No gradient at first, a repaired one now.
    self.assertTrue(self.judged(path, outside(weights, 0.0))[1])
    self.assertTrue(self.judged(path, outside(weights, 1.0))[1])
    self.assertTrue(self.judged(path, outside(weights * (1 + 1e-4), 1.0))[1])

  def test_an_attack_of_another_framework_is_told_by_what_it_finds(self):
    path, weights = self.path(), digits()[2]

    def elsewhere(eps):
      def host(x, y):
        away = -weights[:-1][:, y].T.reshape(x.shape)
        return np.clip(x + eps * np.sign(away), 0, 1).astype('f')

      def attack(key, logits_fn, images, labels):
        like = jax.ShapeDtypeStruct(images.shape, images.dtype)
        return jax.pure_callback(host, like, images, labels)

      return attack

    weak, _ = self.judged(path, linear_digits, elsewhere(0.001))
    self.assertFalse(self.judged(path, linear_digits, elsewhere(0.001))[1])
    strong, computed = self.judged(path, linear_digits, elsewhere(0.3))
    self.assertTrue(computed)
    self.assertGreater(weak.robust_accuracy, strong.robust_accuracy + 0.3)

  @parameterized.parameters(False, True)
  def test_weights_that_changed_where_they_lie(self, tiled):
    """Also of a function that is compiled by itself, since it closes over a whole batch."""
    images, labels, weights = digits()
    held = {'weights': jnp.asarray(weights)}

    def logits_fn(x):
      flat = x.reshape(len(x), -1)
      if tiled:
        bias = np.tile(np.asarray(held['weights'])[-1:], (len(x), 1))
        return flat @ np.asarray(held['weights'])[:-1] + bias
      return flat @ held['weights'][:-1] + held['weights'][-1]

    def attack(key, logits_fn, images, labels):
      return images * held['black']

    first = attack_images(logits_fn, images, labels, ATTACK)
    held['weights'] = -held['weights']
    second = attack_images(logits_fn, images, labels, ATTACK)
    self.assertLess(second.clean_accuracy, 0.2)
    self.assertEqual(trust_panel(logits_fn, images, labels, Linf(0.1)).status, 'none')
    held['weights'] = -held['weights']
    third = attack_images(logits_fn, images, labels, ATTACK)
    np.testing.assert_array_equal(first.robust, third.robust)
    robust = []
    for held['black'] in (1.0, 0.0):
      robust.append(attack_images(logits_fn, images, labels, attack).robust_accuracy)
    self.assertEqual(robust[0], first.clean_accuracy)
    self.assertLess(robust[1], 0.2)

  def test_a_file_of_something_else_is_left_alone(self):
    path = self.path()
    np.savez(path, weights=digits()[2])
    with self.assertRaisesRegex(InputError, 'v.npz.* is there and holds no verdicts'):
      self.judged(path, linear_digits)
    self.assertIn('weights', np.load(path))
    path.write_text('a text')
    with self.assertRaisesRegex(InputError, 'holds no verdicts'):
      self.judged(path, linear_digits)

  def test_names_of_programs(self):
    image, weights = digits()[0][:1], digits()[2]
    name, opaque = signature(made(weights), image)
    self.assertFalse(opaque)
    self.assertEqual(name, signature(made(weights), image)[0])
    inside = jax.jit(made(weights))
    deep = signature(lambda x: jax.lax.cond(True, inside, inside, x), image)
    moved = jax.jit(made(weights * (1 + 1e-5)))
    other = signature(lambda x: jax.lax.cond(True, inside, moved, x), image)
    self.assertNotEqual(deep[0], other[0])
    self.assertTrue(signature(outside(weights, 1.0), image)[1])

  def test_a_home_in_the_path(self):
    folder = tiny.folder(self)
    with mock.patch.dict('os.environ', {'HOME': str(folder)}):
      self.judged('~/v.npz', linear_digits)
    self.assertTrue((folder / 'v.npz').is_file())


if __name__ == '__main__':
  absltest.main()
