"""The page of a run, made of the files that the run left."""

import contextlib
import json
import pathlib
import statistics
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from jaxrkd.attacks.threat import radius
from jaxrkd.errors import InputError
from jaxrkd.experiment import measured_words, recipe_changes
from jaxrkd.experiment.beside_table import EXAMPLES
from jaxrkd.experiment.load import is_imported, read_config
from jaxrkd.experiment.logged import logged_rows
from jaxrkd.experiment.resolve import resolve
from jaxrkd.experiment.summary import page_head, table_rows
from jaxrkd.report.example_cards import Examples
from jaxrkd.report.run_page import Content, page
from jaxrkd.runtime import files
from jaxrkd.runtime.progress import duration

RESULTS, CORRUPTIONS = 'results', 'corruptions.json'
# What reading a file of another version, or a damaged one, may end in.
UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, IndexError, StopIteration)


def write(workdir: pathlib.Path, results: pathlib.Path) -> pathlib.Path:
  """Writes the page beside the results it shows, and returns its path.

  Args:
    workdir: the run.
    results: its results.json, or another file of results there.

  Raises:
    InputError: the results cannot be read, or the page not be written.
  """
  named = results.name.replace(RESULTS, 'report', 1)
  path = results.with_name(named).with_suffix('.html')
  files.write_text(path, page(content(workdir, results)))
  return path


def content(workdir: pathlib.Path, results: pathlib.Path) -> Content:
  """What the page shows; arguments and errors as `write`."""
  found = read(results)
  try:
    return _content(workdir, results, found)
  except UNREADABLE as error:
    raise InputError(
      f'{str(results)!r} cannot be shown ({type(error).__name__}: {error}): it is damaged, or '
      'comes from a version that is no longer understood; measure the run again'
    ) from error


def _content(
  workdir: pathlib.Path, results: pathlib.Path, found: dict[str, Any]
) -> Content:
  config = read_config(workdir)
  config.evaluation = ConfigDict(found['evaluation'])
  # With the defaults of keys that are newer than the run; one of a version that is no longer
  # understood is shown as it is.
  with contextlib.suppress(InputError):
    config = resolve(config, past=True)
  title = found.get('title', 'student')
  rows = table_rows(found, title)
  # Of older versions, which did not say.
  name = found.get('data', config.data.name)
  head, about = page_head(config, workdir, name, found, is_imported(workdir))
  stands = _stands(found, rows, title)
  best = found['selection']['best']
  metrics = logged_rows(workdir)
  recipe, changes = _changes(workdir, config, found)
  kept = found['evaluation'].get('gallery', {}).get('images', 1)
  return Content(
    title=head,
    lead=measured_words.lead(config.evaluation, rows[stands]),
    heads=measured_words.heads(config.evaluation),
    about=about,
    rows=rows,
    stands=stands,
    found=found,
    metrics=metrics,
    best_step=best['step'] if isinstance(best, dict) else None,
    classes=found.get('class_names', ()),
    corruptions=_corruptions(workdir),
    examples=_examples(results) if kept else None,
    cost=_cost(metrics, found, rows),
    recipe=recipe,
    changes=changes,
    command=found.get('command', ''),
    links=_links(workdir, results),
  )


def read(path: pathlib.Path) -> dict[str, Any]:
  """What a file of results holds; raises as `write`."""
  try:
    found = json.loads(path.read_text(encoding='utf-8'))
  except (OSError, ValueError) as error:
    raise InputError(
      f'{str(path)!r} cannot be read ({error}); measure the run again'
    ) from error
  if not isinstance(found, dict) or not found.get('student') or 'evaluation' not in found:
    raise InputError(
      f'{str(path)!r} holds no results of one run; name a run, such as that of one seed'
    )
  return found


def _corruptions(workdir: pathlib.Path) -> Any:
  """What `jaxrkd corruptions` left; None where it did not."""
  with contextlib.suppress(OSError, ValueError):
    return json.loads((workdir / CORRUPTIONS).read_text(encoding='utf-8'))
  return None


