"""Teachers ranked as teachers: what is taken and why, and whole rankings."""

import contextlib
import io
import json
import pathlib

import forked
import jax
import jax.numpy as jnp
import numpy as np
import tiny
from absl.testing import absltest, parameterized

from jaxrkd import experiment
from jaxrkd.errors import InputError
from jaxrkd.evaluate import teacher_checks
from jaxrkd.evaluate.teacher_ranking import Measured, beyond_students, choose
from jaxrkd.experiment.load import load_trained
from jaxrkd.programs import ranking
from jaxrkd.programs.ranking import rank_teachers
from jaxrkd.runtime import sharding


def share(right, count=200):
  return np.arange(count) < right


def teacher(robust, hard, count=60, faults=()):
  rng = np.random.default_rng(0)
  return Measured(
    clean=share(180),
    robust=share(robust),
    entropy=np.ones(200),
    calibration=0.1,
    lean='under',
    hard=hard + 0.3 * rng.normal(size=count),
    easy=np.ones(40),
    fooled=3,
    tried=10,
    faults=faults,
  )


STUDENTS = {'sat': share(80), 'trades': share(90)}


class ChoiceTest(parameterized.TestCase):
  def test_the_least_sure_of_those_that_are_robust(self):
    found = choose(
      {
        'sure': teacher(130, 0.4),
        'unsure': teacher(100, 1.2),
        'clean': teacher(5, 2.0),
        'wrong': teacher(150, 2.2, faults=('input normalisation',)),
      },
      STUDENTS,
    )
    self.assertEqual(found.take, 'unsure')
    self.assertEqual(found.order, ('unsure', 'sure', 'wrong', 'clean'))
    self.assertIn('60 training images that no student withstands', found.why)
    self.assertIn('sure has 0.4', found.why)
    self.assertEqual(set(found.excluded), {'clean', 'wrong'})
    self.assertIn('less than the student trades reaches', found.excluded['clean'])
    self.assertEqual(
      found.excluded['wrong'], 'does not pass the doctor: input normalisation'
    )

  def test_of_those_alike_the_most_robust(self):
    one, other = teacher(100, 1.0), teacher(130, 1.0)
    rng = np.random.default_rng(1)
    noise = 1.02 + 0.3 * rng.normal(size=60)
    found = choose(
      {'one': Measured(**{**vars(one), 'hard': noise}), 'other': other}, STUDENTS
    )
    self.assertEqual(found.take, 'other')
    self.assertIn('equally unsure', found.why)

  def test_too_few_hard_images(self):
    made = {'a': teacher(100, 2.0, count=19), 'b': teacher(130, 0.1, count=19)}
    found = choose(made, STUDENTS)
    self.assertEqual(found.take, 'b')
    self.assertIn('only 19 training images', found.why)

  def test_none(self):
    found = choose({'a': teacher(89, 2.0), 'b': teacher(20, 1.0)}, STUDENTS)
    self.assertEqual((found.take, found.order), ('', ('a', 'b')))
    self.assertIn('no teacher passes', found.why)

  def test_only_one(self):
    found = choose({'a': teacher(90, 2.0), 'b': teacher(20, 1.0)}, STUDENTS)
    self.assertEqual((found.take, list(found.excluded)), ('a', ['b']))
    self.assertIn('only one', found.why)

  def test_images_that_no_student_withstands(self):
    rng = np.random.default_rng(2)
    verdicts = rng.integers(0, 2, (3, 50)).astype(bool)
    want = [not any(verdicts[k][i] for k in range(3)) for i in range(50)]
    np.testing.assert_array_equal(beyond_students(list(verdicts)), want)

  def test_entropies(self):
    logits = np.array([[0.0, 0, 0, 0], [800.0, 0, 0, 0], [1.0, 2, 3, 4]])
    p = np.exp(logits[2]) / np.exp(logits[2]).sum()
    want = [np.log(4), 0, -(p * np.log(p)).sum()]
    np.testing.assert_allclose(teacher_checks.entropies(logits), want, atol=1e-12)


