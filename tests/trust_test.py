"""Known ways to look robust are noticed; honest classifiers pass."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import tiny
from absl.testing import absltest, parameterized
from cascade_test import digits, linear_digits, loaded
from ml_collections import ConfigDict

from jaxrkd import attacks, build, remeasure, report
from jaxrkd import run as experiment
from jaxrkd.attacks import Linf, Randomised
from jaxrkd.errors import InputError
from jaxrkd.evaluate import results, trust, trust_panel
from jaxrkd.evaluate.attack_images import Given
from jaxrkd.evaluate.task import Subject
from jaxrkd.evaluate.trust import LIMITS, check
from jaxrkd.run.result_names import ending


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


class PanelTest(parameterized.TestCase):
  def test_an_honest_classifier_passes_every_check(self):
    found, panel = checks(
      linear_digits, surrogates={'twice': lambda x: 2 * linear_digits(x)}
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
    masked = lambda x: linear_digits(staircase(x))
    found, panel = checks(masked, surrogates={'smooth': linear_digits})
    for name in (
      'zero gradients',
      'Square beats APGD',
      'large eps leaves images right',
      'transfer beats white-box',
    ):
      self.assertEqual(found[name].status, 'fail', name)
    self.assertEqual(panel.status, 'fail')
    self.assertAlmostEqual(found['zero gradients'].value, 100)

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
    turned = lambda x: linear_digits(2 * jax.lax.stop_gradient(x) - x)
    found, _ = checks(turned)
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
    """sqrt(x - x) has the value 0 and no slope."""
    found, panel = checks(
      lambda x: linear_digits(x) + jnp.sqrt(x - x).sum((1, 2, 3))[:, None]
    )
    self.assertEqual(found['zero gradients'].status, 'fail')
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
    experiment.train_and_evaluate(build.resolve(config), folder / 'run')
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
      'data:image/png',
      'student best',
    ):
      self.assertIn(word, text)

  @parameterized.parameters(
    ([], None, ''),
    # What changes no number needs no other file.
    (['evaluation.batch_size=4', 'evaluation.trust.images=3'], None, ''),
    (['evaluation.threat.eps=0.2'], None, r'-eps0\.2-'),
    (['evaluation.threat.name=l2', 'seed=12345'], ['fgsm'], '-fgsm-l2-seed12345-'),
    (['teachers.clean.workdir=other'], None, '-teachers-'),
    ([], ['pgd_40', 'cw_inf@robust'], r'-cw_inf_from_robust\+pgd_40-'),
    (['evaluation.attacks.cw_inf.steps=7'], None, '-attacks-'),
  )
  def test_files_are_named_after_what_is_new(self, overrides, attacks, name):

    def named(seed, given):
      run = build.resolve(tiny.config('mtard', seed=seed))
      config = ConfigDict(run.to_dict())
      if attacks:
        config.evaluation.attacks = build.columns(attacks, run)
      return ending(build.resolve(config, given), run, tiny.folder(self))

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
    config = build.resolve(tiny.config('mtard'))
    (folder / 'config.json').write_text(config.to_json())
    with self.assertRaisesRegex(InputError, message):
      remeasure.remeasure(folder, [], attacks=names)

  def test_page_escapes_names(self):
    images, labels, _ = digits()
    found = attacks.fgsm(Linf(0.1))
    from jaxrkd.evaluate import attack_images

    row = results.summarize({'<b>': attack_images(linear_digits, images, labels, found)})
    path = tiny.folder(self) / 'report.html'
    report.write_report(path, 'a < b', {'x': row}, {'selection': {'note': 'n'}})
    self.assertIn('a &lt; b', path.read_text())
    self.assertNotIn('<b>', path.read_text())


if __name__ == '__main__':
  absltest.main()
