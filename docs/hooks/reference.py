"""The reference pages of the site, made of tables, signatures and docstrings.

Whatever stands in a table is on a page, so that nothing can be forgotten. `mkdocs.yml` names
`site.py`, which adds these pages to the site; tests look at them without building it.
"""

import ast
import functools
import inspect
import pathlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from absl import flags

from jaxrkd import attacks as attack_room
from jaxrkd.amalgamation import AMALGAMATIONS, AVERAGES
from jaxrkd.attacks import ATTACKS, SEARCHES, THREATS, UNFORESEEN
from jaxrkd.data import SOURCES
from jaxrkd.evaluate.trust_limits import LIMITS
from jaxrkd.experiment import config_files, meanings, method, resolve
from jaxrkd.experiment.study_files import load_study, names
from jaxrkd.experiment.tables import options
from jaxrkd.methods import INNERS, METHODS
from jaxrkd.models import NETWORKS
from jaxrkd.optimizers import OPTIMIZERS, SCHEDULES
from jaxrkd.programs import cli, command_line, exit_status

ROOT = pathlib.Path(__file__).parents[2]
# A row of a table, whose options a config may set.
Row = Callable[..., Any]
# What `import jaxrkd` and its rooms give, in the order of the page.
ROOMS = ('attacks', 'losses', 'methods', 'models', 'data', 'evaluate', 'interop')


def pages() -> dict[str, str]:
  """Path below docs/ -> Markdown."""
  return {
    'reference/config.md': config_keys(),
    'reference/configs.md': configs(),
    'reference/methods.md': methods(),
    'reference/attacks.md': attacks(),
    'reference/networks.md': table_page(
      'Options of networks',
      'A network is `student.name`, `online.NAME.name` or that of a teacher. Every network also '
      'takes the keys of [a network](config.md#a-network-student-onlinename). '
      '[Networks, teachers, exports](../networks.md) says where each comes from and which '
      'PyTorch files it reads.',
      NETWORKS,
    ),
    'reference/data.md': table_page(
      'Sources of images',
      'A source is `data.name`. [Data](../data.md) has the formats and what is checked.',
      SOURCES,
    ),
    'reference/training.md': training(),
    'reference/commands.md': commands(),
    'reference/studies.md': studies(),
    'reference/checks.md': checks(),
    'reference/python.md': python(),
  }


def config_keys() -> str:
  """Every key of a config."""
  lines = [['key', 'default', 'meaning']]
  lines += [
    [f'`{key}`', _value(value, key), told] for key, value, told in meanings.rows()
  ]
  parts = [
    '# Config keys',
    'Every key with its default, before a recipe sets it: [Configs](configs.md) has the values '
    'of the recipes. `--config.KEY=VALUE` overrides a key, any number of times. Values are '
    'read in the type of the default; fractions such as `8/255` are numbers. A group with a '
    "`name` picks a row of a table, and has that row's options as further keys: "
    '`--config.method=ard --config.method.temperature=5`. A key that does not exist is '
    'refused with the nearest one that does. `--dry_run` prints every key of a config.',
    _table(lines),
  ]
  for title, (told, defaults) in meanings.BESIDE.items():
    lines = [['key', 'default', 'meaning']]
    lines += [[f'`{key}`', _value(defaults[key]), told[key]] for key in told]
    parts += [f'## {title}', _table(lines)]
  return '\n\n'.join(parts) + '\n'


