"""Public files of weights by name: found, checked, downloaded, or where to get them."""

import contextlib
import hashlib
import io
import os
import pathlib
from unittest import mock

import tiny
from absl.testing import absltest, parameterized

from jaxrkd import experiment
from jaxrkd.errors import InputError
from jaxrkd.experiment import config_files as configs
from jaxrkd.interop import RECIPES, public_file
from jaxrkd.programs.admission import admit

LINF = 'cifar10/Rice2020Overfitting'
TWIN = 'cifar100/Rice2020Overfitting'
TRADES = 'trades_wrn_34_10'
SMALL = 'akamaster_resnet20'
REAL = pathlib.Path(os.environ.get('JAXRKD_TEST_WEIGHTS', '')) / 'cifar10_resnet20.th'


class PublicFileTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.root = tiny.folder(self)
    self.enterContext(mock.patch.dict(os.environ, JAXRKD_WEIGHTS=str(self.root)))

  def put(self, place, data=b'weights'):
    path = self.root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path

  def changed(self, name, **changes):
    made = RECIPES[name]._replace(**changes)
    return self.enterContext(mock.patch.dict(RECIPES, {name: made}))

  def served(self, data, name='answer.pt'):
    """An address that answers with these bytes."""
    place = tiny.folder(self) / name
    place.write_bytes(data)
    return place.as_uri()

  def find(self, name):
    with contextlib.redirect_stdout(io.StringIO()) as printed:
      return public_file(name), printed.getvalue()

  @parameterized.parameters(
    (TRADES, 'deep/model_cifar_wrn.pt'),
    (TRADES, 'trades_wrn_34_10.pth'),
    (LINF, 'cifar10/Linf/Rice2020Overfitting.pt'),
    (TWIN, 'models/cifar100/Linf/Rice2020Overfitting.pt'),
    (LINF, 'CIFAR-10/linf/Rice2020Overfitting.safetensors'),
    ('cifar10/Wu2020Adversarial_extra', 'Wu2020Adversarial_extra.pt'),
    ('deepmind_cifar10_wrn_70_16_with', 'cifar10_linf_wrn70-16_with.npy'),
  )
  def test_by_name(self, name, place):
    path = self.put(place)
    self.put('other.pt')
    self.put('notes.txt')
    self.assertEqual(self.find(name)[0], path)

  def test_of_two_sets_and_norms(self):
    """RobustBench has entries of one id for several sets and norms."""
    self.changed(LINF, url='')
    self.put('cifar100/Linf/Rice2020Overfitting.pt')
    self.put('cifar10/L2/Rice2020Overfitting.pt')
    with self.assertRaisesRegex(InputError, 'no file for cifar10/Rice'):
      public_file(LINF)
    mine = self.put('cifar10/Linf/Rice2020Overfitting.pt')
    self.assertEqual(self.find(LINF)[0], mine)
    # One that says nothing is not asked where another does.
    self.put('copy/Rice2020Overfitting.pt')
    self.assertEqual(self.find(LINF)[0], mine)
    self.put('copy/cifar10/linf/Rice2020Overfitting.pt')
    with self.assertRaisesRegex(InputError, 'has 2 files for .*keep one'):
      public_file(LINF)

  def test_a_file_that_may_be_for_several(self):
    self.put('Rice2020Overfitting.pt')
    for name in (LINF, TWIN, 'cifar10/L2/Rice2020Overfitting'):
      with self.assertRaisesRegex(InputError, 'or for another set or norm; put it into'):
        public_file(name)

  def test_by_checksum(self):
    data = b'these very bytes'
    known = hashlib.sha256(data).hexdigest()
    self.changed(SMALL, sha256=known[:8], url='')
    self.put('a.pt', b'others')
    path = self.put('renamed.pt', data)
    self.assertEqual(self.find(SMALL)[0], path)
    # What has the right name must be the right file, too.
    self.put(f'{RECIPES[SMALL].stems[0]}.th', b'others')
    with self.assertRaisesRegex(InputError, 'is another file, or damaged'):
      public_file(SMALL)

  def test_downloaded_once(self):
    data = b'weights from afar'
    known = hashlib.sha256(data).hexdigest()
    self.changed(TRADES, url=self.served(data))
    path, printed = self.find(TRADES)
    self.assertEqual(path.read_bytes(), data)
    self.assertIn(known, printed)
    self.assertEqual(path, self.root / 'cifar10/Linf/model_cifar_wrn.pt')
    self.changed(TRADES, url='file:///no/such')
    self.assertEqual(self.find(TRADES), (path, ''))
    # What was downloaded first is what it must be later.
    path.write_bytes(b'something else')
    with self.assertRaisesRegex(InputError, 'has the SHA-256 .* remove it'):
      public_file(TRADES)

  def test_downloads_are_compared_with_the_first(self):
    self.changed(TRADES, url=self.served(b'weights from afar'))
    path, _ = self.find(TRADES)
    path.unlink()
    self.changed(TRADES, url=self.served(b'other weights'))
    with self.assertRaisesRegex(InputError, 'is another file, or damaged'):
      public_file(TRADES)
    noted = path.with_name(path.name + '.sha256')
    for text in (b'', b'2', b'\xff\xfe'):
      noted.write_bytes(text)
      with self.assertRaisesRegex(InputError, 'holds no SHA-256'):
        public_file(TRADES)

  @parameterized.parameters(b'', b'{"error": "quota"}')
  def test_answers_that_are_no_weights(self, data):
    self.changed(TRADES, url=self.served(data))
    with self.assertRaisesRegex(InputError, 'a web page or a message'):
      public_file(TRADES)

  def test_no_network(self):
    self.changed(TRADES, url='file:///no/such/file.pt')
    with self.assertRaisesRegex(
      InputError, 'cannot be downloaded .*No such.*put it there as cifar10/Linf/model_c'
    ):
      public_file(TRADES)
    self.assertEqual([p.name for p in self.root.rglob('*') if p.is_file()], [])

  def test_a_web_page(self):
    self.changed(TRADES, url=self.served(b'\n<!DOCTYPE html><html>quota</html>'))
    with self.assertRaisesRegex(InputError, 'answers with a web page'):
      public_file(TRADES)
    self.assertEqual([p for p in self.root.rglob('*') if p.is_file()], [])

  def test_another_file_than_published(self):
    self.changed(SMALL, url=self.served(b'another'))
    with self.assertRaisesRegex(InputError, 'is another file, or damaged'):
      public_file(SMALL)
    self.assertEqual([p for p in self.root.rglob('*') if p.is_file()], [])

  def test_unknown(self):
    with self.assertRaisesRegex(InputError, 'Rice2020'):
      public_file('cifar10/Rice2020')

  def test_in_a_config(self):
    self.put('model_cifar_wrn.pt')
    want = str(self.root / 'model_cifar_wrn.pt')
    given = tiny.config('rslad')
    found = experiment.resolve(given, [f'teachers.robust.name={TRADES}'])
    entry = found.teachers.robust
    self.assertEqual((entry.file, entry.recipe), (want, TRADES))
    # A teacher that was not there, and a config file.
    given = tiny.config('rslad', teachers=[])
    found = experiment.resolve(given, [f'teachers.robust.name={TRADES}'])
    self.assertEqual(found.teachers.robust.recipe, TRADES)
    given.teachers = {'robust': {**configs.teacher(kind='robust'), 'name': TRADES}}
    found = experiment.resolve(given)
    self.assertEqual(found.teachers.robust.file, want)
    with self.assertRaisesRegex(InputError, 'robust.name=trades_wrn_34_10 alone'):
      experiment.resolve(tiny.config('rslad'), [f'teachers.robust.recipe={TRADES}'])

  def test_the_doctor(self):
    if not REAL.exists():
      self.skipTest('JAXRKD_TEST_WEIGHTS names no folder with cifar10_resnet20.th')
    path = self.put('mine.th', REAL.read_bytes())
    found = admit(pathlib.Path(SMALL), '', [], ())
    self.assertEqual((found.classes, found.kind), (10, 'clean'))
    path.unlink()
    self.changed(SMALL, url='')
    with self.assertRaisesRegex(InputError, 'no file for akamaster_resnet20'):
      admit(pathlib.Path(SMALL), '', [], ())

  def test_l2_entries(self):
    name = 'cifar10/L2/Rice2020Overfitting'
    mine = self.put('cifar10/L2/Rice2020Overfitting.pt')
    self.assertEqual(self.find(name)[0], mine)
    self.changed(LINF, url='')
    with self.assertRaisesRegex(InputError, 'no file for'):
      public_file(LINF)
    made = RECIPES[name]
    self.assertEqual((made.norm, made.eps), ('L2', 0.5))
    self.assertEqual(RECIPES[LINF].eps, 8 / 255)

  def test_where_recipes_come_from(self):
    for name, made in RECIPES.items():
      self.assertStartsWith(made.url or 'https://', 'https://', name)
      if made.sha256:
        self.assertTrue(any(made.sha256 in stem for stem in made.stems))
    self.assertIn('wrn70-16_with.pt', RECIPES['deepmind_cifar10_wrn_70_16_with'].url)


if __name__ == '__main__':
  absltest.main()
