"""Known ways to look robust are noticed; honest classifiers pass."""

import functools
import json
import os
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import tiny
from absl.testing import absltest, parameterized
from cascade_test import digits, linear_digits, loaded
from ml_collections import ConfigDict

from jaxrkd import attacks, experiment
from jaxrkd.attacks import ATTACKS, Linf, Randomised
from jaxrkd.errors import InputError
from jaxrkd.evaluate import attack_images, results, trust, trust_panel
from jaxrkd.evaluate.given import Given
from jaxrkd.evaluate.robustness import Loaded
from jaxrkd.evaluate.table_checks import Column, Table
from jaxrkd.evaluate.task import Images, Subject
from jaxrkd.evaluate.trust_limits import LIMITS, check
from jaxrkd.experiment.result_names import ending
from jaxrkd.programs import evaluate as remeasure
from jaxrkd.report import run_page
from jaxrkd.runtime import sharding


def checks(logits_fn, **options):
  images, labels, _ = digits()
  found = trust_panel(logits_fn, images, labels, Linf(0.1), count=24, **options)
  return {c.name: c for c in found.checks}, found


@jax.custom_jvp
def staircase(x):
  """Quantisation: the same decisions, no slope."""
  return jnp.round(x * 16) / 16


@staircase.defjvp
def _flat(primals, tangents):
  return staircase(*primals), jnp.zeros_like(tangents[0])


# Of digits: an honest classifier, and ways to look robust.
WAYS = {
  'honest': linear_digits,
  'masked': lambda x: linear_digits(staircase(x)),
  'turned': lambda x: linear_digits(2 * jax.lax.stop_gradient(x) - x),
  # The root has the value 0 and no slope.
  'no slope': lambda x: linear_digits(x) + jnp.sqrt(x - x).sum((1, 2, 3))[:, None],
}


def way(name):
  """One of `WAYS`, as a function whose code is that of all: compiled once."""
  chosen = jnp.asarray(
    [list(WAYS).index(name)]
  )  # a number alone would be part of the code
  return lambda x: jax.lax.switch(chosen[0], tuple(WAYS.values()), x)


RADIUS = 0.1


def along(points):
  """A classifier whose margin follows a line of points against the mean change of grey.

  Args:
    points: (mean change in units of `RADIUS`, margin), the changes ascending.
  """
  # As many for each: what is compiled for one then serves all.
  last, end = points[-1]
  points = [*points, *((last + k, end) for k in range(1, 7 - len(points)))]
  place, margin = (jnp.asarray(column) for column in zip(*points))

  def logits_fn(x):
    moved = (x.mean((1, 2, 3)) - 0.5) / RADIUS
    own = jnp.interp(moved, place, margin)
    return jnp.stack([own, -own], -1)

  return logits_fn


def chain(x):
  """Each of nine pixels has a slope only once the one before it has gone all its way."""
  moved = ((x.reshape(len(x), -1)[:, :9] - 0.5) / RADIUS + 1) / 2
  done = jax.lax.stop_gradient(moved > 0.95).astype(x.dtype)
  before = jnp.cumprod(jnp.pad(done[:, :-1], ((0, 0), (1, 0)), constant_values=1), 1)
  own = 1 - 1.1 * (before * moved).mean(1)
  return jnp.stack([own, -own], -1)


GREY = np.full((24, 8, 8, 1), 0.5, np.float32), np.zeros(24, int)
# Down a little, up a hill, and down beyond: one step of the radius jumps over it.
HILL = along([(-2, 1.5), (0, 1.0), (0.3, 0.8), (0.9, 1.5), (1.0, -1.0), (5, -1.0)])
# Wrong at the border of the ball alone: in a larger one, steps go to and fro around it.
NARROW = along([(-9, 2.0), (0, 1.0), (0.96, 0.5), (1.0, -1.0), (1.04, 0.5), (9, 3.0)])
# No way down until almost the end of the ball.
EASY = along([(-2, 1.5), (0, 1.0), (1.0, -1.0), (5, -1.5)])


def on_grey(logits_fn, verdicts=None, **options):
  panel = trust_panel(
    logits_fn, *GREY, Linf(RADIUS), count=24, verdicts=verdicts, **options
  )
  return {c.name: c for c in panel.checks}


