"""The documents' code runs as printed, and their commands name files that exist."""

import contextlib
import io
import pathlib
import re
import subprocess
import sys
import tempfile
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import safetensors.numpy
import tiny
from absl.testing import absltest

from jaxrkd import experiment
from jaxrkd.attacks import ATTACKS, UNFORESEEN, VERSIONS, Linf
from jaxrkd.data import SOURCES
from jaxrkd.evaluate import attack_images, trust_limits
from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment.columns import PRESETS
from jaxrkd.experiment.tables import RULES
from jaxrkd.interop import FORMATS, RECIPES
from jaxrkd.interop.state_dict import to_state_dict
from jaxrkd.methods import INNERS, METHODS
from jaxrkd.models import ACTIVATIONS, NETWORKS, NORMALISATIONS
from jaxrkd.models.named import named_network, network_options
from jaxrkd.optimizers import OPTIMIZERS, SCHEDULES

ROOT = pathlib.Path(__file__).parent.parent
TEXT = (ROOT / 'README.md').read_text()
PAGE = (ROOT / 'docs' / 'methods.md').read_text()
ATTACK_PAGE = (ROOT / 'docs' / 'attacks.md').read_text()
ROBUST_PAGE = (ROOT / 'docs' / 'robustness.md').read_text()
NETWORK_PAGE = (ROOT / 'docs' / 'networks.md').read_text()
SPEED_PAGE = (ROOT / 'docs' / 'performance.md').read_text()
OWN_PAGE = (ROOT / 'docs' / 'extending.md').read_text()
# Where the conformance tests of these rows are; looking through all files takes long.
CONFORMANCE = [
  ROOT / 'tests' / f'{name}_test.py'
  for name in ('methods', 'networks', 'attacks', 'optimizers')
]
SCALE_PAGE = (ROOT / 'docs' / 'scaling.md').read_text()


