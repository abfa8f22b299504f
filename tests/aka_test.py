"""Methods with a group: losses and gradients against numpy, groups of networks, one step."""

import itertools
from unittest import mock

import chex
import jax
import jax.numpy as jnp
import method_world as world
import numpy as np
import tiny
from absl.testing import absltest, parameterized

from jaxrkd import experiment
from jaxrkd.amalgamation.simplex import nearest_mixture
from jaxrkd.errors import InputError
from jaxrkd.methods import METHODS, Attacked, Networks
from jaxrkd.models import NETWORKS, from_nnx
from jaxrkd.models.group import make_group
from jaxrkd.models.layers import Layers
from jaxrkd.train.attack import Attacker

B, D, C, N = world.B, world.D, world.C, 3
softmax, kl = world.softmax, world.kl


class World(world.World):
  """`world.World` with a group of linear networks and a particle for each."""

  def __init__(self):
    super().__init__()
    rng = np.random.default_rng(5)
    self.group = rng.normal(size=(N, D, C))
    self.particles = self.x + rng.uniform(-0.2, 0.2, (N, *self.x.shape))

  def networks(self, w, group):
    flat = lambda x: x.reshape(*x.shape[:-3], -1)
    answers = lambda x: jnp.einsum('nbd,ndc->nbc', flat(x), group)
    return Networks(
      lambda stats, x: (flat(x) @ w, (*stats, 'student')),
      lambda stats, x: (answers(x), (*stats, 'group')),
      # Another network, so that it shows which forward a target comes from.
      lambda stats, x: 0.5 * answers(x),
    )

  def value(self, method, w, group):
    adversarial = Attacked(jnp.asarray(self.particles), jnp.asarray(self.x_adv))
    found, stats = method.terms(
      self.networks(w, group), (), {}, self.batch(), adversarial
    )
    return method.total(found, {}), stats

  def answers(self, group):
    """[n, B, C]: each member on its own particle."""
    return np.stack([self.logits(v, x) for v, x in zip(group, self.particles)])


class PairWorld(World):
  """One network learns along, and only the student is attacked."""

  def __init__(self):
    super().__init__()
    self.group = self.group[:1]

  def value(self, method, w, group):
    x_adv = jnp.asarray(self.x_adv)
    networks = self.networks(w, group)
    found, stats = method.terms(networks, (), {}, self.batch(), x_adv)
    return method.total(found, {}), stats


def lbgat(v, w, group, fixed, beta=6.0):
  del fixed
  (guide,) = group
  near = ((v.logits(w, v.x_adv) - v.logits(guide, v.x)) ** 2).mean(-1)
  far = kl(v.probs(w, v.x), v.probs(w, v.x_adv))
  return v.mean(near + v.ce(v.probs(guide, v.x)) + beta * far)


def peeraid(
  v, w, group, fixed, t=5.0, s=1.0, l1=0.0, l2=1.0, l3=1.0, g1=1.0, g2=0.1, detach=False
):
  (peer,), (w0, (peer0,)) = group, fixed
  at = lambda weights, x, t: v.probs(weights, x, t)
  adv, taught = at(w, v.x_adv, t), at(w0 if detach else w, v.x_adv, s)
  student = l1 * v.ce(v.probs(w, v.x_adv)) + l2 * t**2 / C * kl(
    at(peer0, v.x_adv, t), adv
  )
  student += l3 * t**2 / C * kl(at(w, v.x, t), adv)
  own = g1 * v.ce(v.probs(peer, v.x_adv))
  return v.mean(student + own + g2 * s**2 / C * kl(taught, at(peer, v.x_adv, s)))


def amalgam(v, z, rule, student, beta=1.0):
  """Weights [n, B] by the formulas of the paper."""
  loss = np.stack([v.ce(softmax(row)) for row in z])
  if rule == 'naive':
    return np.eye(N)[loss.argmax(0)].T
  if rule == 'linear':
    return loss / loss.sum(0)
  if rule == 'soft':
    return np.exp(beta * loss) / np.exp(beta * loss).sum(0)
  return np.asarray(nearest_mixture(jnp.asarray(softmax(z)), softmax(student)))


