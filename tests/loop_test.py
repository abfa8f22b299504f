"""The loop around the step: what it keeps, and when it stops early."""

import json
import os
import signal
import time
from unittest import mock

import jax
import numpy as np
import tiny
from absl.testing import absltest, parameterized

from jaxrkd.runtime import preemption
from jaxrkd.runtime.checkpoint import Checkpoints
from jaxrkd.train.log import Log
from jaxrkd.train.loop import Run, fit
from jaxrkd.train.record import Best, RunRecord


def fitted(test, scores, **changes):
  """Trains a tiny run whose score gives the scores listed; returns (workdir, said)."""
  run = tiny.Run(tiny.config('natural', **{'epochs': len(scores), **changes}))
  given = iter(scores)

  def score(student):
    del student
    score = next(given)
    return {'student': {'clean': 1.0, 'robust': score, 'score': score}}

  workdir = tiny.folder(test)
  with mock.patch('builtins.print') as said:
    fit([Run(run.setup, workdir, score, 'title')], run.teachers, 'title')
  return workdir, [str(call.args[0]) for call in said.call_args_list if call.args]


def steps(workdir, kind):
  store = Checkpoints(workdir / 'checkpoints' / kind, writable=False)
  found, record = store.steps(), store.newest_record()
  store.close()
  return found, record


class LoopTest(parameterized.TestCase):
  def test_keeps_the_epochs_named(self):
    workdir, _ = fitted(self, [0.1, 0.2, 0.3, 0.4], keep_epochs=(1, 3))
    found, record = steps(workdir, 'kept')
    self.assertEqual(found, [1, 3])
    self.assertEqual(record['step'], 12)
    self.assertEqual(steps(workdir, 'last')[0], [12, 16])

  def test_stops_at_a_collapse_and_keeps_what_was_before(self):
    scores = [0.4, 0.5, 0.1, 0.6]
    workdir, said = fitted(self, scores, select__max_drop=0.3)
    self.assertEqual(steps(workdir, 'last')[0], [4, 8])
    self.assertEqual(steps(workdir, 'best')[1]['best']['step'], 8)
    self.assertRegex(' '.join(said), 'stopped after epoch 3.*fell by 0.400')

  def test_what_is_left_after_a_collapse_was_looked_at(self):
    """Whatever the spacing of looks and checkpoints."""
    for every, saving in ((2, 1), (1, 5)):
      scores = [0.5, 0.1, 0.6, 0.7]
      workdir, said = fitted(
        self,
        scores,
        select__max_drop=0.3,
        select__every=every,
        checkpoint_every=saving,
        epochs=4,
      )
      self.assertRegex(' '.join(said), f'stopped after epoch {2 * every}')
      self.assertEqual(steps(workdir, 'last')[0], [4 * every])

  def test_a_kept_epoch_newer_than_what_is_resumed_is_made_again(self):
    run = tiny.Run(tiny.config('natural', epochs=2, keep_epochs=(1, 2)))
    workdir, score = (
      tiny.folder(self),
      lambda nets: {'student': {'robust': 0.5, 'score': 0.5}},
    )
    for lost in ('first', 'second'):
      fit([Run(run.setup, workdir, score, 'title')], run.teachers, 'title')
      (workdir / 'checkpoints' / 'last').rename(workdir / lost)
    self.assertEqual(steps(workdir, 'kept')[0], [1, 2])
    self.assertLen(list((workdir / 'checkpoints' / 'kept_aside').iterdir()), 2)

  def test_speed_leaves_looks_and_checkpoints_out(self):
    run = tiny.Run(tiny.config('natural', epochs=6, log_every=2))
    workdir = tiny.folder(self)

    def slow(nets):
      time.sleep(0.5)
      return {'student': {'robust': 0.5, 'score': 0.5}}

    fit([Run(run.setup, workdir, slow, 'title')], run.teachers, 'title')
    rows = [json.loads(x) for x in (workdir / 'metrics.jsonl').read_text().splitlines()]
    speeds = [row['images_per_second'] for row in rows if 'images_per_second' in row]
    # Two steps of 16 images in half a second would be 64.
    self.assertGreater(np.median(speeds), 200)

  @parameterized.parameters((1, range(1, 9)), (3, (4, 5, 8)), (4, (4, 8)))
  def test_no_line_of_few_steps_stands_before_a_checkpoint(self, every, want):
    run = tiny.Run(tiny.config('natural', epochs=2, log_every=every))
    workdir = tiny.folder(self)
    score = lambda nets: {'student': {'robust': 0.5, 'score': 0.5}}
    fit([Run(run.setup, workdir, score, 'title')], run.teachers, 'title')
    rows = [json.loads(x) for x in (workdir / 'metrics.jsonl').read_text().splitlines()]
    self.assertEqual([row['step'] for row in rows if 'loss' in row], list(want))

  @parameterized.parameters(signal.SIGTERM, signal.SIGINT)
  def test_told_to_end_while_the_last_checkpoint_is_written(self, number):
    """Of the save that goes on behind the last step nothing is lost."""
    run = tiny.Run(tiny.config('natural', epochs=2))
    workdir, done = tiny.folder(self), []
    score = lambda nets: {'student': {'robust': 0.5, 'score': 0.5}}
    wait = Checkpoints.wait

    def told(store):
      if not done:
        os.kill(os.getpid(), number)
      wait(store)
      done.append(store)

    self.listen()
    with (
      mock.patch.object(Checkpoints, 'wait', told),
      self.assertRaises(preemption.Preempted),
    ):
      fit([Run(run.setup, workdir, score, 'title')], run.teachers, 'title')
    self.assertLen(done, 2)
    self.assertEqual(steps(workdir, 'last')[0], [4, 8])
    self.assertEqual(preemption.status(), 128 + number)

  def listen(self):
    """As the programs do, for one test."""
    for number in (signal.SIGTERM, signal.SIGINT):
      self.addCleanup(signal.signal, number, signal.getsignal(number))
    notice = preemption._Notice
    self.enter_context(mock.patch.object(notice, 'asked', False))
    self.enter_context(mock.patch.object(notice, 'number', notice.number))
    preemption.listen()

  def test_interrupted_once_saves_and_twice_does_not_wait(self):
    self.listen()
    with self.assertRaises(KeyboardInterrupt):
      os.kill(os.getpid(), signal.SIGINT)  # nothing is trained
    with self.assertRaises(KeyboardInterrupt), preemption.saving_loop():
      os.kill(os.getpid(), signal.SIGINT)
      self.assertTrue(preemption.asked())
      os.kill(os.getpid(), signal.SIGINT)

  def test_told_to_end_while_checkpoints_are_read(self):
    """Not a step is done, which would first be compiled: a time of grace is short."""
    run = tiny.Run(tiny.config('natural', epochs=2))
    self.enter_context(mock.patch.object(preemption._Notice, 'asked', False))
    restore = Checkpoints.restore

    def told(store, *given, **options):
      preemption._Notice.asked = True
      return restore(store, *given, **options)

    workdir = tiny.folder(self)
    with (
      mock.patch.object(Checkpoints, 'restore', told),
      self.assertRaises(preemption.Preempted),
    ):
      fit([Run(run.setup, workdir, None, 'title')], run.teachers, 'title')
    self.assertEqual(list((workdir / 'checkpoints' / 'last').iterdir()), [])

  def test_no_stop_without_the_key_or_for_a_small_fall(self):
    for drop in (0.0, 0.5):
      workdir, _ = fitted(self, [0.4, 0.5, 0.1, 0.6], select__max_drop=drop)
      self.assertEqual(steps(workdir, 'last')[0], [12, 16])

  def test_best_newer_than_what_is_resumed_makes_room(self):
    """After a fall-back of `last` the scores come again, perhaps others."""
    run = tiny.Run(tiny.config('natural', epochs=2))
    workdir = tiny.folder(self)
    for score in (0.5, 0.7):
      measured = lambda nets, s=score: {'student': {'robust': s, 'score': s}}
      fit([Run(run.setup, workdir, measured, 'title')], run.teachers, 'title')
      # As if no checkpoint of `last` could be read.
      (workdir / 'checkpoints' / 'last').rename(workdir / f'lost{score}')
    store = Checkpoints(workdir / 'checkpoints' / 'best', writable=False)
    self.assertEqual(store.newest_record()['best']['score'], 0.7)
    state, _ = store.restore(run.setup.learner.like)
    self.assertTrue(np.isfinite(jax.tree.leaves(state.nets['student'].params)[0]).all())
    store.close()


