"""SIGTERM, which schedulers send some seconds before they take a machine away, and Ctrl-C.

A training loop saves at the next step and ends. Anything else ends at once (on CPU when the
program that runs is done), or in a job of several processes where all of them pass next, in
the middle of an attack too; what it has computed is on disk. Either way the same command
continues. Ctrl-C outside of training, or pressed twice, waits for nothing, nor for other
processes.
"""

import contextlib
import os
import signal
from collections.abc import Iterator
from typing import Any

from jaxrkd.runtime.agreement import Agreement, Store

WAIT = b'\nstopping at the next step; Ctrl-C again stops at once, without saving\n'


class Preempted(BaseException):
  """Told to end, for instance because the machine is taken away; everything is saved."""


class _Notice:
  asked = False
  # The signal that asked.
  number = signal.SIGTERM
  loops = 0
  # With the other processes of the job, if there are any.
  agreement: Agreement | None = None


def listen() -> None:
  """Makes both end this program as described above; call it on the main thread."""
  signal.signal(signal.SIGTERM, _on_signal)
  signal.signal(signal.SIGINT, _on_interrupt)


def status() -> int:
  """What a shell reports for a program that the signal ended."""
  return 128 + _Notice.number


def _on_signal(number: int, frame: Any) -> None:
  del number, frame
  _Notice.asked = True
  if not _Notice.loops and _Notice.agreement is None:
    raise Preempted


def _on_interrupt(number: int, frame: Any) -> None:
  del number, frame
  if _Notice.asked or not _Notice.loops:
    raise KeyboardInterrupt
  _Notice.asked, _Notice.number = True, signal.SIGINT
  with contextlib.suppress(OSError):  # Ctrl-C has ended `tee`, too
    os.write(2, WAIT)  # not print, which may be what was interrupted


def end_together(store: Store, rank: int, size: int) -> None:
  """From now on the processes of a job end together; arguments as of `Agreement`."""
  _Notice.agreement = Agreement(store, rank, size, lambda: _Notice.asked)
  _Notice.agreement.start()


@contextlib.contextmanager
def saving_loop() -> Iterator[None]:
  """Within this scope SIGTERM only makes `asked` true: a loop is going to save and end."""
  _Notice.loops += 1
  try:
    yield
  finally:
    _Notice.loops -= 1
  if _Notice.asked and _Notice.agreement is None:
    # After the last step: everything is saved, too.
    raise Preempted


def asked() -> bool:
  """Whether to save now and end.

  Processes of one job agree on the moment, whichever of them was told: all must ask equally
  often and in the same order.
  """
  if _Notice.agreement is None:
    return _Notice.asked
  try:
    return _Notice.agreement.reached()
  except Exception as error:
    # Another process is gone: what was saved last is all that there will be.
    _Notice.agreement = None
    raise Preempted from error


def told_together() -> bool:
  """Whether a job of several processes is to end here, outside of loops that save.

  A process that is alone is ended there by the signal itself.
  """
  return _Notice.agreement is not None and not _Notice.loops and asked()


def end_if_asked() -> None:
  """Ends a job of several processes at a place where everything is saved.

  Raises:
    Preempted: it was told to.
  """
  if told_together():
    raise Preempted


def part() -> None:
  """Waits until all processes of the job are about to leave."""
  if _Notice.agreement is not None:
    _Notice.agreement.part()
