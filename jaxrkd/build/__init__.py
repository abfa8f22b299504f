"""From names to things: the only reader of config groups."""

from jaxrkd.build.columns import columns
from jaxrkd.build.make import (
  average,
  dataset,
  evaluation_attacks,
  evaluation_threat,
  evaluation_threats,
  group,
  method,
  network_nodes,
  schedule,
  search,
  selection_attack,
)
from jaxrkd.build.resolve import resolve
from jaxrkd.build.roles import roles
from jaxrkd.build.tables import EVALUATIONS, options
from jaxrkd.build.threats import attack_in_words, differs, following

__all__ = [
  'EVALUATIONS',
  'attack_in_words',
  'average',
  'columns',
  'dataset',
  'differs',
  'evaluation_attacks',
  'evaluation_threat',
  'evaluation_threats',
  'following',
  'group',
  'method',
  'network_nodes',
  'options',
  'resolve',
  'roles',
  'schedule',
  'search',
  'selection_attack',
]
