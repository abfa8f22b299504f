"""One step of each newer method and extra against numbers of the authors' own code.

`data/golden_train_steps_newer.npz` holds what their public PyTorch programs made of the
network, images and draws of `data/golden_train_steps.npz` in float64.
"""

import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest, parameterized
from golden_steps import (
  BOTH,
  CLEAN,
  EIGHT,
  ELEMENT,
  ROBUST,
  Case,
  GoldenCase,
  load,
  network,
  variables,
)

from jaxrkd import losses
from jaxrkd.methods import METHODS, anl
from jaxrkd.methods.absld import NAMES
from jaxrkd.methods.dgad import put_right
from jaxrkd.methods.igdm import with_igdm
from jaxrkd.train.averages import first_averages, updated
from jaxrkd.train.norm_statistics import reestimated
from jaxrkd.train.weight_perturbation import WeightPerturbation

DATA = pathlib.Path(__file__).parent / 'data' / 'golden_train_steps_newer.npz'
# Stored without the two largest kernels.
LARGEST = ('layer3.0.conv1.kernel', 'layer3.0.conv2.kernel')
HALF = dict(epoch=99, epochs=200)


def igdm(order, **options):
  return functools.partial(with_igdm, alpha=20.0, order=order, **options)


def taus(entry):
  return lambda z: {k: jnp.asarray(z[f'{entry}/tau_{k}']) for k in NAMES}


def hot(archive):
  """B-MTARD's memory with other temperatures at the start."""
  adv, nat = archive['bmtard_tau/start_temperatures']
  return {
    'anl': anl.initial_memory(('adv', 'nat')),
    'tau': {'adv': jnp.asarray(adv), 'nat': jnp.asarray(nat)},
  }


def fair_weights(archive):
  return {'base': {}, 'weight': jnp.asarray(archive['fair_rslad/class_weight'])}


def class_means(archive):
  return jnp.asarray(archive['class_weight'])


