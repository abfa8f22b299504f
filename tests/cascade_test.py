"""The evaluation path: verdicts do not depend on how they are computed, nothing is lost."""

import errno
import functools
import pathlib
import sys
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import tiny
from absl.testing import absltest, parameterized

from jaxrkd import attacks, losses
from jaxrkd.attacks import Linf, Randomised
from jaxrkd.attacks.lanes import lane_sizes
from jaxrkd.data import SOURCES
from jaxrkd.errors import InputError
from jaxrkd.evaluate import attack_images, cascade, results, robustness, verdicts
from jaxrkd.evaluate.partial import Partial
from jaxrkd.evaluate.robustness import Loaded, measure
from jaxrkd.evaluate.task import Images, Subject
from jaxrkd.runtime import files, preemption, sharding

EPS = 0.15
COUNT = 30


@functools.cache
def digits():
  """Images, labels, and weights of a linear classifier that is right nine times in ten."""
  train, test = SOURCES['digits']()
  images = train.image.reshape(len(train), -1).astype(np.float64) / 255
  design = np.c_[images, np.ones(len(images))]
  targets = np.eye(10)[train.label]
  weights = np.linalg.solve(design.T @ design + 10 * np.eye(65), design.T @ targets) * 10
  part = test.take(np.arange(COUNT))
  return part.image.astype(np.float32) / 255, part.label, weights.astype(np.float32)


def linear_digits(x):
  weights = digits()[2]
  return x.reshape(len(x), -1) @ weights[:-1] + weights[-1]


def loaded(batch, devices=1, rows=None):
  images, labels, _ = digits()
  rows = np.arange(len(labels)) if rows is None else rows
  mesh = sharding.data_mesh(jax.devices()[:devices])
  own = Images(images[rows], labels[rows].astype(np.int32), rows.astype(np.int32))
  return Loaded(own, batch, mesh)


class Fixed:
  """A network with the linear classifier's logits."""

  def logits_fn(self, params, stats):
    del params, stats
    return linear_digits


SUBJECT = Subject(Fixed(), ((), ()))
# Weak enough that every part has something to do.
ATTACK = attacks.Cascade(
  (
    ('fgsm', attacks.stepwise.one_step(attacks.fgsm(Linf(0.03)))),
    ('fab_t', attacks.fab_t(Linf(0.05), steps=6, targets=2)),
    ('square', attacks.square(Linf(EPS), queries=30)),
  )
)


@functools.cache
def undisturbed():
  return measure(SUBJECT, loaded(32), ATTACK, jax.random.key(0), keep=True)


