"""Value and gradient of each method against numpy that was written from the formulas.

The student is linear, z = x W, so that numpy can do everything; gradients with respect to
W are compared with central differences of the numpy loss, in float64. What a method
detaches, the numpy loss takes from a second, fixed copy of the student.
"""

import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest, parameterized
from method_world import B, C, World, kl, slope

from jaxrkd.errors import InputError
from jaxrkd.methods import INNERS, METHODS


def ckd(v, w, fixed, alpha=0.5, t=1.0, scale=1.0):
  del fixed
  matched = kl(v.probs(v.robust, v.x_adv, t), v.probs(w, v.x_adv, t))
  label = v.ce(v.probs(w, v.x_adv))
  return v.mean((1 - alpha) * label + alpha * t * t * scale * matched)


def ard(v, w, fixed, alpha, t, divisor=C):
  del fixed
  matched = kl(v.probs(v.robust, v.x, t), v.probs(w, v.x_adv, t))
  return v.mean((1 - alpha) * v.ce(v.probs(w, v.x)) + alpha * t * t * matched / divisor)


def trades(v, w, fixed, beta=6.0, detach=False):
  clean = v.probs(fixed if detach else w, v.x)
  return v.mean(v.ce(v.probs(w, v.x)) + beta * kl(clean, v.probs(w, v.x_adv)))


def mart(v, w, fixed, beta=5.0, detach=False):
  p, q = v.probs(fixed if detach else w, v.x), v.probs(w, v.x_adv)
  others = np.where(np.eye(C, dtype=bool)[v.y], 0, q)
  bce = v.ce(q) - np.log(1.0001 - others.max(-1) + 1e-12)
  return v.mean(bce + beta * (1.0000001 - v.p_y(p)) * kl(p, q + 1e-12))


def iad_1(
  v, w, fixed, alpha=1.0, t=1.0, beta=0.1, weight=False, detach=False, warm=False, scale=1
):
  trust = v.p_y(v.probs(v.robust, v.x_adv)) ** beta
  matched = kl(v.probs(v.robust, v.x, t), v.probs(w, v.x_adv, t)) * t * t
  own = kl(v.probs(fixed if detach else w, v.x), v.probs(w, v.x_adv)) * (1 - trust)
  total = matched * (trust if weight else 1) + (0 if warm else own)
  return v.mean((1 - alpha) * v.ce(v.probs(w, v.x)) + alpha * scale * total)


def iad_2(
  v, w, fixed, a1=0.5, a2=0.25, t=1.0, beta=0.1, detach=False, warm=False, scale=1
):
  trust = v.p_y(v.probs(v.robust, v.x_adv)) ** beta
  trust = np.ones(B) if warm else trust
  adv = v.probs(w, v.x_adv, t)
  robust = trust * kl(v.probs(v.robust, v.x_adv, t), adv)
  own = kl(v.probs(fixed if detach else w, v.x), v.probs(w, v.x_adv)) * (1 - trust)
  clean = kl(v.probs(v.clean, v.x_adv, t), adv)
  label = v.ce(v.probs(w, v.x_adv))
  taught = a1 * (robust + own) + a2 * clean
  return v.mean((1 - a1 - a2) * label + t * t * scale * taught)


def rslad(v, w, fixed, alpha=1.0, share=5 / 6, scale=0.1, epsilon=1e-5):
  del fixed
  q = alpha * v.probs(v.robust, v.x) + (1 - alpha) * np.eye(C)[v.y]
  term = lambda images: (q * (np.log(q + epsilon) - np.log(v.probs(w, images)))).sum(-1)
  return scale * v.mean(share * term(v.x_adv) + (1 - share) * term(v.x))


def adaad(v, w, fixed, alpha=1.0, scale=0.1):
  del fixed
  adv = kl(v.probs(v.robust, v.x_adv), v.probs(w, v.x_adv))
  nat = kl(v.probs(v.robust, v.x), v.probs(w, v.x))
  return scale * v.mean(alpha * adv + (1 - alpha) * nat)