@functools.cache
def measured(logits_fn, name, radius=RADIUS, **options):
  return attack_images(logits_fn, *GREY, ATTACKS[name](Linf(radius), **options))


class TableTest(parameterized.TestCase):
  """The panel judges the numbers of the table: of each check a network fails and passes."""

  def test_one_step_that_beats_many(self):
    table = {
      'fgsm': measured(HILL, 'fgsm'),
      'pgd': measured(HILL, 'pgd'),
    }
    self.assertEqual(table['fgsm'].robust_accuracy, 0)
    self.assertEqual(table['pgd'].robust_accuracy, 1)
    for verdicts in (table, None):
      found = on_grey(HILL, verdicts)['FGSM beats PGD']
      self.assertEqual((found.status, found.value), ('fail', 100))
    easy = {n: measured(EASY, n) for n in table}
    self.assertEqual(on_grey(EASY, easy)['FGSM beats PGD'].status, 'pass')
    # The columns are asked, not the panel's own attacks.
    honest = {**table, 'fgsm': easy['fgsm'], 'pgd': easy['pgd']}
    self.assertEqual(on_grey(HILL, honest)['FGSM beats PGD'].status, 'pass')

  def test_a_stronger_attack(self):
    weak = measured(HILL, 'pgd')
    found = on_grey(HILL, weak)['a stronger attack was found']
    self.assertEqual((found.status, found.value), ('fail', 100))
    # Any column of the table may have broken it before.
    strong = measured(HILL, 'fgsm')
    both = {'pgd': weak, 'fgsm': strong}
    self.assertEqual(on_grey(HILL, both)['a stronger attack was found'].status, 'pass')
    self.assertEqual(on_grey(HILL)['a stronger attack was found'].status, 'skip')

  def test_one_image_in_fifty_is_enough(self):
    """Each image is a proof: no sampling error excuses it."""
    images = loaded_grey().images
    columns = {'pgd': Column.of(measured(HILL, 'pgd'))}
    table = Table(columns, Linf(RADIUS), images)
    found = trust.rated('a stronger attack was found', table.beaten(np.arange(24) == 3))
    self.assertEqual(found.status, 'fail')
    self.assertAlmostEqual(found.value, 100 / 24)
    self.assertEqual(check('a stronger attack was found', 2.0).status, 'fail')
    self.assertEqual(check('a stronger attack was found', 1.0).status, 'warn')
    self.assertEqual(check('a stronger attack was found', 0.0).status, 'pass')

  def test_a_budget_that_is_too_small(self):
    weak = measured(chain, 'pgd')
    self.assertGreater(weak.robust_accuracy, 0.9)
    for verdicts in (weak, None):
      found = on_grey(chain, {'pgd': weak} if verdicts else None)
      self.assertEqual(found['budget too small'].status, 'fail')
    enough = measured(chain, 'pgd', steps=100)
    found = on_grey(chain, {'pgd_100': enough})
    self.assertEqual(found['budget too small'].status, 'pass')
    self.assertEqual(found['a stronger attack was found'].status, 'pass')

  def test_accuracy_that_rises_with_eps(self):
    found = on_grey(NARROW)['accuracy rises with eps']
    self.assertEqual(found.status, 'fail')
    self.assertGreater(found.value, 50)
    self.assertEqual(on_grey(EASY)['accuracy rises with eps'].status, 'pass')

  def test_columns_of_random_search_and_transfer(self):
    masked = lambda x: linear_digits(staircase(x))
    images, labels, _ = digits()
    threat = Linf(0.15)
    square = attacks.square(threat, queries=200)
    table = {
      'apgd_ce': attack_images(masked, images, labels, attacks.apgd(threat, steps=5)),
      'square': attack_images(masked, images, labels, square),
      'from_smooth': attack_images(
        masked, images, labels, attacks.pgd(threat), surrogate=linear_digits
      ),
    }
    self.assertGreater(table['apgd_ce'].robust_accuracy, table['square'].robust_accuracy)
    panel = trust_panel(masked, images, labels, threat, count=4, verdicts=table)
    found = {c.name: c for c in panel.checks}
    # Over all images of the table, where the panel itself looked at four.
    for name in ('Square beats APGD', 'transfer beats white-box'):
      self.assertEqual(found[name].status, 'fail', name)
      self.assertGreater(found[name].value, 20)
    del table['apgd_ce'], table['square']
    panel = trust_panel(masked, images, labels, threat, count=4, verdicts=table)
    found = {c.name: c for c in panel.checks}
    self.assertEqual(found['transfer beats white-box'].status, 'skip')

  def test_square_inside_autoattack(self):
    masked = lambda x: linear_digits(staircase(x))
    images, labels, _ = digits()
    parts = attacks.autoattack(
      Linf(0.15), version='custom', parts=('apgd_ce', 'square'), steps=5, queries=200
    )
    whole = attack_images(masked, images, labels, parts)
    panel = trust_panel(masked, images, labels, Linf(0.15), count=4, verdicts=whole)
    found = {c.name: c for c in panel.checks}['Square beats APGD']
    self.assertEqual(found.status, 'fail')

  def test_columns_of_another_ball_are_not_judged(self):
    weak = measured(HILL, 'pgd', RADIUS / 2)
    column = Column(weak, 'pgd', Linf(RADIUS / 2))
    fog = Column(weak, 'fog', None, ball=False)
    part = loaded_grey()
    found = trust.panel(
      *(Subject(Given(HILL), ((), ())), part, Linf(RADIUS), jax.random.key(0)),
      table={'small': column, 'fog': fog},
    )
    status = {c.name: c.status for c in found.checks}
    self.assertEqual(status['a stronger attack was found'], 'skip')

  def test_verdicts_of_other_images(self):
    other = attack_images(
      *(EASY, GREY[0], GREY[1], attacks.fgsm(Linf(RADIUS))), index=np.arange(24) + 100
    )
    with self.assertRaisesRegex(InputError, 'are of other images: 24 of the 24'):
      on_grey(EASY, other)
    with self.assertRaisesRegex(InputError, 'give what attack_images returned'):
      on_grey(EASY, {'fgsm': 0.5})

  def test_verdicts_of_another_ball(self):
    for ball in (Linf(RADIUS / 2), Linf(2 * RADIUS), attacks.L2(1.0)):
      found = attack_images(EASY, *GREY, attacks.pgd(ball))
      with self.assertRaisesRegex(InputError, 'are of the ball L.*ask about Linf'):
        on_grey(EASY, found)
    # A radius that went through a file is no other one.
    near = Linf(float(np.float32(RADIUS)))
    self.assertIn(
      'zero gradients', on_grey(EASY, attack_images(EASY, *GREY, attacks.pgd(near)))
    )

  def test_an_attack_of_another_ball_than_the_judged_one(self):
    for ball in (Linf(RADIUS / 2), Linf(2 * RADIUS), attacks.L2(1.0)):
      with self.assertRaisesRegex(
        InputError, 'the attack searches L.*but threat is Linf'
      ):
        attack_images(EASY, *GREY, attacks.autoattack(ball), threat=Linf(RADIUS))

  def test_verdicts_of_another_classifier(self):
    table = attack_images(EASY, *GREY, attacks.pgd(Linf(RADIUS)))
    for other in (lambda x: -EASY(x), lambda x: 1.3 * EASY(x)):
      with self.assertRaisesRegex(
        InputError, 'of another classifier or other labels: on 24'
      ):
        on_grey(other, table)
    with self.assertRaisesRegex(InputError, 'other labels'):
      trust_panel(EASY, GREY[0], GREY[1] + 1, Linf(RADIUS), count=24, verdicts=table)

  def test_arguments(self):
    for bad in (0.5, [1], 'aa.npz'):
      with self.assertRaisesRegex(InputError, 'verdicts are .*; give what attack_images'):
        on_grey(EASY, bad)
    with self.assertRaisesRegex(InputError, 'count'):
      trust_panel(EASY, *GREY, Linf(RADIUS), count=0)

  def test_few_images_pass_with_a_warning(self):
    for count, status in ((7, 'warn'), (20, 'pass')):
      panel = trust_panel(EASY, GREY[0][:count], GREY[1][:count], Linf(RADIUS))
      found = {c.name: c.status for c in panel.checks}
      self.assertEqual(found['few images'], status)

  def test_verdicts_with_an_index(self):
    index = np.arange(24) + 100
    found = attack_images(EASY, *GREY, attacks.pgd(Linf(RADIUS)), index=index)
    self.assertEqual(
      on_grey(EASY, found, index=index)['a stronger attack was found'].status, 'pass'
    )

  def test_a_larger_ball_counts_for_this_one(self):
    masked = lambda x: EASY(jnp.round(x * 1e6) / 1e6)
    found = attack_images(masked, *GREY, ATTACKS['fgsm'](Linf(2 * RADIUS)))
    column = Column(found, 'fgsm', Linf(2 * RADIUS))
    panel = trust.panel(
      *(Subject(Given(masked), ((), ())), loaded_grey(), Linf(RADIUS), jax.random.key(0)),
      table={'large': column},
    )
    status = {c.name: c for c in panel.checks}['a stronger attack was found']
    self.assertEqual((status.status, status.value), ('fail', 100))


