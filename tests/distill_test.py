"""`jaxrkd.distill`: the program's own step, for one's own network, optimiser and loop."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import tiny
from absl.testing import absltest, parameterized
from flax import linen, nnx

import jaxrkd
from jaxrkd import attacks, methods, models
from jaxrkd.errors import InputError
from jaxrkd.experiment import make
from jaxrkd.models.named import named_network
from jaxrkd.runtime import sharding

CLASSES, SHAPE = 3, (8, 8, 1)
RNG = np.random.default_rng(0)
IMAGES = RNG.random((16, *SHAPE), np.float32)
LABELS = RNG.integers(0, CLASSES, 16)
WEIGHTS = {
  name: jnp.asarray(RNG.normal(size=(64, CLASSES)), jnp.float32)
  for name in ('clean', 'robust')
}
SEARCH = attacks.pgd_search(attacks.Linf(0.1), steps=2, step_size=0.05)


def linear(weights, images):
  return images.reshape(len(images), -1) @ weights


def teachers():
  return {name: lambda x, w=w: linear(w, x) for name, w in WEIGHTS.items()}


class OwnNNX(nnx.Module):
  def __init__(self, rngs):
    self.conv = nnx.Conv(1, 4, (3, 3), rngs=rngs)
    self.norm = nnx.BatchNorm(4, rngs=rngs)
    self.drop = nnx.Dropout(0.2, rngs=rngs)
    self.head = nnx.Linear(4, CLASSES, rngs=rngs)

  def __call__(self, x):
    return self.head(self.drop(nnx.relu(self.norm(self.conv(x))).mean((1, 2))))


class Normed(nnx.Module):
  def __init__(self, rngs):
    self.conv = nnx.Conv(1, 4, (3, 3), rngs=rngs)
    self.norm = nnx.BatchNorm(4, rngs=rngs)
    self.head = nnx.Linear(4, CLASSES, rngs=rngs)

  def __call__(self, x):
    return self.head(nnx.relu(self.norm(self.conv(x))).mean((1, 2)))


class OwnLinen(linen.Module):
  @linen.compact
  def __call__(self, x, deterministic):
    x = linen.Conv(4, (3, 3))(x)
    x = linen.relu(linen.BatchNorm(use_running_average=deterministic)(x))
    return linen.Dense(CLASSES)(
      linen.Dropout(0.2, deterministic=deterministic)(x.mean((1, 2)))
    )


OWN = {
  'nnx': lambda: OwnNNX(nnx.Rngs(0)),
  'linen': lambda: models.from_linen(OwnLinen(), SHAPE),
  'functions': lambda: (lambda key: 0.01 * jax.random.normal(key, (64, CLASSES)), linear),
}


def own(**options):
  given = dict(teachers=teachers(), attack=SEARCH, optimizer=optax.adamw(1e-2))
  return jaxrkd.distill(OWN['functions'](), methods.mtard(), **{**given, **options})


class AsTheProgramTest(parameterized.TestCase):
  @parameterized.parameters('mtard', 'rslad', 'iad_1', 'at_aka', 'cat_aka')
  def test_same_losses(self, method):
    """The program's run of a config, and one's own loop with the same network and seed."""
    made = tiny.config(method, seed=3)
    if METHODS_WITH_A_GROUP[method]:
      made.attack.name, made.attack.start = 'svgd', 'uniform'
    run = tiny.Run(made)
    config, data, steps = run.config, run.data.train, 6
    assert steps > run.setup.steps_per_epoch
    state, rows = run.steps(run.setup.init(), steps)
    net = lambda node: named_network(node, run.data.classes, run.data.image_shape)
    variables = {
      name: jax.jit(run.nets[name].init)(jax.random.key(100 + number))
      for number, name in enumerate(config.teachers)
    }
    student = net(config.student)
    distiller = jaxrkd.distill(
      student,
      make.method(config),
      teachers={name: (run.nets[name], variables[name]) for name in variables},
      online={name: net(node) for name, node in config.online.items()}
      if method == 'at_aka'
      else (),
      attack=make.search(config),
      attack_bn=config.attack.bn,
      optimizer=run.setup.learner.optimizers.student,
      weights_optimizer=run.setup.learner.optimizers.weights,
      steps_per_epoch=run.setup.steps_per_epoch,
      mesh=run.mesh,
    )
    mine = distiller.init(jax.random.key(3))
    for step, row in enumerate(rows):
      epoch, within = divmod(step, run.setup.steps_per_epoch)
      order = np.asarray(run.setup.order(jnp.int32(epoch)))[within]
      chosen = np.maximum(order, 0)
      mine, scalars = distiller.step(
        mine,
        data.image[chosen],
        data.label[chosen],
        index=data.index[chosen],
        mask=(order >= 0) if (order < 0).any() or METHOD_MASKED(run) else None,
      )
      for name, value in row.items():
        np.testing.assert_allclose(float(scalars[name]), value, rtol=2e-5, err_msg=name)
    chex.assert_trees_all_close(mine.nets, state.nets, rtol=1e-3, atol=1e-5)


METHODS_WITH_A_GROUP = {name: bool(row().group) for name, row in methods.METHODS.items()}


def METHOD_MASKED(run):
  """Whether the run's batches carry a mask: all do where the last one is padded."""
  return bool(len(run.data.train) % run.config.batch_size)


