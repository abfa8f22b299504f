"""Nothing that a user can name lacks documentation: keys, rows, options, flags, statuses."""

import importlib
import pathlib
import re
import sys
from unittest import mock

from absl.testing import absltest, parameterized

from jaxrkd.amalgamation import AMALGAMATIONS, AVERAGES
from jaxrkd.attacks import ATTACKS, SEARCHES, THREATS, UNFORESEEN
from jaxrkd.data import SOURCES
from jaxrkd.evaluate.trust_limits import LIMITS
from jaxrkd.experiment import config_files, meanings
from jaxrkd.experiment.study_files import load_study, names, of_papers
from jaxrkd.experiment.tables import options
from jaxrkd.interop import RECIPES
from jaxrkd.methods import INNERS, METHODS
from jaxrkd.models import NETWORKS
from jaxrkd.optimizers import OPTIMIZERS, SCHEDULES
from jaxrkd.programs import cli, exit_status
from jaxrkd.report.papers import CITED

ROOT = pathlib.Path(__file__).parent.parent
DOCS = ROOT / 'docs'
TABLES = {
  'reference/methods.md': (METHODS, INNERS, AMALGAMATIONS),
  'reference/attacks.md': (ATTACKS, UNFORESEEN, SEARCHES, THREATS),
  'reference/networks.md': (NETWORKS,),
  'reference/data.md': (SOURCES,),
  'reference/training.md': (OPTIMIZERS, SCHEDULES),
}
# Rows that tests of plugins leave behind are a user's.
OWN = 'jaxrkd.'


sys.path.insert(0, str(DOCS / 'hooks'))
REFERENCE, ROW_DOCS = map(importlib.import_module, ('reference', 'row_docs'))
PAGES = REFERENCE.pages()


def sections(page):
  """Name of a row -> what its page says of it, of all rows of that name."""
  found = {}
  for part in re.split(r'^#{2,3} ', page, flags=re.MULTILINE)[1:]:
    name, _, rest = part.partition('\n')
    found[name] = found.get(name, '') + rest
  return found


class ReferenceTest(parameterized.TestCase):
  @parameterized.parameters(*TABLES)
  def test_every_row_and_option_has_a_meaning(self, path):
    told = sections(PAGES[path])
    for table in TABLES[path]:
      for name, row in table.items():
        if not ROW_DOCS._function(row).__module__.startswith(OWN):
          continue
        self.assertIn(name, told)
        self.assertGreater(len(told[name].strip()), 10, name)
        for option in options(row):
          line = re.search(rf'^\| `{option}` \| (.*?) \| (.*) \|$', told[name], re.M)
          self.assertIsNotNone(line, f'{name}.{option}')
          self.assertGreater(len(line[2]), 5, f'{name}.{option}')

  def test_every_key_has_a_meaning(self):
    page = PAGES['reference/config.md']
    for key, _ in config_files.leaves(config_files.base().to_dict()):
      if not key.startswith('evaluation.attacks.'):
        self.assertIn(f'| `{key}` |', page)
    for told, defaults in meanings.BESIDE.values():
      self.assertEqual(set(told), set(defaults))
    for text in meanings.MEANINGS.values():
      self.assertTrue(text.endswith('.'), text)
    with (
      mock.patch.dict(meanings.MEANINGS),
      self.assertRaisesRegex(KeyError, 'remat'),
    ):
      del meanings.MEANINGS['remat']
      list(meanings.rows())

  def test_every_program_and_flag_has_a_meaning(self):
    page = PAGES['reference/commands.md']
    told = sections(page)
    for name in cli.PROGRAMS:
      self.assertIn(f'jaxrkd {name}', told[name])
      for flag, _, text in REFERENCE._flags(name):
        self.assertGreater(len(text), 10, f'{name} {flag}')
        self.assertIn(f'| {flag} |', told[name])
    shared = REFERENCE._shared_flags()
    self.assertGreater(len(shared), 5)
    for flag, _, text in shared:
      self.assertGreater(len(text), 10, flag)
      self.assertIn(f'| {flag} |', page)
    # Looked at twice, they are the same: nothing stays defined.
    self.assertEqual(REFERENCE.commands(), page)

  def test_every_exit_status_has_a_meaning(self):
    page = PAGES['reference/commands.md']
    for number in exit_status.MEANINGS:
      self.assertIn(f'| `{number}` |', page)
    for path in (ROOT / 'jaxrkd').rglob('*.py'):
      source = path.read_text(encoding='utf-8')
      for number in re.findall(r'(?:sys\.exit|_leave)\((\d+)\)', source):
        self.assertIn(int(number), exit_status.MEANINGS, path)

  def test_lists_are_whole(self):
    for name in config_files.own():
      self.assertIn(f'| [`{name}`](#{name}) |', PAGES['reference/configs.md'])
    for name in names():
      self.assertIn(f'| `{name}` |', PAGES['reference/studies.md'])
      paper = load_study(name).paper
      self.assertEqual(bool(paper), name in of_papers())
      self.assertIn(paper, ('', *CITED))
    for name in LIMITS:
      self.assertIn(f'| {name} |', PAGES['reference/checks.md'])
    for name in AVERAGES:
      self.assertIn(f'`{name}`', PAGES['reference/methods.md'])
    text = PAGES['reference/python.md']
    for name in ('jaxrkd.train.distill.distill', 'jaxrkd.attacks.pgd.pgd_search'):
      self.assertIn(
        f'::: {name}'.replace('jaxrkd.train.distill.distill', 'jaxrkd.distill'), text
      )

  def test_tables_are_tables(self):
    for path, page in PAGES.items():
      for block in re.findall(r'(?:^\|.*\n?)+', page, re.MULTILINE):
        widths = {
          len(re.findall(r'(?<!\\)\|', line)) for line in block.strip().splitlines()
        }
        self.assertLen(widths, 1, f'{path}: {block[:200]}')


