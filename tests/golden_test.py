"""One optimisation step of each method against numbers of the authors' own code.

`data/golden_train_steps.npz` holds a ResNet-8, teachers, a batch and random draws, and
what the methods' public PyTorch programs made of them in float64.
"""

import jax.numpy as jnp
import numpy as np
from absl.testing import absltest, parameterized
from golden_steps import BOTH, ELEMENT, ROBUST, Case, GoldenCase, network, variables


def trained(method, options=None, roles=ROBUST):
  """ARD's and IAD's attack: BatchNorm in training mode, unclamped uniform start."""
  return Case(method, options or {}, roles, 'uniform_noclamp', 'train')


CASES = {
  'sat': Case('sat', start='uniform'),
  'ffgsm': Case('ffgsm', start='uniform', bn='train', steps=1, step_size=10 / 255),
  'trades': Case('trades', eps=0.031, step_size=0.007),
  'mart': Case('mart', eps=0.031, step_size=0.007),
  'mtard': Case('mtard', ELEMENT, BOTH, updates=3),
  'rslad_cifar10': Case('rslad', ELEMENT, ROBUST),
  'rslad_cifar100': Case('rslad', {**ELEMENT, 'kl_scale': 10.0}, ROBUST),
  'rslad_mixed': Case(
    'rslad',
    dict(alpha=0.5, teacher='all', attack_target='robust'),
    {'all': {'robust': 0.5, 'clean': 0.5}, **ROBUST},
    steps=7,
  ),
  'ard_a1_t30': trained('ard'),
  'ard_a095_t5': trained('ard', dict(alpha=0.95, temperature=5.0)),
  'iad_warmup': trained('iad_1'),
  'iad': trained('iad_1', dict(begin=0)),
  'iad_a09_t5': trained('iad_1', dict(alpha=0.9, temperature=5.0, begin=0)),
  'iad2_warmup': trained('iad_2', roles=BOTH),
  'iad2': trained('iad_2', dict(begin=0), BOTH),
  'iad2_t3': trained('iad_2', dict(begin=0, temperature=3.0), BOTH),
  'adaad_a1': Case('adaad', ELEMENT, ROBUST),
  'adaad_a05': Case('adaad', dict(alpha=0.5, kl_scale=1.0), ROBUST),
  'akd_a05': Case('akd', {}, {'all': {'robust': 1.0}}, 'uniform', steps=7),
  'akd_ensemble': Case(
    'akd',
    dict(alpha=0.6),
    {'all': {'robust': 0.7, 'clean': 0.3}},
    'uniform',
    steps=7,
  ),
}
# The raw terms where the file has them: entry -> {its name: ours}.
TERMS = {
  name: {'adv_term': 'loss_adv', 'nat_term': 'loss_nat'}
  for name in ('rslad_cifar10', 'rslad_cifar100')
}


class GoldenTest(GoldenCase):
  @parameterized.named_parameters((name, name) for name in CASES)
  def test_step_equals_authors_code(self, name):
    case = CASES[name]
    state, metrics, x_adv = self.steps(case)
    golden = {
      key[len(name) + 1 :]: value
      for key, value in self.archive.items()
      if key.startswith(name + '/')
    }
    np.testing.assert_allclose(metrics[-1]['loss'], golden['loss'], rtol=1e-9)
    np.testing.assert_allclose(x_adv, golden['x_adv'].transpose(0, 2, 3, 1), atol=1e-7)
    for theirs, ours in TERMS.get(name, {}).items():
      np.testing.assert_allclose(metrics[-1][ours], golden[theirs], rtol=1e-9)
    if name == 'mtard':
      rows = [
        [m[k] for k in ('loss_adv', 'loss_nat', 'weight_adv', 'weight_nat', 'loss')]
        for m in metrics
      ]
      np.testing.assert_allclose(rows, golden['steps'], rtol=1e-9)
    self.assert_after(state.nets['student'], f'{name}/after')

  def test_every_entry_of_the_file_is_tested(self):
    entries = {key.split('/')[0] for key in self.archive if key.endswith('/loss')}
    self.assertEqual(entries, set(CASES))

  @parameterized.parameters('iad_warmup', 'iad', 'iad_a09_t5')
  def test_trust_of_iad(self, name):
    from jaxrkd import losses

    net = network()
    x_adv = jnp.asarray(self.archive[f'{name}/x_adv'].transpose(0, 2, 3, 1), jnp.float64)
    logits = net.apply(*variables(self.archive, 'robust'), x_adv)
    trust = losses.true_probability(logits, jnp.asarray(self.archive['labels'])) ** 0.1
    np.testing.assert_allclose(trust, self.archive[f'{name}/alpha_weight'], rtol=1e-5)


if __name__ == '__main__':
  absltest.main()
