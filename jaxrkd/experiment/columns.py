"""Columns of a measurement by their short names, as `--attacks` takes them."""

from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from jaxrkd.errors import OWN_ROW, InputError, nearest
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