def configs() -> str:
  """Every config that comes with jaxrkd: its words, and what it sets."""
  head = ['config', 'epochs', 'batch', 'schedule', 'weight decay', 'eps', 'attack']
  lines = [[*head, 'student', 'teachers']]
  told = []
  for name in config_files.own():
    config = resolve(config_files.load_spec(name))
    attacked = method(config).inner.prepare is not None
    lines.append(
      [
        f'[`{name}`](#{name})',
        str(config.epochs),
        str(config.batch_size),
        _schedule(config.schedule.to_dict()),
        _value(config.optimizer.get('weight_decay', 0.0)).strip('`'),
        _value(config.threat.eps, 'eps').strip('`') if attacked else 'none',
        _climb(config) if attacked else 'none',
        config.student.name,
        ', '.join([*config.teachers, *config.online]) or 'none',
      ]
    )
    told += [f'## {name}', _docstring(ROOT / 'configs' / f'{name}.py')]
  told += [
    '## Teachers',
    'Configs of `teachers/` train the teachers that the papers use.',
  ]
  for name in config_files.own('teachers'):
    file = ROOT / 'configs' / 'teachers' / f'{name}.py'
    told += [f'### teachers/{name}', _docstring(file)]
  setting = _docstring(ROOT / 'configs' / 'setting.py')
  return '\n\n'.join(
    [
      '# Configs',
      '`--config=NAME:WORD,WORD` takes one, with words for data, student and variants. A wrong '
      'word prints all that a config takes. Without words it is the recipe on CIFAR-10, whose '
      'values stand here (`mtard_cifar100` on CIFAR-100, `mtard_digits` on digits). '
      '[Methods](../methods.md) says where they come from. `--dry_run` prints every key.',
      _table(lines),
      'Words that all of them share:',
      setting,
      *told,
    ]
  )


def _schedule(node: Mapping[str, Any]) -> str:
  name, peak = node['name'], f'{node["peak"]:g}'
  if node.get('milestones'):
    return (
      f'{peak}, times {node["factor"]:g} after {", ".join(map(str, node["milestones"]))}'
    )
  return f'{peak}, {name.replace("_", " ")}'


def _climb(config: Any) -> str:
  attack = config.attack
  size = attack.get('step_size')
  step = 'own step' if size is None else _value(size, 'step_size').strip('`')
  return f'{attack.name}, {attack.get("steps", 1)} x {step}, bn {attack.bn}'


def _docstring(path: pathlib.Path) -> str:
  told = ast.get_docstring(ast.parse(path.read_text(encoding='utf-8'))) or ''
  head, _, rest = told.partition('\n\n')
  return f'{head}\n\n```text\n{rest}\n```' if rest else head


def methods() -> str:
  """Every method and inner problem."""
  return '\n\n'.join(
    [
      '# Options of methods',
      'A method is `method.name`. [Methods](../methods.md) has the formulas and the differences '
      'between papers and code.',
      *_rows(METHODS),
      '## Inner problems',
      'What the attack raises in training: `inner.name`.',
      *_rows(INNERS, '###'),
      '## Amalgamations',
      'How several teachers become one: `ensemble.name`. '
      f'Plain means are {", ".join(f"`{name}`" for name in AVERAGES)}.',
      *_rows(AMALGAMATIONS, '###'),
    ]
  )


def attacks() -> str:
  """Every attack, search and ball."""
  return '\n\n'.join(
    [
      '# Options of attacks',
      'An attack is a column of `evaluation.attacks`, a name of `jaxrkd evaluate --attacks`, or '
      'a function of `jaxrkd.attacks`. [Attacks](../attacks.md) explains them.',
      '## In a ball',
      *_rows(ATTACKS, '###'),
      '## Without a ball',
      *_rows(UNFORESEEN, '###'),
      '## Searches',
      'What moves training images: `attack.name`. It takes any objective.',
      *_rows(SEARCHES, '###'),
      '## Balls',
      'Where images may move: `threat.name`, `evaluation.threat.name`.',
      *_rows(THREATS, '###'),
    ]
  )


def training() -> str:
  """Optimisers and schedules."""
  return '\n\n'.join(
    [
      '# Optimisers and schedules',
      '## Optimisers',
      'An optimiser is `optimizer.name`.',
      *_rows(OPTIMIZERS, '###'),
      '## Schedules',
      'A schedule of learning rates is `schedule.name`.',
      *_rows(SCHEDULES, '###'),
    ]
  )


def table_page(title: str, told: str, table: Mapping[str, Row]) -> str:
  """A page of one table."""
  return '\n\n'.join([f'# {title}', told, *_rows(table)])


