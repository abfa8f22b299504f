"""What a network says of itself stands beside its numbers; gradients that MeanSparse hides."""

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
from flax import linen, nnx

import jaxrkd
from jaxrkd import attacks, experiment
from jaxrkd.amalgamation import AVERAGES
from jaxrkd.evaluate import attack_images, results
from jaxrkd.experiment import publish, seeds
from jaxrkd.models import from_linen, from_nnx, normalized
from jaxrkd.models.ensemble import ensemble
from jaxrkd.models.mean_sparse import MeanSparse
from jaxrkd.models.named import named_network
from jaxrkd.programs import compare, doctor, evaluate
from jaxrkd.report import ranking_page

SPARSE = dict(name='dm_wrn', depth=10, width=1, mean_sparse=True)
HIDES = 'MeanSparse hides gradients'


class Noted(nnx.Module):
  def __init__(self, rngs, note='so it is'):
    self.note, self.linear = note, nnx.Linear(3, 2, rngs=rngs)

  def __call__(self, x):
    return self.linear(x.mean((1, 2)))


class NotedLinen(linen.Module):
  note = 'so it is'

  @linen.compact
  def __call__(self, x):
    return linen.Dense(2)(x.mean((1, 2)))


def sparse_network(straight_through):
  """A MeanSparse network in which much became the mean, and images for it."""
  node = SPARSE | {'straight_through': straight_through}
  net = named_network(node, 10, (8, 8, 3))
  params, stats = net.init(jax.random.key(0))
  wide = lambda path, x: x + 0.3 if 'meansparse' in jax.tree_util.keystr(path) else x
  stats = jax.tree_util.tree_map_with_path(wide, stats)
  draw = jax.random.normal(jax.random.key(2), (64, 10))
  params['logits']['kernel'] = draw
  images = jax.random.uniform(jax.random.key(1), (2, 8, 8, 3))
  return net, (params, stats), images


class GradientTest(parameterized.TestCase):
  @parameterized.parameters(False, True)
  def test_gradient_of_what_became_the_mean(self, straight):
    layer = MeanSparse(3, straight)
    layer.mean[...], layer.var[...] = jnp.array([0.5, -0.25, 2]), jnp.array([1, 4, 0.25])
    layer.threshold[...] = jnp.array(0.5)
    x = jnp.array([[0.9, 0.5, 2.2], [1.1, 0.8, 2.3]])  # flat, but for the last row
    weights = jnp.array([[1, 2, 3], [4, 5, 6.0]])
    np.testing.assert_array_equal(layer(x), [[0.5, -0.25, 2], x[1]])
    gradient = jax.grad(lambda x: (weights * layer(x)).sum())(x)
    np.testing.assert_allclose(gradient, [straight * weights[0], weights[1]])

  def test_networks_differ_in_their_gradients_alone(self):
    made = [sparse_network(straight) for straight in (False, True)]
    logits = [net.apply(*variables, images) for net, variables, images in made]
    np.testing.assert_array_equal(*logits)
    hidden, shown = (
      jax.grad(lambda x, f=net.apply, v=variables: f(*v, x)[:, 0].sum())(images)
      for net, variables, images in made
    )
    self.assertGreater(abs(shown - hidden).max(), 1e-3 * abs(shown).max())

  def test_networks_of_equal_weights_share_no_verdicts(self):
    path, found = tiny.folder(self) / 'verdicts.npz', {}
    for straight in (False, True, False):
      net, variables, images = sparse_network(straight)
      labels = np.asarray(net.apply(*variables, images)).argmax(-1)
      f = net.logits_fn(*variables)
      attack = attacks.pgd(attacks.Linf(0.05), steps=4)
      with contextlib.redirect_stdout(io.StringIO()):
        kept = attack_images(f, images, labels, attack, path=path, check=False)
        plain = attack_images(f, images, labels, attack, check=False)
      np.testing.assert_array_equal(kept.margin, plain.margin)
      found[straight] = kept.margin
    self.assertGreater(abs(found[False] - found[True]).max(), 0)


