"""Teachers by role, ensembles, early stopping, and any inner under any outer problem."""

import json
import random

import chex
import jax
import numpy as np
import tiny
from absl.testing import absltest, parameterized

from jaxrkd import attacks, experiment
from jaxrkd.errors import InputError
from jaxrkd.experiment import subjects
from jaxrkd.experiment.load import load_trained
from jaxrkd.methods import INNERS, METHODS
from jaxrkd.models import AVERAGES, Net, ensemble, from_nnx
from jaxrkd.models.convnet import ConvNet
from jaxrkd.models.layers import Layers
from jaxrkd.runtime import sharding
from jaxrkd.train.record import RunRecord
from jaxrkd.train.teachers import freeze_teachers


def small(widths=(3, 4)):
  return from_nnx(lambda rngs: ConvNet(Layers(rngs), 3, 1, widths, (1, 2)))


IMAGES = jax.random.uniform(jax.random.key(9), (5, 8, 8, 1))


def softmax(z):
  return np.asarray(jax.nn.softmax(z))


class EnsembleTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    one, two = small(), small((5, 6))
    self.nets = {'a': one, 'b': two, 'c': one, 'd': one}
    self.variables = {
      name: net.init(jax.random.key(k)) for k, (name, net) in enumerate(self.nets.items())
    }
    self.each = {
      name: net.apply(*self.variables[name], IMAGES) for name, net in self.nets.items()
    }

  @parameterized.product(average=tuple(AVERAGES), t=(1.0, 3.0))
  def test_role_is_the_weighted_mean_of_its_teachers(self, average, t):
    roles = {
      'all': {'a': 0.1, 'b': 0.2, 'c': 0.3, 'd': 0.4},
      'robust': {'c': 0.25, 'd': 0.75},
      'a': {'a': 1.0},
    }
    frozen = freeze_teachers(self.nets, roles, AVERAGES[average])
    teachers = frozen.by_role(frozen.join(self.variables))
    for role, shares in roles.items():
      got = softmax(teachers[role](IMAGES, t))
      if average == 'probabilities':
        want = sum(w * softmax(self.each[n] / t) for n, w in shares.items())
      else:
        want = softmax(sum(w * self.each[n] for n, w in shares.items()) / t)
      np.testing.assert_allclose(got, want, rtol=1e-5, err_msg=role)

  def test_one_architecture_is_one_call(self):
    """c and d play the same roles and run together; a alone, because it has its own."""
    calls = []

    def apply(params, stats, images):
      calls.append(jax.tree.leaves(params)[0].ndim)
      return self.nets['a'].apply(params, stats, images)

    counted = Net(self.nets['a'].init, apply, self.nets['a'].apply_train)
    nets = dict.fromkeys('acd', counted)
    roles = {'all': dict.fromkeys('acd', 1 / 3), 'a': {'a': 1.0}}
    frozen = freeze_teachers(nets, roles, AVERAGES['probabilities'])
    self.assertEqual([names for _, names in frozen.stacks], [('a',), ('c', 'd')])
    joined = frozen.join(self.variables)
    frozen.by_role(joined)['all'](IMAGES)
    self.assertLen(calls, 2)
    # Stacked leaves have one axis more than those of the teacher that stands alone.
    first = jax.tree.leaves(joined[0][0])[0]
    self.assertEqual(jax.tree.leaves(joined[1][0])[0].shape, (2, *first.shape))

  def test_asked_once_about_the_images_of_a_batch(self):
    asked = []

    def apply(params, stats, images):
      asked.append(images.shape)
      return self.nets['a'].apply(params, stats, images)

    counted = Net(self.nets['a'].init, apply, self.nets['a'].apply_train)
    roles = {'all': dict.fromkeys('ac', 0.5), 'robust': {'a': 1.0}}
    frozen = freeze_teachers(
      dict.fromkeys('ac', counted), roles, AVERAGES['probabilities']
    )
    batch = {'image': IMAGES, 'label': jax.numpy.zeros(5, int)}
    joined, answers = frozen.join(self.variables), {}
    for other in (IMAGES, IMAGES[:2]):
      for _ in range(2):
        teachers = frozen.by_role(joined, batch, answers=answers)
        found = [teachers[role](other) for role in ('all', 'robust', 'all')]
        np.testing.assert_array_equal(found[0], found[2])
        np.testing.assert_allclose(
          softmax(found[1]), softmax(self.each['a'])[: len(other)], rtol=1e-5
        )
    # Each of the two, once; about other images 2 + 1 + 2 of them in both rounds.
    self.assertLen([shape for shape in asked if shape == IMAGES.shape], 2)
    self.assertLen([shape for shape in asked if shape != IMAGES.shape], 2 * (2 + 1 + 2))

  def test_an_answer_from_inside_a_loop_stays_there(self):
    frozen = freeze_teachers(self.nets, {'a': {'a': 1.0}}, AVERAGES['logits'])
    joined = frozen.join(self.variables)
    answers = {}

    @jax.jit
    def both(image):
      teachers = frozen.by_role(joined, {'image': image}, answers=answers)
      zero = jax.numpy.zeros_like(self.each['a'])
      inside = jax.lax.fori_loop(0, 2, lambda _, z: z + teachers['a'](image), zero)
      self.assertEmpty(answers)
      outside = teachers['a'](image)
      self.assertLen(answers, 1)
      return inside, outside

    inside, outside = both(IMAGES)
    np.testing.assert_allclose(inside, 2 * outside, rtol=1e-6)
    np.testing.assert_allclose(outside, self.each['a'], rtol=1e-5)

  def test_no_copy_of_a_teacher_that_answers_alone(self):
    frozen = freeze_teachers(self.nets, {'b': {'b': 1.0}}, AVERAGES['logits'])
    joined = frozen.join(self.variables)
    self.assertIs(joined[0][0], self.variables['b'])

  @parameterized.parameters(*AVERAGES)
  def test_ensemble_is_a_network(self, average):
    shares = (0.5, 0.2, 0.2, 0.1)
    net, join = ensemble(list(self.nets.values()), shares, AVERAGES[average])
    variables = join(list(self.variables.values()))
    got = softmax(net.apply(*variables, IMAGES))
    each = list(self.each.values())
    if average == 'probabilities':
      want = sum(w * softmax(z) for w, z in zip(shares, each))
    else:
      want = softmax(sum(w * z for w, z in zip(shares, each)))
    np.testing.assert_allclose(got, want, rtol=1e-5)
    chex.assert_trees_all_equal_shapes(net.init(jax.random.key(0)), variables)
    logits, stats = net.apply_train(*variables, IMAGES, None)
    self.assertEqual(logits.shape, (5, 3))
    chex.assert_trees_all_equal_shapes(stats, variables[1])

  def test_attack_end_to_end(self):
    """FGSM follows the gradient of -log mean p_y over the members, here in closed form."""
    rng = np.random.default_rng(0)
    linear = Net(
      lambda key: ({}, {}),
      lambda w, stats, x: x.reshape(len(x), -1) @ w,
      lambda w, stats, x, mask=None: (x.reshape(len(x), -1) @ w, stats),
    )
    x = rng.uniform(0.4, 0.6, (3, 2, 2, 1)).astype(np.float32)
    weights = [rng.normal(size=(4, 3)).astype(np.float32) for _ in range(2)]
    y = np.array([0, 1, 2])
    net, join = ensemble([linear] * 2, [0.25, 0.75], AVERAGES['probabilities'])
    whole = net.logits_fn(*join([(w, {}) for w in weights]))
    found = attacks.fgsm(attacks.Linf(0.1))(jax.random.key(0), whole, x, y)
    slope = 0
    for share, w in zip((0.25, 0.75), weights):
      p = softmax(x.reshape(3, -1) @ w)
      p_y = p[np.arange(3), y][:, None]
      slope = slope - share * p_y * (w.T[y] - p @ w.T)
    want = x + 0.1 * np.sign(slope).reshape(x.shape)
    np.testing.assert_allclose(found, want, atol=1e-6)