def commands() -> str:
  """Every program with its flags, and what exit statuses say."""
  parts = [
    '# Commands',
    'Every installation has the command `jaxrkd`. In a checkout `python launch/NAME.py` is the '
    'same as `jaxrkd NAME`, and `python launch/main.py` is `jaxrkd train`.',
  ]
  for name in cli.PROGRAMS:
    source = ROOT / 'jaxrkd' / 'programs' / f'{name}.py'
    told = ast.get_docstring(ast.parse(source.read_text(encoding='utf-8'))) or ''
    head, _, rest = told.partition('\n\n')
    usage, _, more = rest.partition('\n\n')
    parts += [f'## {name}', head]
    if usage.startswith('Usage:'):
      lines = [line.removeprefix('Usage:').strip() for line in usage.split('\n')]
      parts.append('```bash\n' + '\n'.join(lines) + '\n```')
    else:
      more = rest
    parts += [more] if more else []
    own = _flags(name)
    if own:
      parts.append(_table([['flag', 'default', 'meaning'], *own]))
  shared = list(_shared_flags())
  statuses = [[f'`{number}`', told] for number, told in exit_status.MEANINGS.items()]
  parts += [
    '## Flags of every command',
    _table([['flag', 'default', 'meaning'], *shared]),
    '`--config.KEY=VALUE` overrides a [config key](config.md), any number of times. '
    '`--flagfile=FILE` reads flags from a file, one a line; `#` begins a comment.',
    '## Exit statuses',
    _table([['status', 'meaning'], *statuses]),
  ]
  return '\n\n'.join(parts) + '\n'


def _flags(program: str) -> list[list[str]]:
  """Name, default and meaning of the flags that a program defines."""
  module = __import__(f'jaxrkd.programs.{program}', fromlist=['define'])
  return _defined(module.define)


def _shared_flags() -> list[list[str]]:
  return _defined(command_line._define_shared)


def _defined(define: Callable[[], None]) -> list[list[str]]:
  """The flags that a function defines, which are forgotten again."""
  before = set(flags.FLAGS)
  define()
  found = []
  for name in [name for name in flags.FLAGS if name not in before]:
    flag = flags.FLAGS[name]
    # How to say no to a truth value is a flag to absl, too.
    found.append([f'`--{name}`', _value(flag.default), _escaped(flag.help or '')])
    delattr(flags.FLAGS, name)
  return found


def studies() -> str:
  """Every study: what it reproduces and what it asks."""
  lines = [['name', 'paper', 'table or figure', 'question']]
  for name in names():
    study = load_study(name)
    lines.append([f'`{name}`', study.paper, study.item, study.asks])
  return '\n\n'.join(
    [
      '# Studies',
      '`jaxrkd study --name=NAME` runs one; `jaxrkd study --list` also says what each costs. '
      '[Reproduce tables and figures](../studies.md) explains scales, pages and claims.',
      _table(lines),
    ]
  )


def checks() -> str:
  """Every trust check with its limits."""
  lines = [['check', 'warns above', 'fails above', 'if it passes', 'if it does not']]
  for name, limit in LIMITS.items():
    unit = f' {limit.unit}'.rstrip()
    numbers = (f'{limit.warn:g}{unit}', f'{limit.fail:g}{unit}')
    lines.append([name, *numbers, limit.passed, limit.advice])
  return '\n\n'.join(
    [
      '# Trust checks',
      'Every measured run goes through these checks; `jaxrkd.evaluate.trust_panel` makes them '
      'for any classifier. Shares are of images that are right without an attack, and count '
      'where their 95 % interval lies above the limit. '
      '[Measure robustness](../robustness.md) explains them.',
      _table(lines),
    ]
  )


def python() -> str:
  """What `import jaxrkd` gives, from its docstrings."""
  import jaxrkd

  parts = ['# Python', '`import jaxrkd` imports each of these when it is asked for.']
  parts += ['## jaxrkd']
  parts += [f'::: jaxrkd.{name}' for name in ('distill', 'load_run')]
  for room in ROOMS:
    module = getattr(jaxrkd, room)
    parts += [f'## jaxrkd.{room}', (inspect.getdoc(module) or '').split('\n')[0]]
    for name in public(module):
      made = getattr(module, name)
      # Tables and constants are on pages of their own.
      if callable(made) and getattr(made, '__module__', '').startswith('jaxrkd'):
        target = getattr(made, '__wrapped__', made)
        where = getattr(target, '__qualname__', name)
        if '<' not in where:
          parts.append(f'::: {target.__module__}.{where}')
  return '\n\n'.join(parts) + '\n'