class NoteTest(parameterized.TestCase):
  @parameterized.parameters(False, True)
  def test_mean_sparse(self, straight):
    net = named_network(SPARSE | {'straight_through': straight}, 10, (8, 8, 3))
    self.assertIn(HIDES, net.note)

  def test_without(self):
    self.assertEqual(
      named_network(SPARSE | {'mean_sparse': False}, 10, (8, 8, 3)).note, ''
    )

  def test_own_networks(self):
    net = from_nnx(Noted)
    self.assertEqual(net.note, 'so it is')
    self.assertEqual(from_nnx(Noted(nnx.Rngs(0))).note, 'so it is')
    self.assertEqual(from_linen(NotedLinen(), (8, 8, 3)).note, 'so it is')
    self.assertEqual(normalized(net, (0.5,) * 3, (1.0,) * 3).note, 'so it is')
    both = ensemble([net, net], [0.5, 0.5], AVERAGES['logits'])[0]
    self.assertEqual(both.note, 'so it is')
    inside = from_nnx(lambda rngs: nnx.Sequential(Noted(rngs, 'a'), Noted(rngs, 'b')))
    self.assertEqual(inside.note, 'a; b')
    # Something else that goes by this name.
    self.assertEqual(from_nnx(lambda rngs: Noted(rngs, 3)).note, '')

  def test_one_line_for_each_note(self):
    found = {
      'threat_note': 'ball',
      'data_notes': ['data'],
      'teachers': {'a': {'note': 'x'}, 'b': {}},
      'online': {'t1': {'note': 'y'}},
      'surrogates': {'other': {'note': 'z'}},
      'student': {'best': {'note': 'x'}, 'last': {'note': 'x'}},
    }
    own = ['teacher a, student: x', 'online t1: y', 'surrogate other: z']
    self.assertEqual(results.notes(found), ['ball', *own, 'data'])
    several = {'students': {'s0': {'best': {}}, 's1': {'best': {'note': 'x'}}}}
    self.assertEqual(results.notes(several), ['s1: x'])
    self.assertEqual(results.notes({'student': {'best': {}}}), [])

  def test_from_a_file_to_every_result(self):
    folder = tiny.folder(self)
    module = layouts.randomise(layouts.DMWideResNet(10, 1, 10, 1, sparse=True))
    torch.save(module.state_dict(), folder / 'sparse.pt')
    options = ['data.name=digits', 'evaluation.images=20', 'evaluation.trust.images=0']
    run = folder / 'run'
    experiment.import_network(
      folder / 'sparse.pt', run, overrides=options, image_shape=(8, 8, 1)
    )
    said: dict[str, str] = {}

    @contextlib.contextmanager
    def heard(what):
      with contextlib.redirect_stdout(io.StringIO()) as out:
        yield
      said[what] = out.getvalue()

    with heard('evaluate'):
      found = evaluate.remeasure(run, [], attacks=['fgsm'])
    with heard('doctor'):
      doctor.examine(run, kind='clean', images=20, attacked=5)
    said['doctor.json'] = (run / 'doctor.json').read_text()
    threat = attacks.Linf(0.1)
    more = dict(count=10, checked_images=0, attack=attacks.fgsm(threat))
    network = jaxrkd.load_run(run)
    with heard('benchmark'):
      measured = jaxrkd.evaluate.benchmark(network, 'digits', threat, **more)
    said['table'], said['verdicts'] = measured.table, repr(measured.verdicts)
    with heard('export'):
      experiment.export(run, [folder / 'student.npz'])
    said['card of the file'] = (folder / 'student.npz.json').read_text()
    (path,) = run.glob('results-*.json')
    (page,) = run.glob('report-*.html')
    said['page'], said['results'] = page.read_text(), path.read_text()
    row = {**found['student']['best'], 'seed': 0, 'seconds_per_epoch': 0}
    said['comparison'] = compare.markdown({'sparse': [row]})
    with heard('seeds'):
      whole = {str(k): found for k in range(2)}
      seeds.in_common(whole, dict.fromkeys(whole, run), folder / 'both.json')
    said['seeds.json'] = (folder / 'both.json').read_text()
    # As measured before the network said so.
    del found['student']['best']['note']
    (run / 'results.json').write_text(json.dumps(found))
    publish.push(run, str(folder / 'pushed'))
    said['model card'] = (folder / 'pushed' / 'README.md').read_text()
    for what, text in said.items():
      with self.subTest(what):
        self.assertIn(HIDES, text)

  def test_ranking(self):
    number = dict(value=0.5, low=0.4, high=0.6, images=10)
    row = dict(
      **dict.fromkeys(('clean', 'robust', 'entropy', 'hard', 'easy', 'transfer'), number),
      **dict(calibration=0.1, lean='over', faults=[], note='so it is', excluded=''),
    )
    found = dict(
      **dict(data='digits', ball='linf eps 0.1', attack='pgd_sat', take='a', why='so'),
      **dict(teachers={'a': row}, students={'s': number}),
    )
    self.assertIn('note: a: so it is', ranking_page.plain(found))
    self.assertIn('a: so it is', ranking_page.page(found)[0])


if __name__ == '__main__':
  absltest.main()
