"""From names to things: the only reader of config groups."""

from jaxrkd.build.columns import columns
from jaxrkd.build.make import (
  average,
  dataset,
  evaluation_attacks,
  evaluation_threat,
  evaluation_threats,
  folded_network,
  group,
  method,
  network,
  network_nodes,
  schedule,
  search,
  selection_attack,
)
from jaxrkd.build.resolve import network_node, resolve
from jaxrkd.build.roles import roles
from jaxrkd.build.tables import EVALUATIONS, NETWORK_KEYS, options
from jaxrkd.build.threats import attack_in_words, differs, following

__all__ = [
  'EVALUATIONS',
  'NETWORK_KEYS',
  'attack_in_words',
  'average',
  'columns',
  'dataset',
  'differs',
  'evaluation_attacks',
  'evaluation_threat',
  'evaluation_threats',
  'folded_network',
  'following',
  'group',
  'method',
  'network',
  'network_node',
  'network_nodes',
  'options',
  'resolve',
  'roles',
  'schedule',
  'search',
  'selection_attack',
]
