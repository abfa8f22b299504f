"""Augmentations: colours and shapes against Pillow, boxes and shifts against their rules."""

import collections
import math

import jax
import jax.numpy as jnp
import numpy as np
import tiny
from absl.testing import absltest, parameterized
from PIL import Image, ImageEnhance, ImageOps

from jaxrkd import experiment
from jaxrkd.data import geometric, photometric, policies
from jaxrkd.data.augment import crop_shift, random_erasing
from jaxrkd.data.augmentation import PRESETS, Augmentation
from jaxrkd.data.batches import class_balanced
from jaxrkd.errors import InputError
from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment.augmentation import make_augmentation

# More pixels than levels: equalising does nothing to fewer.
EDGE = 20


def images(channels=3):
  """Noise, a ramp, a dark one of few values, one of a single value."""
  rng = np.random.default_rng(0)
  ramp = np.linspace(0, 255, EDGE * EDGE * channels).reshape(EDGE, EDGE, channels)
  return [
    rng.integers(0, 256, (EDGE, EDGE, channels), np.uint8),
    ramp.astype(np.uint8),
    rng.integers(30, 34, (EDGE, EDGE, channels), np.uint8),
    np.full((EDGE, EDGE, channels), 77, np.uint8),
  ]


def pillow(image):
  return Image.fromarray(image if image.shape[-1] == 3 else image[..., 0])


def enhanced(kind):
  return lambda image, factor: kind(image).enhance(factor)


PHOTOMETRIC = {
  'saturation': (photometric.saturation, enhanced(ImageEnhance.Color), (0.1, 0.6, 1.9)),
  'brightness': (
    photometric.brightness,
    enhanced(ImageEnhance.Brightness),
    (0.1, 0.5, 1.9),
  ),
  'contrast': (photometric.contrast, enhanced(ImageEnhance.Contrast), (0.1, 0.5, 1.9)),
  'sharpness': (photometric.sharpness, enhanced(ImageEnhance.Sharpness), (0.1, 0.7, 1.9)),
  'solarize': (photometric.solarize, ImageOps.solarize, (0.0, 113.3, 255.0)),
  'posterize': (photometric.posterize, ImageOps.posterize, (4, 5, 8)),
  'autocontrast': (photometric.autocontrast, ImageOps.autocontrast, ()),
  'equalize': (photometric.equalize, ImageOps.equalize, ()),
  'invert': (photometric.invert, ImageOps.invert, ()),
}


class PillowTest(parameterized.TestCase):
  @parameterized.product(name=sorted(PHOTOMETRIC), channels=(1, 3))
  def test_colours(self, name, channels):
    own, reference, strengths = PHOTOMETRIC[name]
    own = jax.jit(own)
    for image in images(channels):
      for strength in [(s,) for s in strengths] or [()]:
        found = np.asarray(own(jnp.asarray(image), *map(jnp.float32, strength)))
        want = np.asarray(reference(pillow(image), *strength)).reshape(image.shape)
        self.assertEqual(found.dtype, np.uint8)
        # Sums in another order: now and then one level, before the fraction is dropped.
        apart = np.abs(found.astype(int) - want)
        self.assertLessEqual(apart.max(), 1, (name, strength))
        self.assertLess((apart > 0).mean(), 0.01, (name, strength))

  def transformed(self, image, data):
    return np.asarray(pillow(image).transform((EDGE, EDGE), Image.Transform.AFFINE, data))

  @parameterized.parameters(0.13, -0.27, 0.3)
  def test_shears(self, amount):
    image = images()[0]
    given = jnp.asarray(image)
    corner = (0.0, 0.0)
    found = geometric.shear_x(given, jnp.float32(amount), corner)
    want = self.transformed(image, (1, amount, 0, 0, 1, 0))
    np.testing.assert_array_equal(found, want)
    found = geometric.shear_y(given, jnp.float32(amount), corner)
    want = self.transformed(image, (1, 0, 0, amount, 1, 0))
    np.testing.assert_array_equal(found, want)
    found = geometric.shear_x(given, jnp.float32(amount), geometric.middle(given))
    want = self.transformed(image, (1, amount, -EDGE / 2 * amount, 0, 1, 0))
    np.testing.assert_array_equal(found, want)

  @parameterized.parameters(1, -7, 10, 30)
  def test_rotations(self, degrees):
    image = images()[0]
    found = np.asarray(geometric.rotate(jnp.asarray(image), jnp.float32(degrees)))
    want = np.asarray(pillow(image).rotate(degrees))
    # Pillow computes in fixed point: a pixel on an edge may fall to the other side.
    self.assertGreater((found == want).all(-1).mean(), 0.98)

  @parameterized.parameters((3, 0), (-5, 0), (0, 2), (0, -4))
  def test_shifts(self, right, down):
    image = images()[0]
    found = geometric.shift(jnp.asarray(image), jnp.float32(right), jnp.float32(down))
    want = self.transformed(image, (1, 0, -right, 0, 1, -down))
    np.testing.assert_array_equal(found, want)


