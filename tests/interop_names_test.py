"""Where weights are in files of training scripts, and what is said of all else in them."""

import argparse
import pathlib
import sys
import types
from unittest import mock

import numpy as np
import tiny
import torch
import torch_layouts as layouts
from absl.testing import absltest, parameterized

from jaxrkd import experiment
from jaxrkd.errors import InputError
from jaxrkd.interop import read_network
from jaxrkd.interop.state_dict import to_state_dict

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616)
CIFAR10 = dict(normalisation='cifar10')


def small(seed=0, channels=1):
  return layouts.randomise(layouts.ConvNet(3, channels, (4, 8), (1, 2)), seed)


def tensors(seed=0, channels=1):
  return dict(small(seed, channels).state_dict())


def prefixed(state, prefix):
  return {prefix + name: tensor for name, tensor in state.items()}


def constants(mean=MEAN, std=STD):
  return {
    'new_mean': torch.tensor(mean)[:, None, None],
    'new_std': torch.tensor(std)[:, None, None],
  }


def madry(copy_seed=0, mean=MEAN, copy_mean=MEAN):
  """Names as `robustness` of MadryLab writes them."""
  return {
    **prefixed(constants(mean), 'module.normalizer.'),
    **prefixed(tensors(0, 3), 'module.model.'),
    **prefixed(constants(copy_mean), 'module.attacker.normalize.'),
    **prefixed(tensors(copy_seed, 3), 'module.attacker.model.'),
  }


class NamesTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.path = tiny.folder(self) / 'weights.pt'

  def read(self, content, channels=1, network=None, **options):
    if content is not None:
      torch.save(content, self.path)
    node = dict(name='convnet', strides=(1, 2)) | (network or {})
    size = (32, 32, 3) if channels == 3 else (8, 8, 1)
    return read_network(self.path, network=node, image_shape=size, check=False, **options)

  def check(self, content, seed=0, channels=1, **options):
    """The file's network has the weights of the module that was made with this seed."""
    found = self.read(content, channels, **options)
    wanted = tensors(seed, channels)
    for name, array in to_state_dict(*found.variables).items():
      np.testing.assert_array_equal(array, wanted[name].numpy(), name)
    return found.about

  def refuse(self, message, content, **options):
    with self.assertRaisesRegex(InputError, message) as caught:
      self.read(content, **options)
    self.assertTrue(str(caught.exception).isprintable())

  def test_a_plain_file_needs_no_words(self):
    self.assertEqual(self.check(tensors())['notes'], [])

  @parameterized.parameters(
    ('milestones', 'scheduler.milestones (collections.Counter)'),
    ('path', 'args.dir (pathlib'),
    ('namespace', 'args (argparse.Namespace)'),
    ('strange', 'args (my_project.options.Options)'),
    ('texts', 'names (numpy.ndarray)'),
    ('module', 'criterion (torch.nn.modules.loss.CrossEntropyLoss)'),
  )
  def test_objects_beside_the_weights(self, kind, told):
    weights = [torch.nn.Parameter(torch.ones(2))]
    optimizer = torch.optim.SGD(weights, 0.1)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 4])
    name = 'my_project.options'
    options = type('Options', (), {'__module__': name})
    module = types.ModuleType(name)
    module.Options = options
    beside = {
      'milestones': {'scheduler': schedule.state_dict()},
      'path': {'args': {'dir': pathlib.PureWindowsPath('a')}},
      'namespace': {'args': argparse.Namespace(lr=0.1)},
      'strange': {'args': options()},
      'texts': {'names': np.array(['cat', 'dog'])},
      'module': {'criterion': torch.nn.CrossEntropyLoss()},
    }[kind]
    modules = {'my_project': types.ModuleType('my_project'), name: module}
    with mock.patch.dict(sys.modules, modules):
      torch.save({'state_dict': tensors(), **beside}, self.path)
    (note,) = self.check(None)['notes']
    self.assertIn(f'left out objects without reading them: {told}', note)

  def test_objects_in_the_place_of_weights(self):
    self.refuse(
      r"for 'model' its pickle asks for torch.nn.modules.linear.Linear.*--key",
      {'model': torch.nn.Linear(2, 2), 'ema': tensors()},
    )
    about = self.check({'model': torch.nn.Linear(2, 2), 'ema': tensors()}, key='ema')
    self.assertIn('model (torch.nn.modules.linear.Linear)', about['notes'][0])
    self.refuse(
      "for 'a.b' its pickle asks for torch.nn", {'a': {'b': torch.nn.ReLU()}}, key='a.b'
    )
    with_object = tensors() | {'args': argparse.Namespace()}
    self.refuse(
      "among its weights is 'args', .*argparse.Namespace.*--ignore='args'", with_object
    )
    self.check(with_object, ignore=['args'])
    sparse = tensors() | {'linear.weight': torch.ones(3, 8).to_sparse()}
    self.refuse("among its weights is 'linear.weight', .*sparse", {'state_dict': sparse})

  def test_commands_are_refused_wherever_they_are(self):
    class Evil:
      def __reduce__(self):
        return eval, ('1',)

    self.refuse('asks for .*builtin.*eval', {'state_dict': tensors(), 'x': Evil()})

  def test_averaged_model(self):
    averaged = torch.optim.swa_utils.AveragedModel(small())
    about = self.check(averaged.state_dict())
    self.assertEqual(about['prefix'], 'module.')
    self.assertEqual(about['notes'], ['left out numbers that are no weights: n_averaged'])
    self.check(averaged.state_dict(), ignore=['n_averaged'])
    nested = prefixed(averaged.state_dict(), '_orig_mod.')
    self.assertEqual(self.check({'net': nested})['prefix'], '_orig_mod.module.')

  def test_lightning(self):
    state = prefixed(tensors(), 'model.')
    state |= {
      'train_acc.tp': torch.ones(3, dtype=torch.int64),
      'train_acc.confmat': torch.ones(3, 3, dtype=torch.int64),
      'loss.mean_value': torch.tensor(0.5),
      'loss.weight': torch.tensor(8.0),
      'steps': torch.tensor(7),
    }
    content = {'state_dict': state, 'hyper_parameters': {}, 'epoch': 3, 'callbacks': {}}
    (note,) = self.check(content)['notes']
    self.assertIn('no weights: train_acc.tp, train_acc.confmat, loss.mean_value', note)
    for name, value in (
      ('scale', torch.tensor(2.0)),
      ('loss.weight', torch.tensor(2.0)),
      ('tp', torch.ones(3)),
    ):
      with self.subTest('numbers that may be weights are not left out'):
        self.refuse('unused are|of no network', tensors() | {name: value})

  @parameterized.parameters('student.', 'teacher.', 'module._orig_mod.student.', '1.')
  def test_prefixes(self, prefix):
    about = self.check({'state_dict': prefixed(tensors(), prefix)})
    self.assertEqual(about['prefix'], prefix)

  def test_students_and_teachers(self):
    wide = layouts.randomise(layouts.ConvNet(5, 1, (4, 8), (1, 2))).state_dict()
    state = prefixed(tensors(), 'student.') | prefixed(wide, 'teacher.')
    state = {'state_dict': prefixed(state, 'module.')}
    about = self.check(state, classes=3)
    self.assertEqual(about['prefix'], 'module.student.')
    self.assertEqual(
      about['notes'],
      [
        "took the network under 'module.student.'",
        "left out the network under 'module.teacher.', which does not suit",
      ],
    )
    found = self.read(state, classes=5)
    self.assertEqual(found.about['prefix'], 'module.teacher.')
    two = prefixed(tensors(0), 'student.') | prefixed(tensors(1), 'teacher.')
    self.refuse(r"under 'student.', 'teacher.'; .*--key=student", two)
    self.assertEqual(self.check(two, key='student')['prefix'], 'student.')
    about = self.check({'net': two}, seed=1, key='net.teacher')
    self.assertIn("left out what is not under 'teacher': student.", about['notes'][0])
    self.check(two, ignore=['teacher.'])

  def test_madrylab(self):
    for content in ({'model': madry(), 'epoch': 3}, madry()):
      about = self.check(content, channels=3, network=CIFAR10)
      self.assertEqual(about['prefix'], 'module.model.')
      notes = ' '.join(about['notes'])
      self.assertIn(
        "left out the network under 'module.attacker.model.', with the same numbers",
        notes,
      )
      self.assertIn('is that of the network: module.normalizer.new_mean', notes)
      self.assertIn('module.attacker.normalize.new_mean', about['unused'])
    about = self.check(madry(copy_seed=1), channels=3, network=CIFAR10)
    self.assertIn(
      "'module.attacker.model.', whose numbers differ (--key=module.attacker.model)",
      ' '.join(about['notes']),
    )
    options = dict(channels=3, key='module.attacker.model')
    self.check(madry(copy_seed=1), seed=1, network=CIFAR10, **options)
    for key in ('module.attacker.model', 'module.model'):
      with self.subTest('constants beside a part are those of the part', key=key):
        self.refuse('normalises with', madry(copy_seed=1), channels=3, key=key)
    two = prefixed(tensors(0, 3), 'student.') | prefixed(tensors(1, 3), 'teacher.')
    two |= prefixed(constants(), 'teacher.normalize.')
    self.check(two, channels=3, key='student')
    with self.subTest('a copy behind other constants'):
      about = self.check(madry(copy_mean=(0.5,) * 3), channels=3, network=CIFAR10)
      self.assertIn('does not suit', ' '.join(about['notes']))
    for ignore in (['module.attacker.'], ['attacker.']):
      about = self.check(madry(), channels=3, network=CIFAR10, ignore=ignore)
      self.assertNotIn('with the same numbers', ' '.join(about['notes']))
      self.assertIn('module.attacker.model.linear.bias', about['unused'])

  def test_constants_are_compared(self):
    for content in (madry(), madry(mean=(0.5, 0.5, 0.5))):
      self.refuse('normalises with mean 0..*module.*normali', content, channels=3)
    self.refuse(
      'has normalizer.new_mean of shape .2. 1. 1., which looks like a normalisation.*'
      '--ignore=normalizer.new_mean',
      tensors(0, 3) | prefixed(constants((0.5, 0.5)), 'normalizer.'),
      channels=3,
    )
    # One of the two, one number for all channels, and one that is no number.
    for name, value in (('std', (0.5,) * 3), ('mu', 0.5), ('norm_mean', float('nan'))):
      with self.subTest(name):
        content = tensors(0, 3) | {f'normalize.{name}': torch.tensor(value)}
        self.refuse('normalises with', content, channels=3)
        self.check(content, channels=3, ignore=[f'normalize.{name}'])
    half = tensors(0, 3) | {'mean': torch.tensor(0.5), 'std': torch.tensor(0.5)}
    self.check(half, channels=3, network=dict(normalisation='half'))

  def test_two_dictionaries_of_weights(self):
    raw, average = tensors(0), tensors(1)
    content = {'state_dict': raw, 'state_dict_ema': average}
    (note,) = self.check(content)['notes']
    self.assertEqual(
      note,
      "took the weights under 'state_dict'; there are others in the file "
      '(--key=state_dict_ema)',
    )
    about = self.check(content, seed=1, key='state_dict_ema')
    self.assertEqual(about['wrapper'], 'state_dict_ema')
    self.assertIn('--key=state_dict)', about['notes'][0])
    self.check({'ema_state_dict': average}, seed=1, key='ema_state_dict')
    self.check({'ema_state_dict': average}, seed=1)
    beside = {**raw, 'shadow': {'inner': average}}
    self.assertIn('--key=shadow.inner', self.check(beside)['notes'][0])
    self.check(beside, seed=1, key='shadow.inner')
    self.check({'a': {'b.c': {'model': average}}}, seed=1, key='a.b.c')
    self.check({'models': [raw, average]}, seed=1, key='models.1')
    self.check({'model': {'depth': 3}, 'ema': average}, seed=1)

  def test_keys_that_name_nothing(self):
    content = {'shadow': tensors()}
    self.refuse("'shadow', but no weights; .*elsewhere: --key=shadow", content)
    self.refuse("nothing under 'shadows'; known are --key=shadow", content, key='shadows')
    self.refuse('nothing under', content, key='shadow.student')
    self.refuse('nothing under|no weights', content, key='shadow.linear.weight')
    self.refuse('no weights', {'a': {'b': 3}, 'net': tensors()}, key='a')

  def test_ignored_names(self):
    content = {'net': prefixed(tensors() | {'head2.weight': torch.ones(2, 3)}, 'module.')}
    self.refuse('unused are head2.weight', content)
    for start in ('head2.', 'module.head2'):
      about = self.check(content, ignore=[start])
      self.assertIn('module.head2.weight', about['unused'])
      self.assertEqual(about['notes'], [])
    deeper = {'module.head2.weight': torch.ones(2, 3)}
    about = self.check(deeper | prefixed(tensors(), 'module.model.'), ignore=['head2.'])
    self.assertEqual((about['prefix'], about['notes']), ('module.model.', []))
    (note,) = self.check(tensors(), ignore=['head3.', ''])['notes']
    self.assertEqual(note, "no name in the file begins with 'head3.' (--ignore)")

  def test_what_is_no_weight_is_named(self):
    content = tensors() | {'epoch': 3, 'arch': 'convnet'}
    self.assertEqual(
      self.check(content)['notes'], ['left out what is no tensor: epoch, arch']
    )

  def test_a_second_head_is_not_the_first_one(self):
    second = {'fc.weight': torch.ones(3, 8), 'fc.bias': torch.ones(3)}
    self.refuse('unused are fc.weight', tensors() | second)

  def test_numbers_that_are_not_floating(self):
    state = tensors()
    state['linear.weight'] = state['linear.weight'].to(torch.int8)
    self.refuse('has linear.weight in numbers of type int8; a quantised', state)

  def test_names_that_cannot_be_shown(self):
    for name in ('a\nb.weight', 'a' * 1000, '\x1b[2J.weight'):
      self.refuse('it names weights', tensors() | {name: torch.ones(2, 2)})

  def test_only_constants(self):
    self.refuse(
      'no last layer named',
      {'mean': torch.ones(2, 2), 'std': torch.ones(2, 2)},
    )

  def test_a_card_that_is_damaged(self):
    content = {'state_dict': tensors(), 'jaxrkd': '{"network": {"name": "convnet"}}'}
    (note,) = self.check(content)['notes']
    self.assertIn("the card 'jaxrkd' in the file is damaged", note)
    for text in ('[' * 100_000, '{"network": 3}', '[]', 7):
      self.assertLen(self.check(content | {'jaxrkd': text})['notes'], 1)

  def test_another_network_of_the_same_file_is_another_import(self):
    torch.save({'state_dict': tensors(0), 'ema': tensors(1)}, self.path)
    given = dict(
      overrides=['student.strides=1,2'],
      image_shape=(8, 8, 1),
      data=dict(tiny.config().data),
      check=False,
    )
    run = self.path.parent / 'run'
    experiment.import_network(self.path, run, **given)
    with self.assertRaisesRegex(InputError, 'holds another import .*wrapper'):
      experiment.import_network(self.path, run, key='ema', **given)


if __name__ == '__main__':
  absltest.main()
