"""Which table each named group of a config picks its row from, and a row's options."""

from collections.abc import Callable, Mapping
from typing import Any

from jaxrkd import rows
from jaxrkd.amalgamation import AMALGAMATIONS, AVERAGES
from jaxrkd.attacks import ATTACKS, SEARCHES, THREATS, UNFORESEEN
from jaxrkd.data import SOURCES
from jaxrkd.experiment import config_files as configs
from jaxrkd.methods import INNERS, METHODS
from jaxrkd.models import NETWORKS
from jaxrkd.models.named import network_keys
from jaxrkd.optimizers import OPTIMIZERS, SCHEDULES

Table = rows.Table

ATTACK_BN = ('eval', 'batch', 'train')
KINDS = ('clean', 'robust')
METRICS = ('weighted', 'robust', 'clean')
STREAM = ('auto', 'always', 'never')
SPLITS = ('heldout', 'test')
RECORDED = ('train', *SPLITS)
# Arguments that the program supplies, not the config.
SUPPLIED = ('data_dir', 'epochs', 'steps_per_epoch')
# Searches whose steps mean the same.
CLIMBERS = ('pgd', 'svgd', 'svgd_paper')
DATA_KEYS: dict[str, Any] = {
  'heldout': 0,
  'train_limit': 0,
  'test_limit': 0,
  'classes': (),
}
# The rows that measure: with a threat set of pixels, and without.
EVALUATIONS: Table = rows.Joined(ATTACKS, UNFORESEEN)
# Attacks may leave the common threat set; eps 0 means they do not.
ATTACK_KEYS = {'eps': 0.0}
# A column may make its adversarial images on another network: a teacher's name, or the
# workdir of a finished run. Empty is the network that is measured.
COLUMN_KEYS = {**ATTACK_KEYS, 'surrogate': ''}


def _own() -> None:
  """The inner problem that a method brings itself."""


# What groups name where they say nothing: configs are older than these names.
USUAL_ROWS = {'optimizer': 'sgd'}
# The rows that `config.inner` may name.
PROBLEMS: Table = rows.Joined({'own': _own}, INNERS)
# The rows that `config.ensemble` may name.
RULES: Table = rows.Joined(AMALGAMATIONS, rows.WithoutOptions(AVERAGES))


def options(row: Callable[..., Any]) -> dict[str, Any]:
  """The options of a row that a config may set, and their defaults."""
  return rows.options(row, SUPPLIED)


def data_keys(node: Mapping[str, Any]) -> dict[str, Any]:
  """`DATA_KEYS` of a source; without those that it has as options of its own."""
  row = SOURCES.get(node.get('name', ''))
  own = options(row) if row else {}
  return {key: value for key, value in DATA_KEYS.items() if key not in own}


def tables(config: Mapping[str, Any]) -> dict[str, tuple[Table, dict[str, Any]]]:
  """Dotted path of every named group -> (its table, keys it has beside the row's)."""
  found: dict[str, tuple[Table, dict[str, Any]]] = {
    'data': (SOURCES, data_keys(config.get('data', {}))),
    'student': (NETWORKS, network_keys(config.get('student', {}))),
    'method': (METHODS, {}),
    'inner': (PROBLEMS, {}),
    'ensemble': (RULES, {}),
    'threat': (THREATS, {'eps': configs.EIGHT}),
    'attack': (SEARCHES, {'bn': 'eval', 'ramp': 0}),
    'schedule': (SCHEDULES, {}),
    'optimizer': (OPTIMIZERS, {}),
    'select.attack': (EVALUATIONS, ATTACK_KEYS),
    'trajectories.attack': (SEARCHES, {}),
    'evaluation.threat': (THREATS, {'eps': configs.EIGHT}),
  }
  for name, node in config.get('online', {}).items():
    found[f'online.{name}'] = (NETWORKS, network_keys(node))
  for name in config.get('evaluation', {}).get('attacks', {}):
    found[f'evaluation.attacks.{name}'] = (EVALUATIONS, COLUMN_KEYS)
  return found
