"""CutMix, Cutout, smoothing, extra images, Adam-PGD, and the keys around them."""

import jax
import jax.numpy as jnp
import numpy as np
import tiny
from absl.testing import absltest, parameterized

from jaxrkd import attacks, experiment
from jaxrkd.data import extra_images
from jaxrkd.data.augment import cutmix, cutout
from jaxrkd.data.batches import extra_rows, mixed_order, uniform
from jaxrkd.data.targets import smoothed
from jaxrkd.errors import InputError
from jaxrkd.models.named import named_network


class AugmentTest(absltest.TestCase):
  def keys(self, count):
    return jax.random.split(jax.random.key(0), count)

  def test_cutout_is_one_square_cut_off_at_the_borders(self):
    ones = jnp.ones((64, 8, 8, 2))
    found = np.asarray(jax.vmap(lambda k, x: cutout(k, x, size=4))(self.keys(64), ones))
    areas = []
    for image in found:
      np.testing.assert_array_equal(image[..., 0], image[..., 1])
      rows, columns = (np.unique(a) for a in np.nonzero(image[..., 0] == 0))
      self.assertBetween(len(rows), 2, 4)
      self.assertEqual((image[..., 0] == 0).sum(), len(rows) * len(columns))
      self.assertEqual(len(rows), rows[-1] - rows[0] + 1)
      areas.append(len(rows) * len(columns))
    self.assertEqual(max(areas), 16)
    self.assertLess(min(areas), 16)
    np.testing.assert_array_equal(cutout(self.keys(1)[0], ones[0], size=0), ones[0])

  def test_cutmix_mixes_labels_by_area(self):
    count = 64
    images = jnp.broadcast_to(jnp.arange(count)[:, None, None, None], (count, 8, 8, 1))
    targets = jnp.eye(count)
    mixed, labels = cutmix(self.keys(count), images * 1.0, targets, beta=1.0)
    kept = []
    for k in range(count):
      other = (k + 1) % count
      values, counts = np.unique(np.asarray(mixed[k]), return_counts=True)
      self.assertLessEqual(set(values), {k, other})
      share = dict(zip(values, counts / 64))
      want = np.zeros(count)
      want[k], want[other] = share.get(k, 0), share.get(other, 0)
      np.testing.assert_allclose(labels[k], want, atol=1e-6)
      kept.append(share.get(k, 0))
    # Beta(1, 1) draws any share; boxes at the borders lose a part.
    self.assertLess(min(kept), 0.4)
    self.assertGreater(max(kept), 0.9)
    same, _ = cutmix(self.keys(3), images[:3], targets[:3], beta=0)
    np.testing.assert_array_equal(same, images[:3])

  def test_smoothing(self):
    found = smoothed(jnp.array([0, 2]), 4, jnp.array([0.2, 0.0]))
    np.testing.assert_allclose(found, [[0.85, 0.05, 0.05, 0.05], [0, 0, 1, 0]], atol=1e-6)


