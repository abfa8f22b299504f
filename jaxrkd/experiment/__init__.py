"""From a config to results: the only room that reads config nodes, with `programs`."""

from jaxrkd.experiment.columns import columns
from jaxrkd.experiment.export_network import export
from jaxrkd.experiment.import_network import import_network, read_unwritten
from jaxrkd.experiment.make import (
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
from jaxrkd.experiment.resolve import resolve
from jaxrkd.experiment.roles import roles
from jaxrkd.experiment.run import train_and_evaluate, train_teachers
from jaxrkd.experiment.tables import EVALUATIONS, options
from jaxrkd.experiment.threats import attack_in_words, differs, following

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
  'export',
  'following',
  'group',
  'import_network',
  'method',
  'network_nodes',
  'options',
  'read_unwritten',
  'resolve',
  'roles',
  'schedule',
  'search',
  'selection_attack',
  'train_and_evaluate',
  'train_teachers',
]