def loaded_grey():
  images, labels = GREY
  own = Images(images, labels.astype(np.int32), np.arange(24, dtype=np.int32))
  return Loaded(own, 24, sharding.data_mesh(jax.devices()[:1]))


class PanelTest(parameterized.TestCase):
  def test_an_honest_classifier_passes_every_check(self):
    images, labels, _ = digits()
    honest = way('honest')
    found, panel = checks(
      honest,
      surrogates={'twice': lambda x: 2 * linear_digits(x)},
      verdicts={
        name: attack_images(honest, images, labels, ATTACKS[name](Linf(0.1)))
        for name in ('fgsm', 'pgd', 'apgd_t')
      },
    )
    self.assertEqual({c.status for c in found.values()}, {'pass'})
    self.assertEqual(panel.status, 'pass')
    self.assertEqual(list(found), list(LIMITS))
    eps, accuracy = zip(*panel.curve)
    np.testing.assert_allclose(eps, [0, 0.025, 0.05, 0.1, 0.15, 0.2, 0.4, 0.5], rtol=1e-6)
    self.assertEqual((accuracy[0], accuracy[-1]), (1, 0))
    self.assertEqual(sorted(accuracy, reverse=True), list(accuracy))
    json.dumps(panel.as_dict())

  def test_masked_gradients_fail(self):
    found, panel = checks(way('masked'), surrogates={'smooth': linear_digits})
    for name in (
      'zero gradients',
      'Square beats APGD',
      'large eps leaves images right',
      'transfer beats white-box',
    ):
      self.assertEqual(found[name].status, 'fail', name)
    self.assertEqual(panel.status, 'fail')
    self.assertAlmostEqual(found['zero gradients'].value, 100)

  def test_one_answer_for_everything_is_no_failure_of_the_attack(self):
    # All images of one class stay right in any ball, as they should.
    one = lambda x: jnp.zeros((len(x), 10)).at[:, 3].set(5.0) + 0 * linear_digits(x)
    found, _ = checks(one)
    self.assertEqual(found['large eps leaves images right'].status, 'skip')

  def test_random_answers_fail(self):
    noisy = Randomised(
      lambda x, keys: (
        linear_digits(x) + jax.vmap(lambda k: jax.random.normal(k, (10,)))(keys)
      )
    )
    found, _ = checks(noisy)
    self.assertEqual(found['repeated outputs differ'].status, 'fail')
    found, _ = checks(lambda x: linear_digits(x - x.mean(0, keepdims=True)))
    self.assertEqual(found['repeated outputs differ'].status, 'fail')

  def test_gradients_that_point_the_wrong_way_fail(self):
    found, _ = checks(way('turned'))
    for name in ('Square beats APGD', 'large eps leaves images right'):
      self.assertEqual(found[name].status, 'fail')
    self.assertEqual(found['zero gradients'].status, 'pass')

  @parameterized.parameters((None, 'skip'), (0.5, 'pass'), (3, 'warn'), (11, 'fail'))
  def test_limits(self, value, status):
    found = check('zero gradients', value)
    self.assertEqual((found.status, found.value), (status, value))
    self.assertEqual(check('zero gradients', float('nan')).status, 'fail')

  @parameterized.parameters((1, 24, 'pass'), (4, 100, 'warn'), (12, 100, 'fail'))
  def test_few_images_must_be_sure(self, hits, images, status):
    found = check('Square beats APGD', 100 * hits / images, images)
    self.assertEqual(found.status, status)

  def test_no_image_is_right(self):
    labels = digits()[1]
    own = jax.nn.one_hot(np.array(labels), 10)
    own = jnp.concatenate([own, own[:2]])  # as the last batch is filled
    never = lambda x: 1e3 - 1e3 * own[: len(x)] + 0 * linear_digits(x)
    none = trust.panel(
      *(Subject(Given(never), ((), ())), loaded(32), Linf(0.1), jax.random.key(0)),
    )
    self.assertEqual((none.status, none.images), ('none', 0))
    self.assertEqual({c.status for c in none.checks}, {'skip'})

  def test_answers_that_a_compiled_program_would_freeze(self):
    rng = np.random.default_rng(0)
    found, _ = checks(lambda x: linear_digits(x) + rng.normal(size=10))
    self.assertEqual(found['repeated outputs differ'].status, 'fail')

  def test_gradients_that_are_no_numbers(self):
    found, panel = checks(way('no slope'))
    self.assertEqual(found['zero gradients'].status, 'fail')
    self.assertEqual(found['slopes not finite'].status, 'fail')
    self.assertEqual(panel.curve[0][1], 1)

  def test_an_honest_classifier_in_l1(self):
    images, labels, _ = digits()
    found = trust_panel(linear_digits, images, labels, attacks.L1(0.5), count=24)
    status = {c.name: c.status for c in found.checks}
    self.assertEqual(status['large eps leaves images right'], 'pass')
    self.assertEqual(status['accuracy rises with eps'], 'pass')

  def test_labels_beyond_the_classes(self):
    images, labels, _ = digits()
    with self.assertRaisesRegex(InputError, 'labels reach'):
      trust_panel(linear_digits, images, labels + 5, Linf(0.1))

  @parameterized.parameters((attacks.L2, 4.0), (attacks.L1, 32.0))
  def test_other_norms(self, norm, everything):
    self.assertEqual(trust.everything(norm(1.0), 64), everything)