def at_aka(
  v,
  w,
  group,
  fixed,
  rule='soft',
  alpha=0.1,
  beta=1.0,
  student_input='clean',
  teacher_inputs='own',
  teacher_bn='train',
  divisor=1,
  reverse=False,
  stop=True,
):
  """The total; `fixed` = (w, group) is what nothing is differentiated by."""
  w0, group0 = fixed
  z = v.answers(group0 if stop else group)
  z = 0.5 * z if teacher_bn == 'eval' else z
  images = {'clean': [v.x], 'own_pgd': [v.x_adv], 'particles': v.particles}
  total = 0
  for x in images[student_input]:
    own = v.logits(w, x)
    weights = amalgam(v, z, rule, v.logits(w0, x), beta)[..., None]
    if rule == 'pareto':
      mixed = (weights * softmax(z)).sum(0)
      pair = (softmax(own), mixed) if reverse else (mixed, softmax(own))
      far = kl(*pair)
    else:
      far = ((own - (weights * z).sum(0)) ** 2).sum(-1) / divisor
    ce = v.ce(softmax(own))
    total += v.mean((1 - alpha) * ce + alpha * far) / len(images[student_input])
  for k, member in enumerate(group):
    fed = v.particles if teacher_inputs == 'all' else [v.particles[k]]
    total += np.mean([v.mean(v.ce(v.probs(member, x))) for x in fed])
  return total


def cat_aka(
  v,
  w,
  group,
  fixed,
  rule='soft',
  alpha=0.1,
  beta=1.0,
  target_bn='train',
  divisor=1,
  stop=True,
):
  del w
  own = v.answers(group)
  z = v.answers(fixed[1]) if stop else own
  z = 0.5 * z if target_bn == 'eval' else z
  target = (amalgam(v, z, rule, None, beta)[..., None] * z).sum(0)
  total = 0
  for row in own:
    far = ((row - target) ** 2).sum(-1) / divisor
    total += v.mean((1 - alpha) * v.ce(softmax(row)) + alpha * far)
  return total


# fmt: off
CASES = [
  ('at_aka', at_aka, {}, {}),
  ('at_aka', at_aka, dict(alpha=0.7, beta=2.5), dict(alpha=0.7, beta=2.5)),
  ('at_aka', at_aka, dict(mse_reduction='class_mean', alpha=0.5), dict(divisor=C, alpha=0.5)),
  ('at_aka', at_aka, dict(amalgamation='naive'), dict(rule='naive')),
  ('at_aka', at_aka, dict(amalgamation='linear'), dict(rule='linear')),
  ('at_aka', at_aka, dict(amalgamation='pareto'), dict(rule='pareto')),
  ('at_aka', at_aka, dict(amalgamation='pareto', kl_direction='reverse'),
   dict(rule='pareto', reverse=True)),
  ('at_aka', at_aka, dict(amalgamation='pareto', student_input='particles'),
   dict(rule='pareto', student_input='particles')),
  ('at_aka', at_aka, dict(student_input='particles'), dict(student_input='particles')),
  ('at_aka', at_aka, dict(student_input='own_pgd'), dict(student_input='own_pgd')),
  ('at_aka', at_aka, dict(teacher_inputs='all'), dict(teacher_inputs='all')),
  ('at_aka', at_aka, dict(teacher_bn='eval'), dict(teacher_bn='eval')),
  ('at_aka', at_aka, dict(stop_gradient=False, alpha=0.5), dict(stop=False, alpha=0.5)),
  ('at_aka', at_aka, dict(stop_gradient=False, amalgamation='linear'),
   dict(stop=False, rule='linear')),
  ('cat_aka', cat_aka, {}, {}),
  ('cat_aka', cat_aka, dict(alpha=0.7, beta=2.5), dict(alpha=0.7, beta=2.5)),
  *(('cat_aka', cat_aka, dict(amalgamation=r), dict(rule=r)) for r in ('naive', 'linear')),
  ('cat_aka', cat_aka, dict(mse_reduction='class_mean'), dict(divisor=C)),
  ('cat_aka', cat_aka, dict(target_bn='eval'), dict(target_bn='eval')),
  ('cat_aka', cat_aka, dict(stop_gradient=False), dict(stop=False)),
  ('lbgat', lbgat, {}, {}),
  ('lbgat', lbgat, dict(beta=0.0), dict(beta=0.0)),
  ('peeraid', peeraid, {}, {}),
  ('peeraid', peeraid,
   dict(temperature=2.0, peer_temperature=3.0, label_weight=0.7, peer_weight=0.4,
        clean_weight=0.3, peer_label_weight=0.6, peer_student_weight=1.5),
   dict(t=2.0, s=3.0, l1=0.7, l2=0.4, l3=0.3, g1=0.6, g2=1.5)),
  ('peeraid', peeraid, dict(detach_student=True), dict(detach=True)),
]
# fmt: on


