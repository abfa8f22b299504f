"""Functions with one code share what is compiled, and leave no weights behind."""

import functools
import gc
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import tiny
from absl.testing import absltest, parameterized
from flax import linen, nnx

from jaxrkd import attacks, models
from jaxrkd.attacks import L2, Linf, Randomised
from jaxrkd.attacks.built_once import built_once
from jaxrkd.attacks.code import DependsOnBatch, coded, signature
from jaxrkd.evaluate import attack_images, trust_panel

SHAPE, CLASSES = (8, 8, 1), 4
RNG = np.random.default_rng(0)
IMAGES = RNG.random((40, *SHAPE), np.float32)
LABELS = RNG.integers(0, CLASSES, 40)
LIKE = jax.ShapeDtypeStruct((16, *SHAPE), jnp.float32)


class OwnNNX(nnx.Module):
  def __init__(self, rngs):
    self.conv = nnx.Conv(1, 4, (3, 3), rngs=rngs)
    self.norm = nnx.BatchNorm(4, rngs=rngs)
    self.head = nnx.Linear(4, CLASSES, rngs=rngs)

  def __call__(self, x):
    return self.head(nnx.relu(self.norm(self.conv(x))).mean((1, 2)))


class OwnLinen(linen.Module):
  @linen.compact
  def __call__(self, x):
    # Two kernels of one shape: which is which must not be mixed up.
    x = linen.gelu(linen.Dense(8)(x.reshape(len(x), -1)))
    x = linen.tanh(linen.Dense(8)(linen.tanh(linen.Dense(8)(x))))
    return linen.Dense(CLASSES)(x)


def weights(seed, *shape):
  return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def plain(seed):
  w, b = weights(seed, 64, CLASSES), np.asarray(weights(seed + 50, CLASSES))
  return lambda x: x.reshape(len(x), -1) @ w + b


def nnx_network(seed):
  module = OwnNNX(nnx.Rngs(seed))
  module.eval()
  return lambda x: module(x)


def linen_network(seed):
  module = OwnLinen()
  variables = module.init(jax.random.key(seed), jnp.zeros((1, *SHAPE)))
  return functools.partial(module.apply, variables)


def looped(seed):
  w, v = weights(seed, 64, 64) / 8, weights(seed + 100, 64, CLASSES)
  body = lambda _, h: jnp.tanh(h @ w)
  return lambda x: jax.lax.fori_loop(0, 3, body, x.reshape(len(x), -1)) @ v


def rematerialised(seed):
  w, v = weights(seed, 64, 64) / 8, weights(seed + 100, 64, CLASSES)
  first = jax.checkpoint(lambda h: jax.nn.relu(h @ w))
  inner = jax.jit(lambda h: h @ v)
  return lambda x: inner(jax.jit(first)(x.reshape(len(x), -1)))


def drawn(seed):
  w = weights(seed, 64, CLASSES)

  def logits(x, keys):
    noise = jax.vmap(lambda key: jax.random.normal(key, (CLASSES,)))(keys)
    return x.reshape(len(x), -1) @ w + 0.1 * noise

  return Randomised(logits)


KINDS = {
  'plain': plain,
  'jitted': lambda seed: jax.jit(plain(seed)),
  'around jitted': lambda seed: (lambda f: lambda x: 2 * f(x))(jax.jit(plain(seed))),
  'nnx': nnx_network,
  'linen': linen_network,
  'loop': looped,
  'remat': rematerialised,
  'net': lambda seed: (lambda net: net.logits_fn(*net.init(jax.random.key(seed))))(
    models.from_nnx(OwnNNX)
  ),
}


