"""What a run measures while it trains: metrics.jsonl and TensorBoard event files."""

import json
import math
import os
import pathlib


class MetricsWriter:
  """Appends one JSON object per call to metrics.jsonl, and the same to TensorBoard.

  Args:
    workdir: folder of the run.
    step: the step that training continues from; lines of later steps, left by a run that
      was killed after its last checkpoint, are removed.
    enabled: False writes nothing (all processes but the first).
  """

  def __init__(self, workdir: pathlib.Path, step: int, enabled: bool = True):
    self._file = None
    if not enabled:
      return
    path = workdir / 'metrics.jsonl'
    if path.exists():
      _drop_after(path, step)
    self._file = path.open('a', buffering=1)
    # It imports PyTorch where there is one: seconds that other commands need not wait.
    from tensorboardX import SummaryWriter

    self._board = SummaryWriter(str(workdir / 'tensorboard'), purge_step=step + 1)

  def write(self, step: int, values: dict[str, float]) -> None:
    """Records scalars of one step; values that are not finite become null in JSON."""
    if self._file is None:
      return
    shown = {k: v if math.isfinite(v) else None for k, v in values.items()}
    self._file.write(json.dumps({'step': step, **shown}) + '\n')
    for name, value in values.items():
      self._board.add_scalar(name, value, step)

  def close(self) -> None:
    if self._file is not None:
      self._file.close()
      self._board.close()


def _drop_after(path: pathlib.Path, step: int) -> None:
  kept = []
  for line in path.read_text().splitlines():
    try:
      if json.loads(line)['step'] <= step:
        kept.append(line)
    except (ValueError, KeyError):
      continue  # half a line, from a kill while writing
  temporary = path.with_name(f'.{path.name}.tmp')
  temporary.write_text(''.join(f'{line}\n' for line in kept))
  os.replace(temporary, path)
