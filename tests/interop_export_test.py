"""A student in every format: the same predictions in every run time, and its card."""

import functools
import importlib.util
import json
import pathlib
import sys
from unittest import mock

import jax
import numpy as np
import tiny
import torch
import torch_layouts as layouts
from absl.testing import absltest, parameterized

from jaxrkd import experiment, interop
from jaxrkd.data import SOURCES
from jaxrkd.errors import InputError
from jaxrkd.experiment.export_check import calibration_images
from jaxrkd.experiment.load import read_config
from jaxrkd.experiment.places import without_folders
from jaxrkd.interop import FORMATS, formats, torch_net
from jaxrkd.interop.formats import tflite
from jaxrkd.interop.formats.base import Format
from jaxrkd.models import NETWORKS

TFLITE = importlib.util.find_spec('litert_converter') is not None


def onnx_in_integers(path):
  import onnx

  graph = onnx.load(path).graph
  weights = {w.name: w.data_type for w in graph.initializer if len(w.dims) == 4}
  quantised = {node.op_type for node in graph.node} >= {'QuantizeLinear'}
  return quantised and set(weights.values()) == {onnx.TensorProto.INT8}


def tflite_in_integers(path):
  from jaxrkd.interop.formats.tflite import interpreter

  return all(told['dtype'] == np.int8 for told in interpreter(path)[1:])


IN_INTEGERS = {'.int8.onnx': onnx_in_integers, '.int8.tflite': tflite_in_integers}


def write_run(folder):
  """A ConvNet that learnt the digits for some epochs."""
  config = tiny.config(
    'natural',
    teachers=[],
    epochs=12,
    batch_size=64,
    schedule=dict(name='cosine', peak=0.3),
  )
  config.data = dict(name='digits', heldout=200)
  config.student = dict(
    name='convnet', widths=(8, 16), strides=(1, 2), mean=(0.3,), std=(0.4,)
  )
  config.select = dict(metric='clean', every=12)
  config.evaluation.attacks = dict(pgd_sat=dict(steps=5, step_size=0.02))
  config.evaluation.threat.eps = 0.05
  config.evaluation.batch_size = 64
  experiment.train_and_evaluate(experiment.resolve(config), folder)