class SiteTest(absltest.TestCase):
  def test_every_page_is_in_the_navigation(self):
    listed = set(
      re.findall(r': ([\w/]+\.(?:md|ipynb))', (ROOT / 'mkdocs.yml').read_text())
    )
    there = {
      path.relative_to(DOCS).as_posix()
      for pattern in ('*.md', 'tutorials/*')
      for path in DOCS.glob(pattern)
    }
    self.assertEqual(listed, there | set(PAGES))

  def test_pictures_are_those_of_the_script(self):
    pictures = importlib.import_module('pictures')
    for name, draw in pictures.PICTURES.items():
      text = (DOCS / 'pictures' / name).read_text(encoding='utf-8')
      self.assertEqual(draw(), text, f'run docs/hooks/pictures.py: {name}')

  def test_first_pages_are_short(self):
    lines = lambda path: len(path.read_text(encoding='utf-8').splitlines())
    self.assertLessEqual(lines(ROOT / 'README.md'), 150)
    self.assertLessEqual(lines(DOCS / 'quickstart.md'), 60)

  def test_numbers_that_are_said_are_so(self):
    text = (ROOT / 'README.md').read_text(encoding='utf-8')
    self.assertIn(f'**{len(of_papers())} tables and figures**', text)
    entries = sum('/' in name for name in RECIPES)
    self.assertIn(f'{entries} networks of RobustBench', text)

  def test_links_of_files_lead_somewhere(self):
    for path in (ROOT / 'README.md', *DOCS.rglob('*.md'), *DOCS.rglob('*.ipynb')):
      text = re.sub(r'```.*?```', '', path.read_text(encoding='utf-8'), flags=re.DOTALL)
      for address in re.findall(r'\]\(([^)#\s]+?)(?:#[^)]*)?\)', text):
        if address.startswith(('http', 'data:', 'attachment:')):
          continue
        target = path.parent / address
        made = (
          target.resolve().relative_to(DOCS.resolve()).as_posix()
          if (DOCS.resolve() in target.resolve().parents)
          else ''
        )
        self.assertTrue(target.exists() or made in PAGES, f'{path}: {address}')


if __name__ == '__main__':
  absltest.main()
