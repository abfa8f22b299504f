"""Whether all processes of a job see the same folder."""

import pathlib
import secrets
import time

import jax
import numpy as np
from jax.experimental import multihost_utils

from jaxrkd.errors import InputError
from jaxrkd.runtime import sharding

# Seconds until what one machine writes must be seen by another: network disks look again
# after some.
PATIENCE = 60.0


def check_shared(folder: pathlib.Path, seconds: float = PATIENCE) -> None:
  """Has the first process leave a mark in a folder, for which all others look.

  Without it processes whose folders only have the same name would wait for each other's
  checkpoints for ever. All processes must call it; does nothing in a job of one.

  Args:
    folder: made where it is missing.
    seconds: how long to look.

  Raises:
    InputError: the first process cannot write there, or others do not see what it wrote.
  """
  if jax.process_count() == 1:
    return
  number = int(multihost_utils.broadcast_one_to_all(np.asarray(secrets.randbits(31))))
  mark = folder / f'.shared-{number}'
  made = not sharding.is_first_process() or _leave(mark)
  if not sharding.agreed(made):
    raise InputError(
      f'process 0 cannot write into {str(folder)!r}; use another --workdir'
    )
  seen = multihost_utils.process_allgather(np.asarray(_appears(mark, seconds)))
  if sharding.is_first_process():
    mark.unlink(missing_ok=True)
  blind = np.flatnonzero(~np.asarray(seen, bool))
  if len(blind):
    who = ', '.join(f'process {k}' for k in blind)
    raise InputError(
      f'{who} of {jax.process_count()} cannot see what process 0 writes into '
      f'{str(folder)!r}; give a --workdir on a disk that all machines share'
    )


def _leave(mark: pathlib.Path) -> bool:
  try:
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()
  except OSError:
    return False
  return True


def _appears(path: pathlib.Path, seconds: float) -> bool:
  end = time.monotonic() + seconds
  while not path.exists():
    if time.monotonic() > end:
      return False
    time.sleep(0.2)
  return True
