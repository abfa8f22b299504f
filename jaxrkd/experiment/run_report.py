"""The page of a run, made of the files that the run left."""

import contextlib
import json
import pathlib
import shlex
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from jaxrkd.attacks import UNFORESEEN
from jaxrkd.errors import InputError
from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment.beside_table import EXAMPLES
from jaxrkd.experiment.load import is_imported, read_config
from jaxrkd.experiment.logged import logged_rows
from jaxrkd.experiment.resolve import resolve
from jaxrkd.experiment.summary import page_head, table_rows
from jaxrkd.report.example_cards import Examples
from jaxrkd.report.run_page import Content, page
from jaxrkd.runtime import files
from jaxrkd.runtime.progress import duration

RESULTS = 'results'
# Keys that say where things lie.
PLACES = ('workdir', 'file')


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
  recipe, changes = _changes(workdir, config)
  return Content(
    title=head,
    lead=_lead(config, rows[stands]),
    about=about,
    rows=rows,
    stands=stands,
    found=found,
    metrics=metrics,
    best_step=best['step'] if isinstance(best, dict) else None,
    classes=found.get('class_names', ()),
    examples=_examples(results),
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
  if 'student' not in found or 'evaluation' not in found:
    raise InputError(
      f'{str(path)!r} holds no results of one run; name a run, such as that of one seed'
    )
  return found


def _stands(found: Mapping[str, Any], rows: Mapping[str, Any], title: str) -> str:
  """The row that stands for a run: its best version, of the best of several students."""
  own = found.get('chosen', title)
  version = 'best' if 'best' in found['student'] else next(iter(found['student']))
  name = f'{own} {version}'
  return name if name in rows else list(rows)[-1]


def _lead(config: ConfigDict, row: Mapping[str, Any]) -> str:
  part = config.evaluation
  eps = part.threat.eps
  told = (
    f'Of {row["images"]:,} images it is right on {100 * row["clean"]:.1f} % as they are, and '
    f'stays right on {100 * row["worst_case"]:.1f} % under'
  )
  # The worst case is that of the attacks in the ball, where there are any.
  attacks = [
    name
    for name in (node.get('name', key) for key, node in part.attacks.items())
    if name not in UNFORESEEN
  ]
  if not attacks:
    return f'{told} {", ".join(row["attacks"])}.'
  under = attacks[0] if len(attacks) == 1 else f'all {len(attacks)} attacks'
  ball = f'{part.threat.name} ball of eps {_short(eps)}'
  if part.threat.name == 'linf':
    ball += f' (no pixel moves by more than {_short(255 * eps)} of 255 levels)'
  return f'{told} {under} in the {ball}.'


def _short(value: float) -> str:
  return f'{value:.4g}'


def _examples(results: pathlib.Path) -> Examples | None:
  """The images that were kept with these results."""
  folder = results.name.replace(RESULTS, 'eval', 1).removesuffix('.json')
  try:
    with np.load(results.parent / folder / EXAMPLES) as found:
      told = {name: found[name] for name in Examples._fields}
  except (OSError, ValueError, KeyError):
    return None
  plain = {name: told[name].item() for name in ('attack', 'threat', 'eps')}
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
  measured = sum(
    stage['seconds']
    for row in rows.values()
    for attack in row['attacks'].values()
    for stage in attack['stages'].values()
  )
  told.append(('attacks of the table', f'{duration(measured)} for {len(rows)} networks'))
  told.append(('measured on', found['versions']['device']))
  return told


def _amount(flop: float) -> str:
  for unit, size in (('EFLOP', 1e18), ('PFLOP', 1e15), ('TFLOP', 1e12), ('GFLOP', 1e9)):
    if flop >= size:
      return f'{flop / size:.3g} {unit}'
  return f'{flop / 1e6:.3g} MFLOP'


def _changes(
  workdir: pathlib.Path, config: ConfigDict
) -> tuple[str, list[tuple[str, str, str]]]:
  """The recipe that a run is compared with, and each key that differs."""
  if is_imported(workdir):
    return '', []
  for spec in _recipes(workdir, config):
    try:
      recipe = resolve(configs.load_spec(spec))
    except InputError:
      continue
    if workdir.parent.name == 'teachers':
      # Trained on the way: its recipe is a part of the other's.
      entry = recipe.teachers.get(workdir.name)
      if not entry or not entry.config:
        continue
      spec, recipe = f'{spec}, teacher {workdir.name}', entry.config
    return spec, _differences(recipe, config)
  return '', []


def _recipes(workdir: pathlib.Path, config: ConfigDict) -> list[str]:
  """Where the recipe may be, most exact first."""
  found = []
  # Those of the training; where they cannot be read, the method's recipe is left.
  with contextlib.suppress(InputError):
    command = read(workdir / f'{RESULTS}.json').get('command', '')
    given = iter(shlex.split(command))
    for word in given:
      if word.startswith(('--config=', '-config=')):
        found.append(word.partition('=')[2])
      elif word in ('--config', '-config'):
        found.append(next(given, ''))
  name = config.method.name
  return [*found, f'{name}:{config.data.name}', name]


def _differences(recipe: ConfigDict, config: ConfigDict) -> list[tuple[str, str, str]]:
  was, now = (
    dict(configs.leaves(json.loads(made.to_json()))) for made in (recipe, config)
  )
  absent = object()
  changed = [
    key
    for key in dict.fromkeys([*was, *now])
    if was.get(key, absent) != now.get(key, absent)
    # A place is no setting, and differs on every machine.
    and key.split('.')[-1] not in PLACES
  ]
  tell = lambda values, key: _value(values[key]) if key in values else 'none'
  return [(key, tell(was, key), tell(now, key)) for key in changed]


def _value(value: Any) -> str:
  if isinstance(value, list):
    return ', '.join(map(_value, value)) or 'empty'
  if isinstance(value, float):
    return f'{value:.6g}'
  return str(value) if value != '' else 'empty'


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
