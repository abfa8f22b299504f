"""One job at a time trains in a workdir.

A file in it says who is at work: host, process, and by its time when that process last
showed that it lives. Not the system's own locks, which disks that several machines share
often lack. A lock whose process is gone stops nobody: on its own machine that is seen at
once, from others once it has been silent for long enough.
"""

import contextlib
import json
import os
import pathlib
import secrets
import socket
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from jaxrkd.errors import InputError
from jaxrkd.paths import check_letters
from jaxrkd.runtime import files, preemption, sharding
from jaxrkd.runtime.guards import guarded
from jaxrkd.runtime.progress import put

NAME = 'lock.json'
# Seconds between two signs of life, and after how many without one a process of another
# machine is taken to be gone.
BEAT, SILENCE = 20.0, 120.0
# Seconds between two looks at the lock of another machine.
LOOK = 2.0
# Seconds in which those who found the same lock of nobody have all tried to remove it.
SETTLE = 1.0
# Seconds after which a lock that names nobody is no lock that is just being written.
TO_WRITE = 10.0


@contextlib.contextmanager
def hold(workdir: pathlib.Path) -> Iterator[None]:
  """Keeps other jobs from training in a workdir; all processes of a job must enter it.

  The first process holds the lock for all of them.

  Args:
    workdir: absolute; made if missing.

  Raises:
    InputError: another process is at work there, or nothing can be written there.
  """
  lock, first, trouble = Lock(workdir), sharding.is_first_process(), ''
  done = not first
  while True:
    if first:
      try:
        check_letters(workdir)
        files.make_folder(workdir)
        with files.writing(lock.path):
          done = lock.attempt()
        trouble = lock.refusal
      except InputError as error:
        done, trouble = True, str(error)
    if sharding.agreed(done):
      break
    preemption.end_if_asked()
    time.sleep(LOOK)
  if not sharding.agreed(not trouble):
    raise InputError(
      trouble
      or f'the first process cannot take the workdir {str(workdir)!r}; read its message'
    )
  with contextlib.ExitStack() as opened:
    if first:
      opened.callback(lock.give_back)
      opened.enter_context(guarded(workdir, lock.check))
      lock.live()
    yield


class Seen(NamedTuple):
  """A lock on disk.

  Attributes:
    owner: what it says of who has it; empty where it says nothing.
    changed: its time, by the disk's clock.
  """

  owner: dict[str, Any]
  changed: float


class Lock:
  """The lock of a workdir, for one process.

  Attributes:
    path: its file.
    refusal: who has it; empty where nobody else does.
  """

  def __init__(self, workdir: pathlib.Path):
    self.path, self.refusal = workdir / NAME, ''
    self._mark = secrets.token_hex(8)
    self._watched: Seen | None = None
    self._lost, self._seen = '', time.time()
    self._over, self._one = threading.Event(), threading.Lock()

  def attempt(self) -> bool:
    """Takes it, or sets `refusal`.

    Returns:
      False where it is too early for either: a process of another machine has to show
      whether it lives.

    Raises:
      OSError: the workdir cannot be written to.
    """
    contested = False
    while not self._create() or (contested and not self._settles()):
      found = _read(self.path)
      if found is None:
        continue  # it has just been given back
      silent = self._now() - found.changed
      gone = _is_gone(found.owner, silent)
      if gone:
        self._remove(found)
        contested = True
        continue
      if gone is None and self._watched in (None, found):
        if self._watched is None:
          put(f'{self._at_work(found)}; waiting to see whether that process still runs')
        self._watched = found
        return False
      self.refusal = (
        f'{self._at_work(found)}; wait for it or use another --workdir. If that process '
        f'has ended, delete {str(self.path)!r}'
      )
      return True
    self._seen = time.time()
    return True

  def live(self) -> None:
    """Shows from now on, in a thread of its own, that this process lives."""
    threading.Thread(target=self._live, daemon=True).start()

  def give_back(self) -> None:
    """Others may take it from now on."""
    self._over.set()
    with self._one, contextlib.suppress(OSError):
      if self._is_own(_read(self.path)):
        self.path.unlink()

  def check(self) -> None:
    """Refuses to go on where another process has taken the lock of one that slept.

    Raises:
      InputError: it says who.
    """
    if time.time() - self._seen > SILENCE / 2:
      self._beat()
    if self._lost:
      raise InputError(self._lost)

  def _create(self) -> bool:
    try:
      with self.path.open('x', encoding='utf-8') as file:
        file.write(json.dumps({**_about_me(), 'mark': self._mark}, indent=2) + '\n')
    except FileExistsError:
      return False
    except OSError:
      # A full disk has room for a name, but not for what should be in the file.
      with contextlib.suppress(OSError):
        if not self.path.stat().st_size:
          self.path.unlink()
      raise
    return True

  def _is_own(self, found: Seen | None) -> bool:
    return found is not None and found.owner.get('mark') == self._mark

  def _settles(self) -> bool:
    """Whether this lock outlives those who are slow to remove the one before."""
    time.sleep(SETTLE)
    return self._is_own(_read(self.path))

  def _remove(self, judged: Seen) -> None:
    """Removes the lock of a process that is gone, and no other's."""
    aside = self.path.with_name(f'.{NAME}.{self._mark}')
    if _read(self.path) != judged:
      return  # somebody else was quicker
    try:
      self.path.rename(aside)
    except FileNotFoundError:
      return
    found = _read(aside)
    if found and found.owner.get('mark') != judged.owner.get('mark'):
      # Between the look and the removal another process has taken it. Where links are
      # unknown its next sign of life puts it back.
      with contextlib.suppress(OSError):
        os.link(aside, self.path)
    aside.unlink(missing_ok=True)

  def _now(self) -> float:
    """The disk's clock, which may be another machine's."""
    probe = self.path.with_name(f'.{NAME}.{self._mark}')
    probe.touch()
    now = probe.stat().st_mtime
    probe.unlink(missing_ok=True)
    return now

  def _at_work(self, found: Seen) -> str:
    owner, silent = found.owner, max(self._now() - found.changed, 0)
    who = (
      f'process {owner.get("process", "(unknown)")} on {owner.get("host", "(unknown)")}'
    )
    return (
      f'{str(self.path.parent)!r} is taken: {who} has been at work there since '
      f'{owner.get("since", "(unknown)")}, last sign of life {silent:.0f} s ago'
    )

  def _live(self) -> None:
    # The first one comes early, for whoever took the lock beside others.
    pause = min(SETTLE, BEAT)
    while not self._over.wait(pause):
      self._beat()
      pause = BEAT

  def _beat(self) -> None:
    """Shows that this process lives, and sees whether the lock is still its own."""
    # A disk that does not answer for a while is no reason to stop.
    with self._one, contextlib.suppress(OSError):
      found = _read(self.path)
      if self._over.is_set():
        return
      if found is None:
        self._create()  # somebody has deleted it by mistake
      elif self._is_own(found):
        os.utime(self.path)
      else:
        self._lost = (
          f'{self._at_work(found)}. This process had the folder before, but gave no sign '
          f'of life for more than {SILENCE:g} s, and stops: what it saved until then is '
          'kept'
        )
      self._seen = time.time()


