"""Imports point one way: each room may use only the rooms below it. Texts are UTF-8."""

import ast
import pathlib
import runpy

from absl.testing import absltest, parameterized

ROOT = pathlib.Path(__file__).parent.parent / 'jaxrkd'
LEAVES = {'commands', 'errors', 'paths'}
ALLOWED = {
  'commands': set(),
  'errors': set(),
  'paths': {'errors'},
  'rows': {'errors'},
  'losses': set(),
  'particles': set(),
  'amalgamation': {'errors', 'losses'},
  'models': {'errors', 'rows', 'amalgamation'},
  'data': {*LEAVES, 'rows'},
  'runtime': LEAVES,
  'optimizers': {'errors'},
  'attacks': {'errors', 'losses', 'particles'},
  'methods': {'errors', 'losses', 'amalgamation', 'particles'},
  'train': {
    *('errors', 'attacks', 'data', 'methods', 'models', 'optimizers', 'losses'),
    *('runtime', 'amalgamation', 'particles'),
  },
  'evaluate': {*LEAVES, 'attacks', 'data', 'losses', 'models', 'particles', 'runtime'},
  'interop': {*LEAVES, 'models', 'runtime'},
  'report': {'evaluate', 'runtime'},
  # The application: only these two read configs.
  'experiment': {
    *(*LEAVES, 'rows', 'amalgamation', 'attacks', 'data', 'evaluate', 'interop'),
    *('methods', 'models', 'optimizers', 'report', 'runtime', 'train', '__version__'),
  },
  'programs': {
    *(*LEAVES, 'amalgamation', 'attacks', 'data', 'evaluate', 'experiment', 'interop'),
    *('losses', 'methods', 'models', 'report', 'runtime', 'train', '__version__'),
  },
  '__main__': {'programs'},
  # When they are asked for; what it names for type checkers alone counts, too.
  '__init__': {
    *('attacks', 'data', 'evaluate', 'experiment', 'interop', 'losses', 'methods'),
    *('models', 'train'),
  },
}
# Library -> the only places that may know it.
OWNERS = {
  'flax': {'models'},
  'orbax': {'runtime/checkpoint.py'},
  'tensorflow_datasets': {'data/tfds.py'},
  'sklearn': {'data/digits.py'},
  'tensorboardX': {'runtime/metrics.py'},
  'tqdm': {'runtime/progress.py', 'data/decoded_images.py'},
  'PIL': {'data/decode.py', 'data/corruptions/digital.py', 'experiment/png_files.py'},
  'pyarrow': {'data/parquet_files.py', 'data/parquet_columns.py'},
  'datasets': {'data/parquet_files.py'},
  'huggingface_hub': {'experiment/publish.py'},
  'wandb': {'runtime/trackers.py'},
  'trackio': {'runtime/trackers.py'},
  'matplotlib': {'report/pictures.py'},
  'ml_collections': {'experiment', 'programs'},
  'absl': {'programs'},
  'torch': {'interop'},
  'grain': {'data/stream.py'},
  'onnx': {'interop'},
  'onnxruntime': {'interop'},
  'safetensors': {'interop'},
  'litert_converter': {'interop'},
  'ai_edge_litert': {'interop'},
}
FILES = sorted(ROOT.rglob('*.py'))
SCRIPTS = [
  path
  for folder in ('jaxrkd', 'launch', 'benchmarks', 'configs')
  for path in sorted((ROOT.parent / folder).rglob('*.py'))
]


def imports(path):
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.Import):
      yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      yield from (f'{node.module}.{alias.name}' for alias in node.names)


class LayoutTest(parameterized.TestCase):
  def test_every_room_has_rules(self):
    rooms = {path.relative_to(ROOT).parts[0].removesuffix('.py') for path in FILES}
    self.assertEqual(rooms, set(ALLOWED))

  def test_imports(self):
    wrong = []
    for path in FILES:
      relative = path.relative_to(ROOT)
      room = relative.parts[0].removesuffix('.py')
      for name in imports(path):
        parts = name.split('.')
        inside = parts[0] == 'jaxrkd' and len(parts) > 1 and parts[1] != room
        owners = OWNERS.get(parts[0], {room})
        known = relative.as_posix() in owners or room in owners
        if (inside and parts[1] not in ALLOWED[room]) or not known:
          wrong.append(f'{relative} imports {name}')
    self.assertEmpty(wrong)

  def test_what_is_looked_for(self):
    """Both rules have something to hold."""
    self.assertGreater(len(FILES), 200)
    self.assertIn('ml_collections.ConfigDict', imports(ROOT / 'experiment' / 'make.py'))
    self.assertNotIn('experiment', ALLOWED['train'])


def without_encoding(source):
  """Lines that open a text in whatever letters the locale has."""
  for node in ast.walk(ast.parse(source)):
    if not isinstance(node, ast.Call):
      continue
    bare = isinstance(node.func, ast.Name)
    name = node.func.id if bare else getattr(node.func, 'attr', '')
    if name not in ('open', 'fdopen', 'read_text', 'write_text'):
      continue
    named = {keyword.arg for keyword in node.keywords}
    texts = [a.value for a in node.args if isinstance(a, ast.Constant)]
    texts += [k.value.value for k in node.keywords if k.arg == 'mode']
    binary = name in ('open', 'fdopen') and any('b' in str(text) for text in texts)
    # It knows bytes alone.
    numbers = (
      name == 'open' and getattr(getattr(node.func, 'value', None), 'id', '') == 'os'
    )
    place = {'read_text': 0, 'write_text': 1}.get(name, 9)
    if not binary and not numbers and 'encoding' not in named and len(node.args) <= place:
      yield node.lineno


class LettersTest(parameterized.TestCase):
  @parameterized.parameters(
    ('open(p)', True),
    ("open(p, 'w')", True),
    ("p.open('a', buffering=1)", True),
    ('p.read_text()', True),
    ('p.write_text(t)', True),
    ("os.fdopen(n, 'w')", True),
    ("open(p, 'rb')", False),
    ("p.open(mode='wb')", False),
    ("p.open(encoding='utf-8')", False),
    ("p.read_text('utf-8')", False),
    ("p.write_text(t, encoding='utf-8')", False),
    ('os.open(p, os.O_RDONLY)', False),
  )
  def test_what_is_looked_for(self, source, found):
    self.assertEqual(bool(list(without_encoding(source))), found)

  def test_every_text_is_utf_8(self):
    found = {
      f'{path.relative_to(ROOT.parent)}:{line}'
      for path in SCRIPTS
      for line in without_encoding(path.read_text(encoding='utf-8'))
    }
    self.assertEmpty(found, 'name the encoding')


class GuardTest(absltest.TestCase):
  def test_guards_are_where_their_program_takes_them_away(self):
    home = ROOT.parent
    module = runpy.run_path(str(home / 'benchmarks' / 'guards.py'), run_name='guards')
    lost = [
      guard.name
      for guard in module['GUARDS']
      if (home / guard.file).read_text(encoding='utf-8').count(guard.code) != 1
    ]
    self.assertEmpty(lost)


if __name__ == '__main__':
  absltest.main()
