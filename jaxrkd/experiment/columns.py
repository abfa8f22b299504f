"""Columns of a measurement by their short names, as `--attacks` takes them."""

import re
from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from jaxrkd.attacks import UNFORESEEN
from jaxrkd.errors import OWN_ROW, InputError, nearest
from jaxrkd.experiment.config_files import number
from jaxrkd.experiment.tables import EVALUATIONS

# Short name -> (attack, its options).
PRESETS: dict[str, tuple[str, dict[str, Any]]] = {
  **{f'pgd_{steps}': ('pgd', {'steps': steps}) for steps in (7, 10, 20, 40, 100)},
  # MTARD's query attack: its numbers fit 100 queries of the whole schedule.
  'square_100': ('square', {'queries': 100, 'rescale': True}),
}


def columns(names: Sequence[str], config: ConfigDict) -> dict[str, dict[str, Any]]:
  """The group `evaluation.attacks` that short names stand for.

  Args:
    names: columns that the config has, rows of the attack tables, or `PRESETS`; each with
      '@TEACHER' or '@WORKDIR' for a transfer attack from that network.
    config: of a run; its own columns keep their options.

  Raises:
    InputError: an unknown name, or none at all.
  """
  found = {}
  for given in names:
    name, _, surrogate = given.partition('@')
    column = name
    if surrogate:
      last = surrogate.rstrip('/').split('/')[-1].replace('.', '_')
      column = f'{name}_from_{last}'
    if column in found:
      raise InputError(
        f'--attacks has two columns with the name {column!r}; measure them in two calls'
      )
    found[column] = _options(name, config)
    if surrogate:
      found[column]['surrogate'] = surrogate
  if not found:
    raise InputError('no attacks; name some, such as --attacks=autoattack,pgd_40')
  return found


def with_radii(
  found: dict[str, dict[str, Any]], radii: Sequence[str]
) -> dict[str, dict[str, Any]]:
  """Columns, and each of them once more for every radius: 'pgd_40_eps_4_255'.

  Args:
    found: of `columns`, or of a config; those without a ball, or with a radius of their
      own, stay alone.
    radii: in [0, 1] pixels, such as '4/255'.

  Raises:
    InputError: what is no radius, one that is named twice, or no column with a ball.
  """
  values: dict[str, float] = {}
  for text in radii:
    try:
      value = number(text)
    except ValueError:
      value = 0.0
    if value <= 0:
      raise InputError(
        f'--radii has {text!r}; give radii above 0 in [0, 1] pixels, such as 4/255,16/255'
      )
    if value in values.values():
      raise InputError(f'--radii names {text} twice; leave one out')
    values[text] = value
  free = [
    name
    for name, node in found.items()
    if not node.get('eps') and node.get('name', name) not in UNFORESEEN
  ]
  if values and not free:
    raise InputError(
      '--radii needs a column with a ball and without a radius of its own; name one with '
      '--attacks, such as pgd_40'
    )
  more = {}
  for name in free:
    for text, value in values.items():
      node = found[name]
      chosen = {**node, 'name': node.get('name', name), 'eps': value}
      more[f'{name}_eps_{re.sub("[^0-9e-]", "_", text)}'] = chosen
  return {**found, **more}


def _options(name: str, config: ConfigDict) -> dict[str, Any]:
  own = config.evaluation.attacks
  if name in own:
    return own[name].to_dict()
  if name in PRESETS:
    row, chosen = PRESETS[name]
    return {'name': row, **chosen}
  if name not in EVALUATIONS:
    known = [*EVALUATIONS, *PRESETS]
    raise InputError(
      f'unknown attack {name!r}{nearest(name, known)} (known: {", ".join(known)}{OWN_ROW})'
    )
  return {'name': name}