class ProgramTest(parameterized.TestCase):
  """Short columns, the panel and the page, on a run of tiny networks."""

  def test_a_run_measured_with_other_attacks(self):
    folder = tiny.folder(self)
    config = tiny.config('rslad', epochs=1)
    experiment.train_and_evaluate(experiment.resolve(config), folder / 'run')
    first = json.loads((folder / 'run' / 'results.json').read_text())
    self.assertTrue(first['finished'])
    self.assertNotIn('trust', first)
    self.assertTrue((folder / 'run' / 'report.html').is_file())
    found = remeasure.remeasure(
      folder / 'run',
      [
        'evaluation.trust.images=6',
        'evaluation.images=10',
        'evaluation.attacks.autoattack.queries=10',
        'evaluation.attacks.autoattack.steps=3',
        'evaluation.search_precision=bfloat16',
      ],
      attacks=[
        'autoattack',
        'pgd_7',
        'cw_inf',
        'cw_inf@robust',
        f'fgsm@{folder / "run" / "teachers" / "robust"}',
      ],
    )
    best = found['student']['best']
    self.assertEqual(
      list(best['attacks']),
      [
        'fgsm_from_robust',
        'pgd_7',
        'cw_inf',
        'cw_inf_from_robust',
        'autoattack',
      ],
    )
    self.assertEqual(best['images'], 10)
    stages = best['attacks']['autoattack']['stages']
    self.assertEqual(list(stages), ['apgd_ce', 'apgd_t', 'fab_t', 'square'])
    for attack in best['attacks'].values():
      low, high = attack['interval']
      self.assertBetween(attack['robust'], low, high)
    self.assertIsNone(best['attacks']['cw_inf_from_robust']['search_robust'])
    self.assertIsNotNone(best['attacks']['cw_inf']['search_robust'])
    # Made on the teacher itself, a transfer attack is the attack.
    teacher = found['teachers']['robust']['attacks']
    self.assertEqual(teacher['cw_inf']['robust'], teacher['cw_inf_from_robust']['robust'])
    self.assertEqual({c['name'] for c in found['trust']['checks']}, set(LIMITS))
    (page,) = (folder / 'run').glob('report-*.html')
    text = page.read_text()
    for word in (
      'by rslad: ',
      'seed 0, teachers robust; measured with jaxrkd ',
      'autoattack',
      'apgd_t',
      'zero gradients',
      'Accuracy against eps',
      'student best',
    ):
      self.assertIn(word, text)

  @parameterized.parameters(
    ([], None, ''),
    # What changes no number needs no other file.
    (['evaluation.batch_size=4', 'evaluation.trust.images=3'], None, ''),
    (['evaluation.threat.eps=0.2'], None, r'-eps0\.2-'),
    (
      ['evaluation.threat.name=l2', 'evaluation.threat.eps=0.5', 'seed=12345'],
      ['fgsm'],
      r'-fgsm-eps0\.5-l2-seed12345-',
    ),
    (['teachers.clean.workdir=other'], None, '-teachers-'),
    ([], ['pgd_40', 'cw_inf@robust'], r'-cw_inf_from_robust\+pgd_40-'),
    (['evaluation.attacks.cw_inf.steps=7'], None, '-attacks-'),
  )
  def test_files_are_named_after_what_is_new(self, overrides, attacks, name):

    def named(seed, given):
      run = experiment.resolve(tiny.config('mtard', seed=seed))
      config = ConfigDict(run.to_dict())
      if attacks:
        config.evaluation.attacks = experiment.columns(attacks, run)
      return ending(experiment.resolve(config, given), run, tiny.folder(self))

    cases = (0, overrides), (0, overrides), (1, overrides), (0, ['seed=9'])
    made = [named(*case) for case in cases]
    self.assertRegex(made[0], f'^{name}[0-9a-f]{{8}}$' if name else '^$')
    # The same for runs of other seeds, so that theirs are found together.
    self.assertEqual(made[0], made[1])
    self.assertEqual(made[0], made[2])
    self.assertNotEqual(made[0], made[3])

  @parameterized.parameters(
    (['pgd_77'], "unknown attack 'pgd_77'.*did you mean"),
    ([], 'no attacks'),
    (['fgsm@nobody'], "surrogate is 'nobody'.*clean, robust"),
  )
  def test_mistakes(self, names, message):
    folder = tiny.folder(self) / 'run'
    folder.mkdir()
    config = experiment.resolve(tiny.config('mtard'))
    (folder / 'config.json').write_text(config.to_json())
    with self.assertRaisesRegex(InputError, message):
      remeasure.remeasure(folder, [], attacks=names)

  @parameterized.parameters(('fail', 3), ('none', 4), ('warn', 0))
  def test_strict_is_an_exit_status(self, status, code):
    """The program itself, with a measurement that has this panel."""
    script = (
      'import runpy, sys; from unittest import mock\n'
      f'found = {{"trust": {{"status": "{status}"}}}}\n'
      'sys.argv = ["evaluate.py", "--workdir=x", "--strict"]\n'
      'with mock.patch("jaxrkd.programs.evaluate.remeasure", lambda *a: found):\n'
      '  runpy.run_path("evaluate.py", run_name="__main__")\n'
    )
    launch = pathlib.Path(__file__).parent.parent / 'launch'
    ran = subprocess.run(
      [sys.executable, '-c', script],
      cwd=launch,
      env={**os.environ, 'PYTHONPATH': str(launch.parent)},
      capture_output=True,
      text=True,
    )
    self.assertEqual(ran.returncode, code, ran.stderr)

  def test_page_escapes_names(self):
    images, labels, _ = digits()
    found = attacks.fgsm(Linf(0.1))
    from jaxrkd.evaluate import attack_images

    row = results.summarize({'<b>': attack_images(linear_digits, images, labels, found)})
    said = {
      'threat_note': 'trained in l2',
      'data_notes': ['9 test images are trained on'],
    }
    page = run_page.page(
      run_page.Content(
        title='a < b',
        lead='<b>',
        about='<b>',
        rows={'<b>': row},
        stands='<b>',
        found={'selection': {'note': '<b>'}, **said},
        classes=['<b>'] * 10,
        cost=[('<b>', '<b>')],
        recipe='<b>',
        changes=[('<b>',) * 3],
        command='<b>',
        links=[('<b>', '<b>')],
      )
    )
    self.assertIn('a &lt; b', page)
    self.assertIn('Trained in l2.', page)
    self.assertNotIn('<b>', page)


if __name__ == '__main__':
  absltest.main()
