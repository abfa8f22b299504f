"""Pages of runs: complete, self-contained, small, made again from files alone."""

import contextlib
import html.parser
import json
import pathlib
import re
import shutil
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import tiny
from absl.testing import absltest, parameterized

from jaxrkd import commands, experiment
from jaxrkd.attacks import Linf
from jaxrkd.data import dataset
from jaxrkd.errors import InputError
from jaxrkd.evaluate.eps_curve import FACTORS, accuracy_against_eps
from jaxrkd.evaluate.given import Given
from jaxrkd.evaluate.robustness import load_split
from jaxrkd.evaluate.task import Subject
from jaxrkd.evaluate.verdicts import Verdicts
from jaxrkd.experiment import examples, recipe_changes, run_report, runs_report
from jaxrkd.programs import evaluate, report
from jaxrkd.report import charts, pictures, training_charts
from jaxrkd.report.example_cards import LARGEST, Examples, cards
from jaxrkd.runtime import sharding

OUTSIDE = ('http://www.w3.org', 'https://www.w3.org')


class Page(html.parser.HTMLParser):
  """What a browser would find: open tags, ids, addresses."""

  VOID = ('meta', 'link', 'img', 'br', 'hr', 'path', 'use', 'input')

  def __init__(self, text):
    super().__init__()
    self.open, self.ids, self.addresses, self.text = [], [], [], ''
    self.wrong = []
    self.feed(text)

  def handle_starttag(self, tag, attrs):
    given = dict(attrs)
    self.ids += [given['id']] if 'id' in given else []
    self.addresses += [given[key] for key in ('href', 'src') if key in given]
    if tag not in self.VOID:
      self.open.append(tag)

  def handle_startendtag(self, tag, attrs):
    given = dict(attrs)
    self.ids += [given['id']] if 'id' in given else []

  def handle_endtag(self, tag):
    if tag in self.VOID:
      return
    if not self.open or self.open.pop() != tag:
      self.wrong.append(tag)

  def handle_data(self, data):
    self.text += data