IKL = dict(eps=0.8 * EIGHT, steps=5, step_size=0.4 * EIGHT, memory=class_means)
FIRST = dict(kl_reduction='element_mean', kl_scale=1.0)
CASES = {
  'awp_sat': Case('sat', start='uniform', bn='train', awp=WeightPerturbation(0.01)),
  'awp_trades': Case(
    'trades', dict(forward_order='adv_nat'), awp=WeightPerturbation(0.005)
  ),
  'igdm_adaad': Case(
    'adaad', dict(kl_scale=1.0), ROBUST, wrap=igdm('plus_nat_minus_adv'), **HALF
  ),
  'igdm_adaad_b05_g15': Case(
    'adaad',
    dict(kl_scale=1.0),
    ROBUST,
    wrap=igdm('plus_nat_minus_adv', beta=0.5, gamma=1.5),
    **HALF,
  ),
  'igdm_ard': Case(
    'ard',
    dict(temperature=1.0, kl_reduction='batch_mean'),
    ROBUST,
    'uniform',
    step_size=2 / 225,
    wrap=igdm('plus_nat_minus'),
    **HALF,
  ),
  'igdm_rslad': Case(
    'rslad',
    {**ELEMENT, 'kl_scale': 10.0},
    ROBUST,
    wrap=igdm('adv_plus_nat_minus'),
    **HALF,
  ),
  'saad': Case('saad', {}, ROBUST, **HALF),
  'saad_plain': Case('saad', dict(alpha=0.0), ROBUST, **HALF),
  'saad_all': Case(
    'saad', dict(alpha=10.0, beta=0.5, gamma=2.0, slope=0.5), ROBUST, **HALF
  ),
  'bmtard': Case('b_mtard', FIRST, BOTH, updates=3),
  'bmtard_tau': Case('b_mtard', FIRST, BOTH, updates=3, memory=hot),
  'adaiad_warmup': Case('ada_iad', {}, ROBUST),
  'adaiad': Case('ada_iad', {}, ROBUST, epoch=60),
  'adaiad_a09_t5': Case('ada_iad', dict(alpha=0.9, temperature=5.0), ROBUST, epoch=60),
  'dgad': Case('dgad', {}, ROBUST),
  'dgad_bs128': Case('dgad', dict(batch_size=128), ROBUST),
  'dgad_mobilenet': Case('dgad', dict(product=True), ROBUST),
  'dgad_clean_student': Case('dgad', {}, ROBUST, student='clean'),
  'absld': Case('absld', {**FIRST, 'shared_storage': True}, ROBUST, memory=taus('absld')),
  'absld_separate': Case('absld', FIRST, ROBUST, memory=taus('absld_separate')),
  'fair_rslad': Case('fair_rslad', ELEMENT, ROBUST, memory=fair_weights),
  'peeraid': Case('peeraid', online=('peer', 'robust')),
  'peeraid_tiny': Case(
    'peeraid',
    dict(
      temperature=1.0,
      peer_temperature=2.0,
      label_weight=0.035,
      peer_weight=35.0,
      clean_weight=20.0,
      peer_student_weight=100.0,
    ),
    online=('peer', 'robust'),
  ),
  'lbgat6': Case('lbgat', eps=0.031, step_size=0.007, online=('guide', 'clean')),
  'lbgat0': Case(
    'lbgat', dict(beta=0.0), eps=0.031, step_size=0.007, online=('guide', 'clean')
  ),
  'hat': Case('hat', {}, CLEAN),
  'ikl': Case('ikl', epoch=159, epochs=200, **IKL),
  'gkl': Case('gkl', dict(temperature=4.0), epoch=159, epochs=200, **IKL),
  'ikl_cifar10': Case('ikl', dict(attack_beta=0.0), epoch=159, epochs=200, **IKL),
}
# Of the SAAD repository: the adversarial images serve both terms.
CASES['igdm_saad'] = Case(
  'adaad',
  dict(kl_scale=1.0, forward_order='adv'),
  ROBUST,
  wrap=functools.partial(with_igdm, alpha=1.0),
  **HALF,
)
CASES['igdm_saad_swapped'] = CASES['igdm_saad']._replace(eps=2 / 255, step_size=EIGHT)
# Entry -> {its name: ours, or our factor and ours}.
TERMS = {
  **{
    name: {'igdm_term': (10.0, 'loss_igdm'), 'base_term': 'loss_adv'}
    for name in ('igdm_adaad', 'igdm_adaad_b05_g15')
  },
  'igdm_ard': {'igdm_term': (10.0, 'loss_igdm')},
  'igdm_rslad': {
    'igdm_term': (10.0, 'loss_igdm'),
    'adv_term': 'loss_adv',
    'nat_term': 'loss_nat',
  },
  **{
    name: {'igdm_term': (0.5, 'loss_igdm'), 'base_term': 'loss_adv'}
    for name in ('igdm_saad', 'igdm_saad_swapped')
  },
  'awp_trades': {'adv_term': 'loss_robust', 'nat_term': 'loss_nat'},
  **{
    name: {'adv_term': 'loss_adv', 'nat_term': 'loss_nat'}
    for name in ('absld', 'absld_separate', 'fair_rslad')
  },
  **{
    name: {'kl_term': 'loss_robust', 'mse_term': 'loss_mse'}
    for name in ('lbgat6', 'lbgat0')
  },
  'hat': {'clean_term': 'loss_nat', 'adv_term': 'loss_adv', 'help_term': 'loss_helper'},
  **{name: {'nat_term': 'loss_nat'} for name in ('ikl', 'gkl', 'ikl_cifar10')},
  **{name: {'alp_term': 'loss_alp'} for name in ('dgad', 'dgad_clean_student')},
}
# Tested below, without a step.
OTHERS = {
  'absld_update',
  'fair_update',
  'fair_update_even',
  'fair_rslad_kappa',
  'class_weight',
  'swa',
  'swa_torch',
  'ema_epochs',
}


def over_epochs(epochs, **options):
  """The averages after epochs of one step that end with these parameters."""
  kept = first_averages(epochs[0], moving=False, over_epochs=True)
  given = dict(decay=0.0, warmup=True, start=1, steps_per_epoch=1, **options)
  for number, params in enumerate(epochs):
    kept = updated(kept, params, jnp.int32(number), **given)
  return kept