class CascadeTest(parameterized.TestCase):
  def assert_same(self, found, rows=None):
    want = undisturbed()
    rows = np.arange(len(want.label)) if rows is None else rows
    for name in ('robust', 'stage', 'reached', 'queries', 'adversarial_prediction'):
      np.testing.assert_array_equal(getattr(found, name), getattr(want, name)[rows], name)
    np.testing.assert_allclose(found.margin, want.margin[rows], rtol=1e-3, atol=1e-4)

  def test_every_part_breaks_something_and_something_stands(self):
    found = undisturbed()
    for name, seen in found.stages.items():
      self.assertGreater(seen['broken'], 0, name)
    self.assertBetween(found.robust_accuracy, 0.02, found.clean_accuracy - 0.2)
    self.assertEqual(found.stages['fgsm']['tried'], found.clean_correct.sum())
    standing = found.clean_correct.sum()
    for seen in found.stages.values():
      self.assertEqual(seen['tried'], standing)
      standing -= seen['broken']
    self.assertEqual(standing, found.robust.sum())

  @parameterized.parameters((1, 1), (7, 1), (256, 1), (8, 2), (8, 8), (24, 8))
  def test_batch_size_and_devices(self, batch, devices):
    self.assert_same(measure(SUBJECT, loaded(batch, devices), ATTACK, jax.random.key(0)))

  def test_order(self):
    rows = np.random.default_rng(0).permutation(COUNT)
    found = measure(SUBJECT, loaded(16, rows=rows), ATTACK, jax.random.key(0))
    self.assert_same(found, rows)

  def test_seed_changes_the_search(self):
    found = measure(SUBJECT, loaded(32), ATTACK, jax.random.key(1))
    self.assertGreater(np.abs(found.margin - undisturbed().margin).max(), 1e-4)

  def test_killed_anywhere_and_continued_on_other_devices(self):
    """Killed after every third note of where it is; each time other devices go on."""
    path = tiny.folder(self) / 'a.partial'
    partial = Partial(path, 'x')
    write, notes, kills, taken = partial.write, [0], 0, []

    def dying(*arguments):
      write(*arguments)
      notes[0] += 1
      if notes[0] % 3 == 0:
        raise KeyboardInterrupt

    settings = [(7, 1), (8, 2), (16, 8), (32, 1)]
    step = cascade.Stage._settle

    def counting(whole, fooled, done):
      taken.append(whole._name)
      step(whole, fooled, done)

    with (
      mock.patch.object(cascade, 'SAVE_EVERY', -1.0),
      mock.patch.object(partial, 'write', dying),
      mock.patch.object(cascade.Stage, '_settle', counting),
    ):
      found = None
      while found is None:
        where = loaded(*settings[kills % len(settings)])
        try:
          found = measure(SUBJECT, where, ATTACK, jax.random.key(0), partial=partial)
        except KeyboardInterrupt:
          kills += 1
    self.assertGreater(kills, 5)
    self.assert_same(found)
    # It goes on in the middle of a run: hardly any look at the lanes is made twice.
    self.assertLess(len(taken), 4 * notes[0])

  def test_told_to_end_it_notes_where_it_is(self):
    """In a job of several processes, where all of them pass; nothing is looked at twice."""
    partial, looks, told = (
      Partial(tiny.folder(self) / 'a.partial', 'x'),
      [],
      iter([0, 0, 1]),
    )
    step = cascade.Stage._settle

    def counting(whole, fooled, done):
      looks.append(whole._name)
      step(whole, fooled, done)

    go = lambda: measure(
      SUBJECT, loaded(8, 1), ATTACK, jax.random.key(0), partial=partial
    )
    with mock.patch.object(cascade.Stage, '_settle', counting):
      with (
        mock.patch.object(preemption, 'told_together', lambda: next(told)),
        self.assertRaises(preemption.Preempted),
      ):
        go()
      self.assertLen(looks, 3)
      self.assert_same(go())
      continued = len(looks)
      looks.clear()
      measure(SUBJECT, loaded(8, 1), ATTACK, jax.random.key(0))
    self.assertLen(looks, continued)

  def test_a_note_of_other_settings_or_a_damaged_one_is_not_read(self):
    path = tiny.folder(self) / 'a.partial'
    Partial(path, 'x').write(1, {'a': np.ones(2)}, {}, None, None)
    self.assertEqual(Partial(path, 'x').read().stage, 1)
    self.assertIsNone(Partial(path, 'y').read())
    partial = Partial(path, 'x')
    note = lambda rows: partial.write(1, {'a': np.ones(2)}, {}, None, rows)
    image = lambda value, *places: (np.array(places), np.full((len(places), 2), value))
    note(image(1.0, 3, 5))
    size = path.stat().st_size
    note(image(2.0))  # nothing is new
    note(image(3.0, 5))
    self.assertEqual(path.stat().st_size, size)
    self.assertLen(list(path.parent.iterdir()), 3)
    again = Partial(path, 'x')
    found = np.zeros((6, 2))
    for places, images in again.read().found:
      found[places] = images
    np.testing.assert_array_equal(found[:, 0], [0, 0, 0, 1, 0, 3])
    # It goes on behind them.
    again.write(2, {'a': np.ones(2)}, {}, None, image(4.0, 0))
    self.assertLen(Partial(path, 'x').read().found, 3)
    path.with_name('a.partial-1').write_bytes(b'')
    self.assertIsNone(Partial(path, 'x').read())
    again.remove()
    self.assertEmpty(list(path.parent.iterdir()))
    Partial(path, 'x').write(1, {'a': np.ones(2)}, {}, None, None)
    path.write_bytes(path.read_bytes()[:50])
    self.assertIsNone(Partial(path, 'x').read())

  def test_queries_are_counted(self):
    found = undisturbed()
    first = found.stage == 0
    np.testing.assert_array_equal(found.queries[first], 1)
    stands = found.robust
    # FGSM 1, FAB-T 2 for 6 steps and 2 targets, Square 31.
    np.testing.assert_array_equal(found.queries[stands], 1 + 2 * 6 * 2 + 31)
    np.testing.assert_array_equal(found.queries[~found.clean_correct], 0)

  def test_images_are_adversarial_inside_the_ball(self):
    found, (images, labels, _) = undisturbed(), digits()
    broken = found.stage >= 0
    wrong = np.asarray(linear_digits(found.images)).argmax(-1)
    np.testing.assert_array_equal(wrong[broken] != labels[broken], True)
    np.testing.assert_array_equal(wrong, found.adversarial_prediction)
    radius = np.array([0.03, 0.05, EPS, EPS])[found.stage]
    moved = np.abs(found.images - images).max((1, 2, 3))
    self.assertTrue(np.all(moved <= radius + 1e-6))
    margin = losses.margin(linear_digits(found.images), jnp.asarray(labels))
    np.testing.assert_allclose(found.margin, margin, rtol=1e-3, atol=1e-4)

  def test_what_leaves_the_ball_does_not_count(self):
    found = measure(SUBJECT, loaded(32), ATTACK, jax.random.key(0), threat=Linf(0.05))
    self.assertEqual(found.stages['square']['broken'], 0)
    np.testing.assert_array_equal(found.stage == 0, undisturbed().stage == 0)

  def test_lanes_are_filled_evenly_and_in_few_sizes(self):
    self.assertEqual(lane_sizes(104, 128, 1)[-1], 112)
    self.assertEqual(lane_sizes(300, 256, 1)[-1], 160)
    self.assertEqual(lane_sizes(10_000, 256, 8)[-1], 256)
    for waiting in range(1, 200):
      sizes = lane_sizes(waiting, 64, 8)
      self.assertLessEqual(len(sizes), 4)
      self.assertTrue(all(size % 8 == 0 and size <= 64 for size in sizes))
    self.assertEqual(lane_sizes(5, 1, 1), [1])

  def test_nothing_is_compiled_twice(self):
    where = loaded(8)
    measure(SUBJECT, where, ATTACK, jax.random.key(0))
    with tiny.compilations() as compiled:
      measure(SUBJECT, where, ATTACK, jax.random.key(0))
    self.assertEmpty(compiled)


