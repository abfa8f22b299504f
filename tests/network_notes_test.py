"""What a network says of itself stands beside its numbers; slopes that MeanSparse hides."""

import contextlib
import io
import json

import jax
import jax.numpy as jnp
import numpy as np
import tiny
import torch
import torch_layouts as layouts
from absl.testing import absltest, parameterized
from flax import nnx

import jaxrkd
from jaxrkd import experiment
from jaxrkd.amalgamation import AVERAGES
from jaxrkd.evaluate import results
from jaxrkd.models import from_nnx, normalized
from jaxrkd.models.ensemble import ensemble
from jaxrkd.models.mean_sparse import MeanSparse
from jaxrkd.models.named import named_network
from jaxrkd.programs import evaluate

SPARSE = dict(name='dm_wrn', depth=10, width=1, mean_sparse=True)
HIDES = 'MeanSparse hides slopes'


class Noted(nnx.Module):
  def __init__(self, rngs, note='so it is'):
    self.note, self.linear = note, nnx.Linear(3, 2, rngs=rngs)

  def __call__(self, x):
    return self.linear(x.mean((1, 2)))


class SlopeTest(parameterized.TestCase):
  @parameterized.parameters(0.0, 0.5, 1.0)
  def test_gradient_of_what_became_the_mean(self, slope):
    layer = MeanSparse(3, slope)
    layer.mean[...], layer.var[...] = jnp.array([0.5, -0.25, 2]), jnp.array([1, 4, 0.25])
    layer.threshold[...] = jnp.array(0.5)
    x = jnp.array([[0.9, 0.5, 2.2], [1.1, 0.8, 2.3]])  # flat, but for the last row
    weights = jnp.array([[1, 2, 3], [4, 5, 6.0]])
    value = layer(x)
    np.testing.assert_array_equal(value, [[0.5, -0.25, 2], x[1]])
    gradient = jax.grad(lambda x: (weights * layer(x)).sum())(x)
    np.testing.assert_allclose(gradient, [slope * weights[0], weights[1]])

  def test_networks_differ_in_their_gradients_alone(self):
    nets = [
      named_network(SPARSE | {'zone_slope': slope}, 10, (8, 8, 3)) for slope in (0.0, 1.0)
    ]
    params, stats = nets[0].init(jax.random.key(0))
    wide = lambda path, x: x + 1 if 'meansparse' in jax.tree_util.keystr(path) else x
    stats = jax.tree_util.tree_map_with_path(wide, stats)
    params = jax.tree.map(lambda x: x + 0.1, params)
    images = jax.random.uniform(jax.random.key(1), (2, 8, 8, 3))
    logits = [net.apply(params, stats, images) for net in nets]
    np.testing.assert_array_equal(*logits)
    hidden, shown = (
      jax.grad(lambda x, net=net: net.apply(params, stats, x)[:, 0].sum())(images)
      for net in nets
    )
    self.assertGreater(abs(shown - hidden).max(), 1e-3 * abs(shown).max())


class NoteTest(parameterized.TestCase):
  def test_networks(self):
    self.assertIn(HIDES, named_network(SPARSE, 10, (8, 8, 3)).note)
    for node in ({'zone_slope': 1.0}, {'mean_sparse': False}):
      self.assertEqual(named_network(SPARSE | node, 10, (8, 8, 3)).note, '')

  def test_own_networks(self):
    net = from_nnx(Noted)
    self.assertEqual(net.note, 'so it is')
    self.assertEqual(from_nnx(Noted(nnx.Rngs(0))).note, 'so it is')
    self.assertEqual(normalized(net, (0.5,) * 3, (1.0,) * 3).note, 'so it is')
    both = ensemble([net, net], [0.5, 0.5], AVERAGES['logits'])[0]
    self.assertEqual(both.note, 'so it is')
    # Something else that goes by this name.
    self.assertEqual(from_nnx(lambda rngs: Noted(rngs, 3)).note, '')

  def test_one_line_for_each_note(self):
    found = {
      'threat_note': 'ball',
      'data_notes': ['data'],
      'teachers': {'a': {'note': 'x'}, 'b': {}},
      'student': {'best': {'note': 'x'}, 'last': {'note': 'x'}},
    }
    self.assertEqual(results.notes(found), ['ball', 'teacher a, student: x', 'data'])
    self.assertEqual(results.notes({'student': {'best': {}}}), [])

  def test_from_a_file_to_every_result(self):
    folder = tiny.folder(self)
    module = layouts.randomise(layouts.DMWideResNet(10, 1, 10, 1, sparse=True))
    torch.save(module.state_dict(), folder / 'sparse.pt')
    options = ['data.name=digits', 'evaluation.images=20', 'evaluation.trust.images=0']
    for slope in (0.0, 1.0):
      run = folder / f'run{slope}'
      experiment.import_network(
        folder / 'sparse.pt',
        run,
        overrides=[*options, f'student.zone_slope={slope}'],
        image_shape=(8, 8, 1),
      )
      with contextlib.redirect_stdout(io.StringIO()) as said:
        evaluate.remeasure(run, [], attacks=['fgsm'])
        threat = jaxrkd.attacks.Linf(0.1)
        more = dict(count=10, checked_images=0, attack=jaxrkd.attacks.fgsm(threat))
        network = jaxrkd.load_run(run)
        table = jaxrkd.evaluate.benchmark(network, 'digits', threat, **more).table
      (path,) = run.glob('results-*.json')
      note = json.loads(path.read_text())['student']['best'].get('note', '')
      (page,) = run.glob('report-*.html')
      for text in (note, said.getvalue(), table, page.read_text()):
        self.assertEqual(HIDES in text, not slope, text[-300:])


if __name__ == '__main__':
  absltest.main()