class OwnLoopTest(parameterized.TestCase):
  @parameterized.parameters(*OWN)
  def test_any_network(self, kind):
    distiller = jaxrkd.distill(
      OWN[kind](),
      methods.mtard(),
      teachers=teachers(),
      attack=SEARCH,
      optimizer=optax.adamw(1e-2),
      ema_decay=0.5,
    )
    state = distiller.init(jax.random.key(0))
    before = jax.device_get(distiller.variables(state))
    state, scalars = distiller.step(state, IMAGES, LABELS)
    losses = [float(scalars['loss'])]
    with tiny.compilations() as compiled:
      for _ in range(29):
        state, scalars = distiller.step(state, IMAGES, LABELS)
        losses.append(float(scalars['loss']))
    self.assertEmpty(compiled)
    self.assertTrue(np.isfinite(losses).all())
    self.assertLess(np.mean(losses[-5:]), np.mean(losses[:5]))
    self.assertBetween(float(scalars['weight_adv']), 0, 1)
    after = jax.device_get(distiller.variables(state))
    for old, new in zip(jax.tree.leaves(before[0]), jax.tree.leaves(after[0])):
      self.assertGreater(np.abs(old - new).max(), 0)
    if kind != 'functions':
      # BatchNorm's running statistics, and dropout's counter or key.
      moved = jax.tree.map(lambda old, new: (old != new).any(), before[1], after[1])
      self.assertGreaterEqual(sum(map(bool, jax.tree.leaves(moved))), 3)
    logits = distiller.logits_fn(state)(IMAGES)
    average = distiller.logits_fn(state, average=True)(IMAGES)
    self.assertEqual(logits.shape, (16, CLASSES))
    self.assertGreater(float(jnp.abs(logits - average).max()), 0)
    np.testing.assert_array_equal(logits, distiller.logits_fn(state)(IMAGES))

  def test_the_module_gets_what_it_learnt(self):
    module = OwnNNX(nnx.Rngs(0))
    distiller = own()
    distiller = jaxrkd.distill(
      module, methods.sat(), attack=SEARCH, optimizer=optax.adamw(1e-2)
    )
    state = distiller.init(jax.random.key(0))
    for _ in range(3):
      state, _ = distiller.step(state, IMAGES, LABELS)
    models.update_nnx(module, *distiller.variables(state))
    module.eval()
    want = distiller.logits_fn(state)(IMAGES)
    np.testing.assert_allclose(module(IMAGES), want, rtol=1e-5, atol=1e-6)

  def test_devices_and_kinds_of_images(self):
    """The loss does not depend on the devices; bytes are the floats they stand for."""
    found = []
    for devices in (1, 4):
      distiller = own(mesh=sharding.data_mesh(jax.devices()[:devices]))
      state = distiller.init(jax.random.key(0))
      for images in ((IMAGES * 255).round() / 255, np.uint8((IMAGES * 255).round())):
        given = jax.tree.map(jnp.copy, state)
        _, scalars = distiller.step(given, images, LABELS)
        found.append(float(scalars['loss']))
    np.testing.assert_allclose(found, found[0], rtol=1e-5)

  def test_first_images_may_be_of_jax(self):
    distiller = own()
    kept = np.float32(IMAGES)
    before, found = kept.copy(), []
    for images in (jnp.asarray(kept), kept):
      state = distiller.init(jax.random.key(0))
      found.append(float(distiller.step(state, images, LABELS)[1]['loss']))
    self.assertEqual(*found)
    np.testing.assert_array_equal(kept, before)

  def test_a_growing_attack(self):
    def loss(attack, epochs=0):
      distiller = own(attack=attack, **(dict(steps_per_epoch=1) if epochs else {}))
      return float(
        distiller.step(distiller.init(jax.random.key(0)), IMAGES, LABELS)[1]['loss']
      )

    search = lambda share: attacks.pgd_search(attacks.Linf(share * 0.1), steps=4)
    found = loss(attacks.Ramp(search, epochs=4), 4)
    np.testing.assert_allclose(found, loss(search(0.25)), rtol=1e-5)
    self.assertNotEqual(found, loss(search(1.0)))
    with self.assertRaisesRegex(InputError, 'attack.ramp is 0'):
      attacks.Ramp(search, epochs=0)

  def test_the_memory_of_a_state_is_reused(self):
    distiller = own()
    state = distiller.init(jax.random.key(0))
    student = distiller.logits_fn(state)
    before = np.asarray(student(IMAGES))
    self.addCleanup(lambda: np.testing.assert_array_equal(student(IMAGES), before))
    self.assertIn('student', repr(distiller))
    distiller.step(state, IMAGES, LABELS)
    self.assertTrue(jax.tree.leaves(state.nets)[0].is_deleted())

  def test_padding(self):
    distiller = own()
    full, _ = distiller.step(distiller.init(jax.random.key(0)), IMAGES[:8], LABELS[:8])
    mask = np.arange(16) < 8
    padded, _ = distiller.step(
      distiller.init(jax.random.key(0)), IMAGES, LABELS, mask=mask
    )
    chex.assert_trees_all_close(full.nets, padded.nets, rtol=1e-4, atol=1e-6)

  def test_soft_labels_are_labels(self):
    found = []
    for labels in (LABELS, np.eye(CLASSES, dtype=np.float32)[LABELS]):
      distiller = own()
      state = distiller.init(jax.random.key(0))
      found.append(distiller.step(state, IMAGES, labels)[1]['loss'])
    np.testing.assert_allclose(*found, rtol=1e-6)

  def test_several_teachers_in_a_role(self):
    """Equal shares of probabilities, whether functions, or networks with variables."""
    net = models.as_net((lambda key: jnp.zeros((64, CLASSES)), linear))
    pairs = [(net, (w, {})) for w in WEIGHTS.values()]
    both = lambda x: jnp.log(
      sum(jax.nn.softmax(linear(w, x)) for w in WEIGHTS.values()) / 2
    )
    losses = []
    for robust in (pairs, list(teachers().values()), both):
      distiller = jaxrkd.distill(
        OWN['functions'](),
        methods.rslad(),
        teachers={'robust': robust},
        attack=SEARCH,
        optimizer=optax.sgd(0.1),
      )
      _, scalars = distiller.step(distiller.init(jax.random.key(0)), IMAGES, LABELS)
      losses.append(float(scalars['loss']))
    np.testing.assert_allclose(losses, losses[0], rtol=1e-5)

  def test_modes_that_the_call_is_told(self):
    """A module with an argument for its mode, and a teacher on one device."""

    class Told(nnx.Module):
      def __init__(self, rngs):
        self.norm = nnx.BatchNorm(1, rngs=rngs)
        self.head = nnx.Linear(64, CLASSES, rngs=rngs)

      def __call__(self, x, train=False):
        x = self.norm(x, use_running_average=not train)
        return self.head(x.reshape(len(x), -1))

    mesh = sharding.data_mesh(jax.devices()[:4])
    net = models.as_net((lambda key: jnp.zeros((64, CLASSES)), linear))
    here = jax.device_put(WEIGHTS['robust'], jax.devices()[0])
    distiller = jaxrkd.distill(
      Told(nnx.Rngs(0)),
      methods.rslad(),
      teachers={'robust': (net, (here, {}))},
      attack=SEARCH,
      optimizer=optax.sgd(0.1),
      mesh=mesh,
    )
    state = distiller.init(jax.random.key(0))
    for _ in range(2):
      state, _ = distiller.step(state, IMAGES, list(LABELS))
    mean = distiller.variables(state)[1]['norm']['mean']
    self.assertGreater(float(jnp.abs(mean).max()), 1e-3)

  def test_a_group(self):
    net = OWN['functions']()
    distiller = jaxrkd.distill(
      net,
      methods.at_aka(),
      online=[net, OwnNNX(nnx.Rngs(1))],
      attack=attacks.svgd_search(attacks.Linf(0.1), steps=2, step_size=0.05),
      optimizer=optax.adamw(1e-2),
    )
    state = distiller.init(jax.random.key(0))
    state, scalars = distiller.step(state, IMAGES, LABELS)
    self.assertIn('loss_teacher_2', scalars)
    self.assertEqual(set(state.nets), {'student', 'teacher_1', 'teacher_2'})
    for name in state.nets:
      self.assertEqual(distiller.logits_fn(state, name)(IMAGES).shape, (16, CLASSES))

  def test_another_inner_problem(self):
    plain = own(inner=methods.INNERS['none'](), attack=None)
    state = plain.init(jax.random.key(0))
    _, scalars = plain.step(state, IMAGES, LABELS)
    want = own(attack=attacks.pgd_search(attacks.Linf(1e-6), steps=1, step_size=1e-6))
    _, expected = want.step(want.init(jax.random.key(0)), IMAGES, LABELS)
    np.testing.assert_allclose(scalars['loss'], expected['loss'], rtol=1e-3)