def public(module: Any) -> Sequence[str]:
  """The names that a room gives away."""
  if hasattr(module, '__all__'):
    return list(module.__all__)
  return [
    name
    for name, made in vars(module).items()
    if not name.startswith('_') and getattr(made, '__module__', '') == module.__name__
  ]


def _rows(table: Mapping[str, Row], head: str = '##') -> Iterator[str]:
  for name in table:
    yield f'{head} {name}'
    yield _text(table[name])
    told = _table_of_options(table[name])
    if told:
      yield told


def _text(row: Row) -> str:
  """What a row is: its docstring up to the arguments."""
  told = inspect.getdoc(_function(row)) or ''
  told = re.split(r'\n\n?(?:Args|Attributes|Raises|Returns):', told)[0]
  # A formula that is indented would be a list to some readers, and code to others.
  return re.sub(r'[ ,;]*[Aa]rguments as `\w+`[^.]*\.?', '.', told).replace('..', '.')


def _table_of_options(row: Row) -> str:
  told = arguments(row)
  lines = [
    [f'`{name}`', _value(value, name), told.get(name, '')]
    for name, value in options(row).items()
  ]
  return _table([['option', 'default', 'meaning'], *lines]) if lines else ''


def arguments(row: Row) -> dict[str, str]:
  """What the docstring of a row says of each argument, also by naming another function."""
  function = _function(row)
  told = (inspect.getdoc(function) or '') if function is not None else ''
  found: dict[str, str] = {}
  for other in re.findall(r'[Aa]rguments as `(\w+)`', told):
    found |= arguments(_named(function, other))
  section = re.search(r'^(?:Args|Attributes):\n((?:  .*\n?|\n)*)', told, re.MULTILINE)
  if section:
    lines = re.findall(
      r'^  (\w+(?:, \w+)*): ((?:.*)(?:\n    .*)*)', section[1], re.MULTILINE
    )
    for given, text in lines:
      for name in given.split(', '):
        found[name] = ' '.join(text.split())
  for name, text in found.items():
    also = re.match(r'see `(?:\w+\.)?(\w+)`(.*)', text)
    if also:
      elsewhere = arguments(_named(function, also[1])).get(name, '')
      found[name] = f'{elsewhere.rstrip(".")}{also[2]}' if elsewhere else text
  return found


def _named(function: Any, name: str) -> Any:
  """The function that a docstring names; None where it names something else."""
  module = inspect.getmodule(inspect.unwrap(function))
  homes = [module, attack_room, *(vars(module).values())]
  for home in homes:
    found = vars(home).get(name) if inspect.ismodule(home) else None
    if callable(found):
      return found
  return None


def _function(row: Any) -> Any:
  return row.func if isinstance(row, functools.partial) else row


def _value(value: Any, name: str = '') -> str:
  if value in ('', None, (), [], {}):
    return 'none' if value is None else 'empty'
  if callable(value) or not isinstance(value, bool | int | float | str | tuple | list):
    return 'empty'
  if isinstance(value, list | tuple):
    return f'`{", ".join(map(str, value))}`'
  if isinstance(value, float):
    levels = round(value * 255, 6)
    # Radii and steps are read in levels of 255.
    if name.split('.')[-1] in ('eps', 'step_size') and levels == int(levels) > 0:
      return f'`{int(levels)}/255`'
    return f'`{value:g}`'
  return f'`{value}`'


def _escaped(text: str) -> str:
  return ' '.join(text.split()).replace('<', '&lt;')


def _table(lines: Sequence[Sequence[str]]) -> str:
  head, *rest = lines
  return '\n'.join(
    [
      f'| {" | ".join(head)} |',
      f'|{" --- |" * len(head)}',
      *(f'| {" | ".join(map(_cell, line))} |' for line in rest),
    ]
  )


def _cell(text: str) -> str:
  return re.sub(r'(?<!\\)[|]', '&#124;', text.replace('\n', ' '))