class SearchPrecisionTest(absltest.TestCase):
  def test_only_what_float32_confirms_counts(self):
    """A coarse search network claims too much; every claim is judged, and most go on."""
    images, labels, _ = digits()

    def coarse(x):
      return linear_digits(x.astype(jnp.bfloat16).astype(jnp.float32)) + 0.6 * (
        jax.nn.one_hot(jnp.argmax(linear_digits(x), -1) + 1, 10)
      )

    attack = attacks.apgd(Linf(0.04), loss='dlr', steps=30)
    whole = attack_images(linear_digits, images, labels, attack)
    found = attack_images(linear_digits, images, labels, attack, search_logits_fn=coarse)
    self.assertGreater(found.about['refuted'], 0)
    self.assertLessEqual(found.about['search_robust'], found.robust_accuracy)
    self.assertEqual(whole.about['refuted'], 0)
    self.assertEqual(whole.about['search_robust'], whole.robust_accuracy)
    wrong = np.asarray(linear_digits(found.images)).argmax(-1) != labels
    np.testing.assert_array_equal(~found.robust, wrong | ~found.clean_correct)
    # Refuted claims go on searching: almost as much is broken.
    self.assertLessEqual(found.robust_accuracy, whole.robust_accuracy + 0.1)

  def test_fab_goes_on_after_a_claim_that_is_refuted(self):
    """The search network has its boundary nearer; farther images of the ball still count."""
    images, labels, _ = digits()

    def nearer(x):
      return linear_digits(x) + 0.3 * jax.nn.one_hot(5, 10)

    attack = attacks.fab_t(Linf(0.12), steps=20, targets=3)
    whole = attack_images(linear_digits, images, labels, attack)
    found = attack_images(linear_digits, images, labels, attack, search_logits_fn=nearer)
    self.assertGreater(found.about['refuted'], 0)
    self.assertLess(whole.robust_accuracy, whole.clean_accuracy - 0.3)
    self.assertLessEqual(found.robust_accuracy, whole.robust_accuracy + 0.1)

  def test_a_search_that_claims_everything_breaks_nothing(self):
    images, labels, _ = digits()
    liar = lambda x: -linear_digits(x)
    attack = attacks.apgd(Linf(0.0), steps=5)
    found = attack_images(linear_digits, images, labels, attack, search_logits_fn=liar)
    np.testing.assert_array_equal(found.robust, found.clean_correct)
    self.assertLess(found.about['search_robust'], 0.2)


