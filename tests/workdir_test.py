"""Where runs live: one job at a time, paths that hold, full disks, letters of any locale."""

import contextlib
import errno
import io
import json
import os
import pathlib
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from unittest import mock

import jax
import jax.numpy as jnp
import tiny
from absl.testing import absltest, parameterized

from jaxrkd import experiment, paths
from jaxrkd.errors import InputError
from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import run
from jaxrkd.experiment.claim import claim
from jaxrkd.runtime import files, sharding, workdir_lock
from jaxrkd.runtime.checkpoint import Checkpoints
from jaxrkd.runtime.metrics import MetricsWriter
from jaxrkd.runtime.progress import Progress, put

ROOT = pathlib.Path(__file__).parent.parent
HOLD = """
import pathlib, sys
from jaxrkd.runtime import workdir_lock
with workdir_lock.hold(pathlib.Path(sys.argv[1])):
  print('held', flush=True)
  sys.stdin.read()
"""
# A locale without letters, and a Python that does not mend it.
POSIX = {'LC_ALL': 'POSIX', 'PYTHONUTF8': '0', 'PYTHONCOERCECLOCALE': '0'}
LETTERS = """
import pathlib, sys
from jaxrkd.runtime import files
from jaxrkd.runtime.metrics import MetricsWriter
from jaxrkd.runtime.progress import put
assert sys.getfilesystemencoding() == 'ascii'
folder = pathlib.Path(sys.argv[1])
files.write_text(folder / 'text', 'ε ≤ 8/255, ' + sys.argv[2])
put('ε – μ')
"""

SAVE = """
import pathlib, resource, sys, time
import jax.numpy as jnp
from jaxrkd.runtime.checkpoint import Checkpoints
state = {str(k): jnp.arange(50_000.0) ** 0.5 + k for k in range(20)}
store = Checkpoints(pathlib.Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
try:
  store.save(7, state, {})
  store.wait()
except ValueError as error:
  print(error)
store.close()
time.sleep(0.5)  # what is late comes now
"""


def environment(**more):
  return {**os.environ, 'PYTHONPATH': str(ROOT), 'JAX_PLATFORMS': 'cpu', **more}


def as_if_written(path, silent=0.0, **owner):
  """A lock of a process on another machine, which was silent for so many seconds."""
  about = dict(
    host='far', process=7, started='1', machine='other', since='then', mark='x'
  )
  path.write_text(json.dumps({**about, **owner}), encoding='utf-8')
  moment = time.time() - silent
  os.utime(path, (moment, moment))


class LockTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = tiny.folder(self)
    self.path = self.folder / workdir_lock.NAME

  def mark(self):
    return json.loads(self.path.read_text(encoding='utf-8'))['mark']

  def attempt(self):
    lock = workdir_lock.Lock(self.folder)
    with contextlib.redirect_stdout(io.StringIO()):
      return lock.attempt(), lock

  def test_a_process_at_work_is_named_and_a_dead_one_stops_nobody(self):
    command = [sys.executable, '-c', HOLD, str(self.folder)]
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with subprocess.Popen(command, env=environment(), **pipes) as other:
      self.assertEqual(other.stdout.readline(), 'held\n')
      wanted = f'process {other.pid} on {socket.gethostname()} has been at work there'
      with self.assertRaisesRegex(InputError, wanted), workdir_lock.hold(self.folder):
        pass
      other.send_signal(signal.SIGKILL)
      # Nobody has asked for its status yet, as in containers without an init.
      deadline = time.monotonic() + 20
      while workdir_lock._started(other.pid) and time.monotonic() < deadline:
        time.sleep(0.01)
      self.assertTrue(self.path.exists())
      with workdir_lock.hold(self.folder):
        self.assertEqual(json.loads(self.path.read_text())['process'], os.getpid())
    self.assertEqual(list(self.folder.iterdir()), [])

  def test_given_back_whatever_happens(self):
    for error in (KeyboardInterrupt, InputError, SystemExit):
      with contextlib.suppress(error), workdir_lock.hold(self.folder):
        self.assertTrue(self.path.exists())
        raise error
      self.assertFalse(self.path.exists())

  def test_twice_in_one_process(self):
    with (
      workdir_lock.hold(self.folder),
      self.assertRaisesRegex(InputError, f'process {os.getpid()} on'),
      workdir_lock.hold(self.folder),
    ):
      pass

  def test_another_process_of_the_same_number_stops_nobody(self):
    me = workdir_lock._about_me()
    self.assertTrue(me['machine'] and me['started'])
    as_if_written(self.path, **{**me, 'process': os.getppid(), 'started': '1'})
    done, lock = self.attempt()
    self.assertEqual((done, lock.refusal), (True, ''))

  def test_of_another_machine_only_its_signs_of_life_count(self):
    as_if_written(self.path, silent=workdir_lock.SILENCE - 30)
    before = self.path.read_bytes()
    with self.subTest('silent, but not for long enough'):
      done, lock = self.attempt()
      self.assertFalse(done)
      self.assertFalse(lock.attempt())
      self.assertEqual(self.path.read_bytes(), before)
    with self.subTest('a sign of life'):
      os.utime(self.path)
      self.assertTrue(lock.attempt())
      self.assertRegex(lock.refusal, r'process 7 on far .* last sign of life \d s ago')
      self.assertIn(f'delete {str(self.path)!r}', lock.refusal)
    with self.subTest('silent for too long'):
      as_if_written(self.path, silent=workdir_lock.SILENCE + 5)
      done, lock = self.attempt()
      self.assertEqual((done, lock.refusal), (True, ''))

  def test_numbers_of_another_container_say_nothing(self):
    host = socket.gethostname()
    as_if_written(self.path, host=host, process=2**22 + 1)
    self.assertFalse(self.attempt()[0])

  def test_processes_that_the_system_hides(self):
    as_if_written(self.path, **{**workdir_lock._about_me(), 'process': 2**22 + 1})
    with mock.patch.object(os, 'kill', mock.Mock(side_effect=PermissionError)):
      self.assertFalse(self.attempt()[0])
    self.assertTrue(self.attempt()[0])

  def test_a_clock_that_is_wrong_takes_nothing_from_anybody(self):
    """The disk's own clock counts, not this machine's."""
    as_if_written(self.path)
    with mock.patch.object(workdir_lock.time, 'time', lambda: 4e9):
      self.assertFalse(self.attempt()[0])

  @parameterized.parameters('', '{"mark":', '[]', '{}', '{"process": "7"}')
  def test_damaged(self, text):
    self.path.write_text(text)
    self.assertFalse(self.attempt()[0])
    old = time.time() - 2 * workdir_lock.TO_WRITE
    os.utime(self.path, (old, old))
    self.assertTrue(self.attempt()[0])

  def test_one_of_many_takes_over(self):
    as_if_written(self.path, silent=1000)
    locks = [workdir_lock.Lock(self.folder) for _ in range(16)]
    gate = threading.Barrier(len(locks))
    taken = []

    def run(lock):
      gate.wait()
      if lock.attempt() and not lock.refusal:
        taken.append(lock._mark)

    threads = [threading.Thread(target=run, args=[lock]) for lock in locks]
    for thread in threads:
      thread.start()
    for thread in threads:
      thread.join()
    self.assertEqual(taken, [self.mark()])

  def test_taken_over_by_a_slower_one(self):
    """Who takes over looks once more, when all who saw the lock of nobody have acted."""
    as_if_written(self.path, silent=1000)
    slower = lambda seconds: as_if_written(self.path, mark='slower')
    with mock.patch.object(time, 'sleep', slower):
      self.assertFalse(self.attempt()[0])
    self.assertEqual(self.mark(), 'slower')

  def test_taken_between_look_and_removal(self):
    as_if_written(self.path, silent=1000)
    judged = workdir_lock._read(self.path)
    as_if_written(self.path, mark='quicker')
    workdir_lock.Lock(self.folder)._remove(judged)
    self.assertEqual(self.mark(), 'quicker')
    with self.subTest('between that and the last look before it'):
      looks = [judged, workdir_lock._read(self.path)]
      with mock.patch.object(workdir_lock, '_read', mock.Mock(side_effect=looks)):
        workdir_lock.Lock(self.folder)._remove(judged)
      self.assertEqual(self.mark(), 'quicker')
    self.assertEqual(list(self.folder.iterdir()), [self.path])

  def test_signs_of_life(self):
    with mock.patch.object(workdir_lock, 'BEAT', 0.01), workdir_lock.hold(self.folder):
      mine = self.mark()
      os.utime(self.path, (0, 0))
      self.until(lambda: self.path.stat().st_mtime > 0)
      with self.subTest('deleted by mistake'):
        self.path.unlink()
        self.until(lambda: self.path.exists() and self.path.stat().st_size)
        self.assertEqual(self.mark(), mine)

  def test_a_process_that_slept_writes_nothing_more(self):
    with mock.patch.object(workdir_lock, 'BEAT', 0.01), workdir_lock.hold(self.folder):
      files.write_json(self.folder / 'a.json', 1)
      writer = MetricsWriter(self.folder, 0)
      store = Checkpoints(self.folder / 'checkpoints' / 'last')
      as_if_written(self.path)
      taken = lambda: self.assertRaisesRegex(InputError, 'process 7 on far has been')
      self.until(lambda: self.refused(self.folder / 'a.json'))
      for write in (
        lambda: files.write_json(self.folder / 'deep' / 'a.json', 2),
        lambda: writer.write(1, {'loss': 1.0}),
        lambda: store.save(1, {'w': jnp.ones(2)}, {}),
      ):
        with taken():
          write()
      writer.close()
      with taken():
        store.close()
      self.assertEqual(json.loads((self.folder / 'a.json').read_text()), 1)
      files.write_json(tiny.folder(self) / 'a.json', 1)  # elsewhere
    self.assertEqual(self.mark(), 'x')  # what belongs to another stays

  def refused(self, path):
    try:
      files.write_json(path, 1)
    except InputError:
      return True
    return False

  def until(self, holds):
    deadline = time.monotonic() + 20
    while not holds():
      self.assertLess(time.monotonic(), deadline)
      time.sleep(0.01)

  def test_a_clock_that_jumped_has_the_lock_looked_at_before_writing(self):
    lock = workdir_lock.Lock(self.folder)
    self.assertTrue(lock.attempt())
    as_if_written(self.path)
    lock.check()  # not yet
    later = time.time() + workdir_lock.SILENCE
    with (
      mock.patch.object(workdir_lock.time, 'time', lambda: later),
      self.assertRaisesRegex(InputError, 'process 7 on far'),
    ):
      lock.check()

  def test_the_first_process_holds_it_for_all(self):
    with mock.patch.object(sharding, 'is_first_process', lambda: False):
      with workdir_lock.hold(self.folder):
        self.assertEmpty(list(self.folder.iterdir()))
      with (
        mock.patch.object(sharding, 'agreed', mock.Mock(side_effect=[True, False])),
        self.assertRaisesRegex(InputError, 'the first process cannot take the workdir'),
        workdir_lock.hold(self.folder),
      ):
        pass

  def test_a_full_disk_leaves_no_empty_lock(self):
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with (
      mock.patch.object(workdir_lock, '_about_me', mock.Mock(side_effect=full)),
      self.assertRaisesRegex(InputError, 'No space left on device'),
      workdir_lock.hold(self.folder),
    ):
      pass
    self.assertEmpty(list(self.folder.iterdir()))

  def test_a_run_holds_its_workdir_and_keeps_where_everything_is(self):
    workdir = self.folder / 'run'
    seen = {}

    def teachers(config, place, *rest):
      seen.update(json.loads((place / 'config.json').read_text()))
      seen['lock'] = (place / workdir_lock.NAME).is_file()
      seen['place'] = place
      raise KeyboardInterrupt

    with contextlib.chdir(self.folder):
      made = tiny.config('natural', extra__path='')
      made.evaluation.attacks.fgsm.surrogate = 'other/run'
      config = experiment.resolve(made)
      with (
        mock.patch.object(run, 'train_teachers', teachers),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.suppress(KeyboardInterrupt),
      ):
        experiment.train_and_evaluate(config, 'run')
    self.assertTrue(seen['lock'])
    self.assertEqual(seen['place'], workdir)
    surrogate = seen['evaluation']['attacks']['fgsm']['surrogate']
    self.assertEqual(surrogate, str(self.folder / 'other' / 'run'))
    self.assertFalse((workdir / workdir_lock.NAME).exists())


class PathTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = tiny.folder(self).resolve()
    self.enterContext(mock.patch.dict(os.environ, HOME=str(self.folder / 'home')))
    self.enterContext(contextlib.chdir(self.folder))

  def test_home(self):
    home = self.folder / 'home'
    self.assertEqual(paths.expanded('~/a'), home / 'a')
    self.assertEqual(paths.expanded('a/~b'), pathlib.Path('a/~b'))
    self.assertEqual(paths.absolute('a'), self.folder / 'a')
    self.assertEqual(paths.absolute('~/a/../b'), home / 'b')
    with self.assertRaisesRegex(InputError, "'~nobody_here'.*write the whole path"):
      paths.expanded('~nobody_here/a')

  def test_a_link_stays_a_link(self):
    (self.folder / 'disk').mkdir()
    (self.folder / 'link').symlink_to('disk')
    self.assertEqual(paths.absolute('link/a'), self.folder / 'link' / 'a')
    self.assertEqual(paths.absolute('link/../a'), self.folder / 'a')

  def test_every_path_of_a_config(self):
    inner = tiny.config('natural', teachers=[])
    inner.teachers = {'deep': configs.teacher(workdir='t/deep')}
    made = tiny.config('rslad', teachers=[])
    made.teachers = {
      'a': configs.teacher(workdir='~/a'),
      'b': configs.teacher(file='b.pt'),
      'c': configs.teacher(inner),
      'd/1': configs.teacher(workdir='/d'),
    }
    made.evaluation.attacks = {
      'fgsm': dict(surrogate='a'),
      'pgd': dict(surrogate='../runs/x'),
      'cw_inf': dict(surrogate='d/1'),
    }
    made.extra.path = 'gs://bucket/extra.npz'
    found = experiment.resolve(made)
    deep = found.teachers.c.config
    self.assertEqual(found.teachers.a.workdir, str(self.folder / 'home' / 'a'))
    self.assertEqual(found.teachers.b.file, str(self.folder / 'b.pt'))
    self.assertEqual(deep.teachers.deep.workdir, str(self.folder / 't' / 'deep'))
    self.assertEqual(found.teachers.c.workdir, '')
    self.assertEqual(found.evaluation.attacks.fgsm.surrogate, 'a')
    self.assertEqual(found.evaluation.attacks.cw_inf.surrogate, 'd/1')
    other = str(self.folder.parent / 'runs' / 'x')
    self.assertEqual(found.evaluation.attacks.pgd.surrogate, other)
    self.assertEqual(found.extra.path, 'gs://bucket/extra.npz')
    self.assertEqual(found.to_dict(), experiment.resolve(found).to_dict())
    data = experiment.resolve(
      tiny.config('natural'), ['data.name=npz', 'data.path=~/d.npz']
    )
    self.assertEqual(data.data.path, str(self.folder / 'home' / 'd.npz'))

  def test_keys_without_effect_may_change(self):
    run = self.folder / 'run'
    claim(run, experiment.resolve(tiny.config('rslad')))
    (run / 'teachers').mkdir()
    for key in ('remat', 'teachers.robust.config.remat'):
      claim(run, experiment.resolve(tiny.config('rslad'), [f'{key}=true']))
    changed = ['teachers.robust.config.epochs=3']
    with self.assertRaisesRegex(InputError, 'teachers.robust.config.epochs was 2'):
      claim(run, experiment.resolve(tiny.config('rslad'), changed))

  @parameterized.parameters(
    ('t', 't', True),
    ('t', 'other', False),
    ('./x/../t', '{}/t', True),
    ('~/t', '~/t', True),
  )
  def test_a_run_of_before_with_paths_as_they_were_given(self, old, new, same):
    given = tiny.config('rslad', teachers=[])
    given.teachers = {'a': configs.teacher(workdir=new.format(self.folder))}
    wanted = experiment.resolve(given)
    before = json.loads(wanted.to_json())
    before['teachers']['a']['workdir'] = old
    run = self.folder / 'run'
    (run / 'checkpoints').mkdir(parents=True)
    (run / 'config.json').write_text(json.dumps(before))
    with contextlib.ExitStack() as opened:
      if not same:
        opened.enter_context(self.assertRaisesRegex(InputError, 'of another config'))
      claim(run, wanted)
    with self.subTest('of a version whose config is no longer understood'):
      before['gone'] = 1
      (run / 'config.json').write_text(json.dumps(before))
      alone = r"\(gone was 1 and is now '\(absent\)'\)"
      with self.assertRaisesRegex(InputError, alone if same else 'more keys'):
        claim(run, wanted)

  def test_files_that_programs_are_given(self):
    home = self.folder / 'home'
    (home / 'configs' / 'studies').mkdir(parents=True)
    (home / 'configs' / 'one.py').write_text('def get_config(arg=""):\n  return arg\n')
    rows = home / 'configs' / 'studies' / 'rows.py'
    rows.write_text("ROWS = {'a': '~/configs/one.py:x', 'b': 'one.py:y'}\n")
    self.assertEqual(configs.load_spec('~/configs/one.py:words'), 'words')
    self.assertEqual(
      configs.load_rows('~/configs/studies/rows.py'),
      {name: f'{home}/configs/one.py:{word}' for name, word in (('a', 'x'), ('b', 'y'))},
    )


class DiskTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = tiny.folder(self)

  @contextlib.contextmanager
  def limit(self, size):
    """No file may grow beyond so many bytes: a disk without room, for everybody."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
      yield
    finally:
      resource.setrlimit(resource.RLIMIT_FSIZE, before)

  def test_a_checkpoint(self):
    place = self.folder / 'checkpoints'
    stores = {name: Checkpoints(place / name) for name in ('last', 'best')}
    state = {str(k): jnp.arange(20_000.0) ** 0.5 + k for k in range(12)}
    stores['last'].save(3, state, {})
    stores['last'].wait()
    with self.limit(20_000):
      for name, store in stores.items():
        wanted = (
          f'cannot write .*{name}/7.: File too large; the checkpoint of step 3 is kept'
        )
        with self.assertRaisesRegex(InputError, f'{wanted}, so make room'):
          store.save(7, state, {})
          store.wait()
        store.close()
    self.assertEqual([path.name for path in (place / 'last').iterdir()], ['3'])
    self.assertEqual(list((place / 'best').iterdir()), [])
    again = Checkpoints(place / 'last')
    like = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), state)
    everywhere = sharding.replicated(sharding.data_mesh(jax.devices()[:1]))
    like = jax.tree.map(lambda leaf: leaf.update(sharding=everywhere), like)
    self.assertEqual(again.restore(like)[1]['step'], 3)
    again.save(7, state, {})
    again.close()
    self.assertLen(list((place / 'last').iterdir()), 2)

  def test_nothing_is_printed_beside_the_sentence(self):
    program = self.folder / 'program.py'
    program.write_text(SAVE, encoding='utf-8')
    command = [sys.executable, str(program), str(self.folder / 'last')]
    # Compiled programs do not fit either.
    env = environment(JAX_ENABLE_COMPILATION_CACHE='false')
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    self.assertEqual((done.returncode, done.stderr), (0, ''))
    self.assertRegex(
      done.stdout, r'\Acannot write .*last/7.: File too large; no checkpoint'
    )

  def test_an_error_that_is_none_of_the_disk_stays_one(self):
    store = Checkpoints(self.folder / 'last')
    with self.assertRaises(Exception) as caught:
      store.save(1, {'a': object()}, {})
    self.assertNotIsInstance(caught.exception, InputError)
    store.close()

  @parameterized.parameters('checkpoints', 'checkpoints/last')
  def test_a_file_where_checkpoints_should_be(self, name):
    file = self.folder / name
    file.parent.mkdir(exist_ok=True)
    file.touch()
    with self.assertRaisesRegex(InputError, 'cannot write'):
      Checkpoints(self.folder / 'checkpoints' / 'last')

  def test_metrics(self):
    (self.folder / 'checkpoints' / 'last' / '5').mkdir(parents=True)
    wanted = 'cannot write .*metrics.jsonl.*too large; the checkpoint of step 5 is kept'
    with self.subTest('lines'):
      writer = MetricsWriter(self.folder, 0)
      with self.limit(60), self.assertRaisesRegex(InputError, wanted):
        for step in range(9):
          writer.write(step, {'loss': 0.5})
      with contextlib.suppress(InputError):
        writer.close()
    with self.subTest('events of TensorBoard'):
      writer = MetricsWriter(self.folder, 0)
      for step in range(9):
        writer.write(step, {'loss': 0.5})
      with self.limit(60), self.assertRaisesRegex(InputError, wanted):
        writer.close()
    with self.subTest('and on again'):
      writer = MetricsWriter(self.folder, 5)
      writer.write(6, {'loss': 0.25})
      writer.close()
      lines = (self.folder / 'metrics.jsonl').read_text().splitlines()
      self.assertEqual(json.loads(lines[-1]), {'step': 6, 'loss': 0.25})

  def test_events_are_what_tensorboard_reads(self):
    from tensorboardX.proto import event_pb2

    writer = MetricsWriter(self.folder, 4)
    writer.write(6, {'loss': 0.5, 'odd': float('nan')})
    writer.close()
    (path,) = (self.folder / 'tensorboard').iterdir()
    self.assertStartsWith(path.name, 'events.out.tfevents.')
    content, events = path.read_bytes(), []
    while content:
      size = int.from_bytes(content[:8], 'little')
      events.append(event_pb2.Event.FromString(content[12 : 12 + size]))
      content = content[16 + size :]
    self.assertEqual(events[0].file_version, 'brain.Event:2')
    start = event_pb2.SessionLog.START
    self.assertEqual((events[1].step, events[1].session_log.status), (5, start))
    values = [(e.step, e.summary.value[0].tag) for e in events[2:]]
    self.assertEqual(values, [(6, 'loss'), (6, 'odd')])
    self.assertEqual(events[2].summary.value[0].simple_value, 0.5)

  def test_a_small_file_stays_what_it_was(self):
    path = self.folder / 'a.json'
    files.write_json(path, 1)
    with (
      self.limit(10),
      self.assertRaisesRegex(InputError, 'too large; what was written'),
    ):
      files.write_json(path, 'x' * 100)
    self.assertEqual(path.read_text(), '1\n')
    self.assertEqual(list(self.folder.iterdir()), [path])

  def test_something_in_the_way(self):
    file = self.folder / 'file'
    file.touch()
    for place in (file, file / 'r', file / 'r' / 'deep'):
      for act in (
        files.make_folder,
        lambda place: workdir_lock.hold(place).__enter__(),
        lambda place: MetricsWriter(place, 0),
      ):
        with self.assertRaisesRegex(InputError, f"cannot write .*'{file}' is a file"):
          act(place)
    (self.folder / 'results.json').mkdir()
    with self.assertRaisesRegex(InputError, 'cannot write'):
      files.write_json(self.folder / 'results.json', 1)
    # Where not even root may make anything.
    with self.assertRaisesRegex(InputError, "cannot write '/proc/r"):
      workdir_lock.hold(pathlib.Path('/proc/r')).__enter__()

  def test_a_picture(self):
    from jaxrkd.report import pictures

    path = self.folder / 'deep' / 'a.png'
    pictures.plt.figure()
    pictures.save(path)
    self.assertStartsWith(path.read_bytes()[1:], b'PNG')
    pictures.plt.figure()
    before = path.read_bytes()
    with self.limit(100), self.assertRaisesRegex(InputError, 'cannot write'):
      pictures.save(path)
    pictures.plt.close('all')
    self.assertEqual(path.read_bytes(), before)


class StreamTest(parameterized.TestCase):
  def test_letters_of_a_locale_without_any(self):
    folder = tiny.folder(self)
    program = folder / 'program.py'
    program.write_text(LETTERS, encoding='utf-8')
    command = [sys.executable, str(program), str(folder), 'runs/ü']
    done = subprocess.run(command, env=environment(**POSIX), capture_output=True)
    self.assertEqual((done.returncode, done.stderr), (0, b''))
    self.assertEqual(done.stdout, rb'\u03b5 \u2013 \u03bc' + b'\n')
    text = (folder / 'text').read_text(encoding='utf-8')
    self.assertEqual(text, 'ε ≤ 8/255, runs/ü')

  def test_names_that_are_others_to_the_libraries_that_save(self):
    odd = tiny.folder(self) / os.fsdecode(b'r\xf6t')
    for act in (lambda: Checkpoints(odd), lambda: workdir_lock.hold(odd).__enter__()):
      with self.assertRaisesRegex(InputError, 'PYTHONUTF8=1'):
        act()
    self.assertFalse(odd.exists())

  @parameterized.parameters(
    ('open_streams', '>&- 2>&-'),
    ('open_streams', '<&- >&- 2>&-'),
    ('open_streams', '<&- 2>&-'),
    ('command_line', '2>&-'),
    ('cli', '2>&-'),
  )
  def test_closed_before_the_program_began(self, module, closed):
    """What is written to the number of a closed stream must not land in a file."""
    out = tiny.folder(self) / 'out'
    program = (
      f'import jaxrkd.programs.{module}, os, sys; file = open(sys.argv[1], "w"); '
      'os.write(2, b"noise"); '
      'print("said"); print("said", file=sys.stderr); sys.stdin.read(); file.write("own")'
    )
    env = environment(PYTHONPATH=str(ROOT))
    command = ['sh', '-c', f'"$0" "$@" {closed}', sys.executable, '-c', program, str(out)]
    quiet = dict(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    done = subprocess.run(command, env=env, **quiet)
    self.assertEqual((done.returncode, out.read_text()), (0, 'own'))

  def test_no_stream_and_a_full_one(self):
    with mock.patch.object(sys, 'stderr', None), mock.patch.object(sys, 'stdout', None):
      put('a line')
      Progress('student', 10).show(1, {'loss': 0.5}, 1.0)
    with open('/dev/full', 'w') as full:
      for _ in range(3):
        put('a line', full)


if __name__ == '__main__':
  absltest.main()
