"""What a run measures while it trains: metrics.jsonl and TensorBoard event files."""

import contextlib
import json
import math
import pathlib
import socket
import time
from collections.abc import Mapping

from jaxrkd.runtime import files
from jaxrkd.runtime.guards import check_own
from jaxrkd.runtime.trackers import Trackers

# Seconds after which TensorBoard sees what was written, at the latest.
FLUSH = 60.0


class MetricsWriter:
  """Appends one JSON object per call to metrics.jsonl, and the same to TensorBoard.

  Args:
    workdir: folder of the run.
    step: the step that training continues from; lines of later steps, left by a run that
      was killed after its last checkpoint, are removed.
    enabled: False writes nothing (all processes but the first).
    trackers: are told of everything, too.

  Raises:
    InputError: here and by `write` and `close`, the disk is full, or the like.
  """

  def __init__(
    self,
    workdir: pathlib.Path,
    step: int,
    enabled: bool = True,
    trackers: Trackers | None = None,
  ):
    self._file, self._trackers = None, trackers
    self._path, self._workdir = workdir / 'metrics.jsonl', workdir
    if not enabled:
      return
    with self._writing():
      if self._path.exists():
        _drop_after(self._path, step)
      file = self._path.open('a', buffering=1, encoding='utf-8')
    try:
      with self._writing():
        self._board = _Board(workdir / 'tensorboard', step)
    except BaseException:
      file.close()
      raise
    self._file = file

  def write(self, step: int, values: Mapping[str, float]) -> None:
    """Records scalars of one step; values that are not finite become null in JSON."""
    if self._file is None:
      return
    check_own(self._path)
    shown = {k: v if math.isfinite(v) else None for k, v in values.items()}
    with self._writing():
      self._file.write(json.dumps({'step': step, **shown}) + '\n')
      self._board.write(step, values)
    if self._trackers:
      self._trackers.write(step, values)

  def close(self) -> None:
    if self._file is None:
      return
    with self._writing(), contextlib.ExitStack() as opened:
      # Each is closed, whatever the other says.
      opened.callback(self._file.close)
      opened.callback(self._board.close)
      if self._trackers:
        opened.callback(self._trackers.close)

  def _writing(self) -> contextlib.AbstractContextManager:
    return files.writing(self._path, files.kept(self._workdir / 'checkpoints' / 'last'))


class _Board:
  """An event file of TensorBoard.

  Written here and not by a thread, as tensorboardX does by itself: where that thread cannot
  write, it ends, and the program waits for it.
  """

  def __init__(self, folder: pathlib.Path, step: int):
    # Imports PyTorch where there is one: seconds that other commands need not wait.
    from tensorboardX import RecordWriter
    from tensorboardX.proto import event_pb2
    from tensorboardX.summary import scalar

    self._event, self._scalar = event_pb2.Event, scalar
    folder.mkdir(parents=True, exist_ok=True)
    name = f'events.out.tfevents.{int(time.time())}.{socket.gethostname()}'
    self._file = RecordWriter(str(folder / name))
    self._flushed = time.monotonic()
    self._add(file_version='brain.Event:2')
    # Steps from here on that an earlier file has are not shown.
    start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
    self._add(step=step + 1, session_log=start)

  def _add(self, **parts) -> None:
    event = self._event(wall_time=time.time(), **parts)
    self._file.write(event.SerializeToString())

  def write(self, step: int, values: Mapping[str, float]) -> None:
    for name, value in values.items():
      self._add(step=step, summary=self._scalar(name, value))
    if time.monotonic() - self._flushed > FLUSH:
      self._flushed = time.monotonic()
      self._file.flush()

  def close(self) -> None:
    self._file.close()


def _drop_after(path: pathlib.Path, step: int) -> None:
  kept = []
  for line in path.read_text(encoding='utf-8', errors='replace').splitlines():
    try:
      if json.loads(line)['step'] <= step:
        kept.append(line)
    except (ValueError, KeyError, TypeError):
      continue  # half a line, from a kill while writing
  files.write_text(path, ''.join(f'{line}\n' for line in kept))