def draws(function, image, count=600, **options):
  keys = jax.random.split(jax.random.key(1), count)
  call = lambda key: function(key, jnp.asarray(image), **options)
  return np.asarray(jax.jit(jax.vmap(call))(keys))


class ShapeTest(parameterized.TestCase):
  def test_crop_shift_moves_a_part_onto_black(self):
    image = np.arange(1, 37, dtype=np.uint8).reshape(6, 6, 1)
    allowed = {}
    for lost in range(4):
      for columns in range(lost + 1):
        height, width = 6 - (lost - columns), 6 - columns
        tops, lefts = range(lost - columns + 1), range(columns + 1)
        for top, left, y, x in [
          (a, b, c, d) for a in tops for b in lefts for c in tops for d in lefts
        ]:
          made = np.zeros_like(image)
          part = image[top : top + height, left : left + width]
          made[y : y + height, x : x + width] = part
          share = 1 / 4 / (lost + 1) / (len(tops) * len(lefts)) ** 2
          allowed[made.tobytes()] = allowed.get(made.tobytes(), 0) + share
    found = collections.Counter(
      one.tobytes() for one in draws(crop_shift, image, 4000, most=3)
    )
    self.assertEqual(set(found), set(allowed))
    for made, share in allowed.items():
      spread = math.sqrt(4000 * share * (1 - share))
      self.assertLess(abs(found[made] - 4000 * share), 5 * spread)

  def test_crop_shift_off(self):
    image = jnp.asarray(images()[0])
    self.assertIs(crop_shift(jax.random.key(0), image, most=0), image)

  def test_erased_boxes(self):
    image = np.full((12, 16, 3), 9, np.uint8)
    found = draws(random_erasing, image, 2000, chance=0.6, area=(0.05, 0.3))
    black = (found == 0).all(-1)
    self.assertTrue(((found == 0) | (found == 9)).all())
    boxes = [one for one in black if one.any()]
    self.assertLess(abs(len(boxes) / 2000 - 0.6), 0.05)
    areas, places = [], set()
    for box in boxes:
      rows, columns = np.flatnonzero(box.any(1)), np.flatnonzero(box.any(0))
      self.assertEqual(box.sum(), len(rows) * len(columns))
      self.assertLess(len(rows), 12)
      self.assertLess(len(columns), 16)
      areas.append(box.mean())
      places |= {(0, rows[0]), (1, columns[0]), (2, rows[-1]), (3, columns[-1])}
    # Rounded to whole pixels; uniform between the two.
    self.assertGreater(min(areas), 0.03)
    self.assertLess(max(areas), 0.34)
    self.assertLess(abs(np.mean(areas) - 0.175), 0.01)
    self.assertContainsSubset({(0, 0), (1, 0), (2, 11), (3, 15)}, places)

  def test_boxes_that_never_fit_leave_the_image(self):
    image = np.full((4, 4, 1), 9, np.uint8)
    found = draws(random_erasing, image, 50, chance=1.0, area=(1.0, 1.0))
    # As tall as the image, or as wide: not taken, as by the reference.
    self.assertTrue((found == 9).all())