class RankingTest(parameterized.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.folder = pathlib.Path(cls.enterClassContext(tiny.temporary_folder()))
    for name in ('natural', 'sat', 'trades'):
      made = tiny.config(name, teachers=[], epochs=6)
      made.data.train = 120
      made.threat.eps = made.evaluation.threat.eps = 0.02
      with contextlib.redirect_stdout(io.StringIO()):
        experiment.train_and_evaluate(experiment.resolve(made), cls.folder / name)

  def rank(self, *names, **options):
    out = tiny.folder(self)
    options = {'students': [str(self.folder / 'sat')], **options}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
      found = rank_teachers([str(self.folder / name) for name in names], out, **options)
    return found, out, printed.getvalue()

  def test_a_ranking(self):
    found, out, printed = self.rank('natural', 'sat', 'trades', attacked=0)
    told = json.loads((out / 'ranking.json').read_text())
    self.assertEqual(list(told['teachers']), list(found.order))
    self.assertEqual((told['take'], told['why']), (found.take, found.why))
    rows = {pathlib.Path(name).name: row for name, row in told['teachers'].items()}
    for name, row in rows.items():
      own = json.loads((self.folder / name / 'results.json').read_text())
      want = own['student']['best']['clean']
      self.assertAlmostEqual(row['clean']['value'], want)
      self.assertEqual(row['hard']['images'] + row['easy']['images'], 104)
    # One of them is the student itself: what fools it fools the teacher.
    (student,) = told['students'].values()
    self.assertEqual(rows['sat']['robust'], student)
    self.assertEqual(rows['sat']['transfer']['value'], 1.0)
    page = (out / 'ranking.html').read_text()
    self.assertIn(found.why, page)
    self.assertIn('<svg', (out / 'ranking.svg').read_text())
    self.assertIn(f'take {found.take or "none"}: {found.why}', ' '.join(printed.split()))
    self.assertIn('of them attacked by PGD-20 within linf eps', printed)

  def test_hard_images_are_those_that_fool_the_student(self):
    _, out, _ = self.rank('sat', 'trades', train_images=40)
    told = json.loads((out / 'ranking.json').read_text())
    row = next(iter(told['teachers'].values()))
    examined = ranking.admit(self.folder / 'sat', '', [], ())
    data = experiment.dataset(examined.config)
    look = ranking.Examination(examined, data, 0, 0, 0)
    train = ranking.load_split(data.train, look.batch, look.mesh, 40)
    self.assertEqual(
      row['hard']['images'], (~look.attack(look.subject, train).robust).sum()
    )

  def test_a_scaled_teacher_is_not_taken(self):
    run = load_trained(self.folder / 'sat', 'best', sharding.data_mesh(), 'float32')
    cold = jax.tree.map(lambda leaf: 1e-3 * leaf, run.state.params['linear'])
    broken = jax.tree.map(lambda leaf: jnp.inf * leaf, run.state.params['linear'])
    read = ranking._read

    def put(head):
      def changed(name, *more):
        found = read(name, *more)
        if not name.endswith('trades'):
          return found
        params, stats = found.variables
        return found._replace(variables=({**params, 'linear': head}, stats))

      return absltest.mock.patch.object(ranking, '_read', changed)

    with put(cold):
      found, _, _ = self.rank('sat', 'trades', attacked=0)
    scaled = str(self.folder / 'trades')
    self.assertNotEqual(found.take, scaled)
    self.assertIn('mean entropy', found.excluded[scaled])
    with put(broken), self.assertRaisesRegex(InputError, 'leave this teacher out'):
      self.rank('sat', 'trades')

  def test_short_students_are_trained_once(self):
    out = tiny.folder(self)
    names = [str(self.folder / name) for name in ('sat', 'trades')]
    short = dict(students=(), short=['sat'], epochs=1)
    # Recipes are made for photographs: a smaller network is enough here.
    made = tiny.config('sat', teachers=[])
    made.attack.steps = 4
    self.enterContext(
      absltest.mock.patch.object(ranking.configs, 'load_spec', lambda spec: made)
    )
    printed = []
    for _ in range(2):
      with contextlib.redirect_stdout(io.StringIO()) as one:
        rank_teachers(names, out, **short)
      printed.append(one.getvalue())
    self.assertIn('training short student sat', printed[0])
    self.assertNotIn('training short student sat', printed[1])
    config = json.loads((out / 'students' / '0-sat' / 'config.json').read_text())
    self.assertEqual((config['epochs'], config['data']['train']), (1, 120))
    for threat in (config['threat'], config['evaluation']['threat']):
      self.assertEqual(threat['eps'], 0.02)

  def test_mistakes(self):
    sat, trades = (str(self.folder / name) for name in ('sat', 'trades'))
    out, students = tiny.folder(self), [sat]
    with self.assertRaisesRegex(InputError, 'names 1; name two or more'):
      rank_teachers([sat], out, students=students)
    with self.assertRaisesRegex(InputError, 'names one twice'):
      rank_teachers([sat, sat], out, students=students)
    same = f'{self.folder}/x/../sat'
    with self.assertRaisesRegex(InputError, 'one twice .*are the same'):
      rank_teachers([sat, same], out, students=students)
    with self.assertRaisesRegex(InputError, "unknown recipe 'nosuch'.*convert --list"):
      rank_teachers([sat, f'nosuch={sat}'], out, students=students)
    with self.assertRaisesRegex(
      InputError, 'is for cifar10, and the teachers learnt syn'
    ):
      rank_teachers([sat, trades], out, short=['sat:cifar10'])
    with self.assertRaisesRegex(InputError, 'no --workdir'):
      rank_teachers([sat, trades], '', students=students)
    with self.assertRaisesRegex(InputError, 'does not exist'):
      rank_teachers([sat, str(self.folder / 'none')], out, students=students)
    with self.assertRaisesRegex(InputError, '--epochs is 0'):
      rank_teachers([sat, trades], out, epochs=0)
    with self.assertRaisesRegex(InputError, 'the student mtard had teachers'):
      rank_teachers([sat, trades], out, short=['mtard'])
    with self.assertRaisesRegex(
      InputError, 'the student natural learnt from clean images'
    ):
      rank_teachers([sat, trades], out, short=['natural'])
    natural = str(self.folder / 'natural')
    with self.assertRaisesRegex(InputError, 'learnt from clean images alone'):
      rank_teachers([sat, trades], out, students=[natural])
    more = ['data.classes=0,1']
    with self.assertRaisesRegex(InputError, 'learnt other data.*data.classes|classes'):
      rank_teachers([sat, trades], out, students=students, overrides=more)
    with self.assertRaisesRegex(InputError, 'neither --students nor --short'):
      rank_teachers([sat, trades], out, short=[])

  @parameterized.parameters(
    (
      ['--rank', '--teacher=x'],
      '--teacher is for one teacher, without --rank; leave it out',
    ),
    (['--teachers=x,y'], '--teachers is for --rank; add --rank'),
    (['--teacher=x', '--workdir=y'], '--workdir is for --rank'),
    (['--rank', '--students=x', '--epochs=3'], '--epochs is for short students, but'),
    (['--rank', '--train_images=-1'], '--train_images is -1; it must be 0 or more'),
    (['--rank', '--teachers=x'], '--teachers names 1; name two or more'),
    (
      [
        '--rank',
        '--teachers=none_1,none_2',
        '--workdir=y',
        '--short=sat:cifar10,mobilenet_v2',
      ],
      'none_1',
    ),
  )
  def test_flags(self, given, message):
    done = forked.run('doctor.py', *given)
    self.assertEqual(done.returncode, 2)
    self.assertIn(message, done.stderr)
    self.assertLen(done.stderr.strip().splitlines(), 1)

  def test_other_balls_and_data(self):
    other = tiny.config('sat', teachers=[], epochs=1)
    other.data.train, other.evaluation.threat.eps = 120, 0.1
    place = tiny.folder(self) / 'other'
    with contextlib.redirect_stdout(io.StringIO()):
      experiment.train_and_evaluate(experiment.resolve(other), place)
    names = [str(self.folder / 'sat'), str(place)]
    message = 'config.evaluation.threat.eps is 0.02 and 0.1; give all one value'
    with self.assertRaisesRegex(InputError, message):
      rank_teachers(names, tiny.folder(self), students=names[:1])
    run, file, two = (ranking.admit(self.folder / 'sat', '', [], ()) for _ in range(3))
    # Runs are read from JSON, which has lists for tuples.
    for one, classes in ((run, []), (file, ()), (two, [0, 1])):
      with one.config.data.unlocked():
        del one.config.data.classes
        one.config.data.classes = classes
    ranking._check_alike(dict(run=run, file=file))
    message = r'run and two know other classes: config.data.classes is \[\] and \[0, 1\]'
    with self.assertRaisesRegex(InputError, message):
      ranking._check_alike(dict(run=run, two=two))

  def test_exit_status(self):
    natural, sat = (str(self.folder / name) for name in ('natural', 'sat'))
    given = [f'--teachers={natural},{sat}', f'--students={sat}', '--attacked=20']
    out = tiny.folder(self)
    done = forked.run('doctor.py', '--rank', f'--workdir={out}', *given)
    take = json.loads((out / 'ranking.json').read_text())['take']
    self.assertEqual(done.returncode, 0 if take else 3, done.stderr)


if __name__ == '__main__':
  absltest.main()
