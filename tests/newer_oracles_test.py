"""Value and gradient of the newer methods against numpy; see `method_oracles_test`."""

import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest, parameterized
from method_oracles_test import CASES as OLDER
from method_oracles_test import ard, iad_1, rslad
from method_world import B, C, World, kl, slope, softmax

from jaxrkd.errors import InputError
from jaxrkd.methods import METHODS, epoch_sums
from jaxrkd.methods.igdm import with_igdm

PROGRESS = 0.3
TAU = {'adv': np.array([1.0, 2, 0.5, 1.5, 3]), 'nat': np.array([2.0, 1, 1, 0.7, 1.2])}
CLASS_WEIGHTS = np.array([0.9, 2.5, 1.0, 1.7, 5 / 6])
MEANS = softmax(np.random.default_rng(5).normal(size=(C, C)))


class Weighted(World):
  """A world whose means count an image by a weight of its class."""

  def mean(self, values):
    return super().mean(values * CLASS_WEIGHTS[self.y])


def renyi(p, order):
  if order == 1:
    return -(p * np.log(p + 1e-12)).sum(-1)
  return np.log((p**order).sum(-1) + 1e-12) / (1 - order)


def saad(v, w, fixed, alpha=1.0, beta=0.0, gamma=1.0, scale=5.0, normalise=False):
  del fixed
  there, opposite = v.mask > 0, 2 * v.x - v.x_adv
  target = v.logits(v.robust, v.x_adv)
  entropy = renyi(softmax(target), gamma)
  weight = scale * (entropy - entropy[there].min())
  low, high = weight[there].min(), weight[there].max()
  share = (weight - low) / (high - low + 1e-8)
  if normalise:
    weight = weight / v.mean(weight)
  own = v.logits(w, v.x_adv) - v.logits(w, opposite)
  far = kl(softmax(target - v.logits(v.robust, opposite)), softmax(own))
  found = v.mean(weight * kl(softmax(target), v.probs(w, v.x_adv)))
  found += alpha * PROGRESS * v.mean(weight * far)
  return found + beta * v.mean((1 - share) * kl(v.probs(v.robust, v.x), v.probs(w, v.x)))


def ada_iad(v, w, fixed, alpha=1.0, t=30.0, power=0.1, warm=False):
  del fixed
  trust = v.p_y(v.probs(v.robust, v.x_adv)) ** power
  found = t**2 * v.mean(kl(v.probs(v.robust, v.x_adv, t), v.probs(w, v.x_adv, t)))
  if not warm:
    found += v.mean((1 - trust) * kl(v.probs(w, v.x), v.probs(w, v.x_adv)))
  return alpha * found + (1 - alpha) * v.mean(v.ce(v.probs(w, v.x)))


def righted(logits, label):
  """The label's logit changes places with a larger one."""
  found = logits.copy()
  for row, own in zip(found, label):
    best = max((k for k in range(C) if k != own), key=lambda k: row[k])
    if row[best] > row[own]:
      row[best], row[own] = row[own], row[best]
  return found


def dgad(v, w, fixed, beta=1.0, swap=True, b=0, product=False):
  del fixed
  clean, attacked = (v.logits(v.robust, x) for x in (v.x, v.x_adv))
  errs = clean.argmax(-1) != v.y
  if swap:
    clean, attacked = righted(clean, v.y), righted(attacked, v.y)
  nat, adv = v.probs(w, v.x), v.probs(w, v.x_adv)
  each = np.where(errs, kl(softmax(clean), nat), kl(softmax(attacked), adv))
  alp = beta * v.mean(((nat - adv) ** 2).mean(-1))
  if not b and not product:
    return v.mean(each) + alp
  there = v.mask > 0
  n, b = (errs & there).sum(), b or there.sum()
  clean_term = each[errs & there].sum() / (n + 1e-10)
  adv_term = each[~errs & there].sum() / max((~errs & there).sum(), 1)
  if product:
    return 0.5 * (n / b * clean_term + (b - n) / b) * adv_term + alp
  return n / b * clean_term + (b - n) / b * adv_term + alp


def absld(v, w, fixed, share=5 / 6, shared=False):
  del fixed
  total = 0.0
  for name, x, part in (('adv', v.x_adv, share), ('nat', v.x, 1 - share)):
    tau = TAU['adv'] * TAU['nat'] if shared else TAU[name]
    p = softmax(v.logits(v.robust, v.x) / tau[v.y][:, None])
    values = (p * np.log(p + 1e-5) - p * np.log(v.probs(w, x))).sum(-1)
    total += part * 0.1 * v.mean(values)
  return total


