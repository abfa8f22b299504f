"""Joining the processes of one job: TPU pods, Slurm, or addresses given by hand."""

import os

import jax

from jaxrkd.errors import InputError


def join(coordinator: str = '', processes: int = 0, process_id: int = -1) -> None:
  """Connects this process to the others; does nothing for a job of one.

  Must run before any other use of the devices.

  Args:
    coordinator: host:port of the first process; empty finds the job's own settings (TPU
      pod, Slurm) or runs alone.
    processes: how many there are.
    process_id: which one this is, from 0.

  Raises:
    InputError: an address without a number of processes or the other way round.
  """
  if coordinator or processes or process_id >= 0:
    if not coordinator or processes < 1 or not 0 <= process_id < processes:
      raise InputError(
        f'--coordinator={coordinator or "(none)"} --processes={processes} '
        f'--process_id={process_id} do not describe a job; give all three, '
        'with a process_id from 0 to processes - 1'
      )
    jax.distributed.initialize(coordinator, processes, process_id)
  elif _is_cluster():
    jax.distributed.initialize()


def _is_cluster() -> bool:
  """Whether the environment says that this is one process of several."""
  tpu_hosts = os.environ.get('TPU_WORKER_HOSTNAMES', '').split(',')
  return len(tpu_hosts) > 1 or int(os.environ.get('SLURM_NTASKS', '1')) > 1
