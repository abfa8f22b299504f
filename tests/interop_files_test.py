"""Files of weights: every kind that is read, and one clear sentence for those that are not."""

import argparse
import collections
import io
import json
import os
import pathlib
import pickle
import sys
import types
import zipfile
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import safetensors.numpy
import safetensors.torch
import tiny
import torch
import torch_layouts as layouts
from absl.testing import absltest, parameterized

from jaxrkd import experiment
from jaxrkd.errors import InputError
from jaxrkd.experiment import make
from jaxrkd.experiment.load import load_trained
from jaxrkd.interop import RECIPES, read_network, torch_net
from jaxrkd.interop.weights_file import read_weights
from jaxrkd.models.named import network_options
from jaxrkd.runtime import sharding

WRN = dict(name='wrn', depth=10, width=2)


class Evil:
  """What a pickle may do: run a command where it is read."""

  def __init__(self, path):
    self.path = path

  def __reduce__(self):
    return os.system, (f'touch {self.path}',)


def small_wrn(**options):
  return layouts.randomise(layouts.WideResNet(10, 3, 10, 2, **options))


def tensors(module):
  return dict(module.state_dict())


def prefixed(state, prefix):
  return {prefix + name: tensor for name, tensor in state.items()}


class FileTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = tiny.folder(self)
    self.path = self.folder / 'weights.pt'

  def images(self):
    return np.random.default_rng(0).random((4, 32, 32, 3), np.float32)

  def check_logits(self, module, **options):
    """The file's network answers as the module that it was made of."""
    found = read_network(self.path, **options)
    ours = found.net.apply(*found.variables, jnp.asarray(self.images()))
    with torch.no_grad():
      theirs = module(torch.tensor(self.images().transpose(0, 3, 1, 2)))
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=0, atol=1e-5)
    self.assertLess(found.about['logit_check']['largest_difference'], 1e-5)
    return found

  @parameterized.parameters(
    (lambda s: s, '', ''),
    (
      lambda s: {'state_dict': prefixed(s, 'module.'), 'epoch': 3},
      'state_dict',
      'module.',
    ),
    (lambda s: {'net': s, 'acc': np.float64(91.5)}, 'net', ''),
    (
      lambda s: {'model': prefixed(s, 'module.'), 'args': argparse.Namespace(lr=0.1)},
      *('model', 'module.'),
    ),
    (lambda s: {'state_dict': {'model': s}}, 'state_dict.model', ''),
    (lambda s: prefixed(s, '_orig_mod.module.'), '', '_orig_mod.module.'),
    (lambda s: collections.OrderedDict(s), '', ''),
  )
  def test_wrappers_and_prefixes(self, wrap, wrapper, prefix):
    module = small_wrn()
    for old in (False, True):
      with self.subTest('before torch 1.6' if old else 'zip'):
        content = wrap(tensors(module))
        torch.save(content, self.path, _use_new_zipfile_serialization=not old)
        about = self.check_logits(module).about
        self.assertEqual((about['wrapper'], about['prefix']), (wrapper, prefix))
        self.assertEqual(about['network']['name'], 'wrn')

  def test_optimiser_states_and_views_beside_the_weights(self):
    module = small_wrn()
    optimizer = torch.optim.SGD(module.parameters(), 1e-6, momentum=0.9)
    module(torch.rand(2, 3, 32, 32)).sum().backward()
    optimizer.step()
    state = tensors(module)
    big = torch.zeros(5, *state['conv1.weight'].shape)
    big[2] = state['conv1.weight']
    # Two tensors of one storage, one transposed in memory.
    state |= {'conv1.weight': big[2], 'fc.weight': state['fc.weight'].T.contiguous().T}
    torch.save({'state_dict': state, 'optimizer': optimizer.state_dict()}, self.path)
    self.check_logits(module.eval())

  def test_half_precision_is_widened(self):
    module = small_wrn().to(torch.bfloat16).float()
    state = {
      k: v.to(torch.bfloat16) if v.is_floating_point() else v
      for k, v in tensors(module).items()
    }
    for save in (torch.save, safetensors.torch.save_file):
      save(state, self.path)
      found = self.check_logits(module)
    self.assertEqual(
      {x.dtype for x in jax.tree.leaves(found.variables)}, {jnp.dtype('float32')}
    )

  def test_trades_has_a_group_that_is_never_run(self):
    module = small_wrn(sub_block=True)
    torch.save(tensors(module), self.path)
    unused = self.check_logits(module).about['unused']
    self.assertIn('sub_block1.layer.0.conv1.weight', unused)
    self.assertTrue(
      all(n.startswith('sub_block1') or n.endswith('tracked') for n in unused)
    )

  def test_synonyms(self):
    module = layouts.randomise(layouts.ResNet(10, 3, (1, 1, 1), 16, style='kuangliu'))
    torch.save(tensors(module), self.path)
    found = self.check_logits(module)
    self.assertEqual(found.node['name'], 'resnet8')
    self.assertEqual(found.node['shortcut'], 'projection')

  def test_safetensors(self):
    module = small_wrn()
    state = {name: tensor.numpy() for name, tensor in tensors(module).items()}
    safetensors.numpy.save_file(state, self.path)  # told by its contents
    self.assertEqual(self.check_logits(module).about['kind'], 'safetensors')
    with self.subTest('whose first byte is that of a pickle'):
      for letters in range(256):
        about = {'about': 'x' * letters}
        safetensors.numpy.save_file(state, self.path, metadata=about)
        if self.path.read_bytes()[0] == 0x80:
          break
      self.assertEqual(self.path.read_bytes()[0], 0x80)
      self.assertEqual(self.check_logits(module).about['kind'], 'safetensors')

  @parameterized.parameters(True, False)
  def test_npy_of_deepmind(self, mappings):
    module = layouts.randomise(layouts.DMWideResNet(10, 3, 10, 2))
    params, state = haiku_trees(tensors(module))
    if mappings:
      make, modules = haiku_mappings()
      self.enterContext(mock.patch.dict(sys.modules, modules))
      params, state = make(params), make(state)
    pair = np.empty(2, object)
    pair[0], pair[1] = params, state
    content = io.BytesIO()
    np.save(content, pair, allow_pickle=True)
    self.path.write_bytes(content.getvalue())
    found = self.check_logits(module)
    self.assertEqual((found.about['kind'], found.node['name']), ('haiku', 'dm_wrn'))

  def test_without_torch(self):
    module = small_wrn()
    torch.save({'net': tensors(module)}, self.path)
    self.enterContext(mock.patch.object(torch_net, 'installed', lambda: False))
    with mock.patch.dict(sys.modules, {'torch': None}):
      found = read_network(self.path)
    self.assertEqual(found.about['logit_check'], {'skipped': 'torch is not installed'})
    ours = found.net.apply(*found.variables, jnp.asarray(self.images()))
    with torch.no_grad():
      theirs = module(torch.tensor(self.images().transpose(0, 3, 1, 2)))
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=0, atol=1e-5)

  def test_numbers_of_the_file_are_kept_bit_for_bit(self):
    module = small_wrn()
    torch.save(tensors(module), self.path)
    experiment.import_network(self.path, self.folder / 'run')
    experiment.export(self.folder / 'run', [self.folder / 'back.pt'], check=False)
    back = torch.load(self.folder / 'back.pt', weights_only=True)['state_dict']
    for name, tensor in tensors(module).items():
      if not name.endswith('num_batches_tracked'):
        self.assertTrue(torch.equal(back[name], tensor), name)