def mmard(v, w, fixed, alpha=1.0, scale=0.1, space='probabilities', total=False, delta=1):
  del fixed

  def psi(weights):
    if space == 'logits':
      a, b = v.logits(weights, v.x), v.logits(weights, v.x_adv)
    else:
      a, b = v.probs(weights, v.x), v.probs(weights, v.x_adv)
    a, b = a - np.eye(C)[v.y], b - np.eye(C)[v.y]
    return (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)

  gap = np.abs(psi(v.robust) - psi(w))
  huber = np.where(gap <= delta, gap**2 / 2, delta * (gap - delta / 2))
  adv = kl(v.probs(v.robust, v.x_adv), v.probs(w, v.x_adv))
  triangle = (huber * v.mask).sum() if total else v.mean(huber)
  return scale * v.mean(adv) + alpha * triangle


def akd(v, w, fixed, alpha=0.5):
  del fixed
  q = alpha * v.probs(v.robust, v.x_adv) + (1 - alpha) * np.eye(C)[v.y]
  return v.mean(-(q * np.log(v.probs(w, v.x_adv))).sum(-1))


def adversarial_ce(v, w, fixed):
  del fixed
  return v.mean(v.ce(v.probs(w, v.x_adv)))


# (method, its options, epoch, oracle, the oracle's options)
CASES = (
  ('natural', {}, 0, adversarial_ce, {}),
  ('sat', {}, 0, adversarial_ce, {}),
  ('ffgsm', {}, 0, adversarial_ce, {}),
  ('trades', {}, 0, trades, {}),
  ('trades', dict(beta=2.0, detach=True), 0, trades, dict(beta=2.0, detach=True)),
  ('trades', dict(variant='deepmind'), 0, trades, {}),
  ('trades', dict(kl_reduction='element_mean'), 0, trades, dict(beta=6 / C)),
  ('mart', {}, 0, mart, {}),
  ('mart', dict(beta=2.0, detach=True), 0, mart, dict(beta=2.0, detach=True)),
  ('ckd', {}, 0, ckd, {}),
  ('ckd', dict(alpha=0.7, temperature=4.0), 0, ckd, dict(alpha=0.7, t=4.0)),
  ('ard', {}, 0, ard, dict(alpha=1.0, t=30.0)),
  (
    'ard',
    dict(alpha=0.6, temperature=2.0, kl_reduction='batch_mean'),
    0,
    ard,
    dict(alpha=0.6, t=2.0, divisor=1),
  ),
  ('iad_1', {}, 59, iad_1, dict(warm=True)),
  ('iad_1', dict(alpha=0.8, temperature=3.0), 60, iad_1, dict(alpha=0.8, t=3.0)),
  ('iad_1', dict(begin=0, weight_teacher=True), 0, iad_1, dict(weight=True)),
  (
    'iad_1',
    dict(begin=0, detach_self=True, beta=2.0),
    0,
    iad_1,
    dict(detach=True, beta=2),
  ),
  ('iad_2', {}, 39, iad_2, dict(warm=True)),
  ('iad_2', dict(temperature=3.0), 40, iad_2, dict(t=3.0)),
  (
    'iad_2',
    dict(begin=0, alpha1=0.2, alpha2=0.7, beta=1.0, detach_self=True),
    0,
    iad_2,
    dict(a1=0.2, a2=0.7, beta=1.0, detach=True),
  ),
  ('rslad', {}, 0, rslad, {}),
  (
    'rslad',
    dict(alpha=0.3, adv_weight=0.5, kl_scale=2.0, kl_epsilon=1e-3),
    0,
    rslad,
    dict(alpha=0.3, share=0.5, scale=2.0, epsilon=1e-3),
  ),
  ('adaad', dict(alpha=0.4, kl_scale=1.0), 0, adaad, dict(alpha=0.4, scale=1.0)),
  ('mmard', {}, 0, mmard, {}),
  (
    'mmard',
    dict(alpha=3.0, trd_space='logits'),
    0,
    mmard,
    dict(alpha=3.0, space='logits'),
  ),
  (
    'mmard',
    dict(trd_reduction='sum', trd_delta=0.01, kl_scale=1.0),
    0,
    mmard,
    dict(total=True, delta=0.01, scale=1.0),
  ),
  # Scale and reduction of every method that has them.
  ('mart', dict(kl_reduction='element_mean'), 0, mart, dict(beta=5 / C)),
  ('ckd', dict(kl_reduction='element_mean', kl_scale=3.0), 0, ckd, dict(scale=3 / C)),
  (
    'iad_1',
    dict(begin=0, kl_reduction='element_mean', kl_scale=3.0),
    0,
    iad_1,
    dict(scale=3 / C),
  ),
  (
    'iad_2',
    dict(begin=0, kl_reduction='element_mean', kl_scale=3.0),
    0,
    iad_2,
    dict(scale=3 / C),
  ),
  (
    'rslad',
    dict(kl_reduction='element_mean', kl_scale=3.0),
    0,
    rslad,
    dict(scale=3 / C),
  ),
  ('adaad', dict(kl_reduction='element_mean'), 0, adaad, dict(scale=0.1 / C)),
  ('mmard', dict(kl_reduction='element_mean'), 0, mmard, dict(scale=0.1 / C)),
  ('akd', {}, 0, akd, {}),
  ('akd', dict(alpha=1.0), 0, akd, dict(alpha=1.0)),
)
NAMED = tuple((f'{case[0]}_{k}', *case) for k, case in enumerate(CASES))


class OracleTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.enterContext(jax.enable_x64(True))
    self.world = World()

  def loss(self, method, epoch=0):
    v = self.world

    def loss(weights):
      student = lambda stats, x: (x.reshape(len(x), -1) @ weights, stats)
      terms, _ = method.terms(
        student, (), v.teachers(), v.batch(epoch), jnp.asarray(v.x_adv)
      )
      return method.total(terms, method.weights)

    return loss

  @parameterized.named_parameters(*NAMED)
  def test_value_and_gradient(self, name, options, epoch, oracle, settings):
    v = self.world
    loss = self.loss(METHODS[name](**options), epoch)
    value, found = jax.value_and_grad(loss)(jnp.asarray(v.w))
    np.testing.assert_allclose(value, oracle(v, v.w, v.w, **settings), rtol=1e-9)
    want = slope(lambda w: oracle(v, w, v.w, **settings), v.w)
    np.testing.assert_allclose(found, want, atol=1e-7)

  @parameterized.parameters('mart', 'ard', 'iad_1', 'iad_2', 'rslad', 'adaad', 'mmard')
  def test_forward_order(self, method):
    orders = {}
    for order in ('adv_nat', 'nat_adv'):
      seen = []

      def student(stats, x, seen=seen):
        seen.append(float(x[0, 0, 0, 0]))
        return x.reshape(B, -1) @ jnp.asarray(self.world.w), stats

      made = METHODS[method](forward_order=order)
      batch, adv = self.world.batch(), jnp.asarray(self.world.x_adv)
      made.terms(student, (), self.world.teachers(), batch, adv)
      orders[order] = seen
    x, x_adv = self.world.x[0, 0, 0, 0], self.world.x_adv[0, 0, 0, 0]
    # IAD-I passes each twice.
    times = 2 if method == 'iad_1' else 1
    np.testing.assert_allclose(orders['adv_nat'], [x_adv] * times + [x] * times)
    np.testing.assert_allclose(orders['nat_adv'], [x] * times + [x_adv] * times)

  def test_statistics_that_count(self):
    """Which forwards move the statistics: (clean, adversarial) passes that are kept."""
    student = lambda n, x: (
      x.reshape(B, -1) @ jnp.asarray(self.world.w),
      n + jnp.where(x[0, 0, 0, 0] == self.world.x[0, 0, 0, 0], 1, 100),
    )
    for method, options, epoch, want in (
      ('trades', dict(variant='deepmind'), 0, 100),
      ('trades', {}, 0, 102),
      ('trades', dict(forwards=2), 0, 101),
      ('iad_1', {}, 59, 201),
      ('iad_1', {}, 60, 202),
      ('iad_2', {}, 39, 100),
      ('iad_2', {}, 40, 101),
      ('ard', {}, 0, 101),
      ('akd', {}, 0, 100),
    ):
      _, count = METHODS[method](**options).terms(
        student,
        jnp.int32(0),
        self.world.teachers(),
        self.world.batch(epoch),
        jnp.asarray(self.world.x_adv),
      )
      self.assertEqual(int(count), want, (method, options, epoch))

  def test_soft_labels_that_are_one_hot_change_nothing(self):
    v = self.world
    for name in METHODS:
      if 'mtard' in name or METHODS[name]().group:
        continue
      method = METHODS[name]()
      student = lambda stats, x: (x.reshape(len(x), -1) @ jnp.asarray(v.w), stats)
      totals = []
      for extra in ({}, {'target': jnp.eye(C)[v.y]}):
        batch = {**v.batch(70), **extra, 'withstood': jnp.ones(B)}
        _, batch = method.begin(method.init(classes=C), batch)
        adv = jnp.asarray(v.x_adv)
        teachers = {**v.teachers(), 'average': v.teachers()['clean']}
        terms, *_ = method.terms(student, (), teachers, batch, adv)
        totals.append(float(method.total(terms, {})))
      self.assertAlmostEqual(*totals, places=12, msg=name)

  @parameterized.parameters(
    ('trades', dict(beta=-1.0), 'method.beta is -1.0; it must be 0 or more'),
    ('trades', dict(variant='google'), "'original', 'deepmind'"),
    ('mart', dict(beta=float('nan')), 'method.beta is nan'),
    ('mart', dict(forward_order='both'), "'adv_nat', 'nat_adv'"),
    ('ckd', dict(alpha=1.5), 'method.alpha is 1.5; it must be between 0 and 1'),
    ('ckd', dict(temperature=0.0), 'method.temperature is 0.0; it must be above 0'),
    ('ard', dict(alpha=-0.1), 'method.alpha is -0.1'),
    ('ard', dict(kl_reduction='mean'), "'batch_mean', 'element_mean'"),
    ('ard', dict(kl_scale=-1.0), 'kl_scale is -1.0'),
    ('iad_1', dict(beta=-1.0), 'method.beta is -1.0'),
    ('iad_1', dict(begin=-1), 'method.begin is -1'),
    ('iad_2', dict(alpha1=0.8, alpha2=0.4), r'alpha1 \+ method.alpha2 is 1.2'),
    ('rslad', dict(adv_weight=2.0), 'adv_weight is 2.0'),
    ('rslad', dict(alpha=2.0), 'method.alpha is 2.0'),
    ('adaad', dict(alpha=2.0), 'method.alpha is 2.0'),
    ('mmard', dict(alpha=-1.0), 'method.alpha is -1.0'),
    ('mmard', dict(trd_space='angles'), "'probabilities', 'logits'"),
    ('mmard', dict(trd_reduction='max'), "'mean', 'sum'"),
    ('mmard', dict(trd_delta=0.0), 'trd_delta is 0.0; it must be above 0'),
    ('akd', dict(alpha=7.0), 'method.alpha is 7.0'),
  )
  def test_bad_options(self, name, options, text):
    with self.assertRaisesRegex(InputError, text) as caught:
      METHODS[name](**options)
    self.assertNotIn('\n', str(caught.exception))


class InnerTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.enterContext(jax.enable_x64(True))
    self.world = World()

  def values(self, problem, images):
    v = self.world
    student = lambda x: x.reshape(len(x), -1) @ jnp.asarray(v.w)
    return problem.prepare(v.teachers(), v.batch())(student)(jnp.asarray(images))

  def test_values(self):
    v = self.world
    clean, adv = v.probs(v.w, v.x), v.probs(v.w, v.x_adv)
    teacher, teacher_adv = v.probs(v.robust, v.x), v.probs(v.robust, v.x_adv)
    z = v.logits(v.w, v.x_adv)
    others = np.where(np.eye(C, dtype=bool)[v.y], -np.inf, z).max(-1)
    mixed = 0.3 * v.probs(v.clean, v.x) + 0.7 * np.eye(C)[v.y]
    for name, options, want in (
      ('ce', {}, v.ce(adv)),
      ('margin', {}, others - z[np.arange(B), v.y]),
      ('kl_clean_self', {}, kl(clean, adv)),
      ('kl_teacher_clean', {}, kl(teacher, adv)),
      ('kl_teacher_adv', {}, kl(teacher_adv, adv)),
      (
        'mixed_target',
        dict(teacher='clean', alpha=0.3),
        -(mixed * np.log(adv)).sum(-1),
      ),
    ):
      got = self.values(INNERS[name](**options), v.x_adv)
      np.testing.assert_allclose(got, want, rtol=1e-9, err_msg=name)

  def test_none_leaves_images_alone(self):
    self.assertIsNone(INNERS['none']().prepare)

  @parameterized.product(through=(True, False), method=('', 'mmard', 'adaad'))
  def test_gradient_through_the_teachers_input(self, through, method):
    v = self.world
    problem = INNERS['kl_teacher_adv'](input_grad=through)
    if method:
      problem = METHODS[method](teacher_input_grad=through).inner
    slope = jax.grad(lambda x: self.values(problem, x).sum())(jnp.asarray(v.x_adv))
    h, want = 1e-6, np.zeros_like(v.x_adv)
    for place in np.ndindex(*v.x_adv.shape):
      moved = [v.x_adv.copy(), v.x_adv.copy()]
      moved[0][place] += h
      moved[1][place] -= h
      seen = moved if through else [v.x_adv, v.x_adv]
      ends = [
        kl(v.probs(v.robust, t), v.probs(v.w, s)).sum() for t, s in zip(seen, moved)
      ]
      want[place] = (ends[0] - ends[1]) / (2 * h)
    np.testing.assert_allclose(slope, want, atol=1e-7)

  def test_own_clean_prediction_is_a_constant(self):
    """KL(S(x) || S(x')) has no gradient at x' = x, whatever S(x) would give."""
    v = self.world
    problem = INNERS['kl_clean_self']()
    slope = jax.grad(lambda x: self.values(problem, x).sum())(jnp.asarray(v.x))
    np.testing.assert_allclose(slope, 0, atol=1e-12)

  def test_rslads_attack_target(self):
    v = self.world
    for target, want in (
      ('teacher', kl(v.probs(v.robust, v.x), v.probs(v.w, v.x_adv))),
      ('clean', kl(v.probs(v.clean, v.x), v.probs(v.w, v.x_adv))),
      ('label', v.ce(v.probs(v.w, v.x_adv))),
    ):
      method = METHODS['rslad'](attack_target=target, alpha=0.5)
      np.testing.assert_allclose(self.values(method.inner, v.x_adv), want, rtol=1e-9)
    mixed = 0.5 * v.probs(v.robust, v.x) + 0.5 * np.eye(C)[v.y]
    method = METHODS['rslad'](attack_target='mixed', alpha=0.5)
    want = -(mixed * np.log(v.probs(v.w, v.x_adv))).sum(-1)
    np.testing.assert_allclose(self.values(method.inner, v.x_adv), want, rtol=1e-9)


if __name__ == '__main__':
  absltest.main()