TEACHERS = [('r1', 'robust'), ('r2', 'robust'), ('c1', 'clean'), ('c2', 'clean')]


class RolesTest(parameterized.TestCase):
  def roles(self, method, teachers, *overrides):
    config = experiment.resolve(tiny.config(method, teachers), list(overrides))
    return experiment.roles(config, experiment.method(config))

  def test_equal_shares(self):
    self.assertEqual(
      self.roles('mtard', TEACHERS),
      {'clean': {'c1': 0.5, 'c2': 0.5}, 'robust': {'r1': 0.5, 'r2': 0.5}},
    )
    self.assertEqual(
      self.roles('akd', TEACHERS), {'all': dict.fromkeys(('c1', 'c2', 'r1', 'r2'), 0.25)}
    )

  def test_weights_of_one_kind_leave_the_other_equal(self):
    weights = ['teachers.r1.weight=0.3', 'teachers.r2.weight=0.7']
    found = self.roles('mtard', TEACHERS, *weights)
    self.assertEqual(found['clean'], {'c1': 0.5, 'c2': 0.5})
    self.assertEqual(found['robust'], {'r1': 0.3, 'r2': 0.7})

  def test_an_overridden_epoch_is_kept_by_the_training_of_the_teacher(self):
    config = experiment.resolve(tiny.config('akd', TEACHERS), ['teachers.r1.epoch=2'])
    self.assertEqual(config.teachers.r1.config.keep_epochs, (2,))

  def test_weights_and_a_part_of_a_role(self):
    weights = [
      f'teachers.{n}.weight={w}' for n, w in (('r1', 0.2), ('r2', 0.6), ('c1', 0.2))
    ]
    found = self.roles('akd', TEACHERS, *weights, 'inner=kl_teacher_adv')
    self.assertEqual(found['all'], {'r1': 0.2, 'r2': 0.6, 'c1': 0.2})
    chex.assert_trees_all_close(found['robust'], {'r1': 0.25, 'r2': 0.75})
    found = self.roles(
      'rslad', TEACHERS, 'method.attack_target=c1', 'method.teacher=robust'
    )
    self.assertEqual(found['c1'], {'c1': 1.0})

  @parameterized.parameters(
    (
      'mtard',
      [('r', 'robust')],
      (),
      "method 'mtard' needs a clean teacher.*r .kind robust",
    ),
    (
      'iad_2',
      [('c', 'clean')],
      (),
      "method 'iad_2' needs a robust teacher.*c .kind clean",
    ),
    ('akd', [], (), 'needs at least one teacher, but config.teachers has none'),
    (
      'sat',
      [('c', 'clean')],
      ('inner=kl_teacher_clean',),
      "inner problem 'kl_teacher_clean' needs a robust teacher",
    ),
    (
      'rslad',
      [('r', 'robust')],
      ('method.attack_target=first',),
      "needs a teacher named 'first'",
    ),
    (
      'akd',
      [('r', 'robust'), ('c', 'clean')],
      ('teachers.r.weight=0.7', 'teachers.c.weight=0.7'),
      "answer as 'all' are c 0.7, r 0.7: their sum is 1.4 and must be 1",
    ),
    (
      'akd',
      [('r', 'robust')],
      ('teachers.r.weight=2',),
      'weight is 2.0; .* between 0 and 1',
    ),
    ('akd', [('r', 'robust')], ('teachers.r.kind=strong',), "'clean', 'robust'"),
    (
      'akd',
      [('r', 'robust')],
      ('teachers.r.epoch=3',),
      'teachers.r.epoch is 3, but its config trains 2 epochs',
    ),
  )
  def test_mistakes(self, method, teachers, overrides, message):
    with self.assertRaisesRegex(InputError, message) as caught:
      experiment.resolve(tiny.config(method, teachers), list(overrides))
    self.assertNotIn('\n', str(caught.exception))


