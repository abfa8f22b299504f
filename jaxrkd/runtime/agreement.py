"""Processes of one job that stop at the same place, whichever of them was told to.

jax has a service for this, `reached_preemption_sync_point`. Where several processes are told
at the same moment, which is what schedulers do, its job at times goes on as if nobody had
been told, or hangs (jax 0.10.2).
"""

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Protocol

# Seconds between two looks at what the others say.
POLL = 0.5
# Milliseconds to wait for another process's answer, which its own thread gives at once.
PATIENCE = 15_000
# Of them to wait for all to be ready to leave.
FAREWELL = 10_000
# Seconds that the store outlives it: who finds the store gone is aborted by jax.
LINGER = 2.0
# Failures of the store, one after the other, that a thread takes for the end of the job.
FAILURES = 20
TOLD, AT = 'jaxrkd/told/', 'jaxrkd/at/'


class Store(Protocol):
  """What all processes read and write: jax's coordination service."""

  def key_value_set(
    self, key: str, value: str, allow_overwrite: bool = False
  ) -> None: ...

  def key_value_dir_get(self, key: str) -> list[tuple[str, str]]: ...

  def blocking_key_value_get(self, key: str, timeout_in_ms: int) -> str: ...

  def wait_at_barrier(self, barrier_id: str, timeout_in_ms: int) -> None: ...


class Agreement:
  """Answers `reached` with True at the same call in all processes.

  A thread waits for word that someone was told. From then on a process passes no further
  call of `reached` before it knows where all others were; all stop at the call after that
  of the one who was ahead. The others' threads answer while their own programs wait for
  devices, so nobody waits for ever.

  Args:
    store: see `Store`.
    rank: which process this is.
    size: how many there are.
    told: whether this one was told to stop; cheap, called from the thread.
  """

  def __init__(self, store: Store, rank: int, size: int, told: Callable[[], bool]):
    self._store, self._rank, self._size, self._told = store, rank, size, told
    self._lock = threading.Lock()
    self._count, self._at, self._stop = 0, 0, 0
    self._announced = False
    self._failure: Exception | None = None

  def start(self) -> None:
    """Begins to listen."""
    threading.Thread(target=self._listen, daemon=True).start()

  def reached(self) -> bool:
    """Whether to stop here; all processes must call it equally often.

    Raises:
      Exception: another process, or the store, does not answer any more.
    """
    if self._failure:
      raise self._failure
    with self._lock:
      self._count += 1
      announced = self._announced
    if not announced:
      return False
    if not self._stop:
      answer = lambda rank: self._store.blocking_key_value_get(f'{AT}{rank}', PATIENCE)
      self._stop = 1 + max(int(answer(rank)) for rank in range(self._size))
    return self._count >= self._stop

  def part(self) -> None:
    """Waits for the others before leaving: the first process holds the store of all."""
    with contextlib.suppress(Exception):  # whoever is gone needs no farewell
      self._store.wait_at_barrier('jaxrkd/part', FAREWELL)
      if self._rank == 0:
        time.sleep(LINGER)

  def _listen(self) -> None:
    failures = 0
    while True:
      try:
        if self._heard():
          return
        failures = 0
      except Exception as error:
        failures += 1
        if failures == FAILURES:
          self._failure = error
          return
      time.sleep(POLL)

  def _heard(self) -> bool:
    """Passes on what it knows; whether somebody was told. May be called again."""
    if self._told():
      self._store.key_value_set(f'{TOLD}{self._rank}', '1', allow_overwrite=True)
    if not self._store.key_value_dir_get(TOLD):
      return False
    if not self._announced:
      with self._lock:
        self._at, self._announced = self._count, True
    self._store.key_value_set(f'{AT}{self._rank}', str(self._at), allow_overwrite=True)
    return True
