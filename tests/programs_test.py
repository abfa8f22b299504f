"""The programs as a user runs them: whole runs, kills, several processes, mistakes."""

import dataclasses
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
import time

import forked
import numpy as np
import tiny
from absl.testing import absltest, parameterized

from jaxrkd import experiment
from jaxrkd.errors import InputError
from jaxrkd.experiment.load import load_trained
from jaxrkd.runtime import sharding, workdir_lock

# How often runs are interrupted, at random moments; a long test of its own.
KILLS = int(os.environ.get('JAXRKD_TEST_KILLS', '0'))
ROOT = pathlib.Path(__file__).parent.parent
CONFIG = """
import sys
sys.path.insert(0, {tests!r})
import tiny
def get_config(arg=''):
  return tiny.config('mtard', epochs={epochs}, ema__decay=0.5, **tiny.AUGMENTED)
"""


class ProgramTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = tiny.folder(self)
    self.config = self.folder / 'tiny_mtard.py'
    epochs = 12 * KILLS or 4  # so many that hardly a kill comes after training
    self.config.write_text(CONFIG.format(tests=str(ROOT / 'tests'), epochs=epochs))

  def command(self, program, *arguments):
    half = 'default:Error reading persistent compilation cache'  # as in conftest.py
    strict = ['-W', 'error', '-W', half]
    return [sys.executable, *strict, str(ROOT / 'launch' / program), *arguments]

  def environment(self, devices=1):
    return {
      **os.environ,
      'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
      'JAX_NUM_CPU_DEVICES': str(devices),
      'PYTHONPATH': str(ROOT),
    }

  def train(self, workdir, *arguments, devices=1):
    done = forked.run(
      'main.py',
      f'--config={self.config}',
      f'--workdir={self.folder / workdir}',
      *arguments,
      devices=devices,
    )
    self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
    return done.stdout

  def losses(self, workdir):
    lines = (self.folder / workdir / 'metrics.jsonl').read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    return {row['step']: row['loss'] for row in rows if 'loss' in row}

  def student(self, workdir, kind='last'):
    found = load_trained(self.folder / workdir, kind, sharding.data_mesh())
    # Without what a clock said.
    return found.state, dataclasses.replace(found.record, seconds=0.0)

  def test_the_whole_path(self):
    out = self.train('a')
    run = self.folder / 'a'
    self.assertIn('teacher clean', out)
    self.assertIn('student best', out)
    results = json.loads((run / 'results.json').read_text())
    self.assertEqual(set(results['student']), {'best', 'last', 'ema'})
    self.assertEqual(set(results['teachers']), {'clean', 'robust'})
    for row in (*results['student'].values(), *results['teachers'].values()):
      self.assertEqual(set(row['attacks']), {'fgsm', 'cw_inf'})
      for found in row['attacks'].values():
        self.assertAlmostEqual(found['weighted'], (row['clean'] + found['robust']) / 2)
    self.assertEqual(results['selection']['split'], 'heldout')
    for kind in ('best', 'last', 'ema'):
      with np.load(run / 'eval' / kind / 'fgsm.npz') as verdicts:
        self.assertAlmostEqual(
          float(verdicts['robust'].mean()),
          results['student'][kind]['attacks']['fgsm']['robust'],
        )
    self.assertTrue(list((run / 'tensorboard').glob('events.out.tfevents.*')))
    self.assertTrue((run / 'teachers' / 'robust' / 'results.json').is_file())
    rows = [json.loads(x) for x in (run / 'metrics.jsonl').read_text().splitlines()]
    self.assertIn('weight_adv', rows[0])
    self.assertTrue(any('heldout_score' in row for row in rows))

    with self.subTest('a finished run says so'):
      before = (run / 'results.json').read_bytes()
      self.assertIn('finished before', self.train('a'))
      self.assertEqual(before, (run / 'results.json').read_bytes())
    with self.subTest('from elsewhere, and from home'):
      command = self.command('main.py', f'--config={self.config}', '--workdir=~/a')
      home = {**self.environment(), 'HOME': str(self.folder)}
      done = subprocess.run(
        command, env=home, cwd='/', capture_output=True, text=True, check=True
      )
      self.assertIn('finished before', done.stdout)
    with self.subTest('another config is refused'):
      again = forked.run(
        'main.py', f'--config={self.config}', f'--workdir={run}', '--config.batch_size=8'
      )
      self.assertEqual(again.returncode, 2)
      self.assertIn('batch_size was 16 and is now 8', again.stderr)
      self.assertLen(again.stderr.strip().splitlines(), 1)
    with self.subTest('evaluation with the same settings gives the same numbers'):
      again = forked.run('evaluate.py', f'--workdir={run}')
      self.assertEqual(again.returncode, 0, again.stderr)
      self.assertEqual(json.loads((run / 'results.json').read_text()), results)
    with self.subTest('evaluation with others goes to another file'):
      done = forked.run(
        'evaluate.py', f'--workdir={run}', '--config.evaluation.threat.eps=0'
      )
      self.assertEqual(done.returncode, 0, done.stderr)
      (other,) = run.glob('results-*.json')
      row = json.loads(other.read_text())['student']['best']
      self.assertEqual(row['attacks']['fgsm']['robust'], row['clean'])
    with self.subTest('a network leaves, comes back, and is examined'):
      file = self.folder / 'student.npz'
      done = forked.run('export.py', f'--workdir={run}', f'--out={file}')
      self.assertEqual(done.returncode, 0, done.stderr)
      self.assertIn('the predictions of jaxrkd on 24 of them', done.stdout)
      for program, *arguments in (
        ('convert.py', f'--workdir={run}', f'--out={self.folder / "s.safetensors"}'),
        (
          'convert.py',
          f'--file={self.folder / "s.safetensors"}',
          f'--workdir={run}_back',
        ),
        ('doctor.py', f'--teacher={run}_back', f'--student={run}', '--kind=clean'),
      ):
        done = forked.run(program, *arguments)
        self.assertIn(done.returncode, (0, 3), done.stderr)
        self.assertEqual(done.returncode == 3, 'teacher: fail' in done.stdout)
      self.assertIn('input normalisation', done.stdout)
    with self.subTest('evaluation cannot change training'):
      done = forked.run('evaluate.py', f'--workdir={run}', '--config.epochs=9')
      self.assertEqual(done.returncode, 2)
      self.assertIn('config.epochs belongs to training', done.stderr)

  def start(self, workdir, count):
    """`count` processes of one job."""
    with socket.socket() as probe:
      probe.bind(('localhost', 0))
      port = probe.getsockname()[1]
    job = [f'--coordinator=localhost:{port}', f'--processes={count}'] if count > 1 else []
    return [
      subprocess.Popen(
        self.command(
          'main.py',
          f'--config={self.config}',
          f'--workdir={self.folder / workdir}',
          *job,
          *([f'--process_id={number}'] if job else []),
          # In two processes each reads its own rows; in one all lie on the device.
          f'--config.stream={"always" if job else "never"}',
        ),
        env=self.environment(1),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
      )
      for number in range(count)
    ]

  def interrupt(self, workdir, processes, number):
    """Ends a job once it has logged a random step, or, in the long test, at any moment."""
    log = self.folder / workdir / 'metrics.jsonl'
    reached = lambda: max(self.losses(workdir), default=0) if log.is_file() else 0
    started = self.start(workdir, processes)
    kind = (signal.SIGTERM, signal.SIGKILL)[number % 2]
    if KILLS:
      over = self.random_moment(number, reached)
    else:
      at = random.randrange(1, 15)
      over = lambda: reached() >= at
    while all(process.poll() is None for process in started) and not over():
      time.sleep(0.005)
    # A machine that is to go is told so; the others learn it from it.
    one = kind == signal.SIGTERM and random.random() < 0.5
    told = started[:1] if one else started
    for process in told:
      process.send_signal(kind)
    said = [process.communicate(timeout=120)[0] for process in started]
    statuses = [process.returncode for process in started]
    if kind == signal.SIGTERM:
      self.assertFalse((self.folder / workdir / workdir_lock.NAME).exists())
    if KILLS:
      last = (said[0].strip().splitlines() or [''])[-1]
      print(f'{kind.name} to {len(told)} at {reached()}: {statuses}; {last}')
    return statuses

  def random_moment(self, number, reached):
    """Every fourth is anywhere in starting up, the others in the steps that follow."""
    early = time.monotonic() + random.uniform(0.5, 8)
    before, late, wait = reached(), [], random.uniform(0, 3)

    def over():
      if number % 4 == 3:
        return time.monotonic() > early
      if not late and reached() > before:
        late.append(time.monotonic() + wait)
      return bool(late) and time.monotonic() > late[0]

    return over

  def check_equal(self, one, other):
    """Two runs have the same checkpoints and losses, bit for bit."""
    for kind in ('last', 'best'):
      whole, cut = self.student(one, kind), self.student(other, kind)
      self.assertEqual(whole[1], cut[1])
      for a, b in zip(_leaves(whole[0]), _leaves(cut[0]), strict=True):
        np.testing.assert_array_equal(a, b)
    self.assertEqual(self.losses(one), self.losses(other))

  def test_killed_and_run_again_equals_undisturbed(self):
    self.train('whole')
    statuses = [self.interrupt('cut', 1, number)[0] for number in range(KILLS or 2)]
    # -15: before anything listens.
    self.assertTrue(set(statuses) <= {0, 143, -9, -15}, statuses)
    self.assertNotEqual(set(statuses), {0})
    self.train('cut')
    self.check_equal('whole', 'cut')

  def test_a_truncated_checkpoint_falls_back_to_the_one_before(self):
    self.train('whole')
    run = self.folder / 'whole'
    (run / 'results.json').unlink()
    steps = sorted(int(p.name) for p in (run / 'checkpoints' / 'last').iterdir())
    newest = run / 'checkpoints' / 'last' / str(steps[-1])
    # Cut every file that holds arrays.
    for path in newest.rglob('d/*'):
      path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    before = self.losses('whole')
    out = self.train('whole')
    self.assertIn(f'{newest} cannot be read', out)
    self.assertIn(f'resuming at step {steps[-2]}', out)
    self.assertEqual(before, self.losses('whole'))
    self.assertTrue((run / 'results.json').is_file())

  def test_two_processes_give_the_losses_of_one(self):
    self.train('one', devices=2)
    outputs = self.finish('two')
    self.assertNotIn('student', outputs[1])  # only the first process talks
    one, two = self.losses('one'), self.losses('two')
    self.assertEqual(set(one), set(two))
    close = 1e-3 if KILLS else 1e-5  # rounding grows over a long run
    np.testing.assert_allclose(list(two.values()), list(one.values()), rtol=close)
    for name in ('one', 'two'):
      path = self.folder / name / 'results.json'
      results = json.loads(path.read_text())
      self.assertEqual(set(results['student']), {'best', 'last', 'ema'})
    with self.subTest('killed and run again'):
      for number in range(KILLS or 1):
        statuses = self.interrupt('cut', 2, number)
        if number % 2 == 0:  # SIGTERM
          self.assertIn(statuses, ([143, 143], [0, 0]))
      self.finish('cut')
      self.check_equal('two', 'cut')

  def finish(self, workdir):
    """Runs a job of two processes to its end; returns what they printed."""
    processes = self.start(workdir, 2)
    outputs = [process.communicate(timeout=600) for process in processes]
    for process, (_, err) in zip(processes, outputs):
      self.assertEqual(process.returncode, 0, err)
    return [out for out, _ in outputs]

  @parameterized.parameters(
    ('--config.epocs=1', "did you mean 'epochs'"),
    ('--config.threat.eps=8', '8/255 = 0.0313'),
    ('--config.batch_size=9', 'batch_size is 9, which 2 devices do not divide'),
    ('--config.data.name=cifar100', 'cifar100 is not in|no option'),
    ('--confg=1', "Unknown command line flag 'confg'"),
    ('extra', "unexpected argument 'extra'"),
    ('--processes=2', 'do not describe a job'),
    ('--coordinator=localhost:1', 'do not describe a job'),
    ('--join_timeout=0', '--join_timeout is 0.0; it must be above 0'),
    ('--workdir=gs://bucket/run', 'mount the bucket'),
    ('--config.teachers.clean.config.seeds=0,1', 'a teacher is one network'),
    ('--plugins=nowhere.py', "no plugin 'nowhere.py'"),
    ('--config.teachers.clean.weight=0.5', 'their sum is 0.5 and must be 1'),
    ('--config.teachers.clean.workdir=nowhere', "nowhere' is not the workdir of a run"),
  )
  def test_a_mistake_ends_in_one_line(self, argument, message):
    done = forked.run(
      'main.py',
      f'--config={self.config}',
      f'--workdir={self.folder / "w"}',
      f'--data_dir={self.folder}',
      argument,
      devices=2,
    )
    self.assertEqual(done.returncode, 2, done.stderr)
    self.assertRegex(done.stderr, message)
    self.assertLen(done.stderr.strip().splitlines(), 1)

  def test_a_workdir_where_another_process_is_at_work(self):
    with workdir_lock.hold(self.folder / 'w'):
      done = forked.run(
        'main.py', f'--config={self.config}', f'--workdir={self.folder / "w"}'
      )
    self.assertEqual(done.returncode, 2, done.stderr)
    process = f'process {os.getpid()} on {socket.gethostname()}'
    wanted = f'error: .*{process} has been at work there'
    self.assertRegex(done.stderr, wanted)
    self.assertLen(done.stderr.strip().splitlines(), 1)
    self.assertEqual(list((self.folder / 'w').iterdir()), [])

  def test_flags_from_files(self):
    """Also those of the config; later ones win, wherever they stand."""
    inner, outer = self.folder / 'inner.flags', self.folder / 'outer.flags'
    inner.write_text('# a comment\n--config.batch_size=9\n--config.threat.eps=8\n')
    outer.write_text(
      f'--config={self.config}\n--flagfile=~/{inner.name}\n\n--config.threat.eps=0.1\n'
    )
    for given, message in (
      ((f'--flagfile={outer}',), 'batch_size is 9, which 2 devices do not divide'),
      ((f'--flagfile={outer}', '--config.batch_size=11'), 'batch_size is 11'),
      ((f'--flagfile={self.folder}/none',), "none'; --flagfile names a text file"),
    ):
      home = str(self.folder)
      done = forked.run('main.py', '--workdir=~/w', *given, devices=2, home=home)
      self.assertEqual(done.returncode, 2, done.stderr)
      self.assertIn(message, done.stderr)
      self.assertLen(done.stderr.strip().splitlines(), 1)
    self.assertEqual({path.suffix for path in self.folder.iterdir()}, {'.py', '.flags'})

  def test_a_method_of_ones_own(self):
    """Defined in the config file; measured later with the file as a plugin."""
    page = (ROOT / 'docs' / 'extending.md').read_text()
    method, *_ = re.findall(r'```python\n(.*?)```', page, re.S)
    config = CONFIG.replace("'mtard'", "'mine'")
    config = config.format(tests=str(ROOT / 'tests'), epochs=1)
    self.config.write_text(method + config)
    self.assertIn('student best', self.train('own'))
    workdir = f'--workdir={self.folder / "own"}'
    again = forked.run('evaluate.py', workdir)
    self.assertIn("unknown method.name 'mine'", again.stderr)
    again = forked.run('evaluate.py', workdir, f'--plugins={self.config}')
    self.assertEqual(again.returncode, 0, again.stderr)

  @parameterized.parameters(
    ('convert.py', ('--workdir=w',), 'give --file=WEIGHTS'),
    ('convert.py', ('--workdir=w', '--file=nowhere.pt'), "'nowhere.pt' does not exist"),
    ('convert.py', ('--file=x', '--image_shape=a', '--workdir=w'), '--image_shape is a'),
    ('doctor.py', (), 'no --teacher'),
    ('doctor.py', ('--teacher=x', '--kind=good'), "--kind is 'good'"),
    ('export.py', ('--workdir=w',), 'no --out'),
  )
  def test_mistakes_with_weights(self, program, arguments, message):
    done = forked.run(program, *arguments)
    self.assertEqual(done.returncode, 2, done.stderr)
    self.assertIn(message, done.stderr)
    self.assertLen(done.stderr.strip().splitlines(), 1)

  def test_list_of_recipes(self):
    done = forked.run('convert.py', '--list')
    self.assertEqual(done.returncode, 0, done.stderr)
    self.assertIn('trades_wrn_34_10', done.stdout)
    self.assertRegex(done.stdout, r'L2/Rice2020Overfitting.*autoattack 67.68 \(L2 0.5\)')
    with self.subTest('into a pipe that nobody reads'):
      unread, end = os.pipe()
      os.close(unread)
      command = self.command('convert.py', '--list')
      done = subprocess.run(
        command, env=self.environment(1), stdout=end, stderr=subprocess.PIPE, text=True
      )
      os.close(end)
      self.assertEqual((done.returncode, done.stderr), (0, ''))

  def test_missing_flags(self):
    for arguments in ((), (f'--config={self.config}',)):
      done = forked.run('main.py', *arguments)
      self.assertEqual(done.returncode, 2)
      self.assertRegex(done.stderr, 'no --config|no --workdir')

  def test_dry_run(self):
    done = forked.run('main.py', f'--config={self.config}', '--dry_run')
    self.assertEqual(done.returncode, 0, done.stderr)
    for text in ('would be trained first', 'parameters', 'memory per device', 'one step'):
      self.assertIn(text, done.stdout)
    self.assertEqual(list(self.folder.iterdir()), [self.config])


class TeacherTest(absltest.TestCase):
  def test_a_teacher_of_another_data_set_is_refused(self):
    folder = tiny.folder(self)
    teacher = experiment.resolve(tiny.config('natural', epochs=1, data__classes=4))
    experiment.train_and_evaluate(teacher, folder / 'teacher')
    config = experiment.resolve(
      tiny.config(), [f'teachers.clean.workdir={folder / "teacher"}']
    )
    with self.assertRaisesRegex(InputError, "teacher 'clean'.*4 classes.*3 classes"):
      experiment.train_and_evaluate(config, folder / 'student')

  def test_a_batch_of_more_images_than_there_are_is_refused_before_teachers_train(self):
    folder = tiny.folder(self)
    config = experiment.resolve(tiny.config(), ['batch_size=4096'])
    with self.assertRaisesRegex(InputError, 'batch_size is 4096, but there are only'):
      experiment.train_and_evaluate(config, folder / 'student')
    self.assertFalse((folder / 'student').exists())


def _leaves(tree):
  import jax

  return jax.tree.leaves(tree)


if __name__ == '__main__':
  absltest.main()