def haiku_trees(state):
  """The pair of trees that DeepMind's JAX program saves for the same network."""
  params, moving = collections.defaultdict(dict), collections.defaultdict(dict)
  for name, tensor in state.items():
    *path, last = name.split('.')
    array = tensor.numpy()
    if len(path) == 5:  # layer.G.block.B.NAME
      path = [f'resnet_lay_{path[1]}_block_{path[3]}', path[4]]
    module = 'wide_res_net/~/' + '/~/'.join(path)
    if last in ('running_mean', 'running_var'):
      part = {'running_mean': 'mean_ema', 'running_var': 'var_ema'}[last]
      average = array.reshape(1, 1, 1, -1)
      leaves = {'hidden': average * 0.5, 'average': average, 'counter': np.int32(7)}
      moving[f'{module}/~/{part}'] = leaves
    elif last == 'weight' and array.ndim == 1:
      params[module]['scale'] = array.reshape(1, 1, 1, -1)
    elif last == 'bias' and 'batchnorm' in module:
      params[module]['offset'] = array.reshape(1, 1, 1, -1)
    elif last == 'weight':
      params[module]['w'] = array.transpose((2, 3, 1, 0) if array.ndim == 4 else (1, 0))
    elif last == 'bias':
      params[module]['b'] = array
  return dict(params), dict(moving)