def hat(v, w, fixed, beta=2.5, gamma=0.5, h=2.0, robust='kl'):
  del fixed
  beyond = v.probs(w, v.x + h * (v.x_adv - v.x))
  answer = v.logits(v.clean, v.x_adv).argmax(-1)
  far = kl(v.probs(w, v.x), v.probs(w, v.x_adv))
  far = far if robust == 'kl' else v.ce(v.probs(w, v.x_adv))
  helped = -np.log(beyond[np.arange(B), answer])
  return v.mean(v.ce(v.probs(w, v.x))) + beta * v.mean(far) + gamma * v.mean(helped)


def ikl(v, w, fixed, alpha=4.0, beta=20.0, gamma=1.0, normalised=False):
  weights = MEANS[v.y] ** gamma
  apart = v.logits(w, v.x) - v.logits(w, v.x_adv)
  each = np.zeros(B)
  for i in range(B):
    for j in range(C):
      for k in range(C):
        pair = weights[i, j] * weights[i, k]
        each[i] += 0.25 * pair * (apart[i, j] - apart[i, k]) ** 2
  size = v.mean(weights.sum(-1) ** 2) if normalised else 1.0
  crossed = -(v.probs(fixed, v.x) * np.log(v.probs(w, v.x_adv))).sum(-1)
  clean = v.mean(v.ce(v.probs(w, v.x)))
  return clean + beta * v.mean(each) / size + alpha * v.mean(crossed)


FAIR = {'base': {}, 'weight': CLASS_WEIGHTS}
FRACTION = 0.25


def rectified(v, start=(2.5, 0.7), end=(2.0, 0.95)):
  """ADR's labels by a loop; the average is the clean teacher."""
  tau, share = (
    b + 0.5 * (a - b) * (1 + np.cos(np.pi * FRACTION)) for a, b in zip(start, end)
  )
  probs, found = v.probs(v.clean, v.x, tau), np.zeros((B, C))
  for i in range(B):
    trust = min(max(share - (probs[i].max() - probs[i, v.y[i]]), 0), 1)
    found[i] = trust * probs[i]
    found[i, v.y[i]] += 1 - trust
  return found


def adr(v, w, fixed, beta=None):
  del fixed
  soft = rectified(v)
  crossed = lambda x: v.mean(-(soft * np.log(v.probs(w, x))).sum(-1))
  if beta is None:
    return crossed(v.x_adv)
  return crossed(v.x) + beta * v.mean(kl(v.probs(w, v.x), v.probs(w, v.x_adv)))


# (method, its options, epoch, its memory, oracle, the oracle's options)
CASES = (
  ('saad', {}, 0, {}, saad, {}),
  (
    'saad',
    dict(alpha=10.0, beta=0.5, gamma=2.0, normalise=True),
    0,
    {},
    saad,
    dict(alpha=10.0, beta=0.5, gamma=2.0, normalise=True),
  ),
  ('ada_iad', {}, 59, {}, ada_iad, dict(warm=True)),
  ('ada_iad', dict(alpha=0.9, temperature=5.0), 60, {}, ada_iad, dict(alpha=0.9, t=5.0)),
  ('dgad', {}, 0, {}, dgad, {}),
  ('dgad', dict(batch_size=128), 0, {}, dgad, dict(b=128)),
  ('dgad', dict(product=True, batch_size=7), 0, {}, dgad, dict(b=7, product=True)),
  ('dgad', dict(product=True), 0, {}, dgad, dict(product=True)),
  ('dgad', dict(beta=3.0, swap=False), 0, {}, dgad, dict(beta=3.0, swap=False)),
  ('absld', {}, 0, TAU, absld, {}),
  ('absld', dict(shared_storage=True), 0, TAU, absld, dict(shared=True)),
  ('hat', {}, 0, {}, hat, {}),
  ('hat', dict(robust_loss='ce', distance=3.0), 0, {}, hat, dict(robust='ce', h=3.0)),
  ('adr', {}, 0, {}, adr, {}),
  ('adr', dict(base='trades', beta=3.0), 0, {}, adr, dict(beta=3.0)),
  ('ikl', {}, 0, MEANS, ikl, {}),
  ('gkl', {}, 0, MEANS, ikl, dict(gamma=0.4, normalised=True)),
  ('fair_rslad', {}, 0, FAIR, rslad, {}),
  ('fair_ard', dict(alpha=0.5, temperature=5.0), 0, FAIR, ard, dict(alpha=0.5, t=5.0)),
  ('fair_iad', dict(begin=0), 0, FAIR, iad_1, {}),
)


def student_of(weights):
  return lambda stats, x: (x.reshape(len(x), -1) @ weights, stats)


class NewerOracleTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.enterContext(jax.enable_x64(True))

  def loss(self, method, v, epoch=0, memory=()):
    batch = {**v.batch(epoch), 'progress': PROGRESS, 'withstood': jnp.ones(B)}
    batch |= {'memory': jax.tree.map(jnp.asarray, memory), 'fraction': FRACTION}

    def loss(weights):
      teachers = {**v.teachers(), 'average': v.teachers()['clean']}
      given = (teachers, batch, jnp.asarray(v.x_adv))
      terms, *_ = method.terms(student_of(weights), (), *given)
      return method.total(terms, method.weights)

    return loss

  @parameterized.named_parameters(*((f'{c[0]}_{k}', *c) for k, c in enumerate(CASES)))
  def test_value_and_gradient(self, name, options, epoch, memory, oracle, settings):
    v = Weighted() if name.startswith('fair') else World()
    loss = self.loss(METHODS[name](**options), v, epoch, memory)
    value, found = jax.value_and_grad(loss)(jnp.asarray(v.w))
    np.testing.assert_allclose(value, oracle(v, v.w, v.w, **settings), rtol=1e-9)
    want = slope(lambda w: oracle(v, w, v.w, **settings), v.w)
    np.testing.assert_allclose(found, want, atol=2e-7)

  def test_every_method_has_an_oracle(self):
    # MTARD and its kind have golden steps and tests of their weights, groups a file.
    others = {name for name in METHODS if METHODS[name]().group or 'mtard' in name}
    self.assertEqual({case[0] for case in (*OLDER, *CASES)} | others, set(METHODS))

  @parameterized.parameters('rslad', 'adaad', 'mtard')
  def test_igdm_adds_its_term_and_leaves_the_rest(self, name):
    v = World()
    base = METHODS[name]()
    made = with_igdm(base, alpha=7.0, gamma=1.5)
    opposite = v.x - 1.5 * (v.x_adv - v.x)

    def added(w):
      apart = v.logits(w, v.x_adv) - v.logits(w, opposite)
      target = v.logits(v.robust, v.x_adv) - v.logits(v.robust, opposite)
      return 7.0 * PROGRESS * v.mean(kl(softmax(target), softmax(apart)))

    losses = [self.loss(method, v) for method in (made, base)]
    (value, found), (plain, below) = (
      jax.value_and_grad(loss)(jnp.asarray(v.w)) for loss in losses
    )
    np.testing.assert_allclose(value, plain + added(v.w), rtol=1e-9)
    np.testing.assert_allclose(found, below + slope(added, v.w), atol=2e-7)

  def test_igdm_passes_in_the_order_that_is_asked_for(self):
    v, seen = World(), []

    def student(stats, x):
      seen.append(float(x[0, 0, 0, 0]))
      return x.reshape(B, -1) @ jnp.asarray(v.w), stats

    at = lambda share: v.x[0, 0, 0, 0] + share * (v.x_adv - v.x)[0, 0, 0, 0]
    points = {'adv': 1.0, 'nat': 0.0, 'plus': 0.5, 'minus': -2.0}
    batch = {**v.batch(), 'progress': 1.0, 'memory': ()}
    for order in ('plus_nat_minus_adv', 'adv_plus_nat_minus'):
      seen.clear()
      made = with_igdm(METHODS['adaad'](), beta=0.5, gamma=2.0, order=order)
      made.terms(student, (), v.teachers(), batch, jnp.asarray(v.x_adv))
      want = [at(points[name]) for name in order.split('_')]
      np.testing.assert_allclose(seen, want, rtol=1e-12)

  @parameterized.parameters(
    (dict(order='minus'), "igdm.order is 'minus'"),
    (dict(order='plus_minus_plus'), 'each once'),
    (dict(order='plus_minus', beta=0.5), 'name both, or set igdm.beta to 1'),
    (dict(alpha=-1.0), 'igdm.alpha is -1.0'),
    (dict(ramp=-1), 'igdm.ramp is -1'),
    (dict(beta=0.0, gamma=0.0), 'its term is 0'),
  )
  def test_bad_options_of_igdm(self, options, text):
    with self.assertRaisesRegex(InputError, text):
      with_igdm(METHODS['rslad'](), **options)

  def test_igdm_needs_one_student(self):
    with self.assertRaisesRegex(InputError, 'one student with frozen teachers'):
      with_igdm(METHODS['at_aka']())

  @parameterized.parameters(
    ('saad', dict(alpha=-1.0), 'method.alpha is -1.0'),
    ('saad', dict(gamma=0.0), 'method.gamma is 0.0'),
    ('b_mtard', dict(tau_adv=20.0), 'method.tau_adv is 20.0; it must be between 1'),
    ('b_mtard', dict(tau_rate=-1.0), 'method.tau_rate is -1.0'),
    ('ada_iad', dict(temperature=0.0), 'method.temperature is 0.0'),
    ('dgad', dict(beta=-1.0), 'method.beta is -1.0'),
    ('dgad', dict(batch_size=-1), 'method.batch_size is -1'),
    ('adr', dict(base='mart'), "'sat', 'trades'"),
    ('adr', dict(share_end=1.5), 'method.share_end is 1.5'),
    ('absld', dict(tau_min=2.0), 'method.tau_min is 2.0'),
    ('fair_rslad', dict(fair_max=0.5), 'method.fair_max is 0.5'),
    ('fair_ard', dict(alpha=2.0), 'method.alpha is 2.0'),
    ('hat', dict(robust_loss='mse'), "'kl', 'ce'"),
    ('ikl', dict(temperature=0.0), 'method.temperature is 0.0'),
    ('gkl', dict(gamma=-1.0), 'method.gamma is -1.0'),
    ('peeraid', dict(peer_weight=-1.0), 'method.peer_weight is -1.0'),
    ('lbgat', dict(beta=-1.0), 'method.beta is -1.0'),
    ('adaad', dict(alpha=0.5, forward_order='adv'), 'has no clean pass'),
  )
  def test_bad_options(self, name, options, text):
    with self.assertRaisesRegex(InputError, text) as caught:
      METHODS[name](**options)
    self.assertNotIn('\n', str(caught.exception))

  def test_a_method_for_every_class_says_that_it_must_know_how_many(self):
    with self.assertRaisesRegex(InputError, 'classes=10'):
      METHODS['absld']().init()


