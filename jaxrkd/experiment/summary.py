"""What a measured run prints."""

import pathlib
import time
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from jaxrkd.evaluate import results
from jaxrkd.evaluate.trust import Panel
from jaxrkd.experiment import measured_words
from jaxrkd.runtime.progress import say


def tell(
  config: ConfigDict,
  workdir: pathlib.Path,
  data: str,
  found: dict[str, Any],
  title: str,
) -> None:
  """Prints the table and what one must know to read it."""
  part = config.evaluation
  say(
    f'\n{data} {part.split}, {measured_words.ball(part)}, accuracy '
    f'in % (W: mean of clean and robust)\n{table(part, found, title)}'
  )
  for version, row in list(found['student'].items())[:1]:
    if told := results.weakest(row, found['class_names']):
      say(f'{title} {version}, {told}')
  if 'chosen' in found:
    say(f'{title}: {found["chosen"]} was the best on the {config.select.split} split')
  if config.members > 1:
    say(
      f'{title}: the average of {config.members} networks, attacked as one; each one has '
      f'its own results in {workdir / "members"}'
    )
  if found['threat_note']:
    say(f'note: {found["threat_note"]}')
  # The table names those of its rows.
  for note in results.of_networks(list(found.get('surrogates', {}).items())):
    say(f'note: images are made on {note}')
  if config.select.split == 'test' and 'best' in found['student']:
    say(f'note: {found["selection"]["note"]}')


def tell_particles(config: ConfigDict, found: dict[str, Any]) -> None:
  """Prints what the particles of the training attack are like, of several networks."""
  count = len(found.get('students') or found.get('online') or ())
  if count < 2:
    return
  shown = found['particles']
  say(
    f'particles of the training attack ({config.attack.name}) on {count} networks, '
    f'{config.evaluation.split} images, in levels of 255: {shown["linf"]:.1f} apart in '
    f'Linf, {255 * shown["l2"]:.0f} in L2; mean cross-entropy {shown["ce_mean"]:.2f}'
  )


def table(part: ConfigDict, found: dict[str, Any], title: str) -> str:
  """What `tell` prints of results.json; `part` is `evaluation`."""
  return results.table(table_rows(found, title), measured_words.heads(part))


def table_rows(found: dict[str, Any], title: str) -> dict[str, dict[str, Any]]:
  """The rows of the printed table, out of results.json."""
  teachers = {f'teacher {name}': row for name, row in found['teachers'].items()}
  online = {f'online {name}': row for name, row in found.get('online', {}).items()}
  students = found.get('students') or {title: found['student']}
  return {
    **teachers,
    **online,
    **{
      f'{name} {version}': row
      for name, versions in students.items()
      for version, row in versions.items()
    },
  }


def page_head(
  config: ConfigDict,
  workdir: pathlib.Path,
  data: str,
  found: dict[str, Any],
  imported: bool,
) -> tuple[str, str]:
  """The title of a run's report, and where its numbers come from.

  Args:
    config: of the run; its `evaluation` is what was measured with.
    workdir: the run.
    data: name of the data.
    found: what results.json holds.
    imported: whether the network came from a file instead of being trained.
  """
  part, version = config.evaluation, found['versions']
  made = 'from a file' if imported else f'by {config.method.name}'
  many = f'{config.members} x ' if config.members > 1 else ''
  title = f'{many}{config.student.name} {made}: {data} {part.split}, {measured_words.ball(part)}'
  own = found.get('seed', config.seed)
  again = '' if own == config.seed else f' with seed {own},'
  teachers = f', teachers {", ".join(config.teachers)}' if config.teachers else ''
  about = (
    f'{workdir}: seed {config.seed}{teachers}; measured{again} with jaxrkd {version["jaxrkd"]} and '
    f'jax {version["jax"]} on {version["device"]}; written {time.strftime("%Y-%m-%d")}'
  )
  return title, about


def tell_distances(found: Mapping[str, Mapping[str, Any]]) -> None:
  """Prints how far the nearest adversarial images are, by network."""
  for name, told in found.items():
    say(f'{name}: {distances_in_words(told)}')


def distances_in_words(told: Mapping[str, Any]) -> str:
  """One network's distances in a sentence; `told` is of `Distances.as_dict`."""
  middle = told['median']
  far = 'none was found for half of the images' if middle is None else f'{middle:.4g}'
  parts = []
  for name, seen in told['attacks'].items():
    part = f'{name} found {seen["found"]} of {seen["tried"]}'
    if seen['median'] is not None and seen['seconds']:
      part += f', median {seen["median"]:.4g}'
    parts.append(part)
  return (
    f'median {told["norm"]} distance to an adversarial image {far} on {told["images"]} '
    f'images ({"; ".join(parts)})'
  )


def tell_checks(panel: Panel) -> None:
  """Prints the trust checks, with advice where one did not pass."""
  for check in panel.checks:
    value = '' if check.value is None else f'{check.value:.3g} {check.unit}'.rstrip()
    say(f'  {check.status}  {check.name}  {value}'.rstrip())
    if check.status in ('warn', 'fail'):
      say(f'        {check.advice}')