def haiku_mappings():
  """A class that pickles under the name of Haiku's, without Haiku."""
  name = 'haiku._src.data_structures'

  class FlatMapping(dict):
    def __reduce__(self):
      return FlatMapping, (dict(self),)

  FlatMapping.__module__, FlatMapping.__qualname__ = name, 'FlatMapping'
  module = types.ModuleType(name)
  module.FlatMapping = FlatMapping
  names = ('haiku', 'haiku._src', name)
  return FlatMapping, {n: module if n == name else types.ModuleType(n) for n in names}


class RefusalTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = tiny.folder(self)
    self.path = self.folder / 'weights.pt'

  def refuse(self, message, **options):
    with self.assertRaisesRegex(InputError, message) as caught:
      read_network(self.path, **options)
    text = str(caught.exception)
    self.assertIn('weights.pt', text)
    self.assertNotIn('\n', text)
    return text

  @parameterized.parameters(
    (b'<!DOCTYPE html><html><body>sign in</body></html>', r'web page \(HTML\)'),
    (b'\n  <html>', r'web page \(HTML\)'),
    (b'', 'is empty'),
    (b'version https://git-lfs.github.com/spec/v1', 'Git LFS pointer'),
    (b'\x1f\x8b\x08\x00', 'compressed with gzip'),
    (b'hello world, this is text', "begins with b'hello world, thi'"),
    (b'\x80\x02}q\x00.', 'not one that torch.save wrote'),
  )
  def test_strangers(self, content, message):
    self.path.write_bytes(content)
    self.refuse(message)

  def test_missing_file_and_folder(self):
    self.refuse('does not exist')
    self.path.mkdir()
    self.refuse('is a folder')

  @parameterized.product(kind=('zip', 'legacy', 'safetensors', 'npy'), part=(0.3, 0.95))
  def test_truncated(self, kind, part):
    module = small_wrn()
    if kind == 'safetensors':
      arrays = {name: tensor.numpy() for name, tensor in tensors(module).items()}
      safetensors.numpy.save_file(arrays, self.path)
    elif kind == 'npy':
      trees = haiku_trees(tensors(layouts.randomise(layouts.DMWideResNet(10, 3, 10, 2))))
      pair = np.empty(2, object)
      pair[0], pair[1] = trees
      with self.path.open('wb') as file:
        np.save(file, pair, allow_pickle=True)
    else:
      torch.save(tensors(module), self.path, _use_new_zipfile_serialization=kind == 'zip')
    whole = self.path.read_bytes()
    self.path.write_bytes(whole[: int(part * len(whole))])
    self.refuse('cut off or damaged')

  @parameterized.parameters('zip', 'legacy', 'npy', 'plain')
  def test_code_is_not_run(self, kind):
    trace = self.folder / 'trace'
    content = {'state_dict': tensors(small_wrn()), 'x': Evil(trace)}
    if kind == 'npy':
      array = np.empty(1, object)
      array[0] = Evil(trace)
      with self.path.open('wb') as file:
        np.save(file, array, allow_pickle=True)
    elif kind == 'plain':
      self.path.write_bytes(pickle.dumps(Evil(trace)))
    else:
      torch.save(content, self.path, _use_new_zipfile_serialization=kind == 'zip')
    text = self.refuse('its pickle asks for posix.system')
    self.assertIn('expected a PyTorch state_dict', text)
    self.assertFalse(trace.exists())

  @parameterized.parameters(
    b'cbuiltins\neval\n(S"1"\ntR.',
    b'cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S"O8"\ntRcos\nsystem\ntR.',
    b'ctorch._utils\n_rebuild_tensor_v2\n(I1\nI0\n(I1\nt(I1\ntI00\nNtR.',
    b'\x80\x04\x8c\x08builtins\x8c\x04exec\x93.',
  )
  def test_hostile_pickles(self, content):
    head = b'\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}q\x00.'
    self.path.write_bytes(head + content)
    self.refuse('asks for|cut off or damaged')

  def test_arrays_made_of_a_files_pointers(self):
    """numpy's own constructors would take addresses and field offsets from the file."""
    name = lambda module, what: (
      b'\x8c'
      + bytes([len(module)])
      + module
      + b'\x8c'
      + bytes([len(what)])
      + what
      + b'\x93'
    )
    array, dtype = name(b'numpy', b'ndarray'), name(b'numpy', b'dtype')
    build = b'(K\x03\x8c\x01|N\x8c\x01a\x85}\x8c\x01ah\x00K\x00\x86sK\x08K\x01K\x00tb'
    for body in (
      array + b'(K\x01\x85\x8c\x01OC\x08ABCDEFGHt\x81.',
      array + b'(K\x01\x85\x8c\x01OC\x08ABCDEFGHtR.',
      array + b'J\x00\x00\x00\x40\x85\x8c\x02u1\x86R.',
      dtype + b'\x8c\x02V8K\x00K\x01\x87R' + build + b'.',
      dtype + b'\x8c\x05f8,i4\x85R.',
    ):
      with zipfile.ZipFile(self.path, 'w') as archive:
        archive.writestr('a/data.pkl', b'\x80\x04' + body)
      with self.assertRaises(InputError):
        read_network(self.path)

  def test_memory_from_nothing(self):
    state = {
      'a.weight': torch.ones(1).expand(10**9, 3)[:, :2],
      'b.weight': torch.ones(2, 2),
    }
    torch.save(state, self.path)
    self.refuse('reaches beyond its numbers')
    with zipfile.ZipFile(self.path) as archive:
      files = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(self.path, 'w', zipfile.ZIP_DEFLATED) as archive:
      for name, content in files.items():
        zeros = bytes(10**7) if '/data/' in name else content
        archive.writestr(name, zeros)
    self.refuse('numbers of 10000000 bytes instead of')

  def test_nested_without_end(self):
    tree = []
    tree.append(tree)
    torch.save({'a': tree}, self.path)
    self.refuse('cut off or damaged')

  def test_cards_that_are_none(self):
    for text in ('{bad', '[1]', '{"config": {"a": 1}}', ''):
      torch.save({'state_dict': tensors(small_wrn()), 'jaxrkd': text}, self.path)
      self.assertFalse(read_network(self.path).about['card'])

  def test_negative_variances(self):
    state = tensors(small_wrn())
    state['bn1.running_var'][0] = -1
    torch.save(state, self.path)
    self.refuse('negative variances in bn1.running_var')

  def test_a_whole_model_instead_of_its_weights(self):
    torch.save(torch.nn.Linear(2, 2), self.path)
    self.refuse(r'asks for torch.nn.modules.linear.Linear.*model.state_dict\(\)')

  def test_torchscript(self):
    with zipfile.ZipFile(self.path, 'w') as archive:
      archive.writestr('m/data.pkl', b'\x80\x02N.')
      archive.writestr('m/code/__torch__.py', 'pass')
    self.refuse('TorchScript program')

  def test_another_architecture(self):
    torch.save(tensors(small_wrn()), self.path)
    text = self.refuse(
      'does not hold the weights of resnet18 with 10 classes',
      network=dict(name='resnet18'),
    )
    self.assertIn('names and shapes are those of wrn with depth=10, width=2', text)
    text = self.refuse('wrn_34_10 with 10 classes', recipe='trades_wrn_34_10')
    self.assertIn('missing are block1.layer.1.bn1.bias', text)

  def test_another_number_of_classes(self):
    torch.save(tensors(small_wrn()), self.path)
    self.refuse('of 10 classes, but what was asked for has 100', classes=100)
    self.refuse("recipe 'mtard_wrn_22_6' has 100", recipe='mtard_wrn_22_6')

  def test_other_images(self):
    torch.save(tensors(small_wrn()), self.path)
    self.refuse('images of 3 channels, not of 1', image_shape=(28, 28, 1))

  @parameterized.parameters(float('nan'), float('inf'))
  def test_weights_that_are_no_numbers(self, value):
    state = tensors(small_wrn())
    state['block2.layer.0.conv1.weight'][0, 0, 0, 0] = value
    torch.save(state, self.path)
    self.refuse('1 values of block2.layer.0.conv1.weight that are not finite')

  def test_missing_and_unused_weights(self):
    state = tensors(small_wrn())
    del state['bn1.running_var']
    torch.save(state, self.path)
    self.refuse('missing are bn1.running_var')
    state = tensors(small_wrn()) | {'fc2.weight': torch.ones(3, 4)}
    torch.save(state, self.path)
    self.refuse(r'unused are fc2.weight; .*\(--ignore\)')
    self.assertIn('fc2.weight', read_network(self.path, ignore=['fc2']).about['unused'])

  def test_no_weights_at_all(self):
    torch.save({'epoch': 3, 'best': 0.5}, self.path)
    self.refuse("a dictionary with 'epoch', 'best', but no weights")
    torch.save({'a.weight': torch.ones(2, 3), 'b.weight': torch.ones(2, 3)}, self.path)
    self.refuse('names are those of no network here')

  def test_a_normalisation_that_the_network_does_not_have(self):
    state = prefixed(tensors(small_wrn()), 'model.')
    state |= {'mu': torch.tensor([0.4914, 0.4822, 0.4465]).reshape(1, 3, 1, 1)}
    state |= {'sigma': torch.tensor([0.2471, 0.2435, 0.2616]).reshape(1, 3, 1, 1)}
    torch.save(state, self.path)
    text = self.refuse('normalises with mean 0.4914,0.4822,0.4465')
    self.assertIn('--config.student.std=0.2471,0.2435,0.2616', text)
    node = dict(name='wrn', depth=10, width=2, normalisation='cifar10')
    about = read_network(self.path, network=node).about
    self.assertEqual(about['prefix'], 'model.')
    self.assertContainsSubset({'mu', 'sigma'}, about['unused'])

  def test_a_conversion_that_is_wrong_is_noticed(self):
    torch.save(tensors(small_wrn()), self.path)
    wrong = lambda images: np.zeros((len(images), 10), np.float32)
    with mock.patch.object(torch_net, 'torch_logits', lambda *_: wrong):
      self.refuse('differ from PyTorch by')

  def test_unknown_recipe(self):
    torch.save(tensors(small_wrn()), self.path)
    with self.assertRaisesRegex(InputError, "did you mean 'trades_wrn_34_10'.*--list"):
      read_network(self.path, recipe='trades_wrn_3410')


class ImportTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = tiny.folder(self)
    self.path, self.run = self.folder / 'w.pt', self.folder / 'run'
    module = layouts.randomise(layouts.ConvNet(3, 1, (4, 8), (1, 2)))
    torch.save({'net': module.state_dict()}, self.path)
    self.node = ['student.strides=1,2']
    data = dict(tiny.config().data)
    self.given = dict(image_shape=(8, 8, 1), data=data)

  def test_an_import_is_a_run(self):
    experiment.import_network(self.path, self.run, overrides=self.node, **self.given)
    found = load_trained(self.run, 'last', sharding.data_mesh())
    self.assertEqual(found.record.classes, 3)
    self.assertEqual(found.config.student.name, 'convnet')
    again = experiment.import_network(
      self.path, self.run, overrides=self.node, **self.given
    )
    self.assertEqual(again, json.loads((self.run / 'imported.json').read_text()))
    with self.subTest('of a version before an option'):
      old = json.loads((self.run / 'imported.json').read_text())
      del old['network']['bn_momentum']
      (self.run / 'imported.json').write_text(json.dumps(old))
      given = dict(overrides=self.node, **self.given)
      self.assertEqual(experiment.import_network(self.path, self.run, **given), old)
      with self.assertRaisesRegex(InputError, 'bn_momentum was 0.9 and is now 0.5'):
        given['overrides'] = [*self.node, 'student.bn_momentum=0.5']
        experiment.import_network(self.path, self.run, **given)
    with self.assertRaisesRegex(InputError, "activation was 'relu' and is now 'elu'"):
      overrides = [*self.node, 'student.activation=elu']
      experiment.import_network(self.path, self.run, overrides=overrides, **self.given)

  def test_an_import_that_was_cut_off_is_made_again(self):
    experiment.import_network(self.path, self.run, overrides=self.node, **self.given)
    (self.run / 'config.json').unlink()  # what is written last
    experiment.import_network(self.path, self.run, overrides=self.node, **self.given)
    found = load_trained(self.run, 'best', sharding.data_mesh())
    self.assertEqual(found.record.classes, 3)

  def test_nothing_says_which_data(self):
    options = dict(image_shape=(8, 8, 1))
    with self.assertRaisesRegex(InputError, 'nothing says which data'):
      experiment.import_network(self.path, self.run, overrides=self.node, **options)

  def test_it_is_measured_and_teaches(self):
    from jaxrkd import experiment
    from jaxrkd.programs import evaluate as remeasure

    experiment.import_network(self.path, self.run, overrides=self.node, **self.given)
    found = remeasure.remeasure(
      self.run,
      ['evaluation.batch_size=16', 'evaluation.trust.images=0'],
      attacks=['fgsm'],
    )
    self.assertEqual(set(found['student']), {'best'})
    self.assertIn('came from a file', found['selection']['note'])
    given = tiny.config('rslad', teachers=[], epochs=1)
    overrides = [f'teachers.robust.workdir={self.run}', 'teachers.robust.checkpoint=last']
    config = experiment.resolve(given, overrides)
    results = experiment.train_and_evaluate(config, self.folder / 'student')
    self.assertIn('robust', results['teachers'])

  def test_a_teacher_comes_straight_from_its_file(self):
    from jaxrkd import experiment
    from jaxrkd.programs import plan

    given = tiny.config('rslad', epochs=1)
    teacher = given.teachers.robust.config
    teacher.student = dict(name='convnet', widths=(4, 8), strides=(1, 2))
    key = f'teachers.robust.file={self.path}'
    config = experiment.resolve(given, [key])
    out = io.StringIO()
    with mock.patch.object(sys, 'stdout', out):
      plan.dry_run(config)
    self.assertIn(f'from {self.path}', out.getvalue())
    results = experiment.train_and_evaluate(config, self.folder / 'student')
    home = self.folder / 'student' / 'teachers' / 'robust'
    self.assertEqual(results['teachers']['robust']['workdir'], str(home))
    self.assertTrue((home / 'imported.json').is_file())
    with self.subTest('the file may go once it is imported'):
      (self.folder / 'student' / 'results.json').unlink()
      self.path.unlink()
      again = experiment.train_and_evaluate(config, self.folder / 'student')
      self.assertEqual(
        again['student']['best']['clean'], results['student']['best']['clean']
      )

  def test_a_teacher_that_does_not_suit_is_refused_before_anything_is_read(self):
    from jaxrkd import experiment

    given = tiny.config('rslad', epochs=1)
    page = self.folder / 'page.pt'
    page.write_text('<html></html>')
    refuse = mock.Mock(side_effect=AssertionError('data were read'))
    self.enterContext(mock.patch.object(make, 'dataset', refuse))
    for overrides, message in (
      ([f'teachers.robust.file={page}'], "teacher 'robust': .*HTML.*robust.recipe"),
      (
        [f'teachers.robust.file={self.path}', 'teachers.robust.recipe=mtard_resnet56'],
        "teacher 'robust': .*10",
      ),
      ([f'teachers.robust.workdir={self.folder}'], 'is not the workdir of a run'),
    ):
      config = experiment.resolve(given, overrides)
      with self.assertRaisesRegex(InputError, message):
        experiment.train_and_evaluate(config, self.folder / 'refused')
      self.assertFalse((self.folder / 'refused').exists())

  def test_mistakes_in_a_teachers_entry(self):
    for overrides, message in (
      (['teachers.robust.recipe=trades_wrn_34_10'], 'there is no file to read'),
      (['teachers.robust.file=a', 'teachers.robust.workdir=b'], 'both a workdir'),
      (['teachers.robust.file=a', 'teachers.robust.epoch=3'], 'teachers.robust.epoch=0'),
    ):
      with self.assertRaisesRegex(InputError, message):
        experiment.resolve(tiny.config('rslad'), overrides)


class RecipeTest(parameterized.TestCase):
  @parameterized.parameters(*RECIPES)
  def test_networks_exist(self, name):
    recipe = RECIPES[name]
    node = network_options(recipe.network)
    self.assertIsNotNone(torch_net.family(node['name']))
    self.assertIn('clean', recipe.expected)
    self.assertTrue(all(0 <= value <= 100 for value in recipe.expected.values()))
    self.assertIn(recipe.kind, ('clean', 'robust'))
    self.assertIn(recipe.classes, (10, 100))


class RealFileTest(absltest.TestCase):
  def test_resnet20_of_akamaster(self):
    """Set JAXRKD_TEST_WEIGHTS to a folder with cifar10_resnet20.th."""
    path = pathlib.Path(os.environ.get('JAXRKD_TEST_WEIGHTS', '')) / 'cifar10_resnet20.th'
    if not path.is_file():
      self.skipTest('JAXRKD_TEST_WEIGHTS names no folder with cifar10_resnet20.th')
    found = read_network(path, recipe='akamaster_resnet20')
    self.assertEqual(found.about['parameters'], 269_722)
    self.assertEqual(read_weights(path).tree['best_prec1'], 91.78000183105469)


if __name__ == '__main__':
  absltest.main()