class ReadmeTest(absltest.TestCase):
  def test_code(self):
    images = jax.random.uniform(jax.random.key(0), (4, 8, 8, 1))
    weights = jax.random.normal(jax.random.key(1), (64, 3))
    names = {
      'images': images,
      'labels': jnp.array([0, 1, 2, 0]),
      'logits_fn': lambda x: x.reshape(len(x), -1) @ weights,
      'my_loss': lambda x: x.sum((1, 2, 3)),
    }
    blocks = re.findall(r'```python\n(.*?)```', TEXT, re.S)
    self.assertLen(blocks, 2)
    exec(blocks[0], names)
    self.assertBetween(float(names['robust']), 0, 1)
    exec(blocks[1], names)
    self.assertTrue(bool(jnp.all(names['adversarial'] >= images)))

  def test_code_of_the_robustness_page(self):
    rng = np.random.default_rng(0)
    weights = jnp.asarray(rng.normal(size=(64, 5)), jnp.float32)
    names = {
      'images': rng.uniform(size=(12, 8, 8, 1)).astype(np.float32),
      'logits_fn': lambda x: 9 * (x.reshape(len(x), -1) @ weights),
    }
    names['labels'] = np.asarray(names['logits_fn'](names['images'])).argmax(-1)
    blocks = re.findall(r'```python\n(.*?)```', ROBUST_PAGE, re.S)
    self.assertLen(blocks, 3)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
      exec(blocks[0], names)
      whole = names['found'].robust
      exec(blocks[2], names)
      names['predict'] = lambda x: np.ones((len(x), 10), np.float32)
      exec(blocks[1].replace('queries=5000', 'queries=5'), dict(names))
    self.assertIn("'apgd_t'", printed.getvalue())
    self.assertIn('adaptive', names['found'].stages)
    np.testing.assert_array_equal(names['found'].robust, whole)
    for name in trust_limits.LIMITS:
      self.assertIn(f'| {name} |', ROBUST_PAGE)
    for name in (*VERSIONS, *PRESETS):
      self.assertIn(f'`{name}`', ATTACK_PAGE + ROBUST_PAGE)

  def test_paths(self):
    pages = PAGE, ATTACK_PAGE, ROBUST_PAGE, NETWORK_PAGE, SPEED_PAGE, SCALE_PAGE
    whole = '\n'.join((TEXT, *pages))
    found = re.findall(r'(?:configs|launch|benchmarks|tests|jaxrkd)/[\w/]*\.py', whole)
    self.assertGreater(len(found), 30)
    for path in found:
      if 'NAME' not in path:
        self.assertTrue((ROOT / path).is_file(), path)

  def test_every_benchmark_is_named(self):
    helpers = {'hlo.py', 'steps.py'}
    helpers |= {'torch_methods.py', 'torch_networks.py', 'torch_steps.py'}
    for path in (ROOT / 'benchmarks').glob('*.py'):
      if path.name not in helpers:
        self.assertIn(path.name, SPEED_PAGE)

  def test_page_of_networks(self):
    for name in NETWORKS:
      self.assertIn(f'`{name}`', NETWORK_PAGE)
    for suffix in FORMATS:
      self.assertIn(f'`{suffix}`', NETWORK_PAGE)
    for name in (*ACTIVATIONS, *NORMALISATIONS):
      if name not in ('half', 'cifar10_rounded', 'cifar10_per_image'):
        self.assertIn(f'`{name}`', NETWORK_PAGE)
    found = re.findall(
      r'--(?:config\.teachers\.\w+\.)?recipe=([\w/-]+)', NETWORK_PAGE + TEXT
    )
    self.assertGreater(len(found), 3)
    self.assertContainsSubset(found, RECIPES)
    (block,) = re.findall(r'```python\n(.*?)```', NETWORK_PAGE, re.S)
    names = {}
    with tempfile.TemporaryDirectory() as folder:
      net = named_network(network_options({'name': 'resnet8'}), 10, (32, 32, 3))
      state = to_state_dict(*net.init(jax.random.key(0)))
      safetensors.numpy.save_file(state, pathlib.Path(folder) / 'weights.pt')
      with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(block, names)
    self.assertIn('resnet8 10 []', printed.getvalue())
    self.assertEqual(names['logits_fn'](jnp.zeros((2, 32, 32, 3))).shape, (2, 10))

  def test_page_of_rows_and_loops_of_ones_own(self):
    """Every block runs in a file of its own, and does what the page says of it."""
    blocks = re.findall(r'```python\n(.*?)```', OWN_PAGE, re.S)
    method, network, attack, aimed, loop, alone, whole, optimizer = blocks
    lines = [line for line in method.splitlines() if line.strip()]
    self.assertLessEqual(len(lines), 20)
    tables = METHODS, NETWORKS, ATTACKS, OPTIMIZERS
    for table in tables:
      self.enterContext(mock.patch.dict(table))
    names = {}
    exec(attack, names)
    exec(aimed, names)
    for block in (method, network, optimizer):
      exec(block, {})
    made = tiny.config(
      'mine',
      inner=dict(name='kl_teacher_adv'),
      student=dict(name='small', width=4),
      optimizer=dict(name='adabelief'),
      schedule=dict(name='milestones', peak=0.01),
      evaluation__attacks=dict(pgd_energy=dict(steps=5)),
    )
    config = experiment.resolve(made, ['method.alpha=0.25', 'optimizer.b2=0.99'])
    self.assertEqual((config.method.alpha, config.optimizer.b2), (0.25, 0.99))
    self.assertEqual(config.evaluation.attacks.pgd_energy.steps, 5)
    run = tiny.Run(made)
    state, rows = run.steps(run.setup.init(), 3)
    row = rows[-1]
    self.assertAlmostEqual(
      row['loss'], 0.5 * (row['loss_label'] + row['loss_teacher']), places=5
    )
    self.assertEqual(int(state.step), 3)
    with self.subTest('attacks'):
      rng = np.random.default_rng(0)
      images = rng.uniform(0.3, 0.7, (8, 8, 8, 1)).astype(np.float32)
      weights = jnp.asarray(rng.normal(size=(64, 10)), jnp.float32)
      logits_fn = lambda x: x.reshape(len(x), -1) @ weights
      labels = np.asarray(logits_fn(images)).argmax(-1)
      one = ATTACKS['pgd_energy'](Linf(0.1))
      self.assertLess(attack_images(logits_fn, images, labels, one).robust_accuracy, 1)
      self.assertIsNotNone(
        attack_images(logits_fn, images, labels, names['attack']).reached_target
      )
    with self.subTest('loops'):
      given = {
        'clean': logits_fn,
        'robust': lambda x: 0.5 * logits_fn(x),
        'batches': [(images, labels)] * 2,
        'apply': lambda w, x: x.reshape(len(x), -1) @ w,
      }
      exec(loop, given)
      given['net'].eval()
      np.testing.assert_allclose(
        given['net'](images), given['student'](images), rtol=1e-4, atol=1e-5
      )
      own = {**given, 'teacher': logits_fn}
      exec(whole, own)
      row = own['scalars']
      self.assertAlmostEqual(
        float(row['loss']), float(row['loss_distill'] + row['loss_label']), places=4
      )
      exec(alone, given)
      before = jnp.zeros((64, 10))
      params, memory, value = given['step'](
        before, given['memory'], images, jnp.asarray(labels), jax.random.key(0)
      )
      self.assertGreater(float(jnp.abs(params).max()), 0)
      self.assertTrue(np.isfinite(value))
      self.assertEqual(int(memory.step), 1)

  def test_conformance_of_rows_of_ones_own(self):
    """The documented command finds a test for each row of a file, and nothing else."""
    blocks = re.findall(r'```python\n(.*?)```', OWN_PAGE, re.S)
    file = pathlib.Path(self.enterContext(tiny.temporary_folder())) / 'mine.py'
    file.write_text('\n\n'.join([*blocks[:3], blocks[-1]]), encoding='utf-8')
    self.assertIn('    python -m pytest --plugins=mine.py\n', OWN_PAGE)
    done = subprocess.run(
      [
        *(sys.executable, '-m', 'pytest', '-p', 'no:xdist', '--collect-only', '-q'),
        f'--plugins={file}',
        *map(str, CONFORMANCE),
      ],
      cwd=ROOT,
      capture_output=True,
      text=True,
      check=False,
    )
    self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
    for test in (
      'methods_test.py::ConformanceTest::test_a_run_mine',
      'networks_test.py::ConformanceTest::test_in_a_run',
      'attacks_test.py::AttackTest::test_an_image_does_not_depend_on_its_batch',
      'optimizers_test.py::TableTest::test_a_run_with_each',
    ):
      self.assertIn(test, done.stdout)
    self.assertNotIn('mtard', done.stdout)

  def test_page_has_every_method_and_inner_problem(self):
    for name in METHODS:
      self.assertIn(f'\n### {name}\n', PAGE)
      self.assertTrue((ROOT / 'configs' / f'{name}.py').is_file(), name)
    for name in INNERS:
      self.assertIn(f'| `{name}` |', PAGE)

  def test_page_has_every_attack_and_all_its_options(self):
    for name in (*ATTACKS, *UNFORESEEN):
      self.assertIn(f'`{name}`', ATTACK_PAGE)
    for row in (*ATTACKS.values(), *UNFORESEEN.values()):
      for option in experiment.options(row):
        self.assertRegex(ATTACK_PAGE, rf'`{option}[`=]', option)

  def test_every_option_named_in_the_page_exists(self):
    pages = PAGE + ATTACK_PAGE + ROBUST_PAGE + NETWORK_PAGE + SPEED_PAGE
    found = set(re.findall(r'--config\.([a-z_.]+)=', pages))
    self.assertGreater(len(found), 10)
    groups = {'teachers', 'config', 'KEY', 'online', 'evaluation'}
    known, teachers = set(), [('robust', 'robust'), ('clean', 'clean')]
    for method in METHODS:
      config = experiment.resolve(
        tiny.config(method, teachers, inner=dict(name='mixed_target'))
      )
      known |= {key for key, _ in configs.leaves(config)}
      known |= set(config)
    for rule in RULES:
      known |= {f'ensemble.{key}' for key in experiment.options(RULES[rule])}
    for schedule in SCHEDULES:
      known |= {f'schedule.{key}' for key in experiment.options(SCHEDULES[schedule])}
    for source in SOURCES.values():
      known |= {f'data.{key}' for key in experiment.options(source)}
    for network in NETWORKS:
      known |= {f'student.{key}' for key in experiment.options(NETWORKS[network])}
    for key in found:
      if key.split('.')[0] not in groups:
        self.assertIn(key, known)


if __name__ == '__main__':
  absltest.main()