def _stands(found: Mapping[str, Any], rows: Mapping[str, Any], title: str) -> str:
  """The row that stands for a run: its best version, of the best of several students."""
  own = found.get('chosen', title)
  version = 'best' if 'best' in found['student'] else next(iter(found['student']))
  name = f'{own} {version}'
  return name if name in rows else list(rows)[-1]


def _examples(results: pathlib.Path) -> Examples | None:
  """The images that were kept with these results."""
  folder = results.name.replace(RESULTS, 'eval', 1).removesuffix('.json')
  try:
    with np.load(results.parent / folder / EXAMPLES) as found:
      told = {name: found[name] for name in Examples._fields}
  except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
    return None
  plain = {name: told[name].item() for name in ('attack', 'threat', 'eps')}
  norm, ball, _ = plain['threat'].partition('(')
  if ball:
    plain['threat'] = f'the {norm} ball of eps {radius(plain["eps"])}'
  return Examples(**{**told, **plain})


def _cost(
  metrics: Sequence[Mapping[str, Any]],
  found: Mapping[str, Any],
  rows: Mapping[str, Any],
) -> list[tuple[str, str]]:
  cost = found.get('cost', {})
  speeds = [row['images_per_second'] for row in metrics if 'images_per_second' in row]
  told = []
  if cost.get('seconds'):
    told.append(
      ('training', f'{duration(cost["seconds"])}, selection after epochs included')
    )
  if cost.get('steps'):
    told.append(
      (
        'steps',
        f'{cost["steps"]:,} of {cost["batch_size"]} images, {cost["epochs"]} epochs',
      )
    )
  if speeds:
    told.append(('speed', f'{statistics.median(speeds):,.0f} images per second'))
  if cost.get('flop_per_step'):
    per_image = cost['flop_per_step'] / cost['batch_size']
    whole = cost['flop_per_step'] * cost['steps']
    told.append(
      ('arithmetic', f'{_amount(per_image)} per training image, {_amount(whole)} in all')
    )
  # Where the last epoch was the best, both rows are one measurement.
  each = {json.dumps(row['attacks'], sort_keys=True): row for row in rows.values()}
  measured = sum(
    stage['seconds']
    for row in each.values()
    for attack in row['attacks'].values()
    for stage in attack['stages'].values()
  )
  told.append(('attacks of the table', f'{duration(measured)} for {len(each)} networks'))
  told.append(('measured on', found['versions']['device']))
  return told


def _amount(flop: float) -> str:
  for unit, size in (('EFLOP', 1e18), ('PFLOP', 1e15), ('TFLOP', 1e12), ('GFLOP', 1e9)):
    if flop >= size:
      return f'{flop / size:.3g} {unit}'
  return f'{flop / 1e6:.3g} MFLOP'


def _changes(
  workdir: pathlib.Path, config: ConfigDict, found: Mapping[str, Any]
) -> tuple[str, recipe_changes.Changes]:
  """What the training noted; of older versions what can be found without running a file."""
  noted = found.get('recipe')
  if noted is None:
    with contextlib.suppress(InputError):
      noted = read(workdir / f'{RESULTS}.json').get('recipe')
  if noted is not None:
    return noted['spec'], [tuple(change) for change in noted['changes']]
  return recipe_changes.changes(workdir, config, found.get('command', ''))


def _links(workdir: pathlib.Path, results: pathlib.Path) -> list[tuple[str, str]]:
  """Files beside the page that are there."""
  told = {
    results.name: 'all numbers of this page',
    'config.json': 'the config',
    'metrics.jsonl': 'the training, one line per logged step',
  }
  told |= {
    f'teachers/{place.parent.name}/report.html': f'the page of teacher {place.parent.name}'
    for place in sorted(workdir.glob('teachers/*/report.html'))
  }
  return [(name, what) for name, what in told.items() if (workdir / name).is_file()]
