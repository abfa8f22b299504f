"""Which teachers answer a method, and with what shares."""

from collections.abc import Mapping

from ml_collections import ConfigDict

from jaxrkd.errors import InputError
from jaxrkd.experiment.tables import KINDS
from jaxrkd.methods import Method


def roles(config: ConfigDict, made: Method) -> dict[str, dict[str, float]]:
  """Who plays which role: {role: {teacher's name: share}}.

  A role is 'all', a kind, or the name of one teacher.

  Raises:
    InputError: nobody plays a role, or the weights of those who do are not shares.
  """
  found = {
    role: _cast(config, role, made) for role in (*made.teachers, *made.inner.teachers)
  }
  return {role: _shares(config, role, names, found) for role, names in found.items()}


def _cast(config: ConfigDict, role: str, made: Method) -> list[str]:
  there = {name: entry.kind for name, entry in config.teachers.items()}
  if role in (*KINDS, 'all'):
    names = [name for name, kind in there.items() if role in (kind, 'all')]
  else:
    names = [name for name in there if name == role]
  if names:
    return names
  known = ', '.join(f'{name} (kind {kind})' for name, kind in there.items()) or 'none'
  what = {'all': 'at least one teacher'}.get(role, f'a {role} teacher')
  if role not in (*KINDS, 'all'):
    what = f'a teacher named {role!r}'
  user = f'method {config.method.name!r}'
  if role not in made.teachers and config.inner.name != 'own':
    user = f'inner problem {config.inner.name!r}'
  raise InputError(
    f'{user} needs {what}, but config.teachers has {known}; add one, such as '
    f'--config.teachers.{"robust" if role == "all" else role}.workdir=RUN, or name another '
    'role or method'
  )


def _shares(
  config: ConfigDict, role: str, names: list[str], cast: Mapping[str, list[str]]
) -> dict[str, float]:
  weights = {name: config.teachers[name].weight for name in names}
  if not any(weights.values()):
    return dict.fromkeys(names, 1 / len(names))
  total = sum(weights.values())
  # Part of a larger role keeps the proportions it has there.
  part = any(set(names) < set(others) for others in cast.values())
  if abs(total - 1) > 1e-6 and not (part and total > 0):
    listed = ', '.join(f'{name} {weight:g}' for name, weight in weights.items())
    raise InputError(
      f'the weights of the teachers that answer as {role!r} are {listed}: their sum is '
      f'{total:g} and must be 1; give every teacher its weight, or leave all at 0 for '
      'equal shares'
    )
  return {name: weight / total for name, weight in weights.items() if weight}