class TransferTest(absltest.TestCase):
  def test_made_on_one_network_and_judged_on_another(self):
    images, labels, weights = digits()
    other_weights = weights + np.random.default_rng(0).normal(size=weights.shape) * 0.3
    other = lambda x: x.reshape(len(x), -1) @ other_weights[:-1] + other_weights[-1]
    attack = attacks.pgd(Linf(EPS), steps=10, step_size=0.02)
    white = attack_images(linear_digits, images, labels, attack)
    moved = attack_images(linear_digits, images, labels, attack, surrogate=other)
    keys = attacks.example_keys(jax.random.key(0), jnp.arange(len(labels)))
    want = attack(keys, other, jnp.asarray(images), jnp.asarray(labels))
    wrong = np.asarray(linear_digits(want)).argmax(-1) != labels
    np.testing.assert_array_equal(moved.robust, moved.clean_correct & ~wrong)
    self.assertGreater(moved.robust_accuracy, white.robust_accuracy)
    self.assertIsNone(moved.about['search_robust'])

  def test_networks_that_cannot_stand_beside_it_are_refused(self):
    images, labels, _ = digits()
    for other, message in (
      (lambda x: linear_digits(x) / 0, 'surrogate: .*not finite'),
      (
        lambda x: jnp.pad(linear_digits(x), ((0, 0), (0, 2))),
        '12 classes and logits_fn 10',
      ),
    ):
      with self.assertRaisesRegex(InputError, message):
        attack_images(
          *(linear_digits, images, labels, attacks.fgsm(Linf(EPS))), surrogate=other
        )

  def test_attacks_of_many_steps_run_to_their_end_on_the_surrogate(self):
    images, labels, _ = digits()
    attack = attacks.apgd(Linf(EPS), steps=20)
    found = attack_images(
      linear_digits, images, labels, attack, surrogate=lambda x: 2 * linear_digits(x)
    )
    early = attack_images(linear_digits, images, labels, attack)
    broken = found.stage == 0
    self.assertGreater(found.margin[broken].mean(), early.margin[broken].mean())


