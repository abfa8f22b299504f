"""Processes that stop at the same call, whoever of them was told, at any speeds."""

import random
import threading
import time
from unittest import mock

from absl.testing import absltest, parameterized

from jaxrkd.runtime import agreement, preemption


class Memory:
  """A store in this process."""

  def __init__(self, failures=0):
    self.values, self.changed = {}, threading.Condition()
    self.failures = failures

  def key_value_set(self, key, value, allow_overwrite=False):
    with self.changed:
      assert allow_overwrite or key not in self.values, key
      self.values[key] = value
      self.changed.notify_all()

  def key_value_dir_get(self, key):
    self.failures -= 1
    if self.failures >= 0:
      raise OSError('not now')
    with self.changed:
      return [(k, v) for k, v in self.values.items() if k.startswith(key)]

  def blocking_key_value_get(self, key, timeout_in_ms):
    with self.changed:
      if not self.changed.wait_for(lambda: key in self.values, timeout_in_ms / 1000):
        raise TimeoutError(key)
      return self.values[key]

  def wait_at_barrier(self, barrier_id, timeout_in_ms):
    raise TimeoutError(barrier_id)


class AgreementTest(parameterized.TestCase):
  @parameterized.product(told=((0,), (2,), (0, 1, 2)), ahead=(1, 4), seed=tuple(range(4)))
  def test_all_stop_at_the_same_call(self, told, ahead, seed):
    size, store, stopped = 3, Memory(failures=5), {}
    rng = random.Random(seed)
    waits = [[rng.uniform(0, 0.002) for _ in range(2000)] for _ in range(size)]
    moment = time.monotonic() + rng.uniform(0, 0.05)
    counts, moved = [0] * size, threading.Condition()

    def process(rank):
      tell = lambda: rank in told and time.monotonic() > moment
      own = agreement.Agreement(store, rank, size, tell)
      own.start()
      for call in range(1, 2000):
        # No process is further ahead of another than devices let it be.
        with moved:
          moved.wait_for(lambda call=call: call - min(counts) <= ahead, timeout=5)
        time.sleep(waits[rank][call])
        if own.reached():
          stopped[rank] = call
          return
        with moved:
          counts[rank] = call
          moved.notify_all()

    with mock.patch.object(agreement, 'POLL', 0.003):
      threads = [
        threading.Thread(target=process, args=(k,), daemon=True) for k in range(size)
      ]
      for thread in threads:
        thread.start()
      for thread in threads:
        thread.join(timeout=10)
    self.assertLen(stopped, size)
    self.assertLen(set(stopped.values()), 1, stopped)
    self.assertGreater(stopped[0], 1)

  def test_nobody_told_nobody_stops(self):
    with mock.patch.object(agreement, 'POLL', 0.001):
      own = agreement.Agreement(Memory(), 0, 2, lambda: False)
      own.start()
      for _ in range(20):
        self.assertFalse(own.reached())
        time.sleep(0.001)

  def test_a_store_that_is_gone_ends_the_process(self):
    with mock.patch.object(agreement, 'POLL', 0):
      own = agreement.Agreement(Memory(failures=10**6), 0, 2, lambda: False)
      own.start()
      with self.assertRaisesRegex(OSError, 'not now'):
        for _ in range(1000):
          own.reached()
          time.sleep(0.005)

  def test_a_process_that_is_gone_ends_the_others(self):
    store = Memory()
    with (
      mock.patch.multiple(agreement, POLL=0.001, PATIENCE=10),
      mock.patch.object(preemption, '_Notice', mock.Mock(asked=True, loops=1)),
    ):
      preemption.end_together(store, 0, 2)
      store.blocking_key_value_get('jaxrkd/at/0', 5000)
      with self.assertRaises(preemption.Preempted):
        preemption.asked()
      preemption.part()  # returns though nobody comes


if __name__ == '__main__':
  absltest.main()