class CodeTest(parameterized.TestCase):
  @parameterized.parameters(*KINDS)
  def test_one_code_and_each_its_own_answers(self, kind):
    one, other = KINDS[kind](0), KINDS[kind](1)
    found = [coded(f, LIKE) for f in (one, other)]
    self.assertIs(found[0].code, found[1].code)
    traced = []

    @jax.jit
    def ask(arrays, x):
      traced.append(x.shape)
      return found[0].code.logits_fn(arrays, ())(x)

    with found[0].using():
      for f, own in zip((one, other), found):
        for count in (16, 5):
          x = IMAGES[:count]
          want = f(jnp.asarray(x))
          np.testing.assert_allclose(ask(own.arrays, x), want, rtol=2e-5, atol=1e-6)
    self.assertLen(traced, 2)
    with found[0].using():
      wrong = ask(found[1].arrays, IMAGES)
    self.assertGreater(float(np.abs(wrong - one(jnp.asarray(IMAGES))).max()), 1e-3)

  def test_draws(self):
    one, other = drawn(0), drawn(1)
    found = [coded(f, LIKE) for f in (one, other)]
    self.assertIs(found[0].code, found[1].code)
    keys = jax.random.split(jax.random.key(0), 3)
    with found[0].using():
      got = found[0].code.logits_fn(found[1].arrays, ()).logits_fn(IMAGES[:3], keys)
    np.testing.assert_allclose(got, other.logits_fn(IMAGES[:3], keys), rtol=1e-6)

  @parameterized.parameters(
    lambda z: z + 1, jnp.tanh, jax.lax.stop_gradient, lambda z: z.astype(jnp.bfloat16)
  )
  def test_other_codes(self, after):
    f = plain(0)
    other = coded(lambda x: after(f(x)), LIKE)
    self.assertIsNot(coded(f, LIKE).code, other.code)

  def test_numbers_of_a_backward_pass_of_ones_own_are_part_of_the_code(self):
    """They cannot be told from outside: a program with others would follow wrong slopes."""

    def made(seed):
      w = weights(seed, 64, CLASSES)

      @jax.custom_vjp
      def logits(x):
        return x.reshape(len(x), -1) @ w

      back = lambda shape, g: ((g @ w.T).reshape(shape),)
      logits.defvjp(lambda x: (logits(x), x.shape), back)
      return logits

    one, again, other = (coded(made(seed), LIKE) for seed in (0, 0, 1))
    self.assertIs(one.code, again.code)
    self.assertIsNot(one.code, other.code)

  def test_exported_functions(self):
    """Their weights are in an option that no text shows."""

    def exported(seed):
      f = jax.jit(plain(seed))
      made = jax.export.export(f)(jax.ShapeDtypeStruct((16, *SHAPE), jnp.float32))
      return jax.export.deserialize(made.serialize()).call

    self.assertIsNone(coded(exported(0), LIKE))
    self.assertTrue(signature(jax.jit(lambda x: x), IMAGES[:16])[1] is False)
    self.assertTrue(signature(exported(0), IMAGES[:16])[1])

  def test_what_is_done_forwards_alone(self):
    """A gradient that steps over a rounding says nothing of how coarse it is."""
    w = weights(0, 64, CLASSES)

    def rounding(levels):
      @jax.custom_vjp
      def coarse(x):
        return jnp.round(x * levels) / levels

      coarse.defvjp(lambda x: (x, None), lambda _, g: (g,))
      return lambda x: coarse(x).reshape(len(x), -1) @ w

    one, other = coded(rounding(1), LIKE), coded(rounding(32), LIKE)
    self.assertIsNot(one.code, other.code)
    self.assertIs(one.code, coded(rounding(1), LIKE).code)

  def test_functions_among_options(self):
    def made(factor):
      @jax.custom_batching.custom_vmap
      def double(x):
        return 2 * x

      rule = lambda size, batched, x: (factor * x, batched[0])
      double.def_vmap(rule)
      return lambda x: double(x).reshape(len(x), -1) @ weights(0, 64, CLASSES)

    self.assertIsNone(coded(made(2), LIKE))

  def test_another_batch_size_may_be_another_program(self):
    w = weights(0, 64, CLASSES)
    made = lambda c: lambda x: (c if len(x) == 1 else 1) * x.reshape(len(x), -1) @ w
    self.assertIsNot(coded(made(1), LIKE).code, coded(made(2), LIKE).code)

  def test_parts_of_a_larger_program(self):
    """A classifier that depends on a number that is not known yet."""
    w, attack = weights(0, 64, CLASSES), ATTACKS['pgd']()
    images, labels = jnp.asarray(IMAGES[:4]), jnp.asarray(LABELS[:4])
    of = lambda c: attack(
      jax.random.key(0), lambda x: x.reshape(len(x), -1) @ w / c, images, labels
    )
    np.testing.assert_allclose(jax.jit(of)(2.0), of(2.0), atol=1e-5)

  def test_arrays_at_some_sizes_only(self):
    odd = lambda x: (
      x.reshape(len(x), -1) @ weights(0, 64, CLASSES)
      + (np.ones((len(x), 1), np.float32) if len(x) not in (1, 16) else 0)
    )
    labels = np.asarray(odd(jnp.asarray(IMAGES))).argmax(-1)
    for name in ('pgd', 'apgd'):
      found = attack_images(odd, IMAGES, labels, ATTACKS[name](), batch_size=16)
      self.assertEqual(found.clean_accuracy, 1)
      ATTACKS[name]()(jax.random.key(0), odd, jnp.asarray(IMAGES[:16]), labels[:16])

  def test_what_cannot_be_shared(self):
    w = np.asarray(weights(0, 64, CLASSES))
    outside = lambda x: jax.pure_callback(
      lambda x: np.asarray(x).reshape(len(x), -1) @ w,
      jax.ShapeDtypeStruct((x.shape[0], CLASSES), jnp.float32),
      x,
      vmap_method='sequential',
    )
    self.assertIsNone(coded(outside, LIKE))
    # Weights that follow the batch: a program for another would hold those of this one.
    tiled = lambda x: jnp.einsum(
      'bi,bij->bj', x.reshape(len(x), -1), np.tile(w, (len(x), 1, 1))
    )
    self.assertIsNone(coded(tiled, LIKE))
    with self.subTest('other weights of the same shape where a batch has another size'):
      moody = lambda x: x.reshape(len(x), -1) @ (w if len(x) in (1, 16) else 2 * w)
      found = coded(moody, LIKE)
      with found.using():
        shared = found.code.logits_fn(found.arrays, ())
        got, want = shared(IMAGES[:16]), moody(IMAGES[:16])
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
        with self.assertRaises(DependsOnBatch):
          shared(IMAGES[:5])
    images, labels = IMAGES[:8], LABELS[:8]
    for f in (outside, tiled):
      found = attack_images(f, images, labels, attacks.square(Linf(0.1), queries=5))
      right = np.asarray(f(jnp.asarray(images))).argmax(-1) == labels
      np.testing.assert_array_equal(found.clean_correct, right)


