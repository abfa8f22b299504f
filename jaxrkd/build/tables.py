"""Which table each named group of a config picks its row from, and a row's options."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp

from jaxrkd import config as configs
from jaxrkd.amalgamation import AMALGAMATIONS, AVERAGES
from jaxrkd.attacks import ATTACKS, SEARCHES, THREATS, UNFORESEEN
from jaxrkd.data import SOURCES
from jaxrkd.methods import INNERS, METHODS
from jaxrkd.models import BATCH_NORMS, NETWORKS
from jaxrkd.optimizers import SCHEDULES

Table = Mapping[str, Callable[..., Any]]

PRECISIONS = {'float32': None, 'bfloat16': jnp.bfloat16}
ATTACK_BN = ('eval', 'batch', 'train')
KINDS = ('clean', 'robust')
METRICS = ('weighted', 'robust', 'clean')
STREAM = ('auto', 'always', 'never')
SPLITS = ('heldout', 'test')
# Arguments that the program supplies, not the config.
SUPPLIED = ('data_dir', 'epochs', 'steps_per_epoch')
NETWORK_KEYS = {
  'bn_variance': 'unbiased',
  'bn_momentum': 0.9,
  'normalisation': 'none',
  'mean': (),
  'std': (),
}
# Searches whose steps mean the same.
CLIMBERS = ('pgd', 'svgd', 'svgd_paper')
DATA_KEYS = {'heldout': 0, 'train_limit': 0, 'test_limit': 0}
# The rows that measure: with a threat set of pixels, and without.
EVALUATIONS: Table = {**ATTACKS, **UNFORESEEN}
# Attacks may leave the common threat set; eps 0 means they do not.
ATTACK_KEYS = {'eps': 0.0}
# A column may make its adversarial images on another network: a teacher's name, or the
# workdir of a finished run. Empty is the network that is measured.
COLUMN_KEYS = {**ATTACK_KEYS, 'surrogate': ''}


def _own() -> None:
  """The inner problem that a method brings itself."""


# The rows that `config.inner` may name.
PROBLEMS: Table = {'own': _own, **INNERS}
# The rows that `config.ensemble` may name.
RULES: Table = {**dict.fromkeys(AVERAGES, _own), **AMALGAMATIONS}


def options(row: Callable[..., Any]) -> dict[str, Any]:
  """The keyword arguments of a table's row and their defaults."""
  fixed = row.keywords if isinstance(row, functools.partial) else {}
  target = row.func if isinstance(row, functools.partial) else row
  if isinstance(target, type):
    # The metaclass of NNX modules hides the signature of the class itself.
    target = vars(target)['__init__']
  defaults = {
    name: parameter.default
    for name, parameter in inspect.signature(target).parameters.items()
    if parameter.default is not inspect.Parameter.empty and name not in SUPPLIED
  }
  return {**defaults, **fixed}


def network_keys(node: Mapping[str, Any]) -> dict[str, Any]:
  """What every network takes beside its own options, with the defaults of this one."""
  return {**NETWORK_KEYS, **BATCH_NORMS.get(node.get('name', ''), {})}


def tables(config: Mapping[str, Any]) -> dict[str, tuple[Table, dict[str, Any]]]:
  """Dotted path of every named group -> (its table, keys it has beside the row's)."""
  found: dict[str, tuple[Table, dict[str, Any]]] = {
    'data': (SOURCES, DATA_KEYS),
    'student': (NETWORKS, network_keys(config.get('student', {}))),
    'method': (METHODS, {}),
    'inner': (PROBLEMS, {}),
    'ensemble': (RULES, {}),
    'threat': (THREATS, {'eps': configs.EIGHT}),
    'attack': (SEARCHES, {'bn': 'eval'}),
    'schedule': (SCHEDULES, {}),
    'select.attack': (EVALUATIONS, ATTACK_KEYS),
    'evaluation.threat': (THREATS, {'eps': configs.EIGHT}),
  }
  for name, node in config.get('online', {}).items():
    found[f'online.{name}'] = (NETWORKS, network_keys(node))
  for name in config.get('evaluation', {}).get('attacks', {}):
    found[f'evaluation.attacks.{name}'] = (EVALUATIONS, COLUMN_KEYS)
  return found
