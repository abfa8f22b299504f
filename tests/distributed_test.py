"""Who belongs to a job, and what is said when somebody does not come."""

import concurrent.futures
import contextlib
import http.server
import io
import os
import pathlib
import socket
import tempfile
import threading
import time
from unittest import mock

import jax
import numpy as np
from absl.testing import absltest, parameterized

from jaxrkd.errors import InputError
from jaxrkd.runtime import distributed, sharding, shared_folder
from jaxrkd.runtime.roll_call import roll_call


def free_port():
  with socket.socket() as probe:
    probe.bind(('localhost', 0))
    return probe.getsockname()[1]


class SharedFolderTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = pathlib.Path(folder.name)

  def check(self, folder, seen, rank=0):
    """As one of two processes, of which those see the mark that `seen` says."""
    gathered = []

    def gather(value):
      gathered.append(bool(value))
      return np.asarray(seen)

    with (
      mock.patch.object(jax, 'process_count', lambda: 2),
      mock.patch.object(sharding, 'is_first_process', lambda: rank == 0),
      mock.patch.object(shared_folder, 'multihost_utils') as others,
      mock.patch.object(sharding, 'agreed', lambda value: value),
    ):
      others.broadcast_one_to_all = lambda value: value
      others.process_allgather = gather
      shared_folder.check_shared(folder, seconds=0.3)
    return gathered

  def test_all_see_it(self):
    folder = self.folder / 'new'
    self.assertEqual(self.check(folder, [True, True]), [True])
    self.assertEmpty(list(folder.iterdir()))

  def test_another_disk(self):
    folder = self.folder
    with self.assertRaisesRegex(InputError, '^process 1 of 2 cannot see what process 0'):
      self.check(folder, [True, False])
    with self.assertRaisesRegex(InputError, 'process 1'):
      self.check(folder, [True, False], rank=1)
    self.assertEmpty(list(folder.iterdir()))

  def test_unwritable(self):
    (self.folder / 'taken').touch()
    with self.assertRaisesRegex(InputError, 'process 0 cannot write into'):
      self.check(self.folder / 'taken', [True, True])


class RollCallTest(absltest.TestCase):
  def call(self, numbers, count, seconds=1.0, hosts=(), late=0.0):
    """What each process that is there gets: None, or the sentence."""
    address = f'localhost:{free_port()}'

    def one(number):
      time.sleep(late if number == 0 else 0)
      try:
        return roll_call(address, count, number, seconds, hosts)
      except InputError as error:
        return str(error)

    with concurrent.futures.ThreadPoolExecutor(len(numbers)) as pool:
      return list(pool.map(one, numbers))

  def test_all_there(self):
    self.assertEqual(self.call((0, 1, 2, 3), 4, seconds=20), [None] * 4)

  def test_the_first_may_come_last(self):
    self.assertEqual(self.call((0, 1, 2), 3, seconds=20, late=0.5), [None] * 3)

  def test_the_port_is_free_afterwards(self):
    port = free_port()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
      list(pool.map(lambda k: roll_call(f'localhost:{port}', 2, k, 20), (0, 1)))
    with socket.create_server(('', port)):
      pass

  def test_missing_ones_are_named_everywhere(self):
    hosts = ('a', 'b', 'c', 'd')
    found = self.call((0, 2), 4, hosts=hosts)
    for text in found:
      self.assertRegex(
        text, '2 of 4 processes did not come within 1 s: process 1 on b, process 3 on d'
      )

  def test_nobody_listens(self):
    (text,) = self.call((1,), 2, seconds=0.5)
    self.assertRegex(
      text, 'process 1 on .* could not reach the first process at localhost'
    )

  def test_strangers_and_mistakes(self):
    port = free_port()

    def stranger():
      time.sleep(0.2)
      with socket.create_connection(('localhost', port)) as link:
        link.sendall(b'GET / HTTP/1.1')

    thread = threading.Thread(target=stranger)
    thread.start()
    with self.assertRaisesRegex(InputError, '1 of 2 processes did not come'):
      roll_call(f'localhost:{port}', 2, 0, 1)
    thread.join()
    for address in ('localhost', ':80', 'a:b', 'a:70000'):
      with self.assertRaisesRegex(InputError, 'is no address'):
        roll_call(address, 2, 0, 1)
    with (
      socket.create_server(('', port)),
      self.assertRaisesRegex(InputError, f'port {port} of this machine cannot be opened'),
    ):
      roll_call(f'localhost:{port}', 2, 0, 1)