class LibraryTest(parameterized.TestCase):
  def test_a_path_is_read_and_not_measured_again(self):
    images, labels, _ = digits()
    path = tiny.folder(self) / 'aa.npz'
    parts = dict(version='custom', parts=('apgd_ce', 'square'))
    attack = attacks.autoattack(Linf(0.05), steps=5, queries=20, **parts)
    call = functools.partial(attack_images, linear_digits, images, labels, path=path)
    first = call(attack)
    with mock.patch.object(robustness, 'run_cascade', side_effect=AssertionError):
      again = call(attack)
    np.testing.assert_array_equal(first.robust, again.robust)
    np.testing.assert_array_equal(first.images, again.images)
    self.assertEqual(list(first.winner), list(again.winner))
    self.assertEqual([p.name for p in path.parent.iterdir()], ['aa.npz'])
    other = call(attacks.autoattack(Linf(0.05), steps=6, queries=20, **parts))
    self.assertEqual(other.queries.max(), 7 + 21)

  @parameterized.named_parameters(
    ('radius', lambda g: g.update(attack=attacks.fgsm(Linf(0.3)))),
    ('labels', lambda g: g.update(labels=(g['labels'] + 1) % 10)),
    ('network', lambda g: g.update(f=lambda x: linear_digits(x) * 1.5)),
    ('seed', lambda g: g.update(seed=1)),
  )
  def test_a_path_is_not_read_for_anything_else(self, change):
    images, labels, _ = digits()
    given = dict(f=linear_digits, labels=labels, attack=attacks.fgsm(Linf(0.01)), seed=0)
    path = tiny.folder(self) / 'aa.npz'

    def call(f, labels, attack, seed):
      return attack_images(f, images, labels, attack, seed=seed, path=path)

    call(**given)
    change(given)
    finish, calls = cascade.run_cascade, []

    def counting(task):
      calls.append(1)
      finish(task)

    with mock.patch.object(robustness, 'run_cascade', counting):
      call(**given)
      call(**given)
    self.assertLen(calls, 1)

  def test_a_damaged_path_is_measured_again(self):
    images, labels, _ = digits()
    path = tiny.folder(self) / 'aa.npz'
    attack = attacks.fgsm(Linf(0.1))
    call = functools.partial(
      attack_images, linear_digits, images, labels, attack, path=path
    )
    first, whole = call(), path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(20):
      broken = bytearray(whole)
      place = rng.integers(0, len(whole) - 8)
      broken[place : place + 8] = rng.bytes(8)
      path.write_bytes(bytes(broken))
      again = verdicts.read(path, 'x')
      self.assertIsNone(again)
    path.write_bytes(whole[: len(whole) // 2])
    np.testing.assert_array_equal(call().robust, first.robust)

  def test_uint8_images_are_levels(self):
    images, labels, _ = digits()
    levels = np.round(images * 255).astype(np.uint8)
    attack = attacks.fgsm(Linf(EPS))
    a, b = (attack_images(linear_digits, x, labels, attack) for x in (images, levels))
    np.testing.assert_array_equal(a.robust, b.robust)

  def test_random_numbers_belong_to_the_index(self):
    images, labels, _ = digits()
    attack = attacks.pgd(Linf(EPS), steps=5, step_size=0.03)
    whole = attack_images(linear_digits, images, labels, attack)
    part = attack_images(
      linear_digits, images[20:], labels[20:], attack, index=np.arange(20, COUNT)
    )
    np.testing.assert_allclose(part.images, whole.images[20:], atol=1e-6)

  def test_summary_has_intervals_and_which_images(self):
    found = undisturbed()
    row = results.summarize({'all': found})
    low, high = row['clean_interval']
    self.assertBetween(row['clean'], low, high)
    # Wilson: 1.96 standard errors around a centre drawn to one half.
    n, p, z = COUNT, row['clean'], 1.959964
    centre, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    np.testing.assert_allclose(
      [low, high], [(centre + s * half) / (1 + z * z / n) for s in (-1, 1)], rtol=1e-5
    )
    other = measure(SUBJECT, loaded(32, rows=np.arange(20)), None, jax.random.key(0))
    hashes = {row['index_hash'], results.index_hash(other.index)}
    self.assertLen(hashes, 2)
    self.assertEqual(row['attacks']['all']['stages'], found.stages)
    self.assertEqual(
      set(results.worst_case({'all': found})['winner']),
      {'', 'clean', 'all/fgsm', 'all/fab_t', 'all/square'},
    )


def _bad(change):
  images, labels, _ = digits()
  given = {'f': linear_digits, 'images': images.copy(), 'labels': labels.copy()}
  change(given)
  return given


def _set(**values):
  return lambda given: given.update(values)


class InputTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('range', lambda g: g.update(images=g['images'] * 255), r'from 0 to 255.*\[0, 1\]'),
    (
      'nan',
      lambda g: g['images'].__setitem__((3, 0, 0, 0), np.nan),
      'hold NaN, first in image 3',
    ),
    ('shape', lambda g: g.update(images=g['images'][0]), r'shape \(8, 8, 1\)'),
    ('ints', lambda g: g.update(images=g['images'].astype(int)), 'images are int64'),
    ('labels', lambda g: g.update(labels=g['labels'][:-1]), r'one integer for each'),
    ('floats', lambda g: g.update(labels=g['labels'] * 1.0), 'type float64'),
    ('beyond', lambda g: g.update(labels=g['labels'] + 1), 'labels reach from 1 to 10'),
    ('logits', _set(f=lambda x: linear_digits(x)[0]), r'maps images .* to \(10,\)'),
    ('fails', _set(f=lambda x: x @ jnp.ones((3, 2))), 'logits_fn fails on images'),
    (
      'probabilities',
      _set(f=lambda x: jax.nn.softmax(linear_digits(x))),
      'probabilities',
    ),
    ('not numbers', _set(f=lambda x: linear_digits(x) / 0), 'not finite numbers on'),
    (
      'batch statistics',
      _set(f=lambda x: linear_digits(x - x.mean(0, keepdims=True))),
      'an image in another batch',
    ),
  )
  def test_one_sentence(self, change, message):
    given = _bad(change)
    with self.assertRaisesRegex(InputError, message) as caught:
      attack_images(given['f'], given['images'], given['labels'], attacks.fgsm(Linf(EPS)))
    self.assertNotIn('\n', str(caught.exception))

  def test_a_classifier_that_draws(self):
    state = np.random.default_rng(0)

    def drawing(x):
      shape = jax.ShapeDtypeStruct((len(x), 10), jnp.float32)
      noise = lambda: state.normal(size=(len(x), 10)).astype(np.float32)
      return linear_digits(x) + jax.pure_callback(noise, shape)

    images, labels, _ = digits()
    with self.assertRaisesRegex(InputError, 'differently when asked again'):
      attack_images(drawing, images, labels, attacks.fgsm(Linf(EPS)))

  def test_a_randomised_classifier_under_rand(self):
    images, labels, _ = digits()
    noisy = Randomised(
      lambda x, keys: linear_digits(
        x + 0.05 * jax.vmap(lambda k: jax.random.normal(k, (8, 8, 1)))(keys)
      )
    )
    attack = attacks.autoattack(Linf(0.08), version='rand', steps=5)
    found = attack_images(noisy, images, labels, attack)
    self.assertLess(found.robust_accuracy, found.clean_accuracy - 0.2)
    self.assertEqual(found.queries[found.robust].max(), 2 * 6 * 20)

  def test_two_kinds_of_other_classifiers(self):
    images, labels, _ = digits()
    with self.assertRaisesRegex(InputError, 'both search_logits_fn and surrogate'):
      attack_images(
        *(linear_digits, images, labels, attacks.fgsm(Linf(EPS))),
        search_logits_fn=linear_digits,
        surrogate=linear_digits,
      )


class FullDiskTest(absltest.TestCase):
  def test_says_what_is_kept_and_leaves_no_half_file(self):
    folder = tiny.folder(self)
    files.write_json(folder / 'a.json', 1)
    full = OSError(errno.ENOSPC, 'No space left on device')
    message = 'a.json.*No space left.*kept.*again'
    with (
      mock.patch.object(pathlib.Path, 'write_text', side_effect=full),
      self.assertRaisesRegex(InputError, message),
    ):
      files.write_json(folder / 'a.json', 2)
    self.assertEqual((folder / 'a.json').read_text(), '1\n')
    self.assertLen(list(folder.iterdir()), 1)

  def test_an_unwritable_folder_is_noticed_before_work_begins(self):
    images, labels, _ = digits()
    place = tiny.folder(self) / 'file'
    place.write_text('')
    with (
      mock.patch.object(robustness, 'run_cascade', side_effect=AssertionError),
      self.assertRaisesRegex(InputError, "cannot write '.*file"),
    ):
      attack_images(
        *(linear_digits, images, labels, attacks.fgsm(Linf(EPS))),
        path=place / 'aa.npz',
      )

  def test_a_disk_that_fills_up_loses_nothing_that_was_noted(self):
    images, labels, _ = digits()
    path = tiny.folder(self) / 'aa.npz'
    call = lambda: attack_images(linear_digits, images, labels, ATTACK, path=path)
    save, notes = np.savez, [0]

    def filling(*arguments, **arrays):
      notes[0] += 1
      if notes[0] > 4:
        raise OSError(errno.ENOSPC, 'No space left on device')
      save(*arguments, **arrays)

    with (
      mock.patch.object(cascade, 'SAVE_EVERY', -1.0),
      mock.patch.object(np, 'savez', filling),
      self.assertRaisesRegex(InputError, 'No space left'),
    ):
      call()
    left = sorted(p.name for p in path.parent.iterdir())
    self.assertEqual(left, ['aa.partial', 'aa.partial-0', 'aa.partial-1'])
    np.testing.assert_array_equal(call().stage, undisturbed().stage)
    self.assertEqual([p.name for p in path.parent.iterdir()], ['aa.npz'])

  def test_images_are_kept_where_they_fit_or_are_asked_for(self):
    images, labels, _ = digits()
    given = linear_digits, images[:8], labels[:8], attacks.fgsm(Linf(0.05))
    self.assertIsNotNone(attack_images(*given).images)
    room = sys.modules['jaxrkd.evaluate.attack_images']
    with mock.patch.object(room, 'MOST_KEPT', 4 * images[:8].size - 1):
      self.assertIsNone(attack_images(*given).images)
      self.assertIsNotNone(attack_images(*given, keep_images=True).images)
    with mock.patch.object(room, 'MOST_KEPT', 4 * images[:8].size):
      self.assertIsNotNone(attack_images(*given).images)


if __name__ == '__main__':
  absltest.main()