class OracleTest(parameterized.TestCase):
  @parameterized.named_parameters(
    (f'{k}_{name}_{"_".join(map(str, told.values()))}', name, oracle, options, told)
    for k, (name, oracle, options, told) in enumerate(CASES)
  )
  def test_value_and_gradient(self, name, oracle, options, told):
    self.enterContext(jax.enable_x64(True))
    method = METHODS[name](**options)
    v = World() if method.attacks_group else PairWorld()
    given = (v.w, v.group)
    value = lambda w, group: v.value(method, w, group)[0]
    got, slopes = jax.value_and_grad(value, (0, 1))(*map(jnp.asarray, given))
    np.testing.assert_allclose(got, oracle(v, *given, given, **told), rtol=1e-9)
    h = 1e-6
    for k, slope in enumerate(slopes):
      want = np.zeros_like(given[k])
      for place in np.ndindex(*want.shape):
        ends = []
        for sign in (1, -1):
          moved = [a.copy() for a in given]
          moved[k][place] += sign * h
          ends.append(oracle(v, *moved, given, **told))
        want[place] = (ends[0] - ends[1]) / (2 * h)
      np.testing.assert_allclose(slope, want, atol=1e-7)

  def test_every_method_with_a_group_has_an_oracle(self):
    groups = {name for name in METHODS if METHODS[name]().group}
    self.assertEqual({case[0] for case in CASES}, groups)

  @parameterized.parameters('at_aka', 'cat_aka')
  def test_soft_labels_that_are_one_hot_change_nothing(self, name):
    self.enterContext(jax.enable_x64(True))
    v, method = World(), METHODS[name]()
    adversarial = Attacked(jnp.asarray(v.particles))
    found = []
    for more in ({}, {'target': jax.nn.one_hot(v.y, C)}):
      batch = {**v.batch(), **more}
      networks = v.networks(jnp.asarray(v.w), jnp.asarray(v.group))
      terms, _ = method.terms(networks, (), {}, batch, adversarial)
      found.append(method.total(terms, {}))
    np.testing.assert_allclose(*found, rtol=1e-12)

  def test_statistics_that_count(self):
    """One training forward of each network, whatever the target is taken from."""
    v = World()
    for options in ({}, dict(teacher_bn='eval'), dict(student_input='particles')):
      _, stats = v.value(METHODS['at_aka'](**options), v.w, v.group)
      self.assertEqual(stats, ('group', 'student'))

  @parameterized.parameters(
    ('at_aka', dict(alpha=1.5), 'method.alpha is 1.5'),
    ('at_aka', dict(alpha=float('nan')), 'method.alpha is nan'),
    ('at_aka', dict(student_input='adv'), 'student_input'),
    ('at_aka', dict(teacher_inputs='none'), 'teacher_inputs'),
    ('at_aka', dict(teacher_bn='batch'), 'teacher_bn'),
    ('at_aka', dict(kl_direction='both'), 'kl_direction'),
    ('at_aka', dict(mse_reduction='sum'), 'mse_reduction'),
    ('cat_aka', dict(students=1), 'method.students is 1'),
    ('cat_aka', dict(amalgamation='pareto'), 'cat_aka takes naive, linear or soft'),
    ('cat_aka', dict(target_bn='batch'), 'target_bn'),
  )
  def test_bad_options(self, name, options, text):
    with self.assertRaisesRegex(InputError, text):
      METHODS[name](**options)


def small(widths):
  return from_nnx(
    lambda rngs: NETWORKS['convnet'](Layers(rngs), 3, 1, widths=widths, strides=(1, 2))
  )


class GroupTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    one, two = small((4, 8)), small((5, 6))
    self.nets = [one, two, one]
    self.members = [net.init(jax.random.key(k)) for k, net in enumerate(self.nets)]
    rng = np.random.default_rng(0)
    self.images = jnp.asarray(rng.uniform(size=(3, 5, 8, 8, 1)), jnp.float32)

  @parameterized.parameters(True, False)
  def test_every_member_sees_its_own_images(self, mapped):
    group = make_group(self.nets, mapped)
    self.assertEqual([places for _, places in group.stacks], [(0, 2), (1,)])
    got = group.logits(group.join(self.members), self.images)
    again = group.logits(group.join(self.members), self.images[0], shared=True)
    mask = jnp.array([1.0, 1, 1, 1, 0])
    logits, stats = group.train(self.members, self.images, mask)
    for k, (net, variables) in enumerate(zip(self.nets, self.members)):
      want = net.apply(*variables, self.images[k])
      np.testing.assert_allclose(got[k], want, atol=1e-5)
      np.testing.assert_allclose(
        again[k], net.apply(*variables, self.images[0]), atol=1e-5
      )
      want, moved = net.apply_train(*variables, self.images[k], mask)
      np.testing.assert_allclose(logits[k], want, atol=1e-5)
      chex.assert_trees_all_close(stats[k], moved, atol=1e-5)

  @parameterized.parameters(
    ('at_aka', 'eval'),
    ('at_aka', 'train', True),
    ('cat_aka', 'batch'),
  )
  def test_one_call_equals_a_loop(self, method, bn, mixed=False):
    """Losses, parameters and statistics of three steps, in float64."""
    found = []
    with jax.enable_x64(True):
      for stacking in ('vmap', 'loop'):
        made = tiny.config(method, stacking=stacking, attack__bn=bn)
        made.attack.name = 'svgd'
        made.attack.start = 'uniform'
        if mixed:
          made.online.t3 = dict(name='convnet', widths=(3, 5), strides=(1, 2))
        run = tiny.Run(made)
        state, rows = run.steps(run.setup.init(), 3)
        found.append((rows, jax.device_get(state.nets)))
    (rows, nets), (others, other_nets) = found
    chex.assert_trees_all_close(rows, others, rtol=1e-9)
    chex.assert_trees_all_close(nets, other_nets, atol=1e-9)
    self.assertGreater(rows[0]['particles_l2'], 0.05)


class StepTest(parameterized.TestCase):
  def moved(self, made, steps=1):
    """Which networks' parameters a step moves, and by how much the statistics do."""
    run = tiny.Run(made)
    state = run.setup.init()
    before = jax.device_get(state.nets)
    state, rows = run.steps(state, steps)
    return before, jax.device_get(state.nets), rows

  def test_each_teacher_learns_from_its_own_loss_alone(self):
    """Its parameters do not depend on the student, unless the gradient is let through."""
    ends = {}
    for alpha, stop in ((0.0, True), (0.9, True), (0.9, False)):
      made = tiny.config('at_aka')
      made.method = dict(name='at_aka', alpha=alpha, stop_gradient=stop)
      _, after, _ = self.moved(made)
      ends[alpha, stop] = after
    for name in ('t1', 't2'):
      chex.assert_trees_all_close(
        ends[0.0, True][name].params, ends[0.9, True][name].params, atol=1e-7
      )
      a, b = (jax.tree.leaves(ends[0.9, stop][name].params)[0] for stop in (True, False))
      self.assertGreater(np.abs(a - b).max(), 1e-5)

  def test_networks_start_differently_and_have_their_own_momentum(self):
    before, after, _ = self.moved(tiny.config('at_aka'))
    self.assertEqual(set(after), {'student', 't1', 't2'})
    apart = lambda a, b: max(
      np.abs(x - y).max() for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b))
    )
    for tree in (before, after):
      self.assertGreater(apart(tree['t1'].params, tree['t2'].params), 1e-2)
    for name in after:
      self.assertGreater(apart(before[name].opt, after[name].opt), 0)
    self.assertGreater(apart(after['t1'].opt, after['t2'].opt), 1e-4)

  def test_own_images_of_the_student(self):
    """own_pgd is SAT's attack on the student, whose distillation has weight 0."""
    made = tiny.config('at_aka', attack__start='none')
    made.method = dict(name='at_aka', alpha=0.0, student_input='own_pgd')
    _, aka, rows = self.moved(made)
    sat = tiny.config('sat', attack__start='none')
    before, plain, want = self.moved(sat)
    self.assertNotEqual(rows[0]['loss_ce'], 0)
    del before
    np.testing.assert_allclose(rows[0]['loss_ce'], want[0]['loss'], rtol=1e-5)
    chex.assert_trees_all_close(aka['student'].params, plain['student'].params, atol=1e-6)


