"""A student published to a folder or a hub, and read back: the same verdicts, an honest card."""

import contextlib
import io
import json
import pathlib
import shutil
import types

import numpy as np
import tiny
from absl.testing import absltest, parameterized

from jaxrkd import experiment
from jaxrkd.errors import InputError
from jaxrkd.experiment import publish
from jaxrkd.programs import evaluate


class Hub:
  """A stand-in for `huggingface_hub`: repositories are folders."""

  def __init__(self, root):
    self.root, self.private = root, {}

  def module(self):
    return types.SimpleNamespace(
      HfApi=lambda: self, snapshot_download=self.snapshot_download
    )

  def create_repo(self, name, private, exist_ok):
    assert exist_ok
    self.private[name] = private

  def upload_folder(self, repo_id, folder_path, commit_message):
    assert commit_message
    shutil.copytree(folder_path, self.root / repo_id, dirs_exist_ok=True)

  def snapshot_download(self, name, revision, allow_patterns):
    if revision == 'none':
      raise ValueError('no such revision\nand a page of text')
    assert set(allow_patterns) == {'model.safetensors', 'README.md', 'results.json'}
    return str(self.root / name)


class PublishTest(parameterized.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.root = pathlib.Path(cls.enterClassContext(tiny.temporary_folder()))
    made = tiny.config('sat', teachers=[], seed=3, evaluation__trust__images=8)
    made.student = dict(name='resnet8', width=4)
    made.evaluation.attacks = dict(pgd=dict(steps=4), fgsm=dict())
    made.threat.eps = made.evaluation.threat.eps = 0.02
    cls.run_folder = cls.root / 'mine'
    with contextlib.redirect_stdout(io.StringIO()):
      experiment.train_and_evaluate(experiment.resolve(made), cls.run_folder)
      cls.place = cls.root / 'published'
      publish.push(cls.run_folder, str(cls.place))
    cls.found = json.loads((cls.run_folder / 'results.json').read_text())
    cls.card = (cls.place / 'README.md').read_text()

  def quiet(self):
    return contextlib.redirect_stdout(io.StringIO())

  def test_the_same_verdicts(self):
    workdir = tiny.folder(self) / 'pulled'
    with self.quiet():
      told = publish.pull(str(self.place), workdir)
      evaluate.remeasure(workdir, ['evaluation.trust.images=0'])
    self.assertEqual(told['student']['best'], self.found['student']['best'])
    again = json.loads((workdir / 'results.json').read_text())['student']['best']
    for key in ('clean', 'worst_case', 'index_hash', 'per_class', 'confusion'):
      self.assertEqual(again[key], self.found['student']['best'][key], key)
    for name in ('pgd', 'fgsm'):
      one, two = (
        np.load(home / f'eval/best/{name}.npz') for home in (self.run_folder, workdir)
      )
      np.testing.assert_array_equal(one['robust'], two['robust'])
      np.testing.assert_array_equal(one['index'], two['index'])
      np.testing.assert_allclose(one['margin'], two['margin'], atol=1e-4)

  def test_the_card(self):
    row = self.found['student']['best']
    worst = f'**{100 * row["worst_case"]:.2f} ('
    self.assertIn(worst, self.card)
    for name, seen in row['attacks'].items():
      self.assertRegex(self.card, rf'\| {name} \| .* \| {100 * seen["robust"]:.2f} \(')
    self.assertRegex(self.card, r'\| pgd \| .*steps 4')
    self.assertIn('eps 0.02, name linf', self.card)
    for check in self.found['trust']['checks']:
      self.assertIn(f'| {check["status"]} | {check["name"]} |', self.card)
    self.assertIn('Weakest class: ', self.card)
    self.assertIn('jaxrkd pull --from=published', self.card)
    header = self.card.split('---')[1]
    self.assertIn('library_name: jaxrkd', header)
    # Made-up data have no name on the hub.
    self.assertNotIn('datasets', header)

  def test_nothing_of_this_machine(self):
    for path in self.place.iterdir():
      self.assertNotIn(str(self.root).encode(), path.read_bytes(), path.name)
    names = sorted(path.name for path in self.place.iterdir())
    self.assertEqual(names, ['README.md', 'model.safetensors', 'results.json'])

  def changed(self, change, checkpoint='best'):
    """The card of a copy of the run whose results are others."""
    copy = tiny.folder(self) / 'mine'
    shutil.copytree(self.run_folder, copy)
    found = json.loads((copy / 'results.json').read_text())
    change(found)
    (copy / 'results.json').write_text(json.dumps(found))
    place = tiny.folder(self) / 'out'
    with self.quiet():
      publish.push(copy, str(place), checkpoint=checkpoint)
    return (place / 'README.md').read_text()

  def test_doubts_are_said(self):
    self.assertIn('No trust checks were made', self.changed(lambda f: f.pop('trust')))
    failed = self.changed(lambda f: f['trust'].update(status='fail'))
    self.assertIn('Do not rely on these numbers', failed)
    stars = self.changed(
      lambda f: f['student']['best']['attacks']['pgd'].update(not_finite=2)
    )
    self.assertRegex(stars, r'pgd: gradients or logits were not finite on 2 images')
    stopped = self.changed(lambda f: f.update(finished=False))
    self.assertIn('the measurement was interrupted', stopped)
    # The checks were made on the best checkpoint.
    self.assertIn('No trust checks', self.changed(lambda f: None, 'last'))

  def test_numbers_of_other_weights(self):
    best = lambda f: f['student']['best']
    # Of a run of the same length, say, whose results.json lies here.
    with self.assertRaisesRegex(InputError, 'are of other weights .* measure it again'):
      self.changed(lambda f: best(f).update(weights='0' * 64))
    # As versions wrote it that did not say.
    with self.assertRaisesRegex(InputError, 'are of unknown weights .* measure it again'):
      self.changed(lambda f: best(f).pop('weights'))

  def test_mistakes(self):
    with self.assertRaisesRegex(InputError, 'has no results.json'):
      publish.push(self.root, str(self.root / 'x'))
    with self.assertRaisesRegex(InputError, "--checkpoint is 'ema'.*it has: best, last"):
      publish.push(self.run_folder, str(self.root / 'x'), checkpoint='ema')
    other = tiny.folder(self)
    (other / 'thesis.tex').write_text('x')
    with self.assertRaisesRegex(InputError, "holds other files, such as 'thesis.tex'"):
      publish.push(self.run_folder, str(other))
    with self.assertRaisesRegex(InputError, 'has no model.safetensors'):
      publish.pull(str(other), other / 'x')
    with self.assertRaisesRegex(InputError, 'is no folder'):
      publish.pull(str(other / 'none'), other / 'x')
    with self.assertRaisesRegex(InputError, '--revision=v1 is for hf://'):
      publish.pull(str(self.place), other / 'x', revision='v1')
    damaged = tiny.folder(self) / 'damaged'
    shutil.copytree(self.place, damaged)
    (damaged / 'results.json').write_text('{')
    with self.assertRaisesRegex(InputError, 'results.json is damaged'):
      publish.pull(str(damaged), other / 'x')
    (damaged / 'model.safetensors').write_bytes(b'x' * 100)
    with self.assertRaises(InputError):
      publish.pull(str(damaged), other / 'x')

  def test_numbers_are_bound_to_weights(self):
    def tampered(change):
      copy = tiny.folder(self) / 'copy'
      shutil.copytree(self.place, copy)
      change(copy)
      return str(copy)

    def numbers(**changes):
      def change(copy):
        found = json.loads((copy / 'results.json').read_text())
        found['student']['best'].update(changes)
        (copy / 'results.json').write_text(json.dumps(found))

      return change

    def weights(copy):
      path = copy / 'model.safetensors'
      data = bytearray(path.read_bytes())
      data[-8] ^= 1
      path.write_bytes(bytes(data))

    for change in (numbers(step=777), weights):
      with self.assertRaisesRegex(InputError, 'is not of these weights'):
        publish.pull(tampered(change), tiny.folder(self) / 'x')
    for text in ('{}', '[]', 'null', '{"student": {"best": {}}}'):
      broken = tampered(lambda copy, text=text: (copy / 'results.json').write_text(text))
      with self.assertRaisesRegex(InputError, 'results.json is damaged'):
        publish.pull(broken, tiny.folder(self) / 'x')
    workdir = tiny.folder(self) / 'twice'
    with self.quiet():
      publish.pull(str(self.place), workdir)
      publish.pull(str(self.place), workdir)
    with self.assertRaisesRegex(InputError, 'holds an import already'):
      publish.pull(str(self.place), workdir, overrides=['data.test_limit=8'])

  def test_results_that_cannot_be_told(self):
    for change in (
      lambda f: f.pop('evaluation'),
      lambda f: f['student']['best'].pop('clean_interval'),
      lambda f: f['trust'].update(status='perhaps'),
    ):
      with self.assertRaisesRegex(InputError, 'cannot be published|are of step'):
        self.changed(change)

  def test_a_hub(self):
    hub = Hub(tiny.folder(self))
    with tiny.modules(huggingface_hub=hub.module()), self.quiet():
      publish.push(self.run_folder, 'hf://me/mine', private=True)
      self.assertEqual(hub.private, {'me/mine': True})
      workdir = tiny.folder(self) / 'pulled'
      told = publish.pull('hf://me/mine', workdir)
      self.assertEqual(told['student']['best'], self.found['student']['best'])
      self.assertTrue((workdir / 'published_results.json').is_file())
      card = (hub.root / 'me/mine/README.md').read_text()
      self.assertIn('jaxrkd pull --from=hf://me/mine', card)
      with self.assertRaisesRegex(InputError, 'hf://me/mine: no such revision; see'):
        publish.pull('hf://me/mine', workdir / 'x', revision='none')
      for wrong in ('hf://mine', 'hf://a/b/c', 'hf://'):
        with self.assertRaisesRegex(InputError, 'is no repository'):
          publish.push(self.run_folder, wrong)
    with (
      tiny.modules(huggingface_hub=None),
      self.assertRaisesRegex(InputError, r"pip install 'jaxrkd\[hub\]'"),
    ):
      publish.push(self.run_folder, 'hf://me/mine')


if __name__ == '__main__':
  absltest.main()
