"""Classifiers without gradients, or with hidden ones: what `attack_images` says of them."""

import contextlib
import io

import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest, parameterized

from jaxrkd.attacks import ATTACKS, Linf
from jaxrkd.errors import InputError
from jaxrkd.evaluate import attack_images
from jaxrkd.interop import from_numpy

RNG = np.random.default_rng(0)
WEIGHTS = RNG.normal(size=(16, 4)).astype(np.float32)
IMAGES = RNG.uniform(0.2, 0.8, (24, 4, 4, 1)).astype(np.float32)
BALL = Linf(0.02)


def plain(x):
  return np.asarray(x).reshape(len(x), -1) @ WEIGHTS


def linear(x):
  return x.reshape(len(x), -1) @ jnp.asarray(WEIGHTS)


LABELS = plain(IMAGES).argmax(-1)


def told(logits_fn, name='pgd_sat', **more):
  with contextlib.redirect_stdout(io.StringIO()) as said:
    found = attack_images(
      logits_fn, IMAGES, LABELS, ATTACKS[name](BALL, **more.pop('options', {})), **more
    )
  return said.getvalue(), found


class HiddenTest(parameterized.TestCase):
  def test_an_honest_classifier_is_not_marked(self):
    self.assertEqual(told(linear)[0], '')

  def test_rounded_logits_are_marked(self):
    text, _ = told(lambda x: jnp.round(10 * linear(x)))
    self.assertIn('the gradient is zero on', text)

  def test_saturated_logits_are_marked_where_the_cross_entropy_is_attacked(self):
    hot = lambda x: 1000 * linear(x)
    text, found = told(hot)
    self.assertIn('the softmax is saturated on', text)
    self.assertNotIn('saturated', told(hot, 'cw_inf')[0])
    # What the mark is about: a margin loss finds more, or as much.
    self.assertLessEqual(told(hot, 'cw_inf')[1].robust_accuracy, found.robust_accuracy)

  def test_images_of_another_network_need_no_gradient_here(self):
    blind = lambda x: jnp.round(10 * linear(x))
    self.assertEqual(told(blind, surrogate=linear)[0], '')

  def test_a_function_of_numpy_arrays(self):
    with self.assertRaisesRegex(InputError, r'from_numpy\(function, classes\)') as caught:
      told(plain)
    self.assertNotIn('\n', str(caught.exception))
    text, found = told(from_numpy(plain, 4), 'square', options=dict(queries=50))
    self.assertIn('the gradient is zero on', text)
    self.assertEqual(found.clean_accuracy, 1)
    self.assertLess(found.robust_accuracy, 1)

  def test_a_callback_of_ones_own(self):
    shape = lambda x: jax.ShapeDtypeStruct((x.shape[0], 4), jnp.float32)
    called = lambda x: jax.pure_callback(plain, shape(x), x)
    self.assertIn('has no gradients', told(called, 'square', options=dict(queries=5))[0])
    with self.assertRaisesRegex(InputError, 'has no gradient, which this attack needs'):
      told(called)

  def test_the_gradient_of_a_function_of_numpy_arrays_is_zero(self):
    slope = jax.grad(lambda x: from_numpy(plain, 4)(x).sum())(jnp.asarray(IMAGES))
    np.testing.assert_array_equal(slope, np.zeros_like(IMAGES))

  def test_classes_of_a_function_of_numpy_arrays(self):
    with self.assertRaisesRegex(InputError, 'classes is 1'):
      from_numpy(plain, 1)


if __name__ == '__main__':
  absltest.main()