def step_with_padding(method, bn, masked=True, devices=1, garbage=0.0, **options):
  """One update on 6 images of which the last 2 are padding; all new networks, scalars."""
  made = tiny.config(method, attack__bn=bn, attack__steps=2)
  made.method = dict(name=method, **options)
  if METHODS[method]().group:
    made.attack.name, made.attack.start = 'svgd', 'uniform'
  run = tiny.Run(made, devices)
  rng = np.random.default_rng(0)
  image = rng.uniform(size=(6, 8, 8, 1))
  image[4:] += garbage * rng.uniform(-1, 1, image[4:].shape)
  rows = 6 if masked else 4
  keys = jax.random.split(jax.random.key(7), 6)[:rows]
  batch = {
    'image': jnp.asarray(image[:rows]),
    'label': jnp.arange(rows) % 3,
    'key': keys,
  }
  if masked:
    batch['mask'] = jnp.asarray([1.0, 1, 1, 1, 0, 0])
  update = jax.jit(run.setup.distiller.update)
  state, scalars = update(run.setup.init(), run.teachers, batch)
  return jax.device_get((state.nets, scalars))


class PaddingTest(parameterized.TestCase):
  @parameterized.parameters(
    ('sat', 'batch'),
    ('sat', 'train'),
    ('at_aka', 'train', dict(student_input='particles', teacher_inputs='all')),
    ('at_aka', 'batch', dict(student_input='own_pgd', teacher_bn='eval')),
    ('cat_aka', 'eval', dict(target_bn='eval')),
  )
  def test_rows_of_padding_change_nothing(self, method, bn, options=None):
    """Neither what lies in them nor that they are there: losses, statistics, parameters."""
    with jax.enable_x64(True):
      clean = step_with_padding(method, bn, **(options or {}))
      dirty = step_with_padding(method, bn, garbage=0.4, **(options or {}))
      without = step_with_padding(method, bn, masked=False, **(options or {}))
    chex.assert_trees_all_close(clean, dirty, atol=1e-12)
    chex.assert_trees_all_close(clean, without, atol=1e-9)

  def test_targets_in_evaluation_mode_see_the_statistics_after_the_step(self):
    with jax.enable_x64(True):
      made = tiny.config('at_aka')
      run = tiny.Run(made)
      networks = run.setup.learner.networks
      nets = run.setup.init().nets
      params = {k: n.params for k, n in nets.items()}
      stats = {k: n.stats for k, n in nets.items()}
      particles = jnp.asarray(np.random.default_rng(0).uniform(size=(2, 5, 8, 8, 1)))
      asked = networks.as_functions(params, None)
      _, after = asked.group(stats, particles)
      got = asked.still(after, particles)
      for k, name in enumerate(networks.names):
        want = networks.nets[name].apply(params[name], after[name], particles[k])
        np.testing.assert_allclose(got[k], want, rtol=1e-9)
      self.assertGreater(np.abs(got - asked.still(stats, particles)).max(), 1e-6)

  def test_the_students_own_start_is_none_of_the_particles(self):
    seen = []
    made = tiny.config('at_aka')
    made.method = dict(name='at_aka', student_input='own_pgd')
    made.attack.update(steps=2, start='uniform', name='svgd')
    # Where they begin is where they end.
    stay = lambda steps, body, state: state
    self.enterContext(mock.patch('jaxrkd.attacks.svgd.repeat', stay))
    run = tiny.Run(made)
    nets = run.setup.init().nets
    batch = {
      'image': jnp.full((3, 8, 8, 1), 0.5),
      'label': jnp.arange(3),
      'key': jax.random.split(jax.random.key(0), 3),
    }
    learner = run.setup.learner
    attacker = Attacker(
      learner.networks, learner.method, run.setup.distiller.search, run.config.attack.bn
    )
    params = {k: n.params for k, n in nets.items()}
    stats = {k: n.stats for k, n in nets.items()}
    made, _, _ = attacker(params, stats, {}, batch)
    seen = [*made.particles, made.student]
    for a, b in itertools.combinations(seen, 2):
      self.assertGreater(float(jnp.abs(a - b).max()), 0.01)