class PolicyTest(parameterized.TestCase):
  def test_color_shape_draws_each_operation_as_often_as_told(self):
    image = 40 + images()[0] // 2
    for kind, rows in policies.COLOR_SHAPE.items():
      self.assertAlmostEqual(sum(row[1] for row in rows), 1)
      found = draws(policies.color_shape, image, 3000, kind=kind)
      for name, share in (('autocontrast', rows[4][1]), ('equalize', rows[5][1])):
        want = np.asarray(getattr(photometric, name)(jnp.asarray(image)))
        hits = (found == want).all((1, 2, 3)).mean()
        self.assertLess(abs(hits - share), 5 * math.sqrt(share / 3000), (kind, name))

  def test_shears_are_angles(self):
    image = 1 + images()[0] // 2
    found = draws(policies.color_shape, image, 2000, kind='shape')
    sheared = {}
    for angle in (0.05, 0.35):
      for sign in (1, -1):
        amount = sign * math.tan(angle)
        for name, turned in (
          ('x', (1, amount, -EDGE / 2 * amount, 0, 1, 0)),
          ('y', (1, 0, 0, amount, 1, -EDGE / 2 * amount)),
        ):
          made = pillow(image).transform((EDGE, EDGE), Image.Transform.AFFINE, turned)
          sheared[name, sign, angle] = (np.asarray(made) == 0).all(-1)
    # How much is black grows with the angle: none more than at the largest, some near it.
    black = (found == 0).all(-1)
    for name, sign in (('x', 1), ('x', -1), ('y', 1), ('y', -1)):
      most = sheared[name, sign, 0.35]
      same = [one for one in black if one.any() and not (one & ~most).any()]
      self.assertGreater(max(one.sum() for one in same), 0.97 * most.sum())

  def test_strengths_stay_in_their_range(self):
    # On one bright column only brightness scales all of an image alike; see how far.
    image = np.full((8, 8, 1), 100, np.uint8)
    image[0, 0], image[7, 7] = 0, 101
    found = draws(policies.color_shape, image, 3000, kind='color')[:, 3, 3, 0]
    self.assertGreaterEqual(found[found > 100].min(), 101)
    self.assertLessEqual(found[found < 252].max(), 190)
    self.assertGreaterEqual(found.min(), 50)

  def test_autoaugment_is_the_published_policy(self):
    """Every outcome is a pair of operations at its strength, by Pillow."""
    image = images()[0]
    ops = {'saturation': 'Color', 'brightness': 'Brightness', 'contrast': 'Contrast'}
    ops['sharpness'] = 'Sharpness'

    def applied(given, name, step):
      share, out = step / 9, []
      for sign in (1, -1) if name in policies.SIGNED else (1,):
        if name in ops:
          made = getattr(ImageEnhance, ops[name])(given).enhance(1 + sign * 0.9 * share)
        elif name == 'shear_y':
          turned = (1, 0, 0, sign * 0.3 * share, 1, 0)
          made = given.transform((EDGE, EDGE), Image.Transform.AFFINE, turned)
        elif name.startswith('translate'):
          by = -sign * int(150 / 331 * EDGE * share)
          turned = (1, 0, by, 0, 1, 0) if name[-1] == 'x' else (1, 0, 0, 0, 1, by)
          made = given.transform((EDGE, EDGE), Image.Transform.AFFINE, turned)
        elif name == 'rotate':
          made = given.rotate(sign * 30 * share)
        elif name == 'posterize':
          made = ImageOps.posterize(given, 8 - round(4 * share))
        elif name == 'solarize':
          made = ImageOps.solarize(given, 255 * (1 - share))
        else:
          made = getattr(ImageOps, name)(given)
        out.append(made)
      return out

    likely = []
    for first, second in policies.AUTOAUGMENT:
      for now in (0, 1):
        for then in (0, 1):
          chance = (first[1] if now else 1 - first[1]) / len(policies.AUTOAUGMENT)
          chance *= second[1] if then else 1 - second[1]
          ways = applied(pillow(image), first[0], first[2]) if now else [pillow(image)]
          ways = [
            w for way in ways for w in (applied(way, *second[::2]) if then else [way])
          ]
          likely += [(np.asarray(way), chance / len(ways)) for way in ways if chance]
    found = draws(policies.autoaugment, image, 3000)
    stack = np.stack([way for way, _ in likely]).astype(int)
    near = [
      (np.abs(stack - one).max(-1) <= 2).mean((1, 2)) > 0.97 for one in found.astype(int)
    ]
    self.assertTrue(np.any(near, 1).all())
    # As often as their chances say: outcomes that look alike count together.
    alike = np.array(
      [(np.abs(stack - way).max(-1) <= 2).mean((1, 2)) > 0.97 for way in stack]
    )
    chances = np.array([chance for _, chance in likely])
    self.assertAlmostEqual(chances.sum(), 1)
    for k in range(len(likely)):
      share, hits = chances[alike[k]].sum(), np.mean([row[k] for row in near])
      self.assertLess(abs(hits - share), 0.005 + 5 * math.sqrt(share / 3000), k)


