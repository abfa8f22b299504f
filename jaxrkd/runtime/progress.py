"""What a person sees while a run works: a bar on a terminal, plain lines elsewhere."""

import os
import sys
import time
from collections.abc import Callable
from typing import TextIO

from tqdm import tqdm

from jaxrkd.runtime import sharding

# Between plain lines, which do not replace each other as a bar does.
SECONDS_PER_LINE = 3


def put(text: str, to: TextIO | None = None) -> None:
  """Prints; where nobody reads any more (`| head`, a full disk), goes on in silence.

  A run is not lost because of what it says.

  Args:
    text: a line, or several.
    to: where; stdout by default.
  """
  stream = to or sys.stdout
  if stream is None:
    return  # closed before the program began
  try:
    try:
      print(text, file=stream, flush=True)
    except UnicodeEncodeError as error:
      plain = text.encode(error.encoding, 'backslashreplace').decode(error.encoding)
      print(plain, file=stream, flush=True)
  except OSError:
    # What could not be printed stays in the stream, and goes nowhere when this ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def say(text: str) -> None:
  """Prints on the first process."""
  if sharding.is_first_process():
    put(text)


class Progress:
  """Loss, images per second and time left.

  Args:
    title: what is running.
    total: steps in all.
    start: steps already done.
    enabled: False shows nothing (all processes but the first).
    in_all: (share of the work done here, seconds it took, share done before) -> seconds left
      of a larger job; 0 where that is not known.
  """

  def __init__(
    self,
    title: str,
    total: int,
    start: int = 0,
    enabled: bool = True,
    in_all: Callable[[float, float, float], float] | None = None,
  ):
    self._in_all = in_all
    self._note = ''
    self._title, self._total, self._done, self._enabled = title, total, start, enabled
    self._began, self._first = time.monotonic(), start
    self._printed = 0.0
    self._bar = None
    if enabled and sys.stderr is not None and sys.stderr.isatty():
      self._bar = tqdm(
        total=total, initial=start, desc=title, unit='step', dynamic_ncols=True
      )

  def note(self, text: str) -> None:
    """What is shown with every report from now on."""
    self._note = text

  def show(self, done: int, values: dict[str, float], images_per_second: float) -> None:
    """Reports that `done` steps are complete; a speed of 0 is one not known yet."""
    if not self._enabled:
      return
    shown = {name: f'{value:.4g}' for name, value in values.items()}
    if images_per_second:
      shown['images/s'] = f'{images_per_second:.0f}'
    spent = time.monotonic() - self._began
    new = done - self._first
    whole = (
      self._in_all(new / max(self._total, 1), spent, self._first / max(self._total, 1))
      if (self._in_all and new > 0)
      else 0.0
    )
    if self._bar is not None:
      told = [f'{name}={value}' for name, value in shown.items()]
      told += [self._note] if self._note else []
      told += [f'all stages {clock(whole)}'] if whole else []
      self._bar.set_postfix_str(', '.join(told), refresh=False)
      self._bar.update(done - self._done)
    elif done == self._total or time.monotonic() - self._printed >= SECONDS_PER_LINE:
      self._printed = time.monotonic()
      left = spent / max(new, 1) * (self._total - done)
      told = [f'{name} {value}' for name, value in shown.items()]
      told += [self._note] if self._note else []
      told.append(f'left {clock(left)}' + (f', {clock(whole)} in all' if whole else ''))
      self.say(f'{self._title}  step {done}/{self._total}  {"  ".join(told)}')
    self._done = done

  def say(self, text: str) -> None:
    """Prints a line without tearing the bar."""
    if not self._enabled:
      return
    if self._bar is None:
      put(text)
    else:
      with self._bar.external_write_mode():
        put(text)

  def close(self) -> None:
    if self._bar is not None:
      self._bar.close()


def clock(seconds: float) -> str:
  """'1:05', or '2:00:05' from an hour on."""
  minutes, seconds = divmod(int(seconds + 0.5), 60)
  hours, minutes = divmod(minutes, 60)
  return f'{hours}:{minutes:02}:{seconds:02}' if hours else f'{minutes}:{seconds:02}'


def duration(seconds: float) -> str:
  """'0.14 s', '2.5 min', '3.1 h' or '1,200 h'."""
  if seconds < 60:
    return f'{seconds:.2g} s'
  if seconds < 1800:
    return f'{seconds / 60:.1f} min'
  hours = seconds / 3600
  return f'{hours:.1f} h' if hours < 10 else f'{hours:,.0f} h'
