"""Whole runs of methods that train several networks: results, checkpoints, mistakes."""

import json
import pathlib
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import tiny
from absl.testing import absltest
from ml_collections import ConfigDict

from jaxrkd import experiment, interop
from jaxrkd.errors import InputError
from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import summary, teacher_runs
from jaxrkd.experiment.load import Trained, load_trained
from jaxrkd.models.named import named_network
from jaxrkd.programs import compare
from jaxrkd.programs import evaluate as remeasure
from jaxrkd.programs.plan import dry_run
from jaxrkd.runtime import sharding
from jaxrkd.train.record import RunRecord
from jaxrkd.train.state import NetState


def small(method, **changes):
  made = tiny.config(method, **{'epochs': 2, **changes})
  made.evaluation.attacks = dict(fgsm=dict())
  return made


class EqualStudentsTest(absltest.TestCase):
  def test_a_run(self):
    """Each is reported; the best on the held-out part stands for the run."""
    workdir = tiny.folder(self)
    made = small('cat_aka', ema__decay=0.5)
    config = experiment.resolve(made, ['method.students=2', 'attack=svgd'])
    found = experiment.train_and_evaluate(config, workdir)

    with self.subTest('results'):
      self.assertEqual(set(found['students']), {'student_1', 'student_2'})
      for rows in found['students'].values():
        self.assertEqual(set(rows), {'best', 'last', 'ema'})
      self.assertEqual(found['student'], found['students'][found['chosen']])
      self.assertEqual(found['selection']['best']['network'], found['chosen'])
      self.assertGreater(found['particles']['linf'], 1)
      table = '\n'.join(summary.table_rows(found, 'student'))
      self.assertIn('student_2 last', table)

    with self.subTest('every look names the best one'):
      rows = [json.loads(x) for x in (workdir / 'metrics.jsonl').read_text().splitlines()]
      looks = [row for row in rows if 'heldout_score' in row]
      self.assertLen(looks, 2)
      for row in looks:
        each = [row['heldout_student_1'], row['heldout_student_2']]
        self.assertEqual(row['heldout_score'], max(each))

    mesh = sharding.data_mesh()
    with self.subTest('each as it was best, last and in the mean'):
      for name, rows in found['students'].items():
        scores = [look[f'heldout_{name}'] for look in looks]
        first = next(k for k, s in enumerate(scores) if s == max(scores))
        self.assertEqual(rows['best']['step'], looks[first]['step'])
        kept = load_trained(workdir, 'last', mesh, network=name)
        mean = load_trained(workdir, 'ema', mesh, network=name)
        for version, trained in (('last', kept), ('ema', mean)):
          logits = trained.net.apply(
            trained.state.params,
            trained.state.stats,
            jnp.asarray(experiment.dataset(config).test.image / 255, jnp.float32),
          )
          right = np.asarray(logits).argmax(-1) == experiment.dataset(config).test.label
          self.assertAlmostEqual(rows[version]['clean'], right.mean(), places=6)
        self.assertNotEqual(
          float(jax.tree.leaves(kept.state.params)[0].sum()),
          float(jax.tree.leaves(mean.state.params)[0].sum()),
        )

    with self.subTest('each can be read'):
      one, two = (
        load_trained(workdir, 'best', mesh, network=f'student_{k}') for k in (1, 2)
      )
      self.assertGreater(
        np.abs(jax.tree.leaves(one.state.params)[0] - jax.tree.leaves(two.state.params)[0])
        .max(),
        1e-3,
      )  # fmt: skip
      stands = load_trained(workdir, 'best', mesh)
      want = {'student_1': one, 'student_2': two}[found['chosen']]
      for a, b in zip(*map(jax.tree.leaves, (stands.state.params, want.state.params))):
        np.testing.assert_array_equal(a, b)
      with self.assertRaisesRegex(InputError, "no network 'student_3'.*student_1"):
        load_trained(workdir, 'best', mesh, network='student_3')

    with self.subTest('each can be exported'):
      for name, trained in (('student_1', one), ('student_2', two)):
        path = workdir / 'out' / f'{name}.npz'
        card = experiment.export(workdir, [path], network=name)[str(path)]
        self.assertEqual(card['name'], name)
        self.assertEqual(card['measured']['clean_same_predictions'], 24)
        net, variables, about = interop.load_exported(path)
        images = jnp.asarray(experiment.dataset(config).test.image / 255, jnp.float32)
        want = trained.net.apply(trained.state.params, trained.state.stats, images)
        np.testing.assert_array_equal(net.apply(*variables, images), want)
        self.assertEqual(about['step'], found['students'][name]['best']['step'])
      card = experiment.export(workdir, [path], check=False)[str(path)]
      self.assertEqual((card['name'], card['measured']), (found['chosen'], None))
      with self.assertRaisesRegex(InputError, "ending of a file '.bin'"):
        experiment.export(workdir, [workdir / 'student.bin'])
      with self.assertRaisesRegex(InputError, 'there is no file'):
        interop.load_exported(workdir / 'none.npz')

    with self.subTest('each can teach'):
      given = small('rslad')
      given.teachers = {
        'a': configs.teacher(workdir=str(workdir), network='student_1'),
        'b': configs.teacher(workdir=str(workdir), network='student_2'),
      }
      taught = experiment.train_and_evaluate(
        experiment.resolve(given, ['ensemble=pareto']), workdir / 'taught'
      )
      for name, student in (('a', 'student_1'), ('b', 'student_2')):
        row, own = taught['teachers'][name], found['students'][student]['best']
        self.assertEqual(row['clean'], own['clean'])

    with self.subTest('measured again'):
      again = remeasure.remeasure(workdir, ['evaluation.threat.eps=0.2'])
      self.assertEqual(set(again['students']), set(found['students']))