def sampled():
  """(outer, inner, number of teachers) by a fixed draw in which each name occurs."""
  rng = random.Random(7)
  inners, outers = list(INNERS), list(METHODS)
  rng.shuffle(outers)
  pairs = [(outers[k % len(outers)], inners[k % len(inners)]) for k in range(14)]
  # The table has twice as many rows as there are inner problems: shift for other pairs.
  pairs += [(outers[k], inners[(k + 3) % len(inners)]) for k in range(0, 14, 3)]
  return [(*pair, (1, 2, 4)[k % 3]) for k, pair in enumerate(pairs)]


def cast(outer, inner, count):
  """As many teachers, of the kinds that both problems need; two kinds need two."""
  made = METHODS[outer]()
  roles = {*made.teachers, *INNERS[inner]().teachers}
  kinds = ['robust', 'clean'] if count > 1 or 'clean' in roles else ['robust']
  cycle = [kinds[k % len(kinds)] for k in range(max(count, len(kinds)))]
  return [(f'{kind}_{k}', kind) for k, kind in enumerate(cycle)]


class ProductTest(parameterized.TestCase):
  """Any inner problem, any outer loss, any number of teachers."""

  @parameterized.parameters(*sampled())
  def test_takes_a_step(self, outer, inner, count):
    made = tiny.config(outer, cast(outer, inner, count), inner=dict(name=inner))
    made.attack.steps, made.attack.step_size = 1, 0.1
    run = tiny.Run(made)
    state = run.setup.init()
    params = lambda state: {name: net.params for name, net in state.nets.items()}
    before = jax.device_get(params(state))
    state, rows = run.steps(state, 2)
    self.assertTrue(np.isfinite([row['loss'] for row in rows]).all())
    moved = jax.tree.map(lambda a, b: bool(np.any(a != b)), before, params(state))
    self.assertTrue(all(jax.tree.leaves(moved)))

  def test_inner_problem_reaches_the_loss(self):
    """ARD on MMARD's images is not ARD on its own, and `none` is no attack."""
    losses = {}
    for inner in ('own', 'kl_teacher_adv', 'none'):
      run = tiny.Run(tiny.config('ard', inner=dict(name=inner)))
      _, rows = run.steps(run.setup.init(), 1)
      losses[inner] = rows[0]['loss']
    self.assertLen(set(losses.values()), 3)

  def test_weights_of_teachers_reach_the_loss(self):
    found = []
    for weight in (0.0, 0.3, 1.0):
      made = tiny.config('akd', [('a', 'robust'), ('b', 'clean')])
      made.teachers.a.weight, made.teachers.b.weight = weight, 1 - weight
      run = tiny.Run(made)
      _, rows = run.steps(run.setup.init(), 1)
      found.append(rows[0]['loss'])
    # The loss is linear in the mixture.
    np.testing.assert_allclose(found[1], 0.7 * found[0] + 0.3 * found[2], rtol=1e-5)

  def test_teachers_of_one_architecture_equal_a_loop_over_them(self):
    """The step with two stacked teachers, against one whose bodies differ in name only."""
    found = []
    for options in ({}, {'variance': 'biased'}):
      made = tiny.config('rslad', [('a', 'robust'), ('b', 'robust')])
      # Another bookkeeping of the running variance makes another network object, which
      # evaluation mode cannot tell from the first.
      if options:
        made.teachers.b.config.student.bn_variance = 'biased'
      run = tiny.Run(made)
      self.assertLen(run.setup.distiller.teachers.stacks, 2 if options else 1)
      _, rows = run.steps(run.setup.init(), 2)
      found.append([row['loss'] for row in rows])
    np.testing.assert_allclose(*found, rtol=1e-5)