class AugmentationTest(parameterized.TestCase):
  def test_one_operation_changes_no_draw_of_another(self):
    image = jnp.asarray(images()[0])
    keys = jax.random.split(jax.random.key(0), 8)
    plain = jax.vmap(lambda key: Augmentation(pad=2)(key, image))(keys)
    more = jax.vmap(lambda key: Augmentation(pad=2, erasing=1.0)(key, image))(keys)
    changed = (plain != more).any(-1)
    self.assertTrue(changed.any((1, 2)).all())
    np.testing.assert_array_equal(more[changed], 0)

  @parameterized.parameters(
    (dict(pad=-1), 'augment.pad is -1'),
    (dict(pad=1.5), 'augment.pad is 1.5; it must be a whole number'),
    (dict(crop_shift=-1), 'augment.crop_shift is -1'),
    (dict(policy='idbh'), r"augment.policy is 'idbh'.*allowed: '', 'idbh_color'"),
    (dict(erasing=1.1), 'augment.erasing is 1.1; it must be between 0 and 1'),
    (dict(erasing_area=(0.5, 0.2)), r'augment.erasing_area is \(0.5, 0.2\)'),
    (dict(erasing_area=(0.5,)), 'smallest and the largest share'),
    (dict(erasing_area=(0.1, 'x')), 'smallest and the largest share'),
  )
  def test_values_that_are_refused(self, options, message):
    with self.assertRaisesRegex(InputError, message):
      Augmentation(**options)

  @parameterized.parameters(
    (dict(augment__preset='idbh'), "config.augment.preset is 'idbh'"),
    (dict(augment__late=dict(epoch=1, preset='idbh_weak')), 'late.epoch is 1.*give config'),
    (dict(augment__late__epoch=2), "late.preset is ''; give both, or neither"),
    (dict(augment__late__preset='idbh_weak'), 'late.epoch is 0.*give both'),
    (dict(augment__late__epoch=3, augment__late__preset='idbh_weak'),
     'config.augment.late.epoch is 3, but the training has 2 epochs'),
    (dict(augment__cutmix=-1.0), 'config.augment.cutmix is -1'),
    (dict(sampling='balanced'), "config.sampling is 'balanced'.*'class_balanced'"),
  )  # fmt: skip
  def test_configs_that_are_refused(self, changes, message):
    with self.assertRaisesRegex(InputError, message):
      experiment.resolve(tiny.config('sat', teachers=[], **changes))

  @parameterized.parameters(
    (dict(augment__crop_shift=8), 'crop_shift is 8, but images are 8 x 8 pixels'),
    (dict(augment__cutout=8), 'cutout is 8, but images are 8 x 8 pixels'),
    (dict(augment__policy='autoaugment', data__channels=2), 'images have 2 channels'),
    (dict(augment__late__epoch=2, augment__late__preset='idbh_weak'), 'crop_shift is 10'),
  )
  def test_images_that_do_not_fit(self, changes, message):
    with self.assertRaisesRegex(InputError, message):
      tiny.Run(tiny.config('sat', teachers=[], **changes))

  def test_presets(self):
    made = tiny.config('sat', teachers=[], epochs=4)
    for name, told in PRESETS.items():
      made.augment = dict(preset=name)
      full = experiment.resolve(made)
      first, late = make_augmentation(full)
      self.assertIsNone(late)
      for key, value in told.items():
        self.assertEqual(getattr(first, key), value)
      self.assertEqual(first.flip, full.augment.flip)
      # As it is once more, from what a run keeps.
      self.assertEqual(experiment.resolve(full).augment, full.augment)
    made.augment = dict(preset='idbh_weak', late=dict(epoch=3, preset='autoaugment'))
    _, (before, late) = make_augmentation(experiment.resolve(made))
    self.assertEqual((before, late.crop_shift, late.pad), (2, 0, 4))

  def test_who_has_the_last_word(self):
    def found(*texts, **augment):
      made = tiny.config('sat', teachers=[])
      made.augment = augment
      node = experiment.resolve(made, list(texts)).augment
      return node.pad, node.erasing, node.crop_shift

    # A key on the command line, a preset there, the file's keys, the file's preset.
    preset = 'augment.preset=idbh_strong'
    self.assertEqual(found(preset, pad=1, erasing=0.2), (0, 1.0, 10))
    for texts in ((preset, 'augment.pad=4'), ('augment.pad=4', preset)):
      self.assertEqual(found(*texts, pad=1), (4, 1.0, 10))
    self.assertEqual(found(preset='idbh_weak', erasing=0.2), (0, 0.2, 10))
    self.assertEqual(found('augment.erasing=0', preset='idbh_weak'), (0, 0.0, 10))
    # Keys that stand there with their defaults, as in `configs.base()`, are no choice.
    every = {**configs.base().augment.to_dict(), 'preset': 'idbh_weak'}
    self.assertEqual(found(**every), (0, 0.5, 10))
    with self.assertRaisesRegex(InputError, "config.augment.preset is 'idbh'"):
      found('augment.preset=idbh')

  def test_late_recipe_takes_over_where_its_epoch_begins(self):
    late = dict(augment__late__epoch=2, augment__late__preset='autoaugment')
    same = dict(augment__preset='autoaugment')
    runs = [
      tiny.Run(tiny.config('natural', teachers=[], **changes))
      for changes in ({}, late, same)
    ]
    per_epoch = runs[0].setup.steps_per_epoch

    def batch(run, step):
      order = run.setup.order(jnp.int32(0))[0]
      key, at = jax.random.key(7), jnp.int32(step)
      made = jax.jit(run.setup.make_batch)(key, run.images, order, at)
      return np.asarray(made['image'])

    plain, switched, always = [[batch(run, s) for s in range(9)] for run in runs]
    for step in range(9):
      want = always if step >= per_epoch else plain
      np.testing.assert_array_equal(switched[step], want[step])
    self.assertTrue((plain[0] != always[0]).any())