class NewerGoldenTest(GoldenCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    with np.load(DATA) as found:
      newer = {name: found[name] for name in found.files}
    older = load()
    for name, _, key in newer.pop('same'):
      newer[name] = older[key] if key in older else newer[key]
    cls.archive = {**older, **newer}
    cls.entries = {key.split('/')[0] for key in newer}

  def of(self, name):
    start = name + '/'
    return {k[len(start) :]: v for k, v in self.archive.items() if k.startswith(start)}

  @parameterized.named_parameters((name, name) for name in CASES)
  def test_step_equals_authors_code(self, name):
    state, metrics, x_adv = self.steps(CASES[name])
    golden, last = self.of(name), metrics[-1]
    np.testing.assert_allclose(last['loss'], golden['loss'], rtol=1e-9)
    if 'x_adv' in golden:
      np.testing.assert_allclose(x_adv, golden['x_adv'].transpose(0, 2, 3, 1), atol=1e-7)
    for theirs, ours in TERMS.get(name, {}).items():
      factor, ours = ours if isinstance(ours, tuple) else (1.0, ours)
      np.testing.assert_allclose(last[ours], factor * golden[theirs], rtol=1e-9)
    if name == 'awp_sat':
      self.check_awp_sat(state, golden)
    elif any(key.startswith('after/') for key in golden):
      some = len([k for k in golden if k.startswith('after/')])
      full = len([k for k in self.archive if k.startswith('student/')])
      but = LARGEST if some < full else ()
      self.assert_after(state.nets['student'], f'{name}/after', but)
    if name.startswith('bmtard'):
      keys = ('loss_adv', 'loss_nat', 'weight_adv', 'weight_nat', 'loss')
      keys += ('loss_order_adv', 'loss_order_nat', 'tau_adv', 'tau_nat')
      rows = [[m[k] for k in keys] for m in metrics]
      np.testing.assert_allclose(rows, golden['steps'], rtol=1e-9)

    kept = state.nets, state.memory
    if name.startswith('absld'):
      for k in NAMES:
        want = golden[f'class_loss_{k}']
        np.testing.assert_allclose(kept[1].sums[k], want, rtol=1e-9)
    if name == 'fair_rslad':
      self.assert_withstood(kept[1], golden['kappa'])
    if name == 'ikl':
      means = kept[1].sums['probs'] / kept[1].counts[:, None]
      np.testing.assert_allclose(means, golden['class_weight_after'], rtol=1e-9)
    if 'wrong_clean' in golden:
      wrong, count = int(golden['wrong_clean'].sum()), len(x_adv)
      parts = {'clean_term': ('loss_nat', wrong), 'adv_term': ('loss_adv', count - wrong)}
      for theirs, (ours, many) in parts.items():
        np.testing.assert_allclose(last[ours], golden[theirs] * many / count, rtol=1e-9)
    for role in ('peer', 'teacher'):
      if any(key.startswith(f'{role}_after/') for key in golden):
        (other,) = (net for k, net in state.nets.items() if k != 'student')
        self.assert_part_after(other, f'{name}/{role}_after')

  def check_awp_sat(self, state, golden):
    """Its code passes images through BatchNorm that no loss needs, so that statistics differ."""
    params = state.nets['student'].params
    after, stats = variables(self.archive, 'awp_sat/after')
    for (path, want), got in zip(
      jax.tree_util.tree_leaves_with_path(after), jax.tree.leaves(params), strict=True
    ):
      np.testing.assert_allclose(got, want, atol=1e-7, err_msg=jax.tree_util.keystr(path))
    batch = self.batch()
    logits, _ = network().apply_train(params, stats, batch['image'], None)
    loss = jnp.mean(losses.cross_entropy(logits, batch['label']))
    # The weight decay is that of the perturbed weights: w in its place moves this by 5e-8.
    np.testing.assert_allclose(loss, golden['clean_loss_after'], rtol=1e-9)

  def assert_withstood(self, memory, kappa):
    want = np.bincount(self.archive['labels'], weights=kappa, minlength=10)
    np.testing.assert_array_equal(memory.sums['withstood'], want)

  def test_how_many_points_an_image_withstands(self):
    case = CASES['fair_rslad']._replace(student='clean')
    state, _, _ = self.steps(case)
    self.assert_withstood(state.memory, self.archive['fair_rslad_kappa/kappa'])

  @parameterized.parameters('fair_update', 'fair_update_even')
  def test_weights_of_fair_classes(self, name):
    golden = self.of(name)
    method = METHODS['fair_rslad'](fair_epsilon=0.0)
    sums = {'withstood': jnp.asarray(golden['kappa_total'], jnp.float64)}
    after = method.end_of_epoch({'base': {}}, sums, jnp.full(10, 5000.0), {})
    np.testing.assert_allclose(after['weight'], golden['class_weight'], rtol=1e-9)

  def test_temperatures_of_classes(self):
    golden = self.of('absld_update')
    sums = {k: jnp.asarray(golden[f'class_loss_{k}']) for k in NAMES}
    batch = {'rate': jnp.ones(())}
    method = METHODS['absld']()
    after = method.end_of_epoch(
      taus('absld_update')(self.archive), sums, jnp.ones(10), batch
    )
    for k in NAMES:
      np.testing.assert_allclose(after[k], golden[f'tau_{k}_after'], rtol=1e-9)

  @parameterized.parameters('dgad', 'dgad_clean_student')
  def test_a_teacher_that_is_put_right(self, name):
    golden = self.of(name)
    label = jnp.asarray(self.archive['labels'].astype(np.int32))
    images = {'clean': self.batch()['image']}
    if 'x_adv' in golden:
      images['adv'] = jnp.asarray(golden['x_adv'].transpose(0, 2, 3, 1), jnp.float64)
    for which, x in images.items():
      logits = network().apply(*variables(self.archive, 'robust'), x)
      found = put_right(logits, label)
      # Adversarial images are stored in float32.
      want = golden[f'teacher_{which}']
      np.testing.assert_allclose(found, want, rtol=1e-9 if which == 'clean' else 1e-4)

  @parameterized.parameters(('swa', True), ('swa_torch', False))
  def test_average_over_epochs(self, name, by_size):
    """Equal weights, and statistics of every batch, weighted by its images or not."""
    epochs = [variables(self.archive, which) for which in ('student', 'robust', 'clean')]
    _, stats = epochs[0]
    kept = over_epochs([params for params, _ in epochs])
    self.assertEqual(int(kept.epochs), 3)
    images = self.batch()['image']
    parts = [(images[a:b], None) for a, b in self.archive['swa/slices']]
    found = reestimated(network(), kept.equal, stats, parts, by_size)
    # Both keep the same parameters; the archive holds them once.
    want_params, _ = variables(self.archive, 'swa/after')
    _, want_stats = variables(self.archive, f'{name}/after')
    for got, want in ((kept.equal, want_params), (found, want_stats)):
      for (path, leaf), value in zip(
        jax.tree_util.tree_leaves_with_path(got), jax.tree.leaves(want), strict=True
      ):
        np.testing.assert_allclose(leaf, value, atol=1e-6, err_msg=str(path))
    logits = network().apply(kept.equal, found, images)
    np.testing.assert_allclose(
      logits, self.archive[f'{name}/logits'], rtol=1e-6, atol=1e-9
    )

  def test_moving_average_over_epochs(self):
    epochs = [
      variables(self.archive, which)[0] for which in ('student', 'robust', 'clean')
    ]
    kept = over_epochs(epochs, epoch_decay=0.9)
    # Its statistics are averaged in the code and estimated anew here.
    want, _ = variables(self.archive, 'ema_epochs/after')
    by_path = lambda tree: dict(jax.tree_util.tree_leaves_with_path(tree))
    got, want = by_path(kept.equal), by_path(want)
    # Two large kernels are left out of the file.
    self.assertLen(got.keys() - want.keys(), 2)
    for path, value in want.items():
      np.testing.assert_allclose(got[path], value, atol=1e-6, err_msg=str(path))

  def test_every_entry_of_the_file_is_tested(self):
    self.assertEqual(self.entries - OTHERS, set(CASES))


if __name__ == '__main__':
  absltest.main()
