"""SIGTERM, which schedulers send some seconds before they take a machine away.

A training loop saves at the next step and ends; anything else ends at once, or in a job of
several processes after the network that is being measured, since what it has computed is on
disk. Either way the same command continues.
"""

import contextlib
import signal
from collections.abc import Iterator
from typing import Any

import jax
from jax.experimental import multihost_utils

# What a shell reports for a program that SIGTERM ended.
STATUS = 128 + signal.SIGTERM


class Preempted(BaseException):
  """The machine is about to be taken away; everything is saved."""


class _Notice:
  asked = False
  loops = 0
  times = 0


def listen() -> None:
  """Makes SIGTERM end this program as described above; call it on the main thread."""
  signal.signal(signal.SIGTERM, _on_signal)


def _on_signal(number: int, frame: Any) -> None:
  del number, frame
  _Notice.asked = True
  if not _Notice.loops:
    raise Preempted


@contextlib.contextmanager
def saving_loop() -> Iterator[None]:
  """Within this scope SIGTERM only makes `asked` true: a loop is going to save and end."""
  _Notice.loops += 1
  try:
    yield
  finally:
    _Notice.loops -= 1
  if _Notice.asked:
    # After the last step: everything is saved, too.
    raise Preempted


def asked() -> bool:
  """Whether to save now and end.

  Processes of one job agree on the moment, whichever of them was told: all must ask equally
  often and in the same order.
  """
  if jax.process_count() == 1:
    return _Notice.asked
  # Told by jax's own listener, which replaces ours when a job of several processes starts.
  # It names the next number that nobody has asked about yet, so that these never repeat.
  _Notice.times += 1
  return bool(multihost_utils.reached_preemption_sync_point(_Notice.times))


def end_if_asked() -> None:
  """Ends a job of several processes at a place where everything is saved.

  Raises:
    Preempted: it was told to.
  """
  if jax.process_count() > 1 and asked():
    raise Preempted
