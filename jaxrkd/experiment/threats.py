"""Where images may move in training and in the measurement, and how the two go together."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from jaxrkd.attacks.step_size import ADAM, EIGHT, PGD, TRADES, step_length
from jaxrkd.attacks.threat import THREATS, radius
from jaxrkd.errors import InputError, choose

Pairs = list[tuple[str, str]]
# What configs start from.
USUAL = {'name': 'linf', 'eps': EIGHT}
# What each attack steps at the Linf radius 8/255 where a config says no number.
AT_EIGHT = {
  **dict.fromkeys(('pgd', 'pgd_sat', 'cw_inf', 'targeted_pgd'), PGD),
  **dict.fromkeys(('pgd_trades', 'svgd', 'svgd_paper'), TRADES),
  'adam': ADAM,
}


def with_measurement(
  config: Mapping[str, Any], pairs: Sequence[tuple[str, str]]
) -> Pairs:
  """Overrides of a training threat set move the measured one along, unless that was set.

  It was where another override names it, or where the config has one of its own: neither
  the training's nor the usual one.

  Args:
    config: before the overrides.
    pairs: (key, text) of overrides; those of teachers' configs count alike.

  Raises:
    InputError: another norm with the old one's radius.
  """
  given = {key for key, _ in pairs}
  found = []
  for key, text in pairs:
    *groups, group, leaf = key.split('.')[-3:] if '.' in key else ['', '', key]
    where = key.removesuffix(f'threat.{leaf}')
    own = group == 'threat' and groups[-1:] in ([], ['config'])
    if group == 'threat' and leaf == 'name':
      _check_radius(config, key, text, given)
    measured = f'{where}evaluation.threat.{leaf}'
    if own and measured not in given and _moves(_node(config, where)):
      found.append((measured, text))
    found.append((key, text))
  return found


def _node(config: Mapping[str, Any], where: str) -> Mapping[str, Any]:
  """The config at a prefix: the whole one, or a teacher's."""
  node: Any = config
  for name in where.split('.')[:-1]:
    node = node.get(name, {}) if isinstance(node, Mapping) else {}
  return node if isinstance(node, Mapping) else {}


def _moves(config: Mapping[str, Any]) -> bool:
  measured = config.get('evaluation', {}).get('threat', USUAL)
  return measured in (USUAL, config.get('threat', USUAL))


def _check_radius(
  config: Mapping[str, Any], key: str, name: str, given: Collection[str]
) -> None:
  where = key.removesuffix('name')
  old = {**USUAL, **_node(config, where)}
  choose(THREATS, name, f'config.{key}')
  # A measurement that is moved along has the radius of the training.
  told = {f'{where}eps', where.replace('evaluation.threat.', 'threat.') + 'eps'}
  if name != old['name'] and told.isdisjoint(given):
    raise InputError(
      f'config.{key} is {name}, but config.{where}eps is still {radius(old["eps"])}, a radius of '
      f'{old["name"]}; give --config.{where}eps, too (for 32x32 images 0.5 is usual in l2, '
      '12 in l1, 8/255 in linf)'
    )


def differs(config: ConfigDict, attacks: bool) -> str:
  """In a sentence how the training threat set differs from the measured one; '' if not.

  Args:
    config: resolved.
    attacks: whether the method attacks in training.
  """
  own, measured = config.threat, config.evaluation.threat
  if not attacks or own.to_dict() == measured.to_dict():
    return ''
  return (
    f'trained in {own.name} eps {radius(own.eps)}, measured in {measured.name} eps '
    f'{radius(measured.eps)}'
  )


def attack_in_words(config: ConfigDict) -> str:
  """The training attack: its steps in numbers, and its ball."""
  node, threat = config.attack, config.threat
  ball = f'{threat.name} eps {radius(threat.eps)}'
  if 'step_size' not in node or node.name not in AT_EIGHT:
    return f'{node.name} in {ball}'
  size = step_length(node.step_size, threat.eps, AT_EIGHT[node.name])
  own = '' if node.step_size is not None else f' ({size / threat.eps:.3g} of eps)'
  if threat.eps == 0:
    own = ''
  return f'{node.name}, {node.steps} steps of {radius(size)}{own} in {ball}'


def following(config: ConfigDict) -> ConfigDict:
  """A config of an older version, whose step sizes follow their threat sets again.

  Older versions wrote down every default step as a number. Where it is what the attack
  takes by itself in that ball, or the default of that time, it is no choice, and would stay
  behind if the ball changes. Versions that name their optimiser write down choices alone,
  which stay, also where the attack would take the same step by itself.
  """
  found = ConfigDict(config.to_dict())
  if 'name' in found.get('optimizer', {}):
    return found
  measured = found.get('evaluation', {}).get('threat', {})
  nodes = [
    ('attack', found.get('attack', {}), found.get('threat', {})),
    ('attack', found.get('select', {}).get('attack', {}), measured),
    *(
      (name, node, measured)
      for name, node in found.get('evaluation', {}).get('attacks', {}).items()
    ),
  ]
  for key, node, threat in nodes:
    name, size = node.get('name', key), node.get('step_size')
    eps = node.get('eps') or threat.get('eps')
    if name not in AT_EIGHT or size is None or not eps:
      continue
    # Configs had computed the same number in other ways.
    usual = (AT_EIGHT[name], step_length(None, eps, AT_EIGHT[name]))
    if any(abs(size - step) < 1e-9 for step in usual):
      node.step_size = None
  for entry in found.get('teachers', {}).values():
    if entry.get('config'):
      entry.config = following(entry.config)
  return found