class BalanceTest(parameterized.TestCase):
  def test_each_class_as_often_as_any_other(self):
    labels = np.repeat([0, 1, 3], [40, 7, 5])
    draw = jax.jit(class_balanced(labels))
    seen = set()
    for seed in range(6):
      found = np.asarray(draw(jax.random.key(seed)))
      self.assertEqual(found.shape, labels.shape)
      shares = np.bincount(labels[found], minlength=4)
      self.assertEqual(shares[2], 0)
      self.assertEqual(sorted(shares[[0, 1, 3]]), [17, 17, 18])
      seen.add(tuple(shares))
      times = np.bincount(found, minlength=len(labels))
      # No image again before its whole class had its turn.
      for label in (0, 1, 3):
        own = times[labels == label]
        self.assertLessEqual(own.max() - own.min(), 1)
      # Not class after class.
      self.assertGreater(len(set(labels[found[:12]])), 1)
    self.assertGreater(len(seen), 1)

  def test_a_run_draws_so(self):
    made = tiny.config('natural', teachers=[], sampling='class_balanced')
    made.data.train = 75
    run = tiny.Run(made)
    order = np.asarray(run.setup.order(jnp.int32(0))).ravel()
    labels = run.data.train.label[order[order >= 0]]
    shares = np.bincount(labels)
    self.assertLessEqual(shares.max() - shares.min(), 1)
    plain = np.bincount(run.data.train.label)
    self.assertGreater(plain.max() - plain.min(), 1)


if __name__ == '__main__':
  absltest.main()