class ExtraImagesTest(parameterized.TestCase):
  def file(self, **arrays):
    path = tiny.folder(self) / 'extra.npz'
    rng = np.random.default_rng(0)
    made = {
      'image': rng.integers(0, 256, (40, 8, 8, 1), np.uint8),
      'label': np.arange(40) % 3,
      **arrays,
    }
    np.savez(path, **made)
    return str(path)

  def test_order(self):
    rows = extra_rows(16, 0.3)
    self.assertEqual(rows, 11)
    self.assertEqual((extra_rows(16, 0.999), extra_rows(16, 0.001)), (1, 15))
    draw = lambda epoch: np.asarray(
      mixed_order(
        jax.random.key(0), jnp.int32(epoch), 50, uniform(50), uniform(1000), 16, rows
      )
    )
    first = draw(0)
    self.assertEqual(first.shape, (4, 16))
    real, extra = first[:, :5].ravel(), first[:, 5:].ravel()
    self.assertTrue((real < 50).all() and (extra >= 50).all() and (extra < 1050).all())
    for part in (real, extra):
      self.assertLen(set(part), len(part))
    self.assertTrue((first != draw(1)).any())
    np.testing.assert_array_equal(first, draw(0))
    # Fewer extra images than an epoch needs come again.
    draws = (50, uniform(50), uniform(7))
    few = np.asarray(mixed_order(jax.random.key(0), jnp.int32(0), *draws, 16, rows))
    self.assertEqual(set(few[:, 5:].ravel()), set(range(50, 57)))

  def run_with(self, path, **changes):
    made = tiny.config('sat', teachers=[], **changes)
    made.extra.path = path
    return tiny.Run(made)

  def test_trains_on_both_and_smooths_the_extra_labels_only(self):
    path = self.file()
    run = self.run_with(path)
    self.assertLen(run.data.extra, 40)
    self.assertEqual(run.images['image'].shape[0], 56 + 40)
    self.assertEqual(run.setup.order(jnp.int32(0)).shape, (4, 16))
    losses = {}
    for on in ('none', 'extra', 'all'):
      amount = 0.0 if on == 'none' else 0.5
      made = dict(label_smoothing__amount=amount, augment__pad=0, augment__flip=False)
      if amount:
        made['label_smoothing__on'] = on
      run = self.run_with(path, **made)
      _, rows = run.steps(run.setup.init(), 2)
      losses[on] = rows[0]['loss']
    self.assertLen(set(losses.values()), 3)

  def test_extra_images_are_never_measured_or_held_out(self):
    run = self.run_with(self.file())
    held = {*run.data.heldout.index, *run.data.test.index, *run.data.train.index}
    self.assertFalse(held & set(run.data.extra.index))

  @parameterized.parameters(
    (dict(label=np.arange(40) % 7), 'labels up to 6, but synthetic has .* 3 classes'),
    (dict(image=np.zeros((40, 9, 9, 1), np.uint8)), r'images \[9, 9, 1\]'),
    (dict(label=np.arange(39)), 'expected .N, H, W, C.'),
  )
  def test_files_that_do_not_fit(self, arrays, message):
    with self.assertRaisesRegex(InputError, message):
      self.run_with(self.file(**arrays))

  def test_missing_file_and_array(self):
    with self.assertRaisesRegex(InputError, "extra.path 'nowhere.npz'.*image, label"):
      extra_images('nowhere.npz')
    path = tiny.folder(self) / 'x.npz'
    np.savez(path, image=np.zeros((2, 8, 8, 1), np.uint8))
    with self.assertRaisesRegex(InputError, "has no array 'label'"):
      extra_images(str(path))


