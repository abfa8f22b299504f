"""The command `jaxrkd`, the wheel it comes in, and names of jaxrkd's own configs."""

import ast
import os
import pathlib
import subprocess
import sys
import zipfile
from unittest import mock

import tiny
from absl.testing import absltest, parameterized

from jaxrkd.commands import command
from jaxrkd.errors import InputError
from jaxrkd.experiment import config_files as configs
from jaxrkd.programs import cli, command_line

ROOT = pathlib.Path(__file__).parent.parent
PROGRAMS = ROOT / 'jaxrkd' / 'programs'


class CommandTest(parameterized.TestCase):
  def test_every_program_is_said(self):
    """Its row is the first line of its file, and a checkout has a file for it."""
    defined = {
      path.stem
      for path in PROGRAMS.glob('*.py')
      if {'define', 'main'}
      <= {
        node.name
        for node in ast.parse(path.read_text(encoding='utf-8')).body
        if isinstance(node, ast.FunctionDef)
      }
    }
    self.assertEqual(defined, set(cli.PROGRAMS))
    for name, said in cli.PROGRAMS.items():
      source = (PROGRAMS / f'{name}.py').read_text(encoding='utf-8')
      self.assertEqual(said, (ast.get_docstring(ast.parse(source)) or '').split('\n')[0])
      file = ROOT / 'launch' / f'{"main" if name == "train" else name}.py'
      self.assertIn(f"start('{name}')", file.read_text(encoding='utf-8'))

  @parameterized.parameters(
    ('/x/launch/main.py', 'train', 'python /x/launch/main.py'),
    ('launch/main.py', 'doctor', 'python launch/doctor.py'),
    ('/usr/bin/jaxrkd', 'doctor', 'jaxrkd doctor'),
    ('/x/mine.py', 'train', 'jaxrkd train'),
    ('', 'train', 'jaxrkd train'),
  )
  def test_said_as_it_was_started(self, started, name, said):
    with mock.patch.object(sys, 'argv', [started]):
      self.assertEqual(command(name), said)

  @parameterized.parameters(
    (['mtard', 'rslad'], ['mtard.py', 'rslad.py']),
    (['mtard:digits', 'smoke'], ['mtard.py:digits,smoke']),
    (['sat:digits', 'en', 'rslad:digits'], ['sat.py:digits,en', 'rslad.py:digits']),
    (['a.py:x', 'y', 'b.py', 'sat'], ['a.py:x,y', 'b.py', 'sat.py']),
    # A method's name is a word of another's config.
    (['akd:cifar10', 'trades'], ['akd.py:cifar10,trades']),
  )
  def test_configs_and_words(self, parts, found):
    own = f'{configs.SHIPPED}{os.sep}'
    given = [spec.replace(own, '') for spec in command_line.specs(parts)]
    self.assertEqual(given, found)

  def test_names_of_configs(self):
    self.assertIn('mtard_cifar100', configs.own())
    self.assertNotIn('setting', configs.own())
    for name in (*configs.own(), 'teachers/digits'):
      self.assertTrue(pathlib.Path(configs.place(name)).is_file())
    self.assertEqual(configs.place('x/mine.py:a,b'), 'x/mine.py:a,b')
    with self.assertRaisesRegex(InputError, "no config 'mtard_digit'; did you mean"):
      configs.place('mtard_digit')
    with self.assertRaisesRegex(InputError, "no config 'aka_digit'; did you mean"):
      configs.place('aka_digit', 'studies')


class WheelTest(parameterized.TestCase):
  """What an installation without this checkout has."""

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.folder = pathlib.Path(cls.enter_context(tiny.temporary_folder()))
    # A copy, so that nothing is left in the checkout.
    ignored = ['--exclude=.git', '--exclude=.venv', '--exclude=runs', '--exclude=tests']
    pack = ['tar', '-C', str(ROOT), *ignored, '-cf', '-', '.']
    with subprocess.Popen(pack, stdout=subprocess.PIPE) as packed:
      source = cls.folder / 'source'
      source.mkdir()
      subprocess.run(
        ['tar', '-C', str(source), '-xf', '-'], stdin=packed.stdout, check=True
      )
    build = [sys.executable, '-m', 'pip', 'wheel', '--no-build-isolation', '--no-deps']
    build += [
      '--quiet',
      '--disable-pip-version-check',
      '-w',
      str(cls.folder),
      str(source),
    ]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = cls.folder.glob('*.whl')
    cls.site = cls.folder / 'site'
    with zipfile.ZipFile(wheel) as archive:
      archive.extractall(cls.site)

  def run_command(self, *arguments):
    elsewhere = self.folder / 'elsewhere'
    elsewhere.mkdir(exist_ok=True)
    return subprocess.run(
      [sys.executable, '-W', 'error', '-m', 'jaxrkd', *arguments],
      cwd=elsewhere,
      env={**os.environ, 'PYTHONPATH': str(self.site)},
      capture_output=True,
      text=True,
      check=False,
    )

  def test_everything_is_in_it(self):
    for home, inside in ((ROOT / 'jaxrkd', ''), (ROOT / 'configs', 'configs')):
      for path in home.rglob('*.py'):
        packed = self.site / 'jaxrkd' / inside / path.relative_to(home)
        self.assertEqual(packed.read_bytes(), path.read_bytes())
    self.assertTrue((self.site / 'jaxrkd' / 'py.typed').is_file())
    (about,) = self.site.glob('jaxrkd-*.dist-info')
    self.assertIn(
      'jaxrkd = jaxrkd.programs.cli:main', (about / 'entry_points.txt').read_text()
    )
    facts = (about / 'METADATA').read_text(encoding='utf-8')
    self.assertIn('License-Expression: Apache-2.0', facts)
    self.assertTrue((about / 'licenses' / 'LICENSE').is_file())

  def test_own_configs_from_any_folder(self):
    done = self.run_command('train', '--config=mtard_digits:smoke', '--dry_run')
    self.assertEqual((done.returncode, done.stderr), (0, ''), done.stdout)
    self.assertIn('mtard', done.stdout)

  def test_help_and_mistakes(self):
    done = self.run_command()
    self.assertEqual(done.returncode, 0)
    for name in cli.PROGRAMS:
      self.assertIn(f'\n  {name} ', done.stdout)
    done = self.run_command('compare', '--help')
    self.assertIn('jaxrkd compare --workdir', done.stdout)
    self.assertIn('--seeds: Seeds of the students', done.stdout)
    for arguments, said in (
      (('trian',), "unknown program 'trian'; did you mean 'train'?"),
      (('train', '--config=mtard_digit'), "no config 'mtard_digit'"),
      (('gallery', '--imges=3'), 'imges'),
    ):
      done = self.run_command(*arguments)
      self.assertEqual((done.returncode, done.stderr.count('\n')), (2, 1), done.stderr)
      self.assertIn(said, done.stderr)


if __name__ == '__main__':
  absltest.main()
