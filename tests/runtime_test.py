"""Metrics files and what a person sees."""

import contextlib
import io
import json
import os
import platform
import subprocess
import sys

import tiny
from absl.testing import absltest

from jaxrkd.errors import InputError, choose, nearest
from jaxrkd.runtime import distributed
from jaxrkd.runtime.metrics import MetricsWriter
from jaxrkd.runtime.progress import Progress, put


class MetricsTest(absltest.TestCase):
  def test_lines_after_the_checkpoint_are_dropped(self):
    folder = tiny.folder(self)
    writer = MetricsWriter(folder, 0)
    for step in (2, 4, 6):
      writer.write(step, {'loss': 1.0 / step, 'odd': float('nan')})
    writer.close()
    path = folder / 'metrics.jsonl'
    path.write_text(path.read_text() + '{"step": 8, "lo')  # killed while writing
    writer = MetricsWriter(folder, 4)
    writer.write(6, {'loss': 9.0})
    writer.close()
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    self.assertEqual([row['step'] for row in rows], [2, 4, 6])
    self.assertEqual((rows[0]['odd'], rows[2]['loss']), (None, 9.0))

  def test_other_processes_write_nothing(self):
    folder = tiny.folder(self)
    writer = MetricsWriter(folder, 0, enabled=False)
    writer.write(1, {'loss': 1.0})
    writer.close()
    self.assertEqual(list(folder.iterdir()), [])


class ProgressTest(absltest.TestCase):
  def test_plain_lines(self):
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
      progress = Progress('student', 10)
      for step in range(1, 11):
        progress.show(step, {'loss': 0.5}, 123.4)
      progress.close()
    lines = out.getvalue().splitlines()
    self.assertLen(lines, 2)  # the first, and the last; the others came too soon
    self.assertIn('step 10/10  loss 0.5  images/s 123  left 0:00', lines[-1])

  def test_a_pipe_that_nobody_reads_ends_nothing(self):
    unread, end = os.pipe()
    os.close(unread)
    with open(end, 'w') as pipe:
      for _ in range(3):
        put('a line', pipe)


class ErrorsTest(absltest.TestCase):
  def test_nearest(self):
    self.assertEqual(
      nearest('resnet19', ['resnet18', 'wrn']), "; did you mean 'resnet18'?"
    )
    self.assertEqual(nearest('xyz', ['resnet18']), '')
    with self.assertRaisesRegex(InputError, r"unknown network 'wm'.*known: wrn"):
      choose({'wrn': 1}, 'wm', 'network')


STEPS = """
import resource, sys
import jax, jax.numpy as jnp
from jaxrkd.runtime import host_memory
if sys.argv[1] == 'keep':
  assert host_memory.keep_freed()
between = jax.jit(lambda a, b, c: (a @ b) @ c)  # 128 MiB
given = jnp.ones((4096, 8)), jnp.ones((8, 8192)), jnp.ones((8192, 8))
for number in range(24):
  if number == 4:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
  between(*given).block_until_ready()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


class HostMemoryTest(absltest.TestCase):
  def test_a_step_uses_the_memory_of_the_last(self):
    if platform.libc_ver()[0] != 'glibc':
      self.skipTest('the C library is not glibc')
    faults = {}
    for mode in ('keep', 'give_back'):
      command = [sys.executable, '-c', STEPS, mode]
      # Of several devices each step runs in threads.
      env = {**os.environ, 'JAX_PLATFORMS': 'cpu', 'JAX_NUM_CPU_DEVICES': '1'}
      done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
      faults[mode] = int(done.stdout)
    # Twenty times 128 MiB, in pages of 2 MiB at most; one or two of them may have to move.
    self.assertGreaterEqual(faults['give_back'], 20 * 64)
    self.assertLess(faults['keep'], 0.25 * faults['give_back'])


class DistributedTest(absltest.TestCase):
  def test_half_a_job(self):
    for arguments in (('a:1', 0, 0), ('', 2, 0), ('a:1', 2, 2), ('a:1', 2, -1)):
      with self.assertRaisesRegex(InputError, 'do not describe a job'):
        distributed.join(*arguments)


if __name__ == '__main__':
  absltest.main()
