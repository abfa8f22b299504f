"""Wrong things handed to an attack or a method: one sentence that shows the way out."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import tiny
import torch
from absl.testing import absltest, parameterized
from cascade_test import digits, linear_digits

from jaxrkd import attacks
from jaxrkd.attacks import ATTACKS, L2, UNFORESEEN, Linf, objectives
from jaxrkd.errors import InputError
from jaxrkd.evaluate import attack_images, results, trust_panel
from jaxrkd.methods import INNERS, METHODS

KEY = jax.random.key(0)
PGD = attacks.pgd(Linf(0.1), steps=4, start='none')


def few():
  images, labels, _ = digits()
  return jnp.asarray(images[:6]), jnp.asarray(labels[:6])


def sigmoid(x):
  """One logit for two classes: whether a digit is large."""
  return linear_digits(x)[:, :1]


class DirectCallTest(parameterized.TestCase):
  """What `attack_images` refuses, a direct call of every attack refuses, too."""

  @parameterized.parameters(
    (
      lambda x, y: dict(labels=y + 100),
      'labels reach from 10. to 10., but .* 10 classes',
    ),
    (lambda x, y: dict(labels=y - 20), 'labels reach from -'),
    (lambda x, y: dict(labels=jax.nn.one_hot(y, 10)), r'labels.argmax\(-1\)'),
    (lambda x, y: dict(labels=y.astype(float)), 'one integer for each'),
    (lambda x, y: dict(labels=y[:3]), r'labels have shape \(3,\)'),
    (lambda x, y: dict(images=(x - 0.5) / 0.25), 'reach from -2 to 2.*logits_fn'),
    (lambda x, y: dict(images=x * 255), '255 where they have 8 bits'),
    (lambda x, y: dict(images=x.at[2, 0, 0].set(jnp.nan)), 'hold NaN, first in image 2'),
    (lambda x, y: dict(images=x.at[2, 0, 0].set(jnp.inf)), 'reach from 0 to inf'),
    (lambda x, y: dict(images=x.astype(int)), 'images are int'),
    (lambda x, y: dict(images=x[0]), r'images\[None\]'),
    (lambda x, y: dict(images=[1, 2]), 'images are'),
    (lambda x, y: dict(images=jnp.zeros((6, 3, 16, 16))), r'channels first.*transpose'),
    (
      lambda x, y: dict(images=torch.zeros(6, 8, 8, 1)),
      r'torch.Tensor; .*images.numpy\(\)',
    ),
    (lambda x, y: dict(labels=y + 0.5), 'these have fractions'),
    (lambda x, y: dict(key=0), r'key is 0; give jax.random.key\(0\)'),
    (lambda x, y: dict(key=jax.random.split(KEY, 3)), r'keys of shape \(3,\)'),
    (
      lambda x, y: dict(logits_fn=sigmoid),
      r'jnp.concatenate\(\[jnp.zeros_like\(z\), z\]',
    ),
    (lambda x, y: dict(logits_fn=lambda x: sigmoid(x)[:, 0]), 'jnp.stack'),
    (
      lambda x, y: dict(logits_fn=lambda x: {'logits': linear_digits(x)}),
      r"\['logits'\]",
    ),
    (lambda x, y: dict(logits_fn=lambda x: (linear_digits(x), 0)), r'f\(x\)\[0\]'),
    (
      lambda x, y: dict(logits_fn=lambda x: linear_digits(x).argmax(-1)),
      'one number for',
    ),
    (lambda x, y: dict(logits_fn=lambda x: linear_digits(x).astype(int)), 'gives int'),
    (lambda x, y: dict(logits_fn=lambda x: x @ jnp.ones((5, 2))), 'logits_fn fails on'),
    (lambda x, y: dict(logits_fn=x, images=linear_digits), 'the order of arguments is'),
    (lambda x, y: dict(key=linear_digits, logits_fn=KEY), 'the order of arguments is'),
  )
  def test_one_sentence(self, change, message):
    images, labels = few()
    given = dict(key=KEY, logits_fn=linear_digits, images=images, labels=labels)
    given |= change(images, labels)
    for attack in (PGD, attacks.square(Linf(0.1), queries=3), UNFORESEEN['fog'](steps=1)):
      with self.assertRaisesRegex(InputError, message):
        attack(given['key'], given['logits_fn'], given['images'], given['labels'])

  def test_what_is_no_mistake(self):
    images, labels = few()
    want = PGD(KEY, linear_digits, images, labels)
    rounded = images.at[0, 0, 0].set(1.0000002).at[0, 0, 1].set(-1e-7)
    found = PGD(KEY, linear_digits, rounded, labels)
    self.assertLessEqual(float(found.max()), 1)
    self.assertGreaterEqual(float(found.min()), 0)
    for key in (jax.random.PRNGKey(0), np.asarray(jax.random.PRNGKey(0))):
      np.testing.assert_array_equal(PGD(key, linear_digits, images, labels), want)
    keys = jax.vmap(jax.random.PRNGKey)(jnp.arange(6))
    self.assertEqual(PGD(keys, linear_digits, images, labels).shape, images.shape)
    numpy = PGD(KEY, linear_digits, np.asarray(images), np.asarray(labels))
    np.testing.assert_array_equal(numpy, want)
    levels = np.round(np.asarray(images) * 255).astype(np.uint8)
    np.testing.assert_allclose(PGD(KEY, linear_digits, levels, labels), want, atol=3e-3)
    inside = jax.jit(lambda x, y: PGD(KEY, linear_digits, x, y))(images, labels)
    np.testing.assert_allclose(inside, want, atol=1e-6)

  def test_searches_check_their_images(self):
    images, labels = few()
    search = attacks.pgd_search(Linf(0.1), steps=4)
    objective = objectives.cross_entropy(linear_digits, labels)
    with self.assertRaisesRegex(InputError, 'reach from'):
      search(KEY, objective, images * 2 - 0.5)
    with self.assertRaisesRegex(InputError, r'search\(key, objective, images\)'):
      search(KEY, images, objective)
    with self.assertRaisesRegex(InputError, 'must give one value for each'):
      search(KEY, lambda x: objective(x).mean(), images)
    with self.assertRaisesRegex(InputError, r'value for each, \[3, '):
      search.together(KEY, lambda x: x.sum((1, 2, 3, 4)), images, 3)

  @parameterized.parameters(
    (0.03, r'the threat set is 0.03.*attacks.Linf\(8 / 255\)'),
    ('linf', "the threat set is 'linf'"),
    (Linf, r'attacks.Linf\(8 / 255\), with its radius'),
    (None, 'the threat set is None'),
  )
  def test_something_else_in_the_place_of_a_threat_set(self, threat, message):
    for factory in (*ATTACKS.values(), *attacks.SEARCHES.values()):
      with self.assertRaisesRegex(InputError, message):
        factory(threat)
    images, labels = few()
    with self.assertRaisesRegex(InputError, message):
      trust_panel(linear_digits, images, labels, threat)

  def test_strict_modes_of_jax(self):
    """No attack leans on a promotion of types or of ranks that JAX can be told to refuse."""
    images, labels = few()
    quick = {
      'square': dict(queries=3),
      'autoattack': dict(steps=3, queries=3),
      **{
        name: dict(steps=3) for name in ('apgd_ce', 'apgd_dlr', 'apgd_t', 'fab', 'fab_t')
      },
    }
    with jax.numpy_dtype_promotion('strict'), jax.numpy_rank_promotion('raise'):
      flat = lambda x: x.reshape(len(x), -1) @ jnp.ones((64, 10)) * x.mean()
      for name in sorted({*ATTACKS} - {'autoattack', 'pgd_sat'}):
        for threat in (Linf(0.1), L2(0.5), attacks.L1(2.0)):
          if not tiny.takes(name, threat):
            continue
          attack = ATTACKS[name](threat, **quick.get(name, {}))
          jax.eval_shape(functools.partial(attack, KEY, flat), images, labels)
      for name in UNFORESEEN:
        attack = UNFORESEEN[name](steps=2)
        jax.eval_shape(functools.partial(attack, KEY, flat), images, labels)
      # The classifier is one's own, and may lean on them.
      with jax.numpy_rank_promotion('allow'):
        found = attack_images(linear_digits, *digits()[:2], ATTACKS['apgd_ce'](Linf(0.1)))
        trust_panel(linear_digits, *digits()[:2], Linf(0.1), count=4, verdicts=found)
      for name in ('adam', 'svgd'):
        search = attacks.SEARCHES[name](Linf(0.1))
        objective = objectives.cross_entropy(flat, labels)
        jax.eval_shape(functools.partial(search, KEY, objective), images)


class EvaluationTest(parameterized.TestCase):
  @parameterized.parameters(
    (8 / 255, 'the attack is 0.03.*autoattack'),
    ('autoattack', "the attack is 'autoattack'"),
    (Linf(0.1), 'a threat set'),
    (attacks.pgd, r'the function pgd; call it first, such as attacks.pgd\(attacks.Linf'),
    (ATTACKS['apgd_dlr'], 'the function apgd; call it first'),
    (UNFORESEEN['fog'], 'the function fog; call it first'),
    (attacks.pgd_search(Linf(0.1)), r'attacks.Attack\(search\)'),
    (lambda x: x, r'it must take \(key, logits_fn, images, labels\)'),
    (np.zeros(3), 'an array of shape'),
  )
  def test_something_else_in_the_place_of_an_attack(self, attack, message):
    images, labels, _ = digits()
    with self.assertRaisesRegex(InputError, message):
      attack_images(linear_digits, images, labels, attack)

  @parameterized.parameters(
    (lambda f, x, y: (x, f, y), 'the order of arguments is attack_images'),
    (lambda f, x, y: ('resnet', x, y), "logits_fn is 'resnet'"),
    (lambda f, x, y: (lambda x: {'z': f(x)}, x, y), r"lambda x: f\(x\)\['z'\]"),
    (lambda f, x, y: (lambda x: f(x)[:, :1], x, y), 'jnp.concatenate'),
    (lambda f, x, y: (lambda x: f(x)[:, 0], x, y), 'jnp.stack'),
    (lambda f, x, y: (f, (x - 0.5) * 4, y), 'put normalisation into logits_fn'),
    (lambda f, x, y: (f, x, np.eye(10)[y]), r'argmax\(-1\)'),
    (lambda f, x, y: (f, x, y + 5), 'labels reach from'),
  )
  def test_arguments(self, change, message):
    images, labels, _ = digits()
    with self.assertRaisesRegex(InputError, message):
      attack_images(*change(linear_digits, images, labels), PGD)

  def test_a_plain_function_is_an_attack(self):
    """PGD written out gives PGD's verdicts, whatever the batch."""
    images, labels, _ = digits()

    def mine(key, logits_fn, x, y):
      noise = jax.random.uniform(key, x.shape, minval=-0.1, maxval=0.1)
      return PGD(key, logits_fn, jnp.clip(x + noise, 0, 1), y)

    found = attack_images(linear_digits, images, labels, mine, batch_size=32)
    again = attack_images(linear_digits, images, labels, mine, batch_size=8)
    np.testing.assert_array_equal(found.robust, again.robust)
    np.testing.assert_array_equal(found.images, again.images)
    self.assertLess(found.robust_accuracy, found.clean_accuracy - 0.3)
    plain = lambda key, f, x, y: PGD(key, f, x, y)
    want = attack_images(linear_digits, images, labels, PGD)
    got = attack_images(linear_digits, images, labels, plain)
    np.testing.assert_array_equal(got.robust, want.robust)

  def test_a_plain_function_on_a_classifier_of_another_framework(self):
    images, labels, weights = digits()

    def forward(x):
      return (np.asarray(x).reshape(len(x), -1) @ weights[:-1] + weights[-1]).astype('f')

    def outside(x):
      shape = jax.ShapeDtypeStruct((len(x), 10), x.dtype)
      return jax.pure_callback(forward, shape, x)

    darker = lambda key, f, x, y: x * 0.5 + 0 * f(x).mean()
    found = attack_images(outside, images, labels, darker)
    want = np.argmax(forward(images * 0.5), -1) == labels
    np.testing.assert_array_equal(found.robust, want & found.clean_correct)

  def test_images_outside_of_the_ball_or_the_box_are_marked(self):
    images, labels, _ = digits()
    for attack, threat in (
      (lambda key, f, x, y: 255 * (1 - x), None),
      (lambda *given: attacks.pgd(Linf(0.3))(*given), Linf(0.01)),
    ):
      found = attack_images(linear_digits, images, labels, attack, threat=threat)
      self.assertEqual(found.robust_accuracy, found.clean_accuracy)
      self.assertEqual(found.stages['attack']['outside'], found.clean_correct.sum())
      text = results.table({'x': results.summarize({'mine': found})})
      self.assertIn('* x, mine: the attack left [0, 1] or the ball on', text)

  @parameterized.parameters(
    (lambda k, f, x, y: None, 'the attack gives None for images'),
    (lambda k, f, x, y: (x, y), 'must return images of the same shape'),
    (lambda k, f, x, y: x[0], 'must return images of the same shape'),
    (lambda k, f, x, y: np.asarray(x), 'use jax.numpy, or jax.pure_callback'),
  )
  def test_functions_that_are_no_attacks(self, attack, message):
    images, labels, _ = digits()
    with self.assertRaisesRegex(InputError, message):
      attack_images(linear_digits, images, labels, attack)

  def test_a_function_with_a_strength_is_an_attack_all_the_same(self):
    images, labels, _ = digits()
    darker = lambda key, f, x, y, strength=0.5: x * strength
    found = attack_images(linear_digits, images, labels, darker)
    self.assertEqual(found.stages['attack']['tried'], found.clean_correct.sum())
    whole = attacks.Cascade((('pgd', PGD), ('darker', darker)))
    both = attack_images(linear_digits, images, labels, whole)
    self.assertLess(both.robust_accuracy, found.robust_accuracy)

  def test_distances_have_a_door(self):
    images, labels = few()
    fab = attacks.fab(Linf(0.1), steps=3)
    with self.assertRaisesRegex(InputError, 'labels reach'):
      attacks.distances(fab, KEY, linear_digits, images, labels + 100)
    with self.assertRaisesRegex(InputError, 'found by minimum-norm attacks alone'):
      attacks.distances(attacks.apgd(Linf(0.1)), KEY, linear_digits, images, labels)

  def test_low_precision_is_told_apart_from_batch_statistics(self):
    """Sums in bfloat16 depend a little on their company; batch statistics a lot."""
    images, labels, weights = digits()

    def coarse(x, scale=2e-3):
      # As XLA does where a batch makes it choose another order of sums.
      z = (x.reshape(len(x), -1) @ weights[:-1] + weights[-1]).astype(jnp.bfloat16)
      return z * (1 + jnp.bfloat16(scale) * len(x)).astype(jnp.bfloat16)

    found = attack_images(lambda x: coarse(x), images, labels, PGD)
    self.assertGreater(found.clean_accuracy, 0.5)
    with self.assertRaisesRegex(InputError, 'rounding in bfloat16.*BatchNorm'):
      attack_images(lambda x: coarse(x, 0.5), images, labels, PGD)
    with self.assertRaisesRegex(InputError, 'BatchNorm'):
      attack_images(lambda x: linear_digits(x - x.mean(0)), images, labels, PGD)