class EpochSumsTest(parameterized.TestCase):
  def test_sums_against_a_loop(self):
    rng = np.random.default_rng(0)
    kept = epoch_sums.nothing_seen((), {'a': jnp.zeros(4), 'b': jnp.zeros((4, 3))})
    want_a, want_b, counts = np.zeros(4), np.zeros((4, 3)), np.zeros(4)
    for _ in range(3):
      label = rng.integers(0, 3, size=7)
      mask = rng.integers(0, 2, size=7).astype(np.float32)
      a, b = rng.normal(size=7), rng.normal(size=(7, 3))
      batch = {'label': jnp.asarray(label), 'mask': jnp.asarray(mask)}
      seen = {'a': jnp.asarray(a), 'b': jnp.asarray(b)}
      kept = epoch_sums.added(kept, seen, batch)
      for k in range(7):
        if mask[k]:
          want_a[label[k]] += a[k]
          want_b[label[k]] += b[k]
          counts[label[k]] += 1
    np.testing.assert_allclose(kept.sums['a'], want_a, atol=1e-5)
    np.testing.assert_allclose(kept.sums['b'], want_b, atol=1e-5)
    np.testing.assert_array_equal(kept.counts, counts)

  def test_an_epoch_ends_once(self):
    kept = epoch_sums.nothing_seen(jnp.zeros(()), {'a': jnp.zeros(2)})
    kept = kept._replace(sums={'a': jnp.array([3.0, 5.0])})
    end = lambda own, sums, counts, batch: own + sums['a'].sum()
    same = epoch_sums.begun(kept, {'epoch': jnp.int32(0)}, end)
    self.assertEqual(float(same.own), 0.0)
    np.testing.assert_array_equal(same.sums['a'], [3.0, 5.0])
    new = epoch_sums.begun(kept, {'epoch': jnp.int32(1)}, end)
    again = epoch_sums.begun(new, {'epoch': jnp.int32(1)}, end)
    self.assertEqual([float(new.own), float(again.own)], [8.0, 8.0])
    np.testing.assert_array_equal(new.sums['a'], [0.0, 0.0])

  @parameterized.parameters('absld', 'fair_rslad', 'ikl', 'gkl')
  def test_a_class_without_images_leaves_all_numbers_finite(self, name):
    method = METHODS[name]()
    state = method.init(classes=4)
    own, sums = state.memory.own, state.memory.sums
    sums = {k: v.at[0].set(2.0) for k, v in sums.items()}
    counts = jnp.array([2.0, 1.0, 0.0, 0.0])
    after = method.end_of_epoch(own, sums, counts, {'rate': jnp.ones(())})
    for leaf, before in zip(jax.tree.leaves(after), jax.tree.leaves(own), strict=True):
      self.assertTrue(np.isfinite(leaf).all())
      np.testing.assert_array_equal(leaf[2:], before[2:])


if __name__ == '__main__':
  absltest.main()