ATTACKS = {
  'pgd': lambda: attacks.pgd(Linf(0.01), steps=5),
  'apgd': lambda: attacks.apgd(Linf(0.01), steps=6),
  'autoattack': lambda: attacks.autoattack(
    Linf(0.01), version='custom', parts=['apgd_ce', 'square'], queries=20
  ),
  'cascade': lambda: attacks.Cascade(
    (
      ('a', attacks.fgsm(Linf(0.01))),
      ('b', attacks.fab_t(Linf(0.01), steps=3, targets=2)),
    )
  ),
}


class EqualAttacksTest(parameterized.TestCase):
  @parameterized.parameters(*attacks.ATTACKS)
  def test_built_anew(self, name):
    row = attacks.ATTACKS[name]
    ball, other = (L2, Linf) if name in tiny.L2_ONLY else (Linf, L2)
    self.assertEqual(row(ball(0.1)), row(ball(0.1)))
    self.assertNotEqual(row(ball(0.1)), row(ball(0.2)))
    if tiny.takes(name, other(0.1)):
      self.assertNotEqual(row(ball(0.1)), row(other(0.1)))

  @parameterized.parameters(*attacks.UNFORESEEN)
  def test_without_a_ball(self, name):
    self.assertEqual(attacks.UNFORESEEN[name](), attacks.UNFORESEEN[name]())

  def test_objectives_of_ones_own_may_change(self):
    """What they close over is theirs: an attack built anew is another one."""
    turn = {'by': -1.0}

    def objective(logits_fn, labels):
      plain = attacks.objectives.cross_entropy(logits_fn, labels)
      return lambda x: turn['by'] * plain(x)

    made = lambda: attacks.Attack(attacks.pgd_search(Linf(0.1)), objective)
    f = plain(0)
    labels = np.asarray(f(jnp.asarray(IMAGES))).argmax(-1)
    self.assertNotEqual(made(), made())
    found = []
    for turn['by'] in (-1.0, 1.0):
      found.append(attack_images(f, IMAGES, labels, made()).robust_accuracy)
    self.assertEqual(found[0], 1)
    self.assertLess(found[1], 0.7)
    start = lambda threat, keys, clean: clean
    search = lambda: attacks.apgd(Linf(0.1), start=start)
    self.assertNotEqual(search(), search())

  def test_arguments(self):
    calls = []

    @built_once
    def factory(a, *, b=1, c=None):
      calls.append((a, b, c))
      return object()

    self.assertIs(factory(1), factory(a=1, b=1))
    self.assertIsNot(factory(1), factory(1.0))
    self.assertIsNot(factory(1), factory(True))
    self.assertIsNot(factory(1, c=[]), factory(1, c=[]))
    self.assertLen(calls, 5)