class TeacherTest(parameterized.TestCase):
  def problem(self):
    images, labels = few()
    batch = {'image': images, 'label': labels, 'epoch': jnp.int32(0)}
    student = lambda stats, x: (linear_digits(x), stats)
    return student, batch

  @parameterized.parameters('mtard', 'rslad', 'ard', 'iad_2', 'ckd')
  def test_a_teacher_without_a_temperature(self, name):
    """Divided by the temperature, its logits are those of one that takes it."""
    student, batch = self.problem()
    made = METHODS[name]()
    roles = {*made.teachers, *made.inner.teachers}
    plain = dict.fromkeys(roles, lambda x: 2 * linear_digits(x))
    full = dict.fromkeys(
      roles, lambda x, temperature=1.0: 2 * linear_digits(x) / temperature
    )
    terms = [
      made.terms(student, {}, teachers, batch, batch['image'])[0]
      for teachers in (plain, full)
    ]
    for key, value in terms[0].items():
      np.testing.assert_array_equal(value, terms[1][key])

  @parameterized.parameters(
    ('mtard', {'robust': linear_digits}, "no teacher answers as 'clean'.*'robust'"),
    ('rslad', {}, "no teacher answers as 'robust' .there: none."),
    ('rslad', {'robus': linear_digits}, "did you mean 'robus'"),
    ('rslad', {'robust': (1, 2)}, 'is a tuple; give a function'),
    ('rslad', [linear_digits], 'give a dictionary'),
  )
  def test_mistakes(self, name, teachers, message):
    student, batch = self.problem()
    made = METHODS[name]()
    with self.assertRaisesRegex(InputError, message):
      made.terms(student, {}, teachers, batch, batch['image'])
    problem = INNERS['kl_teacher_clean']()
    if name == 'rslad':
      with self.assertRaisesRegex(InputError, message):
        problem.prepare(teachers, batch)


if __name__ == '__main__':
  absltest.main()