class AmalgamatedTeachersTest(parameterized.TestCase):
  """en-RSLAD with the four rules (AT-AKA, Table 3)."""

  @parameterized.parameters('naive', 'linear', 'soft', 'pareto')
  def test_target_of_rslad(self, rule):
    self.enterContext(jax.enable_x64(True))
    made = tiny.config('rslad', [('r1', 'robust'), ('r2', 'robust'), ('r3', 'robust')])
    made.ensemble = dict(name=rule)
    made.attack.steps, made.attack.step_size = 1, 0.1
    run = tiny.Run(made)
    state = run.setup.init()
    student = state.nets['student']
    net = run.setup.learner.networks.nets['student']
    x = jnp.asarray(np.random.default_rng(0).uniform(size=(5, 8, 8, 1)))
    batch = {'image': x, 'label': jnp.array([0, 1, 2, 0, 1])}
    own = net.logits_fn(student.params, student.stats)
    teachers = run.setup.distiller.teachers.by_role(run.teachers, batch, own)
    got = softmax(np.asarray(teachers['robust'](x)))
    z = np.stack(
      [
        np.asarray(
          run.nets[name].apply(*jax.jit(run.nets[name].init)(jax.random.key(100 + k)), x)
        )
        for k, name in enumerate(run.nets)
      ]
    )
    loss = -np.log(softmax(z)[:, np.arange(5), batch['label']])
    v = {
      'naive': np.eye(3)[loss.argmax(0)].T,
      'linear': loss / loss.sum(0),
      'soft': np.exp(loss) / np.exp(loss).sum(0),
      'pareto': np.asarray(nearest_mixture(softmax(z), softmax(np.asarray(own(x))))),
    }[rule][..., None]
    mixed = (v * softmax(z)).sum(0) if rule == 'pareto' else softmax((v * z).sum(0))
    np.testing.assert_allclose(got, mixed, rtol=1e-6)

  def test_a_step(self):
    losses = {}
    for rule in ('probabilities', 'soft', 'pareto'):
      made = tiny.config('rslad', [('r1', 'robust'), ('r2', 'robust')])
      made.ensemble = dict(name=rule)
      run = tiny.Run(made)
      _, rows = run.steps(run.setup.init(), 2)
      losses[rule] = rows[-1]['loss']
    self.assertLen(set(losses.values()), 3)

  @parameterized.parameters(
    (['ensemble=pareto'], 'no role of method .rslad. has more than one teacher'),
    (['ensemble=soft', 'members=2'], 'members are measured without them'),
    (['ensemble.name=soft', 'ensemble.beta=nan'], 'beta is nan'),
    (['teachers.robust.weight=nan'], 'weight is nan'),
  )
  def test_bad_input(self, overrides, text):
    with self.assertRaisesRegex(InputError, text):
      experiment.resolve(tiny.config('rslad'), overrides)

  def test_fixed_shares_beside_found_weights(self):
    made = tiny.config('rslad', [('r1', 'robust'), ('r2', 'robust')])
    made.teachers.r1.weight, made.teachers.r2.weight = 0.3, 0.7
    with self.assertRaisesRegex(InputError, 'r1.weight fixes a share'):
      experiment.resolve(made, ['ensemble=naive'])


class MistakesTest(parameterized.TestCase):
  @parameterized.parameters(
    (['attack=svgd', 'attack.particles=3'], 'particles is 3, but at_aka trains 2'),
    (['online.student.name=convnet'], 'config.online.student'),
    (['online.t3.name=resnet81'], "unknown online.t3.name 'resnet81'"),
    (['method=sat'], 'sat. trains no teachers'),
    (['online.t/3=convnet'], 'letters, digits'),
    (['stacking=map'], 'config.stacking'),
  )
  def test_at_aka(self, overrides, text):
    with self.assertRaisesRegex(InputError, text):
      experiment.resolve(tiny.config('at_aka'), overrides)

  def test_no_teachers_and_one_for_pareto(self):
    made = tiny.config('at_aka')
    made.online = {}
    with self.assertRaisesRegex(InputError, 'config.online names none'):
      experiment.resolve(made)
    made.online = {'t1': dict(made.student)}
    experiment.resolve(made)
    with self.assertRaisesRegex(InputError, 'pareto with 1 network'):
      experiment.resolve(made, ['method.amalgamation=pareto'])

  def test_online_teachers_by_override(self):
    made = experiment.resolve(tiny.config('at_aka'), ['online.t3.name=resnet8'])
    self.assertEqual(list(made.online), ['t1', 't2', 't3'])
    self.assertEqual(made.online.t3.width, 16)
    made = experiment.resolve(
      tiny.config('at_aka'), ['online.t3=convnet', 'online.t3.widths=(3,4)']
    )
    self.assertEqual(made.online.t3.widths, (3, 4))


if __name__ == '__main__':
  absltest.main()