class RecipeTest(parameterized.TestCase):
  @parameterized.parameters('trades', 'iad_1')
  def test_all_keys_together_under_any_method(self, method):
    made = tiny.config(
      method,
      augment__cutmix=1.0,
      augment__cutout=3,
      label_smoothing__amount=0.1,
      label_smoothing__on='all',
      ema__decay=0.9,
      optimizer__nesterov=True,
      optimizer__decay_norm=False,
      schedule=dict(name='cosine', peak=0.1, unit='step', warmup_epochs=0.5),
      student__bn_momentum=0.99,
    )
    curves = []
    for devices in (1, 4):
      with jax.enable_x64(True):
        run = tiny.Run(made, devices)
        _, rows = run.steps(run.setup.init(), 5)
      curves.append([row['loss'] for row in rows])
    np.testing.assert_allclose(*curves, rtol=1e-9)

  def test_cutmix_changes_the_labels_of_a_step(self):
    """On images that are all alike only the labels can tell."""
    losses = []
    for beta in (0.0, 1.0):
      made = tiny.config(
        'natural', augment__cutmix=beta, augment__pad=0, augment__flip=False
      )
      run = tiny.Run(made)
      run.images = {**run.images, 'image': jnp.full_like(run.images['image'], 128)}
      _, rows = run.steps(run.setup.init(), 1)
      losses.append(rows[0]['loss'])
    self.assertNotAlmostEqual(*losses, places=4)

  def test_deepmind_variant_of_trades(self):
    """Adam-PGD with the batch's statistics; only x' moves the running ones."""
    made = tiny.config('trades', attack=dict(name='adam', bn='batch', steps=2))
    made.method = dict(name='trades', variant='deepmind')
    run = tiny.Run(made)
    state = run.setup.init()
    state, rows = run.steps(state, 1)
    moved = np.abs(np.asarray(state.nets['student'].stats['bns']['0']['mean']))
    made.method.variant = 'original'
    run = tiny.Run(made)
    state, _ = run.steps(run.setup.init(), 1)
    thrice = np.abs(np.asarray(state.nets['student'].stats['bns']['0']['mean']))
    # 0.1 against 1 - 0.9^3 of the batch's mean, of slightly different images.
    self.assertBetween(float(np.median(thrice / moved)), 2.4, 3.1)
    self.assertGreater(rows[0]['loss_robust'], 0)

  @parameterized.parameters(
    (['augment.cutmix=-1'], 'augment.cutmix is -1.0; it must be 0 or more'),
    (['augment.cutout=-1'], 'augment.cutout is -1'),
    (['label_smoothing.amount=2', 'label_smoothing.on=all'], 'amount is 2.0'),
    (['label_smoothing.amount=0.1'], 'config.extra.path names none'),
    (['label_smoothing.on=some'], "'extra', 'all'"),
    (['extra.path=x.npz', 'extra.real_fraction=1'], 'above 0 and below 1'),
    (['schedule_len=1'], 'schedule_len is 1, shorter than the 2 epochs'),
    (['keep_epochs=1,3'], 'keep_epochs names epoch 3'),
    (['members=0'], 'members is 0'),
    (['select.max_drop=0.1', 'select.metric=clean'], 'measures no robust accuracy'),
    (['student.bn_momentum=2'], 'bn_momentum is 2.0'),
    (['inner=kl_teacher'], "did you mean 'kl_teacher"),
    (['inner.alpha=0.5'], "unknown config key 'inner.alpha'"),
    (['inner=mixed_target', 'inner.alpha=3'], 'inner.alpha is 3.0'),
    (['ensemble=mean'], "unknown ensemble.name 'mean'"),
    (['attack=adam', 'attack.steps=0'], 'attack.steps is 0.*method=natural'),
  )
  def test_mistakes(self, overrides, message):
    with self.assertRaisesRegex(InputError, message) as caught:
      config = experiment.resolve(tiny.config('mtard'), overrides)
      named_network(config.student, 3, (8, 8, 1))
    self.assertNotIn('\n', str(caught.exception))


class AdamSearchTest(absltest.TestCase):
  def test_against_adam_in_numpy(self):
    rng = np.random.default_rng(0)
    x = rng.uniform(0.2, 0.8, (3, 4, 4, 1))
    center = rng.uniform(size=x.shape)
    with jax.enable_x64(True):
      threat = attacks.Linf(0.1)
      search = attacks.adam_search(
        threat, steps=5, step_size=0.04, drop_after=3, start='none'
      )
      objective = lambda z: -((z - center) ** 2).sum((1, 2, 3))
      found = np.asarray(search(jax.random.key(0), objective, jnp.asarray(x)))
    z, m, v = x.copy(), 0, 0
    for step in range(5):
      g = -2 * (z - center)
      m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
      unit = (m / (1 - 0.9 ** (step + 1))) / (
        np.sqrt(v / (1 - 0.999 ** (step + 1))) + 1e-9
      )
      z = z + (0.04 if step < 3 else 0.004) * unit
      z = np.clip(x + np.clip(z - x, -0.1, 0.1), 0, 1)
    np.testing.assert_allclose(found, z, rtol=1e-9)
    self.assertGreater(np.abs(found - x).max(), 0.05)

  def test_mistakes(self):
    with self.assertRaisesRegex(InputError, 'step_size is 8'):
      attacks.adam_search(attacks.Linf(0.1), step_size=8)


if __name__ == '__main__':
  absltest.main()
