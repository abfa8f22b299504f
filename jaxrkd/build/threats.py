"""Where images may move in training and in the measurement, and how the two go together."""

from collections.abc import Sequence

from ml_collections import ConfigDict

from jaxrkd.attacks.step_size import ADAM, PGD, TRADES, step_length

Pairs = list[tuple[str, str]]
# What each attack steps at the Linf radius 8/255 where a config says no number.
AT_EIGHT = {
  **dict.fromkeys(('pgd', 'pgd_sat', 'cw_inf'), PGD),
  **dict.fromkeys(('pgd_trades', 'svgd', 'svgd_paper'), TRADES),
  'adam': ADAM,
}


def with_measurement(pairs: Sequence[tuple[str, str]]) -> Pairs:
  """Overrides of a training threat set move the measured one along, unless that is given.

  Args:
    pairs: (key, text) of overrides; those of teachers' configs count alike.
  """
  given = {key for key, _ in pairs}
  found = []
  for key, text in pairs:
    *groups, group, leaf = ['', *key.split('.')] if '.' in key else ['', '', key]
    where = '.'.join(groups[1:])
    measured = f'{where}.evaluation.threat.{leaf}'.lstrip('.')
    own = group == 'threat' and groups[-1] in ('', 'config')
    if own and measured not in given:
      found.append((measured, text))
    found.append((key, text))
  return found


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
    f'trained in {own.name} eps {own.eps:.4g}, measured in {measured.name} eps '
    f'{measured.eps:.4g}'
  )


def attack_in_words(config: ConfigDict) -> str:
  """The training attack: its steps in numbers, and its ball."""
  node, threat = config.attack, config.threat
  ball = f'{threat.name} eps {threat.eps:.4g}'
  if 'step_size' not in node or node.name not in AT_EIGHT:
    return f'{node.name} in {ball}'
  size = step_length(node.step_size, threat.eps, AT_EIGHT[node.name])
  own = '' if node.step_size is not None else f' ({size / threat.eps:.3g} of eps)'
  if threat.eps == 0:
    own = ''
  return f'{node.name}, {node.steps} steps of {size:.4g}{own} in {ball}'


def following(config: ConfigDict) -> ConfigDict:
  """A config of an older version, whose step sizes follow their threat sets again.

  Older versions wrote down every default step as a number. Where it is what the attack
  takes by itself in that ball, it is no choice, and would stay behind if the ball changes.
  """
  found = ConfigDict(config.to_dict())
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
    if name not in AT_EIGHT or size is None or not eps or threat.get('name') != 'linf':
      continue
    # Configs had computed the same number in other ways.
    if abs(size - step_length(None, eps, AT_EIGHT[name])) < 1e-9:
      node.step_size = None
  for entry in found.get('teachers', {}).values():
    if entry.get('config'):
      entry.config = following(entry.config)
  return found
