"""Waits until all processes of a job are there, and says which are not.

jax itself gives up with a crash that names nobody. The first process listens on the address
that it is going to coordinate on, and closes before jax opens it.
"""

import contextlib
import json
import selectors
import socket
import time
from collections.abc import Sequence

from jaxrkd.errors import InputError

RETRY_SECONDS = 0.2


def roll_call(
  address: str, count: int, number: int, seconds: float, hosts: Sequence[str] = ()
) -> None:
  """Returns once all have called.

  Args:
    address: host:port of the first process.
    count: processes of the job.
    number: which one this is, from 0.
    seconds: how long to wait.
    hosts: of the processes, where the job's scheduler says so.

  Raises:
    InputError: some did not come, or the first one cannot be reached; the same sentence on
      all that are there.
  """
  host, colon, port = address.rpartition(':')
  if not colon or not host or not port.isdigit() or not 0 < int(port) < 2**16:
    raise InputError(
      f'--coordinator={address} is no address; give the host and a free port of the first '
      'process, such as --coordinator=10.0.0.2:8476'
    )
  if count == 1:
    return
  until = time.monotonic() + seconds
  if number == 0:
    missing: list[int] | None = _listen(int(port), count, until)
  else:
    missing = _call((host, int(port)), number, until)
    if missing is None:
      raise InputError(
        f'process {number} on {socket.gethostname()} could not reach the first process at '
        f'{address} within {seconds:g} s; check that it runs, that its port is open, and '
        'that --coordinator is the same everywhere'
      )
  if missing:
    names = ', '.join(_name(k, hosts) for k in missing)
    raise InputError(
      f'{len(missing)} of {count} processes did not come within {seconds:g} s: {names}; '
      f'start them, look at what they printed, check that they reach {address}, or wait '
      'longer with --join_timeout'
    )


def _name(number: int, hosts: Sequence[str]) -> str:
  known = number < len(hosts)
  return f'process {number} on {hosts[number]}' if known else f'process {number}'


def _listen(port: int, count: int, until: float) -> list[int]:
  """Waits for all others; returns who is missing and tells it to those who came."""
  came: dict[int, socket.socket] = {}
  with contextlib.ExitStack() as opened:
    try:
      server = opened.enter_context(
        socket.create_server(('', port), backlog=count, reuse_port=False)
      )
    except OSError as error:
      raise InputError(
        f'port {port} of this machine cannot be opened ({error.strerror}); choose another '
        'one in --coordinator'
      ) from error
    selector = opened.enter_context(contextlib.closing(selectors.DefaultSelector()))
    selector.register(server, selectors.EVENT_READ)
    while len(came) < count - 1 and time.monotonic() < until:
      if not selector.select(timeout=max(until - time.monotonic(), 0)):
        continue
      caller, _ = server.accept()
      opened.enter_context(caller)
      caller.settimeout(5)
      # Not one of ours, or gone again: it calls once more if it is.
      with contextlib.suppress(OSError, ValueError):
        came[int(caller.recv(32))] = caller
    missing = [k for k in range(1, count) if k not in came]
    for caller in came.values():
      with contextlib.suppress(OSError):
        caller.sendall(json.dumps(missing).encode())
        # Whoever closes first holds the port for a while: the caller does.
        caller.recv(1)
  return missing


def _call(address: tuple[str, int], number: int, until: float) -> list[int] | None:
  """Tells the first process that we are here; what it answers, None if it never did."""
  while time.monotonic() < until + 5:
    try:
      with socket.create_connection(address, timeout=5) as link:
        link.settimeout(max(until + 5 - time.monotonic(), 0.1))
        link.sendall(str(number).encode())
        return json.loads(link.recv(2**16))
    except (OSError, ValueError):
      pass  # not there yet, or gone again
    time.sleep(RETRY_SECONDS)
  return None