class OnlineTeachersTest(absltest.TestCase):
  def test_a_run_and_its_table(self):
    folder = tiny.folder(self)
    text = (
      'import sys\nsys.path.insert(0, {tests!r})\nimport group_runs_test as g\n'
      'def get_config(arg=""):\n  return g.small({method!r})\n'
    )
    specs = {}
    for name, method in (('(S)AT-AKA', 'at_aka'), ('plain', 'sat')):
      path = folder / f'{method}.py'
      path.write_text(
        text.format(tests=str(pathlib.Path(__file__).parent), method=method)
      )
      specs[name] = str(path)
    table = compare.compare(specs, (0,), folder / 'runs')
    place = folder / 'runs' / 'S-AT-AKA' / 'seed0'
    found = json.loads((place / 'results.json').read_text())
    self.assertEqual(set(found['online']), {'t1', 't2'})
    self.assertEqual(set(found['student']), {'best', 'last'})
    # On every network, t1 and t2 included, verdicts per image are kept.
    for name in ('best', 't1/best', 't2/best'):
      self.assertTrue((place / 'eval' / name / 'fgsm.npz').is_file(), name)
    head, _, *lines = table.splitlines()
    self.assertRegex(head, r'particles: Linf, of 255 \| L2, of 255 \| CE')
    cells = {line.split(' | ')[0].strip('| '): line.split(' | ') for line in lines}
    shown = cells['(S)AT-AKA'][-3:]
    want = [found['particles'][k] * s for _, k, s in compare.PARTICLES]
    np.testing.assert_allclose([float(x.strip(' |')) for x in shown], want, rtol=0.01)
    self.assertEqual(cells['plain'][-1].strip(' |'), '')

    with self.subTest('an online teacher can be read and measured as one'):
      trained = load_trained(place, 'best', sharding.data_mesh(), network='t2')
      self.assertEqual(trained.record.best.network, 'student')

  def test_dry_run_names_all_networks(self):
    with mock.patch('builtins.print') as said:
      found = dry_run(experiment.resolve(small('at_aka')))
    text = '\n'.join(str(call.args[0]) for call in said.call_args_list if call.args)
    for name in ('student', 't1', 't2'):
      self.assertRegex(text, f'\n{name}: convnet, [0-9,]+ parameters')
    self.assertGreater(found['loss_teacher_2'], 0)