class LossAloneTest(parameterized.TestCase):
  def test_mtard_in_a_loop_of_ones_own(self):
    """`Method.init` and `Method.loss` move the student as the whole step does."""
    distiller = own(optimizer=optax.sgd(0.1))
    state = distiller.init(jax.random.key(0))
    params, _ = distiller.variables(state)
    params = jnp.copy(params)
    method, frozen = methods.mtard(), teachers()
    memory = method.init()

    @jax.jit
    def step(params, memory, images, labels, key):
      batch = {'image': images, 'label': labels}
      objective = method.inner.prepare(frozen, batch)(lambda x: linear(params, x))
      adversarial = SEARCH(key, objective, images)

      def loss(params):
        student = lambda stats, x: (linear(params, x), stats)
        return method.loss(memory, student, (), frozen, batch, adversarial)

      (value, found), grads = jax.value_and_grad(loss, has_aux=True)(params)
      return params - 0.1 * grads, found.state, value

    for number in range(4):
      keys = attacks.example_keys(
        jax.random.fold_in(state.key, number), jnp.arange(len(IMAGES))
      )
      keys = jax.vmap(jax.random.split)(keys)[:, 1]
      params, memory, value = step(params, memory, IMAGES, LABELS, keys)
      state, scalars = distiller.step(state, IMAGES, LABELS)
      np.testing.assert_allclose(value, scalars['loss'], rtol=1e-5)
    chex.assert_trees_all_close(params, distiller.variables(state)[0], rtol=1e-4)
    chex.assert_trees_all_close(memory.weights, state.weights, rtol=1e-5)
    self.assertNotAlmostEqual(float(memory.weights['adv']), 0.5, places=4)

  def still(self, method, **options):
    """The step without an attack, on networks with BatchNorm; and its first state."""
    net = models.from_nnx(Normed)
    distiller = jaxrkd.distill(
      net,
      method,
      teachers=teachers() if method.teachers else {},
      inner=methods.INNERS['none'](),
      attack=None,
      optimizer=optax.sgd(0.1),
      **options,
    )
    state = distiller.init(jax.random.key(0))
    variables = {name: distiller.variables(state, name) for name in state.nets}
    return net, variables, distiller.step(state, IMAGES, LABELS)

  def test_with_batch_norm(self):
    method = methods.mtard()
    net, variables, (state, scalars) = self.still(method)
    params, stats = variables['student']
    batch = {'image': jnp.asarray(IMAGES), 'label': jnp.asarray(LABELS)}
    student = lambda stats, x: net.apply_train(params, stats, x, None)
    value, found = method.loss(
      method.init(), student, stats, teachers(), batch, batch['image']
    )
    np.testing.assert_allclose(value, scalars['loss'], rtol=1e-5)
    chex.assert_trees_all_close(found.stats, state.nets['student'].stats, rtol=1e-5)

  def test_with_a_group(self):
    method = methods.at_aka()
    nets = [models.from_nnx(Normed)] * 2
    net, variables, (state, scalars) = self.still(method, online=nets)
    params = {name: p for name, (p, _) in variables.items()}
    stats = {name: s for name, (_, s) in variables.items()}
    online = [name for name in stats if name != 'student']

    def student(stats, x):
      logits, new = net.apply_train(params['student'], stats['student'], x, None)
      return logits, {**stats, 'student': new}

    def group(stats, x):
      logits, stats = [], dict(stats)
      for name, images in zip(online, x):
        z, stats[name] = net.apply_train(params[name], stats[name], images, None)
        logits.append(z)
      return jnp.stack(logits), stats

    def still(stats, x):
      pairs = zip(online, x)
      return jnp.stack([net.apply(params[n], stats[n], images) for n, images in pairs])

    batch = {'image': jnp.asarray(IMAGES), 'label': jnp.asarray(LABELS)}
    trained = methods.Networks(student, group, still)
    particles = methods.Attacked(jnp.stack([batch['image']] * 2))
    value, found = method.loss(method.init(), trained, stats, {}, batch, particles)
    np.testing.assert_allclose(value, scalars['loss'], rtol=1e-5)
    for name in stats:
      chex.assert_trees_all_close(found.stats[name], state.nets[name].stats, rtol=1e-5)

  @parameterized.parameters(
    (lambda terms: terms, 'gives a dict; give a tuple of a dictionary'),
    (lambda terms: (terms, None), 'stats of another structure'),
    (
      lambda terms: ({'label': jnp.ones(3)}, {'mean': 0.0}),
      r"the term 'label' of the method has shape \(3,\)",
    ),
  )
  def test_mistakes_in_terms_of_ones_own(self, give, text):
    method = methods.Method(
      methods.INNERS['none'](), lambda *given: give({'label': jnp.ones(())})
    )
    student = lambda stats, x: (x.reshape(len(x), -1), stats)
    batch = {'image': jnp.asarray(IMAGES), 'label': jnp.asarray(LABELS)}
    with self.assertRaisesRegex(InputError, text) as caught:
      method.loss(method.init(), student, {'mean': 0.0}, {}, batch, batch['image'])
    self.assertNotIn('\n', str(caught.exception))

  def test_8_bit_images_are_those_that_were_trained_on(self):
    distiller = own()
    logits_fn = distiller.logits_fn(distiller.init(jax.random.key(0)))
    bytes_ = np.round(255 * IMAGES).astype(np.uint8)
    np.testing.assert_allclose(
      logits_fn(bytes_), logits_fn(bytes_.astype(np.float32) / 255), rtol=1e-5
    )

  @parameterized.parameters(*methods.METHODS)
  def test_every_method_has_a_state(self, name):
    state = methods.METHODS[name]().init(classes=10)
    self.assertEqual(int(state.step), 0)
    for leaf in jax.tree.leaves(state.weights):
      self.assertFalse(leaf.weak_type)