class LogTest(parameterized.TestCase):
  @parameterized.named_parameters(('device_behind', False), ('host_runs_steps', True))
  def test_speed_of_windows_of_any_length(self, at_once):
    """Two epochs of eight steps of a second, with 4 images each, logged every third."""
    setup = mock.Mock(steps_per_epoch=8, batch_size=4)
    setup.schedule.rate = lambda step: 0.1
    speeds, now = {}, 1
    note = lambda step, row: speeds.update({step: row['images_per_second']})
    log = Log(setup, [mock.Mock(write=note)], mock.Mock())
    ready = mock.patch('jaxrkd.train.log._is_done', lambda row: at_once)
    with ready, mock.patch('time.monotonic', lambda: now):
      for step in range(1, 17):
        log.add({'loss': np.float32(1)})
        # A device that is behind is waited for until the step before is done.
        now = step if at_once else max(step - 1, 1)
        if step % 3 == 0:
          log.flush(step)
        if step % 8 == 0:
          now = step
          log.flush(step, keep=0)
          log.restart(None)
    self.assertEqual(speeds, dict.fromkeys((2, 5, 8, 11, 14, 16), 4.0))


class RecordTest(absltest.TestCase):
  def test_there_and_back(self):
    best = Best({'clean': 0.5, 'score': 0.25}, 8, 2, 'student')
    record = RunRecord(3, (8, 8, 1), 12, best, {'a': best}, 0.2, {'next_index': 8})
    written = json.loads(json.dumps(record.to_json(12)))
    self.assertEqual(RunRecord.from_json(written), record)
    self.assertEqual(
      written['best'],
      {'clean': 0.5, 'score': 0.25, 'step': 8, 'epoch': 2, 'network': 'student'},
    )

  def test_of_an_older_version(self):
    old = {'classes': 3, 'image_shape': [8, 8, 1], 'step': 4, 'best': None, 'more': 1}
    self.assertEqual(RunRecord.from_json(old), RunRecord(3, (8, 8, 1), 4))
    self.assertEqual(RunRecord.from_json({}), RunRecord())


if __name__ == '__main__':
  absltest.main()