class JobTest(parameterized.TestCase):
  def test_slurm(self):
    environment = {
      'SLURM_NTASKS': '4',
      'SLURM_STEP_NUM_TASKS': '4',
      'SLURM_PROCID': '3',
      'SLURM_JOB_ID': '123456',
      'SLURM_STEP_NODELIST': 'gpu[09-10]',
    }
    job = distributed.slurm_job(environment)
    self.assertEqual(job.address, 'gpu09:63456')
    self.assertEqual((job.size, job.rank), (4, 3))
    self.assertEqual(job.hosts, ('gpu09', 'gpu09', 'gpu10', 'gpu10'))
    one = {**environment, 'SLURM_STEP_NUM_TASKS': '1'}
    self.assertIsNone(distributed.slurm_job(one))
    self.assertIsNone(distributed.slurm_job({}))

  # What Slurm says in a batch script, in an interactive shell of a job of four, on a login
  # node after salloc; and where there is nothing to tell.
  @parameterized.parameters(
    (dict(SLURM_NTASKS='4', SLURM_PROCID='0', SLURM_JOB_NODELIST='n[1-2]'), True),
    (
      dict(
        SLURM_NTASKS='4',
        SLURM_PROCID='0',
        SLURM_STEP_ID='4294967290',
        SLURM_STEP_NUM_TASKS='1',
        SLURM_STEP_NODELIST='n1',
      ),
      True,
    ),
    (dict(SLURM_NTASKS='8', SLURM_JOB_NODELIST='n1'), True),
    (dict(SLURM_NTASKS='1', SLURM_PROCID='0'), False),
    (dict(SLURM_JOB_ID='5'), False),
    ({}, False),
  )
  def test_slurm_without_srun_is_one_process_and_says_so(self, environment, told):
    rest = {k: v for k, v in os.environ.items() if not k.startswith(('SLURM', 'TPU'))}
    said = io.StringIO()
    with (
      mock.patch.dict(
        os.environ, {**rest, 'SLURM_JOB_ID': '5', **environment}, clear=True
      ),
      mock.patch.object(distributed, 'roll_call', self.fail),
      contextlib.redirect_stdout(said),
    ):
      distributed.join(seconds=1)
    if told:
      wanted = f'this job {environment["SLURM_NTASKS"]} tasks, but .* without srun'
      self.assertRegex(said.getvalue(), wanted)
    self.assertLen(said.getvalue().splitlines(), int(told))

  @parameterized.parameters(
    ('one', ['one']),
    ('a1,b2', ['a1', 'b2']),
    ('gpu[01-03,7],login', ['gpu01', 'gpu02', 'gpu03', 'gpu7', 'login']),
    ('n[1-2]-ib', ['n1-ib', 'n2-ib']),
    ('r[1-2]n[1-2],x', ['r1n1', 'r1n2', 'r2n1', 'r2n2', 'x']),
  )
  def test_node_lists(self, nodes, hosts):
    self.assertEqual(distributed.expand(nodes), hosts)

  def test_tpu_environment(self):
    job = distributed.tpu_job({'TPU_WORKER_HOSTNAMES': 't0,t1', 'TPU_WORKER_ID': '1'})
    self.assertEqual(job, distributed.Job('t0:8476', 2, 1, ('t0', 't1')))
    self.assertIsNone(distributed.tpu_job({'TPU_WORKER_HOSTNAMES': 'localhost'}))

  def test_tpu_machine(self):
    answers = {
      '/worker-network-endpoints': 'x:1:10.0.0.2,y:2:10.0.0.3',
      '/agent-worker-number': '1',
    }

    class Server(http.server.BaseHTTPRequestHandler):
      def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(answers[self.path].encode())

      def log_message(self, *_):
        pass

    server = http.server.HTTPServer(('localhost', 0), Server)
    threading.Thread(target=server.serve_forever).start()
    self.addCleanup(server.server_close)
    self.addCleanup(server.shutdown)
    job = distributed.tpu_machine_job(f'http://localhost:{server.server_port}/')
    self.assertEqual(
      job, distributed.Job('10.0.0.2:8476', 2, 1, ('10.0.0.2', '10.0.0.3'))
    )
    with self.assertRaisesRegex(InputError, 'found neither Slurm nor a TPU pod'):
      distributed.tpu_machine_job(f'http://localhost:{free_port()}/')


if __name__ == '__main__':
  absltest.main()