class MistakesTest(absltest.TestCase):
  def test_a_network_that_a_teacher_will_not_have(self):
    made = small('rslad')
    made.teachers.robust.config = small('at_aka')
    made.teachers.robust.network = 't9'
    with self.assertRaisesRegex(InputError, "network is 't9'.*student, t1, t2"):
      experiment.resolve(made)
    made.teachers.robust.network = 't2'
    config = experiment.resolve(made, ['teachers.robust.config.online.t3=convnet'])
    self.assertIn('t3', config.teachers.robust.config.online)

  def test_one_particle_on_one_network(self):
    with self.assertRaisesRegex(InputError, 'with one particle is pgd'):
      experiment.resolve(small('sat'), ['attack=svgd'])
    experiment.resolve(small('sat'), ['attack=svgd', 'attack.particles=3'])

  def test_a_run_older_than_a_key_is_finished_and_its_own(self):
    workdir = tiny.folder(self)
    config = experiment.resolve(small('sat', epochs=1))
    experiment.train_and_evaluate(config, workdir)
    path = workdir / 'config.json'
    old = json.loads(path.read_text())
    for key in ('stacking', 'online'):
      del old[key]
    path.write_text(json.dumps(old))
    with mock.patch('builtins.print') as said:
      experiment.train_and_evaluate(config, workdir)
      loop = experiment.resolve(small('sat', epochs=1), ['stacking=loop'])
      experiment.train_and_evaluate(loop, workdir)
    self.assertRegex(str(said.call_args_list[0]), 'finished before')
    with self.assertRaisesRegex(InputError, 'holds a run of another config'):
      experiment.train_and_evaluate(experiment.resolve(small('sat'), ['seed=3']), workdir)

  def test_fog_is_not_part_of_the_worst_case(self):
    workdir = tiny.folder(self)
    made = small('natural', epochs=1)
    made.evaluation.attacks.fog = dict(name='fog', strength=5000.0, steps=1)
    found = experiment.train_and_evaluate(experiment.resolve(made), workdir)['student'][
      'best'
    ]
    self.assertEqual(found['worst_case'], found['attacks']['fgsm']['robust'])
    with self.assertRaisesRegex(InputError, 'fog.*set its strength instead'):
      experiment.resolve(made, ['evaluation.attacks.fog.eps=0.1'])


class DivergenceTest(absltest.TestCase):
  def test_training_that_diverges_stops_before_a_checkpoint(self):
    workdir = tiny.folder(self)
    config = experiment.resolve(small('at_aka'), ['schedule.peak=1e30'])
    with self.assertRaisesRegex(InputError, 'diverged: .*loss.* not finite.*peak'):
      experiment.train_and_evaluate(config, workdir)
    kept = list((workdir / 'checkpoints').glob('*/[0-9]*'))
    self.assertEqual(kept, [])

  def test_a_teacher_with_weights_that_are_not_numbers(self):
    config = experiment.resolve(small('sat'))
    data = experiment.dataset(config)
    net = named_network(config.student, 3, (8, 8, 1))
    params, stats = net.init(jax.random.key(0))
    params = jax.tree.map(lambda leaf: leaf.at[(0,) * leaf.ndim].set(jnp.nan), params)
    trained = Trained(
      net,
      NetState(params, stats, {}, {}),
      RunRecord(3, (8, 8, 1)),
      ConfigDict(),
    )
    with self.assertRaisesRegex(
      InputError, "teacher 'r' has weights that are not finite"
    ):
      teacher_runs.check_teacher('r', trained, data)

  def test_a_teacher_of_other_classes(self):
    config = experiment.resolve(small('sat'))
    trained = Trained(
      named_network(config.student, 4, (8, 8, 1)),
      NetState({}, {}, {}, {}),
      RunRecord(4, (8, 8, 1)),
      ConfigDict(),
    )
    with self.assertRaisesRegex(InputError, "teacher 'r' knows 4 classes.*has 3 classes"):
      teacher_runs.check_teacher('r', trained, experiment.dataset(config))


if __name__ == '__main__':
  absltest.main()