class RunTest(parameterized.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.folder = pathlib.Path(cls.enterClassContext(tiny.temporary_folder()))
    cls.run_folder = cls.folder / 'first'
    made = tiny.config('mtard', epochs=2, evaluation__trust__images=8)
    made.evaluation.gallery.images = 5
    made.evaluation.distances.attacks = ('deepfool',)
    made.evaluation.distances.images = 12
    cls.config = experiment.resolve(made)
    with mock.patch.object(commands, 'started', lambda: 'jaxrkd train --config=mtard'):
      cls.found = experiment.train_and_evaluate(cls.config, cls.run_folder)
    cls.path = cls.run_folder / 'report.html'
    cls.page = Page(cls.path.read_text(encoding='utf-8'))

  def test_complete_and_well_formed(self):
    self.assertEqual((self.page.wrong, self.page.open), ([], []))
    self.assertLen(set(self.page.ids), len(self.page.ids))
    for said in (
      *('Accuracy', 'Accuracy against eps', 'Class by class', 'Training', 'Cost'),
      *('Images and their attacks', 'Can these numbers be trusted?', 'Files', 'Again'),
      *('What differs from the recipe', 'jaxrkd train --config=mtard', 'Learning rate'),
      "The method's weights",
    ):
      self.assertIn(said, self.page.text)
    row = self.found['student']['best']
    for value in (row['clean'], row['worst_case'], row['attacks']['fgsm']['robust']):
      self.assertIn(f'{100 * value:.2f}', self.page.text)
    weighted = 50 * (row['clean'] + row['worst_case'])
    self.assertIn(f'W {weighted:.2f}', self.page.text)

  def test_distances_of_every_network(self):
    self.assertIn('Distance to the nearest adversarial image', self.page.text)
    self.assertCountEqual(
      self.found['distances'], ['student', 'teacher clean', 'teacher robust']
    )
    columns = self.config.evaluation.attacks
    for name, told in self.found['distances'].items():
      self.assertEqual(told['images'], 12)
      # What the columns broke is near, whatever the search found.
      self.assertCountEqual(told['attacks'], ['deepfool', *columns])
      for row in told['attacks'].values():
        self.assertLessEqual(row['found'], row['tried'])
      values = [accuracy for _, accuracy in told['curve']]
      self.assertEqual(values, sorted(values, reverse=True), name)
      self.assertEqual(values[0], told['clean'])

  def test_self_contained_and_small(self):
    text = self.path.read_text(encoding='utf-8')
    for address in re.findall(r'https?://[^"\'\s<)]*', text):
      self.assertStartsWith(address, OUTSIDE)
    self.assertLess(len(text), 1e6)
    # Colours are those of the page, so that it is readable on dark.
    self.assertNotRegex(text.split('</style>')[1], r'#[0-9a-f]{6}\b')

  def test_every_link_leads_somewhere(self):
    for address in self.page.addresses:
      if address.startswith('data:'):
        continue
      if address.startswith('#'):
        self.assertIn(address[1:], self.page.ids)
      else:
        self.assertTrue((self.run_folder / address).is_file(), address)

  def test_made_again_from_files(self):
    before = self.path.read_bytes()
    self.path.unlink()
    with mock.patch.object(experiment, 'dataset', side_effect=AssertionError):
      self.assertEqual(report.report(self.run_folder), [self.path])
    self.assertEqual(self.path.read_bytes(), before)

  def test_examples_are_those_of_the_table(self):
    kept = dict(np.load(self.run_folder / 'eval/examples.npz'))
    name = str(kept['attack'])
    table = dict(np.load(self.run_folder / f'eval/best/{name}.npz'))
    place = {index: k for k, index in enumerate(table['index'])}
    rows = [place[index] for index in kept['index']]
    for key in ('label', 'robust', 'adversarial_prediction', 'clean_prediction'):
      np.testing.assert_array_equal(kept[key], table[key][rows], key)
    clean = kept['image'] / 255
    self.assertGreater(np.abs(kept['adversarial'] - clean).max(), 0)
    eps = self.config.evaluation.threat.eps
    self.assertLess(np.abs(kept['adversarial'] - clean).max(), eps + 1e-4)
    robust = {n: a['robust'] for n, a in self.found['student']['best']['attacks'].items()}
    self.assertEqual(robust[name], min(robust.values()))

  def test_classes_add_up(self):
    for row in (self.found['student']['last'], self.found['teachers']['robust']):
      own = row['per_class']
      self.assertEqual(sum(own['images']), row['images'])
      for key in ('clean', 'worst_case'):
        self.assertAlmostEqual(sum(own[key]) / row['images'], row[key])

  def test_curves(self):
    curves = self.found['curves']
    self.assertEqual(set(curves), {'student', 'teacher clean', 'teacher robust'})
    eps = self.config.evaluation.threat.eps
    for points in curves.values():
      radii, accuracy = zip(*points)
      np.testing.assert_allclose(radii, [0, *(f * eps for f in FACTORS)])
      self.assertEqual(list(accuracy), sorted(accuracy, reverse=True))

  def test_what_differs(self):
    content = run_report.content(self.run_folder, self.run_folder / 'results.json')
    changed = {key: (was, now) for key, was, now in content.changes}
    self.assertEqual(content.recipe, 'mtard')
    self.assertEqual(changed['student.name'], ('resnet18', 'convnet'))
    self.assertEqual(changed['epochs'], ('300', '2'))
    self.assertNotIn('method.name', changed)
    with self.subTest('of a teacher it is the part of the recipe that trains it'):
      place = self.run_folder / 'teachers' / 'clean'
      own = run_report.content(place, place / 'results.json')
      changed = {key: (was, now) for key, was, now in own.changes}
      self.assertEqual(own.recipe, 'mtard, teacher clean')
      self.assertEqual(changed['epochs'][1], '2')
      self.assertNotIn('method.name', changed)
    with self.subTest('results of the training that cannot be read'):
      place = self.folder / 'unread'
      shutil.copytree(self.run_folder, place)
      shutil.copy(place / 'results.json', place / 'results-other.json')
      (place / 'results.json').write_text('{"half')
      own = run_report.content(place, place / 'results-other.json')
      self.assertEqual(own.recipe, 'mtard')

  def test_measured_again_with_another_attack(self):
    place = self.folder / 'again'
    shutil.copytree(self.run_folder, place)
    evaluate.remeasure(place, [], attacks=['pgd_7'])
    (path,) = place.glob('results-pgd_7-*.json')
    again = path.with_name(path.name.replace('results', 'report')).with_suffix('.html')
    text = again.read_text(encoding='utf-8')
    for said in ('pgd_7', 'Images and their attacks', 'Accuracy against eps'):
      self.assertIn(said, text)
    self.assertLen(report.report(place), 2)

  def test_runs_of_a_folder(self):
    folder = self.folder / 'several'
    for name in ('one', 'below/two', 'other'):
      shutil.copytree(self.run_folder, folder / name)
    path = folder / 'other/results.json'
    found = json.loads(path.read_text())
    found['evaluation']['threat']['eps'] = 0.3
    path.write_text(json.dumps(found))
    broken = folder / 'broken'
    broken.mkdir()
    (broken / 'config.json').write_text((folder / 'one/config.json').read_text())
    (broken / 'results.json').write_text('{"half')
    page = runs_report.write(folder)
    text = page.read_text(encoding='utf-8')
    seen = Page(text)
    self.assertEqual((seen.wrong, seen.open), ([], []))
    for name in ('one', 'below/two', 'other'):
      self.assertIn(f'{name}/report.html', seen.addresses)
    # Teachers are on the pages of their runs; another ball is another table.
    self.assertNotIn('teachers', text)
    self.assertEqual(text.count('<h2>'), 3)
    self.assertIn('linf eps 0.3<', text)
    self.assertIn('broken: ', text)

  @parameterized.parameters('', 'empty')
  def test_nothing_there(self, name):
    place = self.folder / 'none' / name
    place.mkdir(parents=True, exist_ok=True)
    with self.assertRaisesRegex(InputError, 'holds no measured runs; name the workdir'):
      report.report(place)

  def test_results_that_cannot_be_read(self):
    place = self.folder / 'half'
    shutil.copytree(self.run_folder, place)
    (place / 'results.json').write_text('{"half')
    with self.assertRaisesRegex(InputError, 'cannot be read'):
      report.report(place)

  def copy(self, name):
    place = self.folder / name
    shutil.copytree(self.run_folder, place)
    return place

  def edited(self, name, change):
    """The text of the page of a run whose results were changed."""
    place = self.copy(name)
    path = place / 'results.json'
    found = json.loads(path.read_text())
    change(found)
    path.write_text(json.dumps(found))
    (page,) = report.report(place)
    return Page(page.read_text(encoding='utf-8')).text

  def test_radii_of_columns_are_told(self):
    def smaller(found):
      found['evaluation']['attacks']['fgsm']['eps'] = 0.01
      found['evaluation']['attacks']['cw_inf']['eps'] = 2 / 255
      found['student']['best']['attacks']['fgsm'] |= {'broken': 7, 'eight_bit': 5}

    text = self.edited('radii', smaller)
    self.assertIn('in linf balls of eps 2/255 to 0.01', text)
    self.assertNotIn('eps 0.1 ', text.partition('Accuracy')[0])
    self.assertIn('fgsm, eps 0.01', text)
    self.assertIn('cw_inf, eps 2/255', text)
    self.assertIn('rounded to 8 bits, as in a PNG: fgsm, eps 0.01: 5 of 7', text)

  def test_transferred_images_are_told(self):
    def moved(found):
      for node in found['evaluation']['attacks'].values():
        node['surrogate'] = 'robust'

    self.assertIn('were made on other networks', self.edited('moved', moved))

  def test_attacks_that_failed_are_told_at_the_top_and_in_the_table_of_runs(self):
    def failing(found):
      found['student']['best']['attacks']['fgsm']['not_finite'] = 5

    text = self.edited('failing', failing)
    self.assertIn('the number may be too high', text.partition('Accuracy')[0])
    page = runs_report.write(self.folder / 'failing')
    self.assertIn('did not work as it should', page.read_text(encoding='utf-8'))

  def test_no_checks_and_no_end_are_told(self):
    def unchecked(found):
      del found['trust'], found['curves']
      found['finished'] = False

    text = self.edited('unchecked', unchecked)
    self.assertIn('No trust checks were made', text)
    self.assertIn('This measurement was interrupted', text)

  def test_a_verdict_outlives_a_measurement_without_checks(self):
    place = self.copy('verdict')
    before = json.loads((place / 'results.json').read_text())
    evaluate.remeasure(place, ['evaluation.trust.images=0'])
    after = json.loads((place / 'results.json').read_text())
    self.assertEqual(after['trust'], before['trust'])

  def test_curves_say_how_many_images_they_rest_on(self):
    self.assertIn('on the first 8 images', self.page.text)
    self.assertIn('eps (linf)', self.page.text)

  def test_other_images_stand_in_another_table(self):
    folder = self.folder / 'images'
    for name in ('one', 'two'):
      shutil.copytree(self.run_folder, folder / name)
    path = folder / 'two/results.json'
    found = json.loads(path.read_text())
    found['images'] = 'ffffffffffff'
    path.write_text(json.dumps(found))
    text = runs_report.write(folder).read_text(encoding='utf-8')
    self.assertEqual(text.count('<h2>'), 2)
    self.assertIn('(images ffffffff)', text)

  def test_another_precision_stands_in_another_table(self):
    folder = self.folder / 'precision'
    for name in ('one', 'two'):
      shutil.copytree(self.run_folder, folder / name)
    path = folder / 'two/results.json'
    found = json.loads(path.read_text())
    found['evaluation']['search_precision'] = 'bfloat16'
    path.write_text(json.dumps(found))
    text = runs_report.write(folder).read_text(encoding='utf-8')
    self.assertEqual(text.count('<h2>'), 2)

  def test_a_teacher_from_elsewhere_differs(self):
    place = self.run_folder
    for key, value, shown in (
      ('workdir', str(place / 'teachers' / 'robust'), False),
      ('workdir', '/elsewhere/clean', True),
      ('file', '/elsewhere/x.pt', True),
    ):
      config = experiment.resolve(tiny.config('mtard', epochs=2))
      other = experiment.resolve(tiny.config('mtard', epochs=2))
      other.teachers.robust[key] = value
      found = [k for k, *_ in recipe_changes.differences(config, other, place)]
      self.assertEqual(found, [f'teachers.robust.{key}'] if shown else [])

  def test_a_column_that_is_missing_is_one_line(self):
    config = experiment.resolve(tiny.config('mtard', epochs=2))
    given = tiny.config('mtard', epochs=2)
    given.evaluation.attacks = dict(fgsm=dict(), pgd=dict(steps=40))
    given.teachers.more = given.teachers.robust
    found = recipe_changes.differences(config, experiment.resolve(given), self.run_folder)
    self.assertCountEqual(
      found,
      [
        ('evaluation.attacks.cw_inf', 'cw_inf', 'none'),
        ('evaluation.attacks.pgd', 'none', 'pgd'),
        ('teachers.more', 'none', 'there'),
      ],
    )

  def test_a_file_of_the_same_name_is_not_run(self):
    place = self.copy('moved_recipe')
    path = place / 'results.json'
    found = json.loads(path.read_text())
    del found['recipe']
    found['command'] = 'jaxrkd train --config=tiny_recipe.py'
    path.write_text(json.dumps(found))
    elsewhere = self.folder / 'elsewhere'
    elsewhere.mkdir()
    (elsewhere / 'tiny_recipe.py').write_text('raise AssertionError("was run")')
    with contextlib.chdir(elsewhere):
      self.assertEqual(run_report.content(place, path).recipe, 'mtard')

  def test_a_folder_called_teachers_makes_no_teacher(self):
    place = self.folder / 'teachers' / 'first'
    shutil.copytree(self.run_folder, place)
    self.assertFalse(recipe_changes.is_teacher(place))
    self.assertTrue(recipe_changes.is_teacher(self.run_folder / 'teachers' / 'clean'))

  def test_one_bad_run_leaves_the_page_of_all(self):
    folder = self.folder / 'bad'
    for name in ('good', 'half', 'config'):
      shutil.copytree(self.run_folder, folder / name)
    (folder / 'half/results.json').write_text('{"half')
    (folder / 'config/config.json').write_text('{"half')
    made = report.report(folder)
    self.assertEqual(made[-1].name, 'runs.html')
    self.assertIn('Not shown', made[-1].read_text(encoding='utf-8'))

  @parameterized.parameters(
    ('config.json', '[]'),
    ('results.json', '5'),
    ('results.json', '{"student": {}, "evaluation": {}}'),
    ('results.json', '{"student": {"best": {}}, "evaluation": {}}'),
  )
  def test_damaged_files_are_one_sentence(self, name, text):
    place = self.copy(f'damaged_{abs(hash((name, text)))}')
    (place / name).write_text(text)
    with self.assertRaises(InputError) as caught:
      report.report(place)
    self.assertNotIn('\n', str(caught.exception))

  @parameterized.parameters(b'', b'PK no archive')
  def test_damaged_examples_leave_the_page(self, data):
    place = self.copy(f'examples_{len(data)}')
    (place / 'eval/examples.npz').write_bytes(data)
    (page,) = report.report(place)
    self.assertNotIn('Images and their attacks', page.read_text(encoding='utf-8'))

  def test_rows_that_are_none_are_left_out(self):
    place = self.copy('rows')
    with (place / 'metrics.jsonl').open('a') as file:
      file.write('null\n1\n')
    self.assertLen(report.report(place), 1)

  def test_one_measurement_in_two_rows_counts_once(self):
    content = run_report.content(self.run_folder, self.run_folder / 'results.json')
    told = dict(content.cost)['attacks of the table']
    rows = [json.dumps(row['attacks'], sort_keys=True) for row in content.rows.values()]
    self.assertIn(f'for {len(set(rows))} networks', told)

  def test_a_missing_page_is_written_by_the_same_command(self):
    place = self.copy('missing')
    (place / 'report.html').unlink()
    experiment.train_and_evaluate(self.config, place)
    self.assertTrue((place / 'report.html').is_file())


class PartsTest(parameterized.TestCase):
  @parameterized.parameters(2, 4, 5)
  def test_images_of_any_number_of_channels(self, channels):
    pixels = np.zeros((4, 4, channels))
    self.assertStartsWith(pictures.png(pixels), b'\x89PNG')

  def test_images_are_taken_class_by_class(self):
    label = np.array([0, 0, 0, 1, 2, 2, 1])
    right = np.array([0, 1, 1, 1, 1, 1, 0], bool)
    verdicts = mock.Mock(spec=Verdicts, label=label, clean_correct=right)
    self.assertEqual(examples.chosen(verdicts, 3).tolist(), [1, 3, 4])
    self.assertEqual(examples.chosen(verdicts, 5).tolist(), [1, 2, 3, 4, 5])
    self.assertEqual(examples.chosen(verdicts, 99).tolist(), [1, 2, 3, 4, 5])

  def test_curve_of_a_linear_classifier(self):
    """Two classes in one pixel: right while |x - 1/2| is larger than eps."""
    x = np.array([0.05, 0.22, 0.46, 0.52, 0.72, 0.99, 0.6], np.float32)
    label = np.array([0, 0, 0, 1, 1, 1, 0])
    split = dataset.make_split(x[:, None, None, None], label, 'ours')
    f = lambda images: 8 * (images[:, 0, 0] - 0.5) * jnp.array([-1.0, 1.0])
    loaded = load_split(split, 8, sharding.data_mesh(jax.devices()[:1]))
    subject = Subject(Given(f), ((), ()))
    found = accuracy_against_eps(subject, loaded, Linf(0.1), jax.random.key(0))
    x = np.round(255 * x) / 255
    away = np.where(label == 1, x - 0.5, 0.5 - x)
    for eps, accuracy in found:
      self.assertAlmostEqual(accuracy, np.mean(away > eps))

  def test_large_images_make_small_pages(self):
    images = np.random.default_rng(0).integers(0, 256, (12, 224, 224, 3), np.uint8)
    shown = Examples(
      attack='pgd',
      threat='Linf(0.1)',
      eps=0.1,
      label=np.arange(12),
      clean_prediction=np.arange(12),
      adversarial_prediction=np.arange(12)[::-1],
      robust=np.arange(12) % 2 == 0,
      image=images,
      adversarial=np.clip(images / 255 + 0.1, 0, 1),
    )
    text = ''.join(cards(shown, []))
    self.assertLess(len(text), 2e6)
    self.assertLess(LARGEST, 224)
    self.assertIn('taken for class 10', text)
    self.assertIn('stays class 2', text)
    self.assertIn('broke 6 of these 12', text)

  def test_many_points_are_thinned(self):
    line = charts.Line(range(100_000), np.sin(np.arange(100_000)))
    self.assertLess(len(charts.lines('t', {'a': line}, 'step')), 40_000)

  def test_training_without_rows(self):
    self.assertEqual(training_charts.section([], None), [])
    self.assertEqual(training_charts.section([{'step': 1, 'x_clean': 0.5}], 1), [])

  def test_losses_that_are_not_finite_are_left_out(self):
    rows = [dict(step=k, epoch=k / 2, loss=None if k == 2 else 1.0) for k in (1, 2, 3)]
    (_, figures) = training_charts.section(rows, None)[0].split('<h2>Training</h2>')
    self.assertEqual(figures.count('<svg'), 1)


if __name__ == '__main__':
  absltest.main()