ONE = OwnNNX(nnx.Rngs(0))


class RefusedTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('method', dict(method=methods.mtard), 'give a method that is built'),
    ('attack', dict(attack=attacks.pgd(attacks.Linf(0.1))), 'give a search'),
    ('none', dict(attack=None), 'no attack; the inner problem of the method needs one'),
    ('optimizer', dict(optimizer=optax.adamw), 'give an optax transformation'),
    ('missing', dict(teachers={'clean': len}), "no teacher answers as 'robust'"),
    ('micro', dict(micro_batch=4, attack_bn='batch'), 'sees the whole batch'),
    ('micro_size', dict(micro_batch=-1), 'micro_batch is -1'),
    ('list', dict(teachers=[len]), 'give a dictionary from role to teacher'),
    ('weights', dict(weights_optimizer=3), 'weights_optimizer is 3; give an optax'),
    ('mesh', dict(mesh=3), 'mesh is 3; give one of'),
    (
      'equal',
      dict(net=OwnNNX(nnx.Rngs(0)), method=methods.cat_aka(), teachers={}),
      'must begin differently',
    ),
    (
      'twice',
      dict(method=methods.at_aka(), teachers={}, online=[ONE, ONE]),
      'is there twice in online',
    ),
    ('idle', dict(teachers={**teachers(), 'x': len}), "and not 'x'; leave it out"),
    ('teacher', dict(teachers={**teachers(), 'clean': 3}), "answers as 'clean' is a int"),
    (
      'untrained',
      dict(teachers={**teachers(), 'clean': models.as_net(OWN['functions']())}),
      'a network without weights',
    ),
    (
      'functions',
      dict(teachers={**teachers(), 'clean': OWN['functions']()}),
      'is a tuple of 2',
    ),
    ('tuple', dict(teachers={**teachers(), 'clean': (1, 2, 3)}), 'is a tuple of 3'),
    ('online', dict(online=[1]), 'trains nothing beside the student'),
    ('bn', dict(attack_bn='none'), 'attack_bn'),
    ('average', dict(average='mean'), 'average'),
    ('ema', dict(ema_decay=1.0), 'ema.decay is 1.0'),
    ('inner', dict(inner='ce'), 'give an inner problem'),
    ('group', dict(method=methods.at_aka()), 'trains teachers beside the student'),
  )
  def test_options(self, changes, said):
    given = dict(
      net=OWN['functions'](),
      method=methods.mtard(),
      teachers=teachers(),
      attack=SEARCH,
      optimizer=optax.sgd(0.1),
    )
    with self.assertRaisesRegex(InputError, said):
      jaxrkd.distill(**{**given, **changes})

  @parameterized.named_parameters(
    ('range', (255 * IMAGES, LABELS), {}, 'images reach from'),
    ('first', (IMAGES.transpose(0, 3, 1, 2)[:, :, :4], LABELS), {}, 'linear|shape'),
    ('labels', (IMAGES, LABELS + 1), {}, 'labels reach from'),
    ('count', (IMAGES, LABELS[:8]), {}, 'labels have shape'),
    ('probabilities', (IMAGES, np.ones((16, CLASSES))), {}, 'not probabilities'),
    ('classes', (IMAGES, np.eye(4)[LABELS]), {}, 'must be .16, 3.'),
    ('index', (IMAGES, LABELS), dict(index=np.arange(3)), 'index has shape'),
    ('numbers', (IMAGES, LABELS), dict(index=np.ones(16)), 'index holds no integers'),
    (
      'padding',
      (IMAGES, LABELS),
      dict(mask=-np.ones(16)),
      'mask holds more than 0 and 1',
    ),
    ('mask', (IMAGES, LABELS), dict(mask=np.ones(3)), 'mask has shape'),
  )
  def test_batches(self, given, options, said):
    distiller = own()
    state = distiller.init(jax.random.key(0))
    with self.assertRaisesRegex(InputError, said):
      distiller.step(state, *given, **options)
    # Neither is it taken later.
    state, _ = distiller.step(state, IMAGES, LABELS)
    with self.assertRaisesRegex(InputError, said):
      distiller.step(state, *given, **options)
    # Nothing is lost: the state is still there.
    self.assertFalse(jax.tree.leaves(state.nets)[0].is_deleted())

  def test_batches_and_devices(self):
    distiller = own(mesh=sharding.data_mesh(jax.devices()[:4]))
    state = distiller.init(jax.random.key(0))
    with self.assertRaisesRegex(InputError, 'is 10, which 4 devices do not divide'):
      distiller.step(state, IMAGES[:10], LABELS[:10])

  def test_other_classes(self):
    distiller = own(
      teachers={**teachers(), 'clean': lambda x: linear(jnp.ones((64, 5)), x)}
    )
    state = distiller.init(jax.random.key(0))
    with self.assertRaisesRegex(InputError, "student 3, teacher 'clean' 5"):
      distiller.step(state, IMAGES, LABELS)

  @parameterized.parameters(
    (lambda x: jax.nn.softmax(linear(WEIGHTS['clean'], x)), 'gives probabilities'),
    (lambda x: linear(WEIGHTS['clean'], x) / 0, 'gives values that are not finite'),
  )
  def test_teachers_that_give_no_logits(self, teacher, said):
    distiller = own(teachers={**teachers(), 'clean': teacher})
    with self.assertRaisesRegex(InputError, f"teacher 'clean' {said}"):
      distiller.step(distiller.init(jax.random.key(0)), IMAGES, LABELS)

  def test_a_state_that_was_used(self):
    distiller = own()
    state = distiller.init(jax.random.key(0))
    distiller.step(state, IMAGES, LABELS)
    with self.assertRaisesRegex(InputError, 'was given to a step before'):
      distiller.step(state, IMAGES, LABELS)

  def test_bytes_in_the_bare_step(self):
    distiller = own()
    state = distiller.init(jax.random.key(0))
    batch = {'image': np.uint8(255 * IMAGES), 'label': LABELS}
    with self.assertRaisesRegex(InputError, 'are uint8; give floats'):
      distiller.update(state, distiller.teacher_variables, batch)

  def test_bytes_in_the_bare_loss(self):
    method, images = methods.mtard(), np.uint8(255 * IMAGES)
    student = lambda stats, x: (linear(WEIGHTS['clean'], x), stats)
    for clean, moved in ((images, IMAGES), (IMAGES, images)):
      batch = {'image': clean, 'label': LABELS}
      with self.assertRaisesRegex(InputError, 'of a loss are uint8; give floats'):
        method.loss(method.init(), student, (), teachers(), batch, moved)

  def test_names_of_networks(self):
    distiller = own()
    state = distiller.init(jax.random.key(0))
    with self.assertRaisesRegex(
      InputError, "no network 'studnt' is trained; did you mean"
    ):
      distiller.logits_fn(state, 'studnt')
    with self.assertRaisesRegex(InputError, 'ema_decay=0.995'):
      distiller.logits_fn(state, average=True)


if __name__ == '__main__':
  absltest.main()
