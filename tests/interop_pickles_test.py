"""Pickles as a hostile or broken file may have them: no memory but the file's, nothing run."""

import collections
import io
import pathlib
import pickle
import pickletools
import sys
import time
import zipfile
from unittest import mock

import jax.numpy as jnp
import numpy as np
import tiny
import torch
from absl.testing import absltest, parameterized

from jaxrkd.errors import InputError
from jaxrkd.interop import haiku_pickle, pickle_machine, torch_pickle
from jaxrkd.interop.weights_file import read_weights

BENCHMARKS = pathlib.Path(__file__).parent.parent / 'benchmarks'
with mock.patch.object(sys, 'path', [str(BENCHMARKS), *sys.path]):
  import fuzz_weights

NUMBERS = np.arange(6, dtype=np.float32).reshape(2, 3)
# A tensor of the storage '0' with six numbers, and where its BUILD would be.
TENSOR = (
  b"ctorch._utils\n_rebuild_tensor_v2\n((S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\nK\x06"
  b'tQ%s%s%s\x89ccollections\nOrderedDict\n)Rt'
)


def tensor(offset=b'K\x00', size=b'(K\x02K\x03t', stride=b'(K\x03K\x01t'):
  return TENSOR % (offset, size, stride)


def named(first):
  """A dictionary with a tensor and a good one beside it."""
  return b'}(X\x01\x00\x00\x00a' + first + b'X\x01\x00\x00\x00b' + tensor() + b'Ru.'


class PickleTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.path = tiny.folder(self) / 'weights.pt'

  def write(self, program, numbers=NUMBERS):
    with zipfile.ZipFile(self.path, 'w') as archive:
      archive.writestr('a/data.pkl', b'\x80\x02' + program)
      archive.writestr('a/data/0', numbers.tobytes())

  def refuse(self, program, message='cut off or damaged', **options):
    self.write(program, **options)
    with self.assertRaisesRegex(InputError, message):
      read_weights(self.path)

  def test_a_good_one(self):
    self.write(named(tensor() + b'R'))
    for value in read_weights(self.path).tree.values():
      np.testing.assert_array_equal(value, NUMBERS)
    self.write(named(tensor(b'K\x01', b'(K\x02t', b'(K\x03t') + b'R'))
    np.testing.assert_array_equal(read_weights(self.path).tree['a'], [1, 4])

  @parameterized.parameters(
    b'}X\x06\x00\x00\x00offsetM\x10\x27s',
    b'}X\x04\x00\x00\x00size(M\x10\x27M\x10\x27ts',
    b'}X\x06\x00\x00\x00strideM\x10\x27s',
    b'N}X\x06\x00\x00\x00offsetM\x10\x27s\x86',
    b'}X\x07\x00\x00\x00storageNs',
    b'}',
  )
  def test_a_tensor_cannot_be_changed(self, state):
    self.refuse(named(tensor() + b'R' + state + b'b'), 'cannot be changed')

  @parameterized.parameters(
    b'ctorch._utils\n_rebuild_tensor_v2\n',
    b'ctorch\nSize\n',
    b'ccollections\nOrderedDict\n',
    b'cnumpy\ndtype\n',
  )
  def test_what_makes_values_cannot_be_changed(self, name):
    self.refuse(name + b'}X\x05\x00\x00\x00array}sb0' + named(tensor() + b'R'), 'changed')
    self.write(named(tensor() + b'R'))
    np.testing.assert_array_equal(read_weights(self.path).tree['a'], NUMBERS)

  @parameterized.parameters(
    # One number further than there is.
    (b'K\x01', b'(K\x02K\x03t', b'(K\x03K\x01t'),
    (b'K\x00', b'(K\x02K\x03t', b'(K\x04K\x01t'),
    (b'K\x06', b'(K\x01t', b'(K\x01t'),
    # Far away, and far enough to wrap around.
    (b'J\xff\xff\xff\x7f', b'(K\x01t', b'(K\x01t'),
    (b'\x8a\x08' + b'\xff' * 7 + b'\x7f', b'(K\x01t', b'(K\x01t'),
    (b'K\x00', b'(K\x03K\x01t', b'(\x8a\x08' + b'\xff' * 7 + b'\x3fK\x01t'),
    # The same number again and again.
    (b'K\x00', b'(K\x07t', b'(K\x00t'),
    (b'K\x00', b'(J\xff\xff\xff\x7fJ\xff\xff\xff\x7ft', b'(K\x00K\x00t'),
  )
  def test_a_tensor_beyond_its_numbers(self, offset, size, stride):
    self.refuse(named(tensor(offset, size, stride) + b'R'), 'reaches beyond its numbers')

  @parameterized.parameters(
    (b'J\xff\xff\xff\xff', b'(K\x02t', b'(K\x01t'),
    (b'K\x00', b'(J\xff\xff\xff\xffJ\xff\xff\xff\xfft', b'(K\x01K\x01t'),
    (b'K\x05', b'(K\x02t', b'(J\xff\xff\xff\xfft'),
    (b'K\x00', b'(G?\xf0\x00\x00\x00\x00\x00\x00t', b'(K\x01t'),
    (b'K\x00', b'N', b'(K\x01t'),
    (b'K\x00', b'(K\x02K\x03t', b'(K\x01t'),
    (b'\x88', b'(K\x02t', b'(K\x01t'),
    (b'\x8a\x09' + b'\xff' * 8 + b'\x00', b'(K\x02t', b'(K\x01t'),
    (b'K\x00', b'(' + b'K\x01' * 33 + b't', b'(' + b'K\x01' * 33 + b't'),
  )
  def test_sizes_that_are_none(self, offset, size, stride):
    self.refuse(
      named(tensor(offset, size, stride) + b'R'), 'sizes that are|strides than sizes'
    )

  def test_numbers_of_two_types(self):
    other = tensor().replace(b'FloatStorage', b'IntStorage')
    self.refuse(named(other + b'R'), 'two types or sizes')
    self.refuse(b']' + tensor() + b'Ra.', 'numbers of 8 bytes', numbers=NUMBERS[:1, :2])

  @parameterized.parameters(
    (b'\x82\x01.', 'EXT1'),
    (b'\x97.', 'NEXT_BUFFER'),
    (b'K\x01Q.', 'something else than a storage'),
    (b'P1\n.', 'PERSID'),
    (b'K\x01K\x02R.', 'no function'),
    (b'1.', 'pop'),
    (b'(.', 'nothing is left'),
    (b']N(a.', 'nothing is left'),
    (b'cnowhere\nN\n(K\x01tR.', 'asks for nowhere.N'),
    (b'h\x07.', 'damaged'),
  )
  def test_opcodes_out_of_place(self, program, message):
    self.refuse(program, message)

  def test_numbers_of_entries_in_the_memo_take_no_memory(self):
    began = time.perf_counter()
    self.write(b'Nr\xff\xff\xff\xff0' + named(tensor() + b'R'))
    self.assertIn('a', read_weights(self.path).tree)
    self.assertLess(time.perf_counter() - began, 1)

  @parameterized.parameters(
    # Doubled 60 times; within itself; deep; keys that are deep.
    (b']' + b'2\x86' * 60 + b'.', ''),
    (b']q\x002a.', 'nested deeper'),
    (b']q\x00h\x00a.', 'nested deeper'),
    (b'N' + b'\x85' * 5_000 + b'.', 'nested deeper'),
    (b'}N' + b'\x85' * 5_000 + b'Ns.', ''),
  )
  def test_nesting(self, program, message):
    began = time.perf_counter()
    if message:
      self.refuse(program, message)
    else:
      self.write(program)
      read_weights(self.path)
    self.assertLess(time.perf_counter() - began, 5)

  def test_keys_are_texts_and_numbers(self):
    """Python crashes where it hashes a tuple that is nested too deeply."""
    self.write(b'}(X\x01\x00\x00\x00aNK\x01NN\x85N\x8a\x09' + b'\x01' * 9 + b'Nu.')
    kinds = [type(key) for key in read_weights(self.path).tree]
    self.assertEqual(kinds, [str, int, pickle_machine.Opaque, pickle_machine.Opaque])

  def test_copies_of_copies(self):
    text = b'X\x40\x42\x0f\x00' + b'a' * 1_000_000
    again = b'c_codecs\nencode\nq\x00' + text + b'\x85q\x01R' + b'h\x00h\x01R' * 1000
    self.refuse(again + b'.', 'copied again and again')
    pairs = b'](' + b'NN\x86' * 10_000 + b'e\x85q\x01'
    again = b'ccollections\nOrderedDict\nq\x00' + pairs + b'R' + b'h\x00h\x01R' * 1000
    self.refuse(again + b'.', 'copied again and again')

  def test_endless_programs(self):
    self.enterContext(mock.patch.object(pickle_machine, 'STEPS', 1000))
    self.refuse(b'N0' * 1000 + b'N.', 'more than 1,000 steps')

  def test_archives_that_unpack_to_a_lot(self):
    state = {'a.weight': torch.zeros(3000, 3000), 'b.weight': torch.zeros(2, 2)}
    content = io.BytesIO()
    torch.save(state, content)
    with (
      zipfile.ZipFile(content) as old,
      zipfile.ZipFile(self.path, 'w', zipfile.ZIP_DEFLATED) as new,
    ):
      for entry in old.infolist():
        new.writestr(entry.filename, old.read(entry))
    with self.assertRaisesRegex(InputError, 'unpacks to 36,000,016 bytes'):
      read_weights(self.path)
    with zipfile.ZipFile(self.path, 'w', zipfile.ZIP_LZMA) as archive:
      archive.writestr('a/data.pkl', b'N.')
    with self.assertRaisesRegex(InputError, 'compression that torch does not read'):
      read_weights(self.path)

  def test_numbers_before_torch_1_6_are_held_against_the_pickle(self):
    content = io.BytesIO()
    torch.save({'a': torch.ones(2, 3)}, content, _use_new_zipfile_serialization=False)
    whole = content.getvalue()
    size = len(whole) - 6 * 4 - 8
    for changed in (b'\xff' * 8, b'\x07' + bytes(7), b'\x05' + bytes(7)):
      self.path.write_bytes(whole[:size] + changed + whole[size + 8 :])
      with self.assertRaisesRegex(InputError, 'numbers of .* bytes instead of 24'):
        read_weights(self.path)

  def test_objects_are_not_looked_up(self):
    programs = (
      pickle.dumps(collections.Counter('aab')),
      pickle.dumps(pathlib.PureWindowsPath('a')),
      b'cnowhere\nNothing\n(K\x01tR}X\x01\x00\x00\x00aK\x01sb.',
      b'\x80\x04\x8c\x07nowhere\x8c\x01N\x93)}\x92(K\x01e(K\x01K\x02u.',
      b'(inowhere\nN\n.',
      b'(cnowhere\nN\nK\x01o.',
    )
    for program in programs:
      source = pickle_machine.Source(io.BytesIO(program), len(program))
      machine = pickle_machine.Machine(source, torch_pickle.TABLE)
      with mock.patch('builtins.__import__', side_effect=AssertionError('imported')):
        found = machine.load()
      self.assertIsInstance(found, pickle_machine.Opaque)
      with self.assertRaises(AttributeError):
        found.name = 'other'

  def test_numpys_values(self):
    values = {
      'a': np.arange(6.0).reshape(2, 3),
      'b': np.asfortranarray(np.arange(6.0).reshape(2, 3)),
      'c': np.arange(3, dtype='>i4'),
      'd': np.array([], np.float32),
    }
    for protocol in (2, 4, 5):
      program = pickle.dumps(
        {**values, 'e': np.float64(0.5), 'f': np.array(['x'])}, protocol
      )
      self.write(program[2:])
      found = read_weights(self.path).tree
      for name, value in values.items():
        np.testing.assert_array_equal(found[name], value)
        self.assertTrue(found[name].dtype.isnative)
      self.assertEqual(found['e'], 0.5)
      self.assertIsInstance(found['f'], pickle_machine.Opaque)

  def test_haikus_values(self):
    array = jnp.arange(6.0).reshape(2, 3)
    state = pickle.dumps({'contents': {'a': array, 'b': np.arange(3)}}, 3)[2:-1]
    name = b'chaiku._src.data_structures\nFlatMapping\n'
    for program in (name + b')\x81' + state + b'b.', name + b'}\x85R' + state + b'b.'):
      source = pickle_machine.Source(io.BytesIO(program), len(program))
      machine = pickle_machine.Machine(source, haiku_pickle.TABLE)
      found = pickle_machine.plain(machine.load())
      np.testing.assert_array_equal(found['a'], array)
      np.testing.assert_array_equal(found['b'], np.arange(3))

  def test_every_opcode_is_known_or_refused_on_purpose(self):
    left_out = {'PERSID', 'EXT1', 'EXT2', 'EXT4', 'NEXT_BUFFER', 'READONLY_BUFFER'}
    known = {
      *pickle_machine.LITERALS,
      *pickle_machine.MAKES,
      *pickle_machine.ACTS,
      'STOP',
    }
    self.assertEqual({code.name for code in pickletools.opcodes}, known | left_out)


class MutantTest(absltest.TestCase):
  def test_changed_files_are_refused_or_read_as_they_are(self):
    path = tiny.folder(self) / 'weights'
    for name, (content, options) in fuzz_weights.originals().items():
      self.assertEqual(fuzz_weights.verdict(path, content, options), 'read', name)
    found = collections.Counter()
    for number in range(300):
      name, content, options = fuzz_weights.mutant(number)
      what = fuzz_weights.verdict(path, content, options)
      self.assertIn(what, ('read', 'refused'), f'mutant {number} of {name}')
      found[what] += 1
    # Neither of which would be a test.
    self.assertGreater(found['read'], 10)
    self.assertGreater(found['refused'], 100)


if __name__ == '__main__':
  absltest.main()
