"""From names to things: the only reader of config groups."""

from jaxrkd.build.make import (
  average,
  dataset,
  evaluation_attacks,
  group,
  method,
  network,
  schedule,
  search,
  selection_attack,
)
from jaxrkd.build.resolve import resolve
from jaxrkd.build.roles import roles
from jaxrkd.build.tables import NETWORK_KEYS, options

__all__ = [
  'NETWORK_KEYS',
  'average',
  'dataset',
  'evaluation_attacks',
  'group',
  'method',
  'network',
  'options',
  'resolve',
  'roles',
  'schedule',
  'search',
  'selection_attack',
]
