"""What is recorded of every image after every epoch, against kept checkpoints."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import tiny
from absl.testing import absltest

from jaxrkd import experiment
from jaxrkd.attacks import Linf, example_keys, pgd_search
from jaxrkd.errors import InputError
from jaxrkd.evaluate import trajectories
from jaxrkd.experiment.load import load_trained
from jaxrkd.programs.evaluate import remeasure
from jaxrkd.runtime import files, sharding

EPOCHS = 3
MADE = dict(
  epochs=EPOCHS,
  keep_epochs=(1, 2, 3),
  trajectories__splits=('train', 'test'),
  trajectories__attack=dict(name='pgd', steps=4, step_size=0.03),
  evaluation__threat=dict(name='linf', eps=0.1),
  evaluation__attacks=dict(fgsm={}),
)


def weights(run):
  found = load_trained(run, 'last', sharding.data_mesh())
  return jax.tree.leaves((found.state.params, found.state.stats))


def loss_of(logits_fn, label):
  rows = np.arange(len(label))
  return lambda x: -jax.nn.log_softmax(logits_fn(x))[rows, label]


class RecordingTest(absltest.TestCase):
  def run_of(self, folder, **changes):
    config = experiment.resolve(tiny.config('sat', **{**MADE, **changes}))
    experiment.train_and_evaluate(config, folder)
    return config

  def test_rows_are_those_of_kept_checkpoints(self):
    folder = tiny.folder(self)
    config = self.run_of(folder / 'a')
    data = experiment.dataset(config)
    search = pgd_search(Linf(0.1), steps=4, step_size=0.03)
    for split in ('train', 'test'):
      found = trajectories.read(folder / 'a' / 'trajectories' / f'{split}.npy')
      part = getattr(data, split)
      self.assertEqual(found.done, EPOCHS)
      np.testing.assert_array_equal(found.label, part.label)
      np.testing.assert_array_equal(found.place, part.index)
      images = jnp.asarray(part.image, jnp.float32) / 255
      keys = example_keys(jax.random.key(config.seed), jnp.asarray(part.index))
      rows = np.arange(len(part))
      for epoch in range(1, EPOCHS + 1):
        kept = load_trained(folder / 'a', 'last', sharding.data_mesh(), epoch=epoch)
        logits_fn = kept.net.logits_fn(kept.state.params, kept.state.stats)
        moved = search(keys, loss_of(logits_fn, part.label), images)
        clean, other = (
          np.asarray(jax.nn.softmax(logits_fn(x)), np.float64) for x in (images, moved)
        )
        place = epoch - 1
        np.testing.assert_allclose(
          found.clean[place], clean[rows, part.label], rtol=1e-5, atol=1e-7
        )
        np.testing.assert_allclose(
          found.adversarial[place], other[rows, part.label], rtol=1e-4, atol=1e-6
        )
        np.testing.assert_allclose(
          found.entropy[place], -(clean * np.log(clean)).sum(1), rtol=1e-4, atol=1e-6
        )
        self.assertLessEqual(found.adversarial[place].mean(), found.clean[place].mean())

    with self.subTest('training is the same without'):
      self.run_of(folder / 'b', trajectories__splits=())
      self.assertFalse((folder / 'b' / 'trajectories').exists())
      for a, b in zip(weights(folder / 'a'), weights(folder / 'b'), strict=True):
        np.testing.assert_array_equal(a, b)
    with self.subTest('kept epochs are measured'):
      measured = remeasure(folder / 'a', [], epochs=[1, 3])
      self.assertEqual(set(measured['student']), {'epoch 1', 'epoch 3'})
      results = json.loads((folder / 'a' / 'results.json').read_text())
      self.assertEqual(
        measured['student']['epoch 3']['clean'], results['student']['last']['clean']
      )
      self.assertTrue((folder / 'a' / 'results-epochs1+3.json').is_file())
      with self.assertRaisesRegex(InputError, 'kept no checkpoint of epoch 7'):
        remeasure(folder / 'a', [], epochs=[7])

  def test_an_interrupted_recording_goes_on(self):
    folder = tiny.folder(self)
    self.run_of(folder / 'a')
    path = folder / 'a' / 'trajectories' / 'test.npy'
    whole = np.load(path)
    # As after a kill between the row of epoch 2 and the checkpoint of epoch 3.
    for name in ('results.json', 'checkpoints'):
      place = folder / 'a' / name
      place.rename(folder / name)
    torn = whole.copy()
    torn[2:] = np.nan
    torn[1] = 0.5
    with files.replacing(path) as temporary, temporary.open('wb') as file:
      np.save(file, torn)
    self.run_of(folder / 'a')
    np.testing.assert_array_equal(np.load(path), whole)

  def test_mistakes(self):
    for changes, message in (
      (dict(trajectories__splits=('all',)), 'config.trajectories.splits'),
      (
        dict(trajectories__splits=('heldout',), data__heldout=0, select__split='test'),
        'splits has heldout, but config.data.heldout is 0',
      ),
      (
        dict(
          trajectories__splits=('test',),
          trajectories__attack=dict(name='pgd', steps=2, step_size=0.001),
        ),
        'too little to reach the border',
      ),
    ):
      with self.assertRaisesRegex(InputError, message):
        experiment.resolve(tiny.config('sat', **{**MADE, **changes}))
    with self.assertRaisesRegex(InputError, 'trajectories.splits=train,test'):
      trajectories.read(tiny.folder(self) / 'test.npy')


if __name__ == '__main__':
  absltest.main()