class CompiledOnceTest(parameterized.TestCase):
  @parameterized.parameters(*KINDS)
  def test_directly(self, kind):
    for name in ('pgd', 'apgd', 'cascade'):
      one, other = KINDS[kind](0), KINDS[kind](1)
      images = jnp.asarray(IMAGES[:16])
      labels = jnp.argmax(one(images), -1)
      first = ATTACKS[name]()(jax.random.key(0), one, images, labels)
      with tiny.compilations() as compiled:
        again = ATTACKS[name]()(jax.random.key(0), one, images, labels)
        moved = ATTACKS[name]()(jax.random.key(0), other, images, labels)
      self.assertEmpty(compiled)
      np.testing.assert_array_equal(first, again)
      # The same as where it is part of a larger program.
      attack = ATTACKS[name]()
      inside = jax.jit(lambda key, x, y, a=attack, f=other: a(key, f, x, y))
      want = inside(jax.random.key(0), images, labels)
      self.assertLess(float(jnp.mean(jnp.abs(moved - want) > 1e-4)), 0.02)

  @parameterized.product(kind=('plain', 'jitted', 'nnx'), attack=(*ATTACKS,))
  def test_on_many_images(self, kind, attack):
    """Another checkpoint, an equal attack, another N: nothing is compiled."""
    given = dict(batch_size=16, keep_images=False)
    first = KINDS[kind](0)
    labels = np.asarray(first(jnp.asarray(IMAGES))).argmax(-1)
    attack_images(first, IMAGES[:30], labels[:30], ATTACKS[attack](), **given)
    for count in (30, 40, 23, 16):
      other = KINDS[kind](count)
      labels = np.asarray(other(jnp.asarray(IMAGES[:count]))).argmax(-1)
      labels[0] = (labels[0] + 1) % CLASSES
      if kind != 'jitted':
        other(jnp.asarray(IMAGES[:8]))  # what the network's own operations compile
      with tiny.compilations() as compiled:
        found = attack_images(other, IMAGES[:count], labels, ATTACKS[attack](), **given)
      self.assertEmpty(compiled, count)
      np.testing.assert_array_equal(found.clean_correct, np.arange(count) > 0)

  def test_no_weights_are_left(self):
    """Of earlier checkpoints: what is compiled holds none, nor do caches."""
    alive, images, labels = [], IMAGES[:16], LABELS[:16]
    for seed in range(20):
      w = weights(seed, 64, CLASSES)
      alive.append(weakref.ref(w))
      f = functools.partial(lambda w, x: x.reshape(len(x), -1) @ w, w)
      attack_images(f, images, labels, ATTACKS['pgd'](), batch_size=16)
      ATTACKS['apgd']()(jax.random.key(0), f, jnp.asarray(images), jnp.asarray(labels))
      if not seed:
        trust_panel(f, images, labels, Linf(0.1), count=8)
      del f, w
    gc.collect()
    self.assertLessEqual(sum(ref() is not None for ref in alive), 1)

  def test_weights_that_change_between_direct_calls(self):
    """The same function object, with other arrays in it: its new slopes are followed."""
    held = {'w': weights(0, 64, CLASSES)}
    f = lambda x: x.reshape(len(x), -1) @ held['w']
    images, labels = jnp.asarray(IMAGES[:8]), jnp.asarray(LABELS[:8])
    attack = attacks.fgsm(Linf(0.05))
    for _ in range(2):
      found = attack(jax.random.key(0), f, images, labels)
      loss = lambda x: (
        -jnp.take_along_axis(
          jax.nn.log_softmax(x.reshape(len(x), -1) @ held['w']), labels[:, None], -1
        )
      )
      slope = jax.grad(lambda x, loss=loss: loss(x).sum())(images)
      want = jnp.clip(images + 0.05 * jnp.sign(slope), 0, 1)
      np.testing.assert_allclose(found, want, atol=1e-6)
      held['w'] = -held['w']

  def test_inside_a_trace(self):
    """Where images, labels or weights are not known yet, an attack is a part of it."""
    images, labels = jnp.asarray(IMAGES[:8]), jnp.asarray(LABELS[:8])
    w = weights(0, 64, CLASSES)
    attack = ATTACKS['apgd']()

    @jax.jit
    def of_weights(w):
      return attack(
        jax.random.key(0), lambda x: x.reshape(len(x), -1) @ w, images, labels
      )

    want = attack(jax.random.key(0), lambda x: x.reshape(len(x), -1) @ w, images, labels)
    self.assertLess(float(jnp.mean(jnp.abs(of_weights(w) - want) > 1e-4)), 0.02)

  def test_names_say_weights_where_verdicts_are_kept(self):
    image = IMAGES[:1]
    self.assertNotEqual(signature(plain(0), image), signature(plain(1), image))
    self.assertIs(coded(plain(0), LIKE).code, coded(plain(1), LIKE).code)


if __name__ == '__main__':
  absltest.main()
