"""Imports point one way: each room may use only the rooms below it."""

import ast
import pathlib

from absl.testing import absltest, parameterized

ROOT = pathlib.Path(__file__).parent.parent / 'jaxrkd'
LEAVES = {'errors', 'config'}
ALLOWED = {
  'errors': set(),
  'defaults': set(),
  'config': {'defaults', 'errors'},
  'losses': set(),
  'simplex': {'errors'},
  'particles': set(),
  'amalgamation': {'errors', 'losses', 'simplex'},
  'models': {'errors', 'amalgamation'},
  'data': {'errors'},
  'runtime': {'errors'},
  'optimizers': {'errors'},
  'attacks': {'errors', 'losses', 'particles'},
  'methods': {'errors', 'losses', 'amalgamation', 'particles'},
  'build': {
    *LEAVES,
    'amalgamation',
    'attacks',
    'methods',
    'models',
    'data',
    'optimizers',
  },
  'train': {
    *LEAVES,
    *('attacks', 'build', 'data', 'losses', 'methods', 'models', 'optimizers'),
    *('runtime', 'amalgamation', 'particles'),
  },
  'evaluate': {
    *LEAVES,
    *('attacks', 'build', 'data', 'losses', 'models', 'particles', 'runtime'),
  },
  'run': {
    *LEAVES,
    *('build', 'data', 'evaluate', 'interop', 'models', 'report', 'runtime', 'train'),
  },
  'report': {'pictures', 'runtime'},
  'remeasure': {
    *LEAVES,
    *('build', 'evaluate', 'run', 'runtime', 'train'),
  },
  'compare': {*LEAVES, 'build', 'evaluate', 'run', 'runtime'},
  'pictures': set(),
  'interop': {
    *(*LEAVES, 'attacks', 'build', 'data', 'evaluate', 'models', 'runtime', 'train'),
    '__version__',
  },
  'flops': {'models'},
  'predict': set(),
  'plane': {'attacks', 'losses', 'pictures'},
  'gallery': {*LEAVES, 'attacks', 'build', 'pictures', 'runtime', 'train'},
  'diversity': {
    *LEAVES,
    *('attacks', 'build', 'evaluate', 'pictures', 'plane', 'run', 'runtime', 'train'),
  },
  'doctor': {
    *(*LEAVES, 'attacks', 'build', 'data', 'evaluate', 'interop', 'models', 'runtime'),
    'train',
  },
  'dry_run': {
    *LEAVES,
    'amalgamation',
    'build',
    'data',
    'flops',
    'interop',
    'models',
    'predict',
    'run',
    'runtime',
    'train',
  },
  '__init__': set(),
}
# Library -> the only places that may know it.
OWNERS = {
  'flax': {'models'},
  'orbax': {'runtime/checkpoint.py'},
  'tensorflow_datasets': {'data/tfds.py'},
  'sklearn': {'data/digits.py'},
  'tensorboardX': {'runtime/metrics.py'},
  'tqdm': {'runtime/progress.py'},
  'matplotlib': {'pictures.py'},
  'absl': set(),
  'torch': {'interop'},
  'grain': {'data/stream.py'},
  'onnx': {'interop'},
  'onnxruntime': {'interop'},
  'safetensors': {'interop'},
  'litert_converter': {'interop'},
  'ai_edge_litert': {'interop'},
}
FILES = sorted(ROOT.rglob('*.py'))


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

  @parameterized.named_parameters((str(p.relative_to(ROOT)), p) for p in FILES)
  def test_imports(self, path):
    relative = path.relative_to(ROOT)
    room = relative.parts[0].removesuffix('.py')
    for name in imports(path):
      parts = name.split('.')
      if parts[0] == 'jaxrkd' and len(parts) > 1 and parts[1] != room:
        self.assertIn(parts[1], ALLOWED[room], f'{relative} imports {name}')
      if parts[0] in OWNERS:
        owners = OWNERS[parts[0]]
        self.assertTrue(
          relative.as_posix() in owners or room in owners, f'{relative} imports {name}'
        )


if __name__ == '__main__':
  absltest.main()
