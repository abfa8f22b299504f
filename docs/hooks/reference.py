"""The reference pages of the site, made of tables, signatures and docstrings.

Whatever stands in a table is on a page, so that nothing can be forgotten. `mkdocs.yml` names
`site.py`, which adds these pages to the site; tests look at them without building it.
"""

import ast
import inspect
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from absl import flags
from markdown_tables import escaped, table, value_text
from row_docs import Row, file_docstring, rows

from jaxrkd.amalgamation import AMALGAMATIONS, AVERAGES
from jaxrkd.attacks import ATTACKS, SEARCHES, THREATS, UNFORESEEN
from jaxrkd.data import SOURCES
from jaxrkd.evaluate.trust_limits import LIMITS
from jaxrkd.experiment import config_files, meanings, method, resolve
from jaxrkd.experiment.study_files import load_study, names
from jaxrkd.methods import INNERS, METHODS
from jaxrkd.models import NETWORKS
from jaxrkd.optimizers import OPTIMIZERS, SCHEDULES
from jaxrkd.programs import cli, command_line, exit_status
from jaxrkd.report.papers import CITED

ROOT = pathlib.Path(__file__).parents[2]
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
    [f'`{key}`', value_text(value, key), told] for key, value, told in meanings.rows()
  ]
  parts = [
    '# Config keys',
    'Every key with its default, before a recipe sets it: [Configs](configs.md) has the values '
    'of the recipes. `--config.KEY=VALUE` overrides a key, any number of times. Values are '
    'read in the type of the default; fractions such as `8/255` are numbers. A group with a '
    "`name` picks a row of a table, and has that row's options as further keys: "
    '`--config.method=ard --config.method.temperature=5`. A key that does not exist is '
    'refused with the nearest one that does. `--dry_run` prints every key of a config.',
    table(lines),
  ]
  for title, (told, defaults) in meanings.BESIDE.items():
    lines = [['key', 'default', 'meaning']]
    lines += [[f'`{key}`', value_text(defaults[key]), told[key]] for key in told]
    parts += [f'## {title}', table(lines)]
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
        value_text(config.optimizer.get('weight_decay', 0.0)).strip('`'),
        value_text(config.threat.eps, 'eps').strip('`') if attacked else 'none',
        _climb(config) if attacked else 'none',
        config.student.name,
        ', '.join([*config.teachers, *config.online]) or 'none',
      ]
    )
    told += [f'## {name}', file_docstring(ROOT / 'configs' / f'{name}.py')]
  told += [
    '## Teachers',
    'Configs of `teachers/` train the teachers that the papers use.',
  ]
  for name in config_files.own('teachers'):
    file = ROOT / 'configs' / 'teachers' / f'{name}.py'
    told += [f'### teachers/{name}', file_docstring(file)]
  setting = file_docstring(ROOT / 'configs' / 'setting.py')
  return '\n\n'.join(
    [
      '# Configs',
      '`--config=NAME:WORD,WORD` takes one, with words for data, student and variants. A wrong '
      'word prints all that a config takes. Without words it is the recipe on CIFAR-10, whose '
      'values stand here (`mtard_cifar100` on CIFAR-100, `mtard_digits` on digits). '
      '[Methods](../methods.md) says where they come from. `--dry_run` prints every key.',
      table(lines),
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
  step = 'own step' if size is None else value_text(size, 'step_size').strip('`')
  return f'{attack.name}, {attack.get("steps", 1)} x {step}, bn {attack.bn}'


def methods() -> str:
  """Every method and inner problem."""
  return '\n\n'.join(
    [
      '# Options of methods',
      'A method is `method.name`. [Methods](../methods.md) has the formulas and the differences '
      'between papers and code.',
      *rows(METHODS),
      '## Inner problems',
      'What the attack raises in training: `inner.name`.',
      *rows(INNERS, '###'),
      '## Amalgamations',
      'How several teachers become one: `ensemble.name`. '
      f'Plain means are {", ".join(f"`{name}`" for name in AVERAGES)}.',
      *rows(AMALGAMATIONS, '###'),
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
      *rows(ATTACKS, '###'),
      '## Without a ball',
      *rows(UNFORESEEN, '###'),
      '## Searches',
      'What moves training images: `attack.name`. It takes any objective.',
      *rows(SEARCHES, '###'),
      '## Balls',
      'Where images may move: `threat.name`, `evaluation.threat.name`.',
      *rows(THREATS, '###'),
    ]
  )


def training() -> str:
  """Optimisers and schedules."""
  return '\n\n'.join(
    [
      '# Optimisers and schedules',
      '## Optimisers',
      'An optimiser is `optimizer.name`.',
      *rows(OPTIMIZERS, '###'),
      '## Schedules',
      'A schedule of learning rates is `schedule.name`.',
      *rows(SCHEDULES, '###'),
    ]
  )


def table_page(title: str, told: str, of: Mapping[str, Row]) -> str:
  """A page of one table."""
  return '\n\n'.join([f'# {title}', told, *rows(of)])


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
      parts.append(table([['flag', 'default', 'meaning'], *own]))
  shared = list(_shared_flags())
  statuses = [[f'`{number}`', told] for number, told in exit_status.MEANINGS.items()]
  parts += [
    '## Flags of every command',
    table([['flag', 'default', 'meaning'], *shared]),
    '`--config.KEY=VALUE` overrides a [config key](config.md), any number of times. '
    '`--flagfile=FILE` reads flags from a file, one a line; `#` begins a comment.',
    '## Exit statuses',
    table([['status', 'meaning'], *statuses]),
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
    found.append([f'`--{name}`', value_text(flag.default), escaped(flag.help or '')])
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
      table(lines),
      '## Papers',
      table([['name', 'paper'], *map(list, CITED.items())]),
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
      table(lines),
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