class ExportTest(parameterized.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.folder = pathlib.Path(cls.enterClassContext(tiny.temporary_folder()))
    write_run(cls.folder / 'run')
    cls.results = json.loads((cls.folder / 'run' / 'results.json').read_text())

  @parameterized.parameters(
    *(s for s, row in FORMATS.items() if s != '.pth' and not row.quantised)
  )
  def test_same_predictions_on_the_whole_test_set(self, suffix):
    if suffix == '.tflite' and not TFLITE:
      self.skipTest('litert_converter is not installed')
    path = self.folder / f'student{suffix}'
    card = experiment.export(self.folder / 'run', [path], images=0)[str(path)]
    found, own = card['measured'], self.results['student']['best']
    self.assertEqual(found['images'], 450)
    self.assertEqual(found['clean_same_predictions'], 450)
    self.assertEqual(found['robust_same_predictions'], 450)
    self.assertAlmostEqual(found['clean'], own['clean'])
    self.assertAlmostEqual(found['robust'], own['attacks']['pgd_sat']['robust'])
    # It learnt something, and attacks do something, or the comparison would be idle.
    self.assertGreater(found['clean'], 0.5)
    self.assertLess(found['robust'], found['clean'] - 0.05)
    beside = json.loads(path.with_name(path.name + '.json').read_text())
    self.assertEqual(beside, json.loads(json.dumps(card)))
    self.assertEqual(beside['config']['epochs'], 12)
    self.assertEqual(beside['mean'], [0.3])

  @parameterized.parameters('.int8.onnx', '.int8.tflite')
  def test_in_integers(self, suffix):
    if 'tflite' in suffix and not TFLITE:
      self.skipTest('litert_converter is not installed')
    whole = self.folder / f'whole{suffix.removeprefix(".int8")}'
    small = self.folder / f'small{suffix}'
    options = dict(images=120, queries=40, query_images=40, calibration=64)
    cards = experiment.export(self.folder / 'run', [whole, small], **options)
    card = cards[str(small)]
    found, float_one = card['measured'], cards[str(whole)]['measured']
    self.assertTrue(IN_INTEGERS[suffix](small))
    self.assertEqual(card['calibration_images'], 64)
    self.assertNotIn('query', float_one)
    # Near the float network, and not it.
    self.assertGreater(found['clean_same_predictions'], 105)
    self.assertGreater(found['clean_largest_difference'], 1e-2)
    self.assertAlmostEqual(found['clean'], float_one['clean'], delta=0.06)
    # Of 120 images; onnxruntime 1.20 chooses other ranges than 1.32.
    self.assertAlmostEqual(found['robust'], float_one['robust'], delta=0.15)
    # What its own run time answers, asked anew: on clean images, on images of the float
    # network, and on those of both attacks.
    test = SOURCES['digits']()[1].take(np.arange(120))
    images = test.image.astype(np.float32) / 255
    right = FORMATS[suffix].load(small)(images).argmax(-1) == test.label
    self.assertAlmostEqual(found['clean'], right.mean())
    self.assertLess(found['query'], right[:40].mean())
    self.assertLessEqual(found['worst'], found['query'])
    self.assertLess(found['query_here'], float_one['clean_here'])
    self.assertEqual((found['queries'], found['query_images']), (40, 40))
    for ms in found['ms_per_image'].values():
      self.assertGreater(ms, 0)

  def test_integers_that_the_run_time_refuses(self):
    if not TFLITE:
      self.skipTest('litert_converter is not installed')
    path = self.folder / 'refused.int8.tflite'
    path.write_bytes(b'of before')
    refuses = mock.Mock(side_effect=ValueError('num_scales must be 1. Tensor 6 too.'))
    self.enterContext(mock.patch.object(tflite, 'interpreter', refuses))
    with self.assertRaisesRegex(
      InputError, r'no .int8.tflite.*num_scales must be 1\); take .int8.onnx'
    ):
      experiment.export(self.folder / 'run', [path], check=False, calibration=4)
    self.assertEqual(path.read_bytes(), b'of before')

  def test_integers_need_images(self):
    with self.assertRaisesRegex(InputError, '--calibration is 0.*at least 1'):
      path = self.folder / 'none.int8.onnx'
      experiment.export(self.folder / 'run', [path], calibration=0)

  def test_images_of_all_classes_calibrate(self):
    config = experiment.resolve(read_config(self.folder / 'run'))
    shown = calibration_images(config, 50)
    train = experiment.dataset(config).train
    self.assertEqual(shown.shape, (50, 8, 8, 1))
    places = [
      np.flatnonzero((train.image.astype(np.float32) / 255 == image).all((1, 2, 3)))
      for image in shown
    ]
    self.assertLen({int(p[0]) for p in places}, 50)
    self.assertGreater(places[-1][0], len(train) - 3)

  def test_cards_inside_the_files(self):
    paths = [self.folder / f'inside{s}' for s in ('.pt', '.safetensors', '.onnx', '.npz')]
    cards = experiment.export(self.folder / 'run', paths)
    content = torch.load(paths[0], weights_only=True)
    found = [json.loads(content['jaxrkd'])]
    import onnx
    import safetensors

    with safetensors.safe_open(paths[1], 'pt') as file:
      found.append(json.loads(file.metadata()['jaxrkd']))
    model = onnx.load(paths[2])
    found.append(json.loads({p.key: p.value for p in model.metadata_props}['jaxrkd']))
    found.append(interop.load_exported(paths[3])[2])
    for path, inside in zip(paths, found, strict=True):
      self.assertEqual(inside, json.loads(json.dumps(cards[str(path)])))
      self.assertIsNotNone(inside['measured'])
    with self.subTest('BatchNorm is in the convolutions'):
      operations = {node.op_type for node in model.graph.node}
      self.assertIn('Conv', operations)
      self.assertNotIn('BatchNormalization', operations)
    self.assertNotIn(b'torch_net.py', paths[2].read_bytes())
    with self.subTest('PyTorch loads the weights into a module of its own'):
      module = layouts.ConvNet(10, 1, (8, 16), (1, 2)).eval()
      module.load_state_dict(content['state_dict'], strict=True)
      net, variables, _ = interop.load_exported(paths[3])
      images = np.random.default_rng(0).random((3, 8, 8, 1), np.float32)
      with torch.no_grad():
        given = (torch.tensor(images.transpose(0, 3, 1, 2)) - 0.3) / 0.4
        theirs = module(given).numpy()
      np.testing.assert_allclose(net.apply(*variables, images), theirs, atol=1e-5)

  def test_a_full_disk_is_one_sentence_and_leaves_nothing(self):
    path = self.folder / 'full.npz'
    path.write_bytes(b'of before')
    full = OSError(28, 'No space left on device')

    def write(trial, *given):
      trial.write_bytes(b'half')
      raise full

    row = FORMATS['.npz']
    with (
      mock.patch.dict(FORMATS, {'.npz': row._replace(write=write)}),
      self.assertRaisesRegex(InputError, 'full.npz.*No space left.*is kept'),
    ):
      experiment.export(self.folder / 'run', [path], check=False)
    self.assertEqual(path.read_bytes(), b'of before')
    self.assertEqual(list(self.folder.glob('.full*')), [])

  def test_cards_hold_no_folders(self):
    config = tiny.config('mtard', data=dict(name='npz', path='/home/me/images.npz'))
    config.teachers.clean.workdir = '/home/me/runs/clean'
    config.evaluation.attacks.moved = dict(name='pgd', surrogate='/home/me/runs/other')
    found = config.to_dict()
    without_folders(found)
    self.assertNotIn('/home', json.dumps(found))
    self.assertEqual(found['data']['path'], 'images.npz')
    self.assertEqual(found['teachers']['clean']['workdir'], 'clean')

  def test_stablehlo_is_for_all_platforms(self):
    path = self.folder / 'all.stablehlo'
    experiment.export(self.folder / 'run', [path], check=False)
    program = jax.export.deserialize(bytearray(path.read_bytes()))
    self.assertEqual(program.platforms, ('cpu', 'cuda', 'tpu'))
    # No scale of a BatchNorm is left beside the normalisation of the images.
    self.assertEqual(program.mlir_module().count('stablehlo.divide'), 2)

  def test_adversarial_images_are_made_once(self):
    experiment.export(self.folder / 'run', [self.folder / 'a.npz'], images=50)
    kept = sorted((self.folder / 'run' / 'export').glob('pgd_sat-*-50.npz'))
    self.assertLen(kept, 1)
    before = kept[0].stat().st_mtime_ns
    experiment.export(self.folder / 'run', [self.folder / 'b.pt'], images=50)
    self.assertEqual(kept[0].stat().st_mtime_ns, before)
    with np.load(kept[0]) as archive:
      self.assertEqual(archive['images'].shape, (50, 8, 8, 1))

  def test_an_export_that_answers_differently_is_not_kept(self):
    path = self.folder / 'wrong.npz'

    load = FORMATS['.npz'].load
    other = lambda path: lambda images: load(path)(images)[:, ::-1]
    wrong = FORMATS['.npz']._replace(load=other)
    self.enterContext(mock.patch.dict(formats.FORMATS, {'.npz': wrong}))
    with self.assertRaisesRegex(InputError, 'wrong.npz.* was not kept: in jax'):
      experiment.export(self.folder / 'run', [path])
    self.assertFalse(path.exists())
    with self.subTest('what was there before stays'):
      path.write_bytes(b'good')
      with self.assertRaises(InputError):
        experiment.export(self.folder / 'run', [path])
      self.assertEqual(path.read_bytes(), b'good')
      self.assertEqual(list(self.folder.glob('.wrong*')), [])

  @parameterized.parameters('safetensors', 'npz')
  def test_round_trip_through_a_run(self, kind):
    path, again = self.folder / 'once.safetensors', self.folder / 'twice.safetensors'
    between, back = self.folder / f'between.{kind}', self.folder / f'back_{kind}'
    first = experiment.export(self.folder / 'run', [path, between])[str(path)]
    about = experiment.import_network(between, back)
    self.assertEqual((about['kind'], about['card']), (kind, True))
    second = experiment.export(back, [again])[str(again)]
    for key in ('network', 'classes', 'image_shape', 'mean', 'std'):
      self.assertEqual(first[key], second[key])
    self.assertEqual(first['measured']['robust'], second['measured']['robust'])
    import safetensors.numpy

    one, two = (safetensors.numpy.load_file(p) for p in (path, again))
    self.assertEqual(set(one), set(two))
    for name in one:
      np.testing.assert_array_equal(one[name], two[name])
    config = json.loads((back / 'config.json').read_text())
    self.assertAlmostEqual(config['expected']['clean'], 100 * first['measured']['clean'])

  def test_mistakes(self):
    run = self.folder / 'run'
    with self.assertRaisesRegex(
      InputError, "ending of a file '.onx'; did you mean '.onnx'"
    ):
      experiment.export(run, [self.folder / 'a.onx'])
    for path, what in ((self.folder, 'is a folder'), (self.folder / 'a', 'no ending')):
      with self.assertRaisesRegex(InputError, f'{what}; name a file whose ending'):
        experiment.export(run, [path])
    (self.folder / 'a_file').write_text('')
    inside = self.folder / 'a_file' / 'x.npz'
    with self.assertRaisesRegex(InputError, 'cannot write .*a_file'):
      experiment.export(run, [inside])
    for ending in ('.onnx', '.npz', '.tflite'):
      path = self.folder / f'other{ending}'
      path.write_bytes(b'\x08\x0a\x12\x07pytorch')
      with self.assertRaisesRegex(InputError, 'program|begins with'):
        interop.read_network(path)
      with self.assertRaisesRegex(InputError, 'is no .npz export'):
        interop.load_exported(path)
    with self.assertRaisesRegex(InputError, 'not the workdir of a run'):
      experiment.export(self.folder, [self.folder / 'a.npz'])
    missing = Format(print, print, 'numpy', '', ('no_such_module',), (), 'onnx')
    self.enterContext(mock.patch.dict(formats.FORMATS, {'.onnx': missing}))
    with self.assertRaisesRegex(InputError, r'no_such_module.*jaxrkd\[onnx\]'):
      experiment.export(run, [self.folder / 'a.onnx'])

  @parameterized.parameters('.pt', '.safetensors', '.onnx')
  def test_a_network_of_ones_own_is_never_taken_for_ours(self, suffix):
    """Neither by its name nor by the beginning of it; nothing is loaded or measured."""
    path = self.folder / f'own{suffix}'
    own = functools.partial(NETWORKS['convnet'])
    self.assertIsNone(torch_net.family('resnet_of_mine'))
    self.assertIsNotNone(torch_net.family('convnet'))
    self.enterContext(mock.patch.dict(NETWORKS, {'convnet': own}))
    module = sys.modules['jaxrkd.experiment.export_network']
    loads = self.enterContext(mock.patch.object(module, 'load_trained'))
    with self.assertRaisesRegex(
      InputError, "'convnet' has no PyTorch counterpart.*export it to .stablehlo"
    ):
      experiment.export(self.folder / 'run', [path])
    loads.assert_not_called()
    self.assertFalse(path.exists())

  def test_every_format_is_complete(self):
    for row in FORMATS.values():
      self.assertTrue(callable(row.write) and callable(row.load))
      self.assertIn(row.runtime, row.version())


if __name__ == '__main__':
  absltest.main()