class StagesTest(absltest.TestCase):
  def test_early_stopped_teacher_and_an_ensemble_of_students(self):
    folder = tiny.folder(self)
    made = tiny.config(
      'akd', [('early', 'robust'), ('late', 'clean')], members=2, epochs=1
    )
    made.teachers.early.epoch = 1
    made.teachers.late.checkpoint = 'last'
    config = experiment.resolve(made)
    self.assertEqual(config.teachers.early.config.keep_epochs, (1,))
    found = experiment.train_and_evaluate(config, folder / 'run')

    early = load_trained(
      folder / 'run/teachers/early', 'last', sharding.data_mesh(), epoch=1
    )
    last = load_trained(folder / 'run/teachers/early', 'last', sharding.data_mesh())
    self.assertEqual(
      (early.record.step * 2, found['teachers']['early']['step'] * 2), (8, 8)
    )
    self.assertEqual(last.record.step, 8)
    different = jax.tree.map(
      lambda a, b: bool(np.any(a != b)), early.state.params, last.state.params
    )
    self.assertTrue(any(jax.tree.leaves(different)))
    self.assertEqual(found['teachers']['early']['checkpoint'], 'epoch 1')

    members = [
      json.loads((folder / f'run/members/{k}/results.json').read_text()) for k in (0, 1)
    ]
    self.assertEqual([m['seed'] for m in members], [0, 1])
    whole = load_trained(folder / 'run', 'best', sharding.data_mesh())
    each = [
      load_trained(folder / f'run/members/{k}', 'best', sharding.data_mesh())
      for k in (0, 1)
    ]
    want = np.mean(
      [softmax(m.net.apply(m.state.params, m.state.stats, IMAGES)) for m in each], 0
    )
    got = softmax(whole.net.apply(whole.state.params, whole.state.stats, IMAGES))
    np.testing.assert_allclose(got, want, rtol=1e-5)
    self.assertEqual(set(found['student']), {'best', 'last'})
    self.assertLen(found['selection']['best'], 2)

    with self.subTest('members that were best at different epochs are measured twice'):
      at = lambda *steps: whole._replace(members=tuple(RunRecord(step=s) for s in steps))
      marks = [subjects.identity_of(t) for t in (at(4, 8), at(8, 8))]
      self.assertNotEqual(*marks)
      self.assertEqual(whole.step, [m.record.step for m in each])
    with self.subTest('a finished ensemble keeps its config'):
      changed = experiment.resolve(made, ['optimizer.weight_decay=0.5'])
      with self.assertRaisesRegex(InputError, 'weight_decay was 0.0002'):
        experiment.train_and_evaluate(changed, folder / 'run')
      (folder / 'run/teachers').rename(folder / 'elsewhere')
      with self.assertRaisesRegex(InputError, 'weight_decay was 0.0002'):
        experiment.train_and_evaluate(changed, folder / 'run')
      (folder / 'elsewhere').rename(folder / 'run/teachers')
    with self.subTest('an average that was never kept'):
      again = experiment.resolve(
        tiny.config('akd', [('early', 'robust')]),
        [
          f'teachers.early.workdir={folder / "run/teachers/early"}',
          'teachers.early.checkpoint=ema',
        ],
      )
      with self.assertRaisesRegex(InputError, 'kept no average'):
        experiment.train_and_evaluate(again, folder / 'other')
    with self.subTest('an epoch that was never kept'):
      again = experiment.resolve(
        tiny.config('akd', [('early', 'robust')]),
        [
          f'teachers.early.workdir={folder / "run/teachers/early"}',
          'teachers.early.epoch=2',
        ],
      )
      with self.assertRaisesRegex(InputError, r'no checkpoint of epoch 2 .kept: 1.'):
        experiment.train_and_evaluate(again, folder / 'other')
      self.assertFalse((folder / 'other' / 'checkpoints').exists())
    with self.subTest('the average of a teacher teaches'):
      ema = tiny.config('natural', [], epochs=1, ema__decay=0.9)
      ema = experiment.train_and_evaluate(experiment.resolve(ema), folder / 'ema')
      again = experiment.resolve(
        tiny.config('rslad', [('robust', 'robust')], epochs=1),
        [f'teachers.robust.workdir={folder / "ema"}', 'teachers.robust.checkpoint=ema'],
      )
      taught = experiment.train_and_evaluate(again, folder / 'from_ema')
      row = taught['teachers']['robust']
      self.assertEqual(row['attacks'], ema['student']['ema']['attacks'])
    with self.subTest('an ensemble teaches'):
      again = experiment.resolve(
        tiny.config('rslad', [('robust', 'robust')], epochs=1),
        [f'teachers.robust.workdir={folder / "run"}'],
      )
      taught = experiment.train_and_evaluate(again, folder / 'taught')
      row = taught['teachers']['robust']
      self.assertEqual(row['clean'], found['student']['best']['clean'])
    with self.subTest('a teacher whose training is not finished'):
      (folder / 'run/teachers/late/results.json').unlink()
      again = experiment.resolve(
        tiny.config('akd', [('late', 'clean')]),
        [f'teachers.late.workdir={folder / "run/teachers/late"}'],
      )
      with self.assertRaisesRegex(InputError, 'training is not finished'):
        experiment.train_and_evaluate(again, folder / 'third')


if __name__ == '__main__':
  absltest.main()