def _is_gone(owner: dict[str, Any], silent: float) -> bool | None:
  """Whether the process that has a lock has ended.

  Args:
    owner: what the lock says.
    silent: seconds since its last sign of life.

  Returns:
    None where only time can tell.
  """
  pid = owner.get('process')
  if not isinstance(pid, int):
    return True if silent > TO_WRITE else None
  me = _about_me()
  if owner.get('host') == me['host'] and owner.get('machine') == me['machine']:
    if me['machine']:
      started = _started(pid)
      if started is not None:
        return owner.get('started') != started
    elif sys.platform != 'linux' and _has_ended(pid):
      return True
  return True if silent > SILENCE else None


def _about_me() -> dict[str, Any]:
  pid = os.getpid()
  return {
    'host': socket.gethostname(),
    'process': pid,
    'started': _started(pid),
    'machine': _machine(),
    'since': time.strftime('%Y-%m-%d %H:%M:%S'),
  }


def _machine() -> str:
  """What processes share that see each other: a running system, and in it a container.

  Hosts of one name may be several, and so may containers.
  """
  try:
    boot = pathlib.Path('/proc/sys/kernel/random/boot_id').read_text('utf-8').strip()
    return f'{boot} {os.readlink("/proc/self/ns/pid")}'
  except OSError:
    return ''


def _started(pid: int) -> str | None:
  """When a process began, which tells it from a later one of its number.

  Returns:
    Empty where there is none, or only what is left of one that has ended; None where
    the system does not tell.
  """
  try:
    text = pathlib.Path(f'/proc/{pid}/stat').read_text('utf-8', 'replace')
  except OSError:
    # Processes of other people may be hidden.
    return '' if _has_ended(pid) else None
  # Behind the program's name, which may hold anything.
  fields = text.rpartition(')')[2].split()
  return '' if fields[0] in 'ZX' else fields[19]


def _has_ended(pid: int) -> bool:
  """Whether there is no such process; False where it cannot be known."""
  if os.name != 'posix':
    return False  # where a signal of 0 is not a question
  try:
    os.kill(pid, 0)
  except ProcessLookupError:
    return True
  except OSError:
    pass
  return False


def _read(path: pathlib.Path) -> Seen | None:
  """A lock on disk; None if there is none."""
  try:
    # To open it makes a network disk tell the time that the file has now.
    with path.open(encoding='utf-8', errors='replace') as file:
      text, changed = file.read(), os.fstat(file.fileno()).st_mtime
  except FileNotFoundError:
    return None
  try:
    owner = json.loads(text)
  except ValueError:
    owner = {}
  return Seen(owner if isinstance(owner, dict) else {}, changed)
