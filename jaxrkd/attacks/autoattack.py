"""AutoAttack: the attacks of its versions and their constants."""

from collections.abc import Callable, Sequence
from typing import Any

from jaxrkd.attacks.apgd import apgd, apgd_t
from jaxrkd.attacks.built_once import built_once
from jaxrkd.attacks.fab import fab, fab_t
from jaxrkd.attacks.square import square
from jaxrkd.attacks.stepwise import Cascade, Stepwise
from jaxrkd.attacks.threat import L1, Threat, check_threat
from jaxrkd.errors import InputError, choose

PARTS: dict[str, Callable[..., Stepwise]] = {
  'apgd_ce': lambda threat, **options: apgd(threat, loss='ce', **options),
  'apgd_dlr': lambda threat, **options: apgd(threat, loss='dlr', **options),
  'apgd_t': apgd_t,
  'fab': fab,
  'fab_t': fab_t,
  'square': square,
}
# Version -> (attack, what differs from its defaults), in order.
VERSIONS: dict[str, tuple[tuple[str, dict[str, Any]], ...]] = {
  'standard': (('apgd_ce', {}), ('apgd_t', {}), ('fab_t', {}), ('square', {})),
  'plus': (
    ('apgd_ce', {'restarts': 5}),
    ('apgd_dlr', {'restarts': 5}),
    ('fab', {'restarts': 5}),
    ('square', {}),
    ('apgd_t', {}),
    ('fab_t', {}),
  ),
  'rand': (('apgd_ce', {'eot': 20}), ('apgd_dlr', {'eot': 20})),
}
# In L1 `standard` searches longer, in larger balls first, towards fewer classes.
STANDARD_L1: dict[str, dict[str, Any]] = {
  'apgd_ce': {'restarts': 5, 'large_eps': True},
  'apgd_t': {'targets': 5, 'large_eps': True},
}


@built_once
def autoattack(
  threat: Threat,
  *,
  version: str = 'standard',
  parts: Sequence[str] = (),
  steps: int = 100,
  queries: int = 5000,
) -> Cascade:
  """AutoAttack (Croce & Hein, 2020, 2003.01690), with the constants of its repository.

  An image counts as robust if it withstands every part. Each part begins at the clean
  images that those before it left standing.

  Args:
    threat: `Linf`, `L2` or `L1`.
    version: 'standard' is the one that tables name; 'plus' adds restarts and untargeted
      attacks; 'rand' averages gradients over 20 draws of a `Randomised` classifier;
      'custom' runs `parts`.
    parts: of 'custom', names in `PARTS`, in order, with their defaults.
    steps: of APGD and FAB; tables are made with 100.
    queries: of Square; tables are made with 5000.

  Raises:
    InputError: an unknown version or part, parts of another version than custom.
  """
  check_threat(threat)
  return Cascade(
    tuple(
      (name, PARTS[name](threat, **options))
      for name, options in plan(threat, version, parts, steps, queries)
    )
  )


def plan(
  threat: Threat, version: str, parts: Sequence[str], steps: int, queries: int
) -> list[tuple[str, dict[str, Any]]]:
  """The parts of a version and their options; arguments as `autoattack`."""
  known = {**VERSIONS, 'custom': tuple((name, {}) for name in parts)}
  chosen = choose(known, version, 'attack.version')
  if parts and version != 'custom':
    raise InputError(
      f'attack.parts is {", ".join(parts)}, but version {version!r} has its own parts; '
      "set version to 'custom', or leave parts empty"
    )
  if not chosen:
    raise InputError(
      f'attack.version is custom, but attack.parts is empty; name some of '
      f'{", ".join(PARTS)}'
    )
  if len({name for name, _ in chosen}) < len(chosen):
    raise InputError(f'attack.parts names a part twice: {", ".join(parts)}')
  found = []
  for name, options in chosen:
    choose(PARTS, name, 'attack.parts')
    length = {'queries': queries} if name == 'square' else {'steps': steps}
    if isinstance(threat, L1) and version == 'standard':
      options = {**options, **STANDARD_L1.get(name, {})}
    found.append((name, {**length, **options}))
  return found
