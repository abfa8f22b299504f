"""What a config says that its defaults do not."""

import json
from collections.abc import Mapping
from typing import Any

from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment.tables import options, tables


def departures(config: Mapping[str, Any]) -> dict[str, Any]:
  """Dotted key -> value, where a key's value is not its default.

  Two resolved configs are equal where these are. Unlike a whole config they stay the same
  when a newer version has more keys, so that a run is found again under its name. Names
  of rows are always there: the defaults of their options hang on them.

  Args:
    config: resolved, as a dictionary.
  """
  usual = dict(configs.leaves(configs.base_values()))
  for path, (table, common) in tables(config).items():
    usual = {key: v for key, v in usual.items() if not key.startswith(f'{path}.')}
    row = table.get(configs.leaf(config, path).get('name', ''))
    own = {**common, **(options(row) if row else {})}
    usual |= {f'{path}.{key}': value for key, value in own.items()}
  there = {k: v for k, v in configs.leaves(config) if not k.startswith('teachers.')}
  found = {
    key: value
    for key, value in there.items()
    if key.rpartition('.')[2] == 'name' or key not in usual or _differ(value, usual[key])
  }
  # Such as a column that all configs have unless they say otherwise.
  found |= {key: '(absent)' for key in usual if key not in there}
  for name, entry in config.get('teachers', {}).items():
    allowed = configs.teacher()
    for key, value in entry.items():
      full = f'teachers.{name}.{key}'
      if key == 'config':
        found |= {
          f'{full}.{k}': v for k, v in (departures(value) if value else {}).items()
        }
      elif key not in allowed or _differ(value, allowed[key]):
        found[full] = value
    found.setdefault(f'teachers.{name}', '')
  return found


def _differ(one: Any, other: Any) -> bool:
  """As JSON has them: a tuple is a list."""
  plain = isinstance(one, bool | int | float | str)
  if plain and type(one) is type(other) and one == other:
    return False
  return json.dumps(one, default=str) != json.dumps(other, default=str)
