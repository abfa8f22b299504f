"""Joining the processes of one job: TPU pods, Slurm, or addresses given by hand."""

import os
import re
import urllib.request
from collections.abc import Mapping
from typing import NamedTuple, cast

import jax
from jax._src.distributed import global_state

from jaxrkd.errors import InputError, above_zero
from jaxrkd.runtime import preemption
from jaxrkd.runtime.agreement import Store
from jaxrkd.runtime.progress import put
from jaxrkd.runtime.roll_call import roll_call

AUTO = 'auto'
TPU_PORT = 8476
METADATA = 'http://metadata.google.internal/computeMetadata/v1/instance/attributes/'


class Job(NamedTuple):
  """The processes that compute together.

  Attributes:
    address: host:port of the first.
    size: how many.
    rank: which one this is.
    hosts: of all, where they are known.
  """

  address: str
  size: int
  rank: int
  hosts: tuple[str, ...] = ()


def join(
  coordinator: str = '', processes: int = 0, process_id: int = -1, seconds: float = 300
) -> None:
  """Connects this process to the others; does nothing for a job of one.

  Must run before any other use of the devices.

  Args:
    coordinator: host:port of the first process; empty looks for Slurm's settings and for
      those of a TPU pod in the environment, or runs alone; 'auto' asks the TPU machine
      itself as well, and must find something.
    processes: how many there are.
    process_id: which one this is, from 0.
    seconds: how long to wait for the others.

  Raises:
    InputError: an address without a number of processes or the other way round, or some
      process did not come; says which.
  """
  above_zero(seconds, '--join_timeout')
  by_hand = processes or process_id >= 0 or coordinator not in ('', AUTO)
  if by_hand:
    if coordinator in ('', AUTO) or processes < 1 or not 0 <= process_id < processes:
      raise InputError(
        f'--coordinator={coordinator or "(none)"} --processes={processes} '
        f'--process_id={process_id} do not describe a job; give all three, '
        'with a process_id from 0 to processes - 1'
      )
    job: Job | None = Job(coordinator, processes, process_id)
  else:
    job = slurm_job(os.environ) or tpu_job(os.environ)
    if coordinator == AUTO and job is None:
      job = tpu_machine_job()
    if job is None:
      _tell_without_srun(os.environ)
  if job is None or job.size == 1:
    return
  roll_call(job.address, job.size, job.rank, seconds, job.hosts)
  # It would take SIGTERM for itself; see `agreement`.
  jax.config.update('jax_enable_preemption_service', False)
  jax.distributed.initialize(
    job.address,
    job.size,
    job.rank,
    initialization_timeout=max(int(seconds), 1),
    # Or it takes a task's number under Slurm for that of its only visible GPU.
    cluster_detection_method='deactivate',
  )
  # jax's own store has no public name.
  preemption.end_together(cast(Store, global_state.client), job.rank, job.size)


def slurm_job(environment: Mapping[str, str]) -> Job | None:
  """What `srun` says; None outside of it, or for one task.

  A batch script has a SLURM_PROCID, too, and the number of the job's tasks, but no step: it
  runs once. An interactive shell is a step of one task in a job of several.
  """
  count = _number(environment, 'SLURM_STEP_NUM_TASKS')
  if count < 2 or not {'SLURM_PROCID', 'SLURM_STEP_NODELIST'} <= set(environment):
    return None
  hosts = expand(environment['SLURM_STEP_NODELIST'])
  # Jobs on one machine get different ports.
  port = 60000 + int(environment['SLURM_JOB_ID']) % 5000
  number = int(environment['SLURM_PROCID'])
  each = count // len(hosts) if count % len(hosts) == 0 else 0
  places = tuple(host for host in hosts for _ in range(each))
  return Job(f'{hosts[0]}:{port}', count, number, places)


def _tell_without_srun(environment: Mapping[str, str]) -> None:
  """Says so where a job of several tasks runs this program once."""
  tasks = _number(environment, 'SLURM_NTASKS')
  alone = _number(environment, 'SLURM_STEP_NUM_TASKS') < 2
  if tasks > 1 and alone and _number(environment, 'SLURM_PROCID') == 0:
    put(
      f'Slurm gave this job {tasks} tasks, but the program was started without srun. It '
      'runs in one process, with the devices of this machine; put srun in front of the '
      'command to start all tasks'
    )


def _number(environment: Mapping[str, str], name: str) -> int:
  text = environment.get(name, '')
  return int(text) if text.isdigit() else 0


def expand(nodes: str) -> list[str]:
  """'gpu[01-03,7],login' -> ['gpu01', 'gpu02', 'gpu03', 'gpu7', 'login']."""
  found: list[str] = []
  # Commas inside brackets do not end a name.
  for name in re.findall(r'(?:[^,\[]|\[[^\]]*\])+', nodes):
    made = ['']
    for text, inside in re.findall(r'([^\[]+)|\[([^\]]*)\]', name):
      ends = [text] if text else _numbers(inside)
      made = [start + end for start in made for end in ends]
    found += made
  return found


def _numbers(inside: str) -> list[str]:
  """'01-03,7' -> ['01', '02', '03', '7']."""
  found = []
  for piece in inside.split(','):
    low, _, high = piece.partition('-')
    numbers = range(int(low), int(high or low) + 1)
    found += [f'{number:0{len(low)}d}' for number in numbers]
  return found


def tpu_job(environment: Mapping[str, str]) -> Job | None:
  """What the environment of a TPU pod says; None where it says nothing."""
  hosts = tuple(filter(None, environment.get('TPU_WORKER_HOSTNAMES', '').split(',')))
  if len(hosts) < 2:
    return None
  number = int(environment.get('TPU_WORKER_ID', '0'))
  return Job(f'{hosts[0]}:{TPU_PORT}', len(hosts), number, hosts)


def tpu_machine_job(metadata: str = METADATA) -> Job:
  """What Google's metadata server tells a TPU VM about its pod.

  Raises:
    InputError: there is none.
  """

  def ask(name: str) -> str:
    request = urllib.request.Request(
      metadata + name, headers={'Metadata-Flavor': 'Google'}
    )
    with urllib.request.urlopen(request, timeout=5) as answer:
      return answer.read().decode()

  try:
    # name:port:address of each machine.
    ends = [end.split(':')[-1] for end in ask('worker-network-endpoints').split(',')]
    number = int(ask('agent-worker-number'))
  except (OSError, ValueError) as error:
    raise InputError(
      f'--coordinator=auto found neither Slurm nor a TPU pod ({error}); give '
      '--coordinator=host:port, --processes and --process_id'
    ) from error
  return Job(f'{ends[0]}:{TPU_PORT}', len(ends), number, tuple(ends))
