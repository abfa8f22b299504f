"""Refuses a config that cannot work, in one sentence, before anything starts."""

import re
from collections.abc import Mapping

from ml_collections import ConfigDict

from jaxrkd.amalgamation import AMALGAMATIONS, check_pareto
from jaxrkd.data.batches import SAMPLING
from jaxrkd.errors import InputError, choose, in_range, nearest, one_of
from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import make
from jaxrkd.experiment.check_epochs import check_epochs
from jaxrkd.experiment.roles import roles
from jaxrkd.experiment.tables import (
  ATTACK_BN,
  EVALUATIONS,
  KINDS,
  METRICS,
  RECORDED,
  SPLITS,
  STREAM,
)
from jaxrkd.methods import Method
from jaxrkd.models import STACKING
from jaxrkd.models.named import PRECISIONS
from jaxrkd.optimizers import check_decay


def check(config: ConfigDict, past: bool = False) -> None:
  """Builds everything that needs no data, so that mistakes surface before work starts.

  Args:
    config: resolved.
    past: leave its attacks out: those of training have been, those of a measurement are
      built where it begins.

  Raises:
    InputError: a mistake.
  """
  _check_numbers(config)
  choose(PRECISIONS, config.precision, 'config.precision')
  one_of(config.attack.bn, ATTACK_BN, 'config.attack.bn')
  one_of(config.select.metric, METRICS, 'config.select.metric')
  one_of(config.select.split, SPLITS, 'config.select.split')
  one_of(config.evaluation.split, SPLITS, 'config.evaluation.split')
  choose(
    PRECISIONS, config.evaluation.search_precision, 'config.evaluation.search_precision'
  )
  check_surrogates(config)
  one_of(config.sampling, SAMPLING, 'config.sampling')
  one_of(config.stacking, STACKING, 'config.stacking')
  one_of(config.label_smoothing.on, ('extra', 'all'), 'config.label_smoothing.on')
  for user in ('select', 'evaluation'):
    if config[user].split == 'heldout' and not config.data.heldout:
      raise InputError(
        f'config.{user}.split is heldout, but config.data.heldout is 0; hold some training '
        'images out, or use the test split'
      )
  smoothing = config.label_smoothing
  if smoothing.amount and smoothing.on == 'extra' and not config.extra.path:
    raise InputError(
      f'config.label_smoothing.amount is {smoothing.amount} on extra images, but '
      'config.extra.path names none; give a file, or label_smoothing.on=all'
    )
  if config.select.max_drop and config.select.metric == 'clean':
    raise InputError(
      f'config.select.max_drop is {config.select.max_drop}, but select.metric=clean '
      'measures no robust accuracy; choose weighted or robust'
    )
  if not config.evaluation.attacks:
    raise InputError(
      f'config.evaluation.attacks is empty; name at least one of {", ".join(EVALUATIONS)}'
    )
  if config.data.get('classes') and config.extra.path and config.data.name != 'synthetic':
    raise InputError(
      'config.data.classes leaves classes out and numbers the others anew, but the extra '
      f'images of {config.extra.path!r} are labelled for all; leave one of the two out'
    )
  make.distance_attacks(config)
  _check_trajectories(config, past)
  _check_scale(config)
  _check_seeds(config)
  check_decay(config.ema.decay)
  make.weight_perturbation(config)
  check_epochs(config, past)
  for name, entry in config.teachers.items():
    _check_teacher(config, name, entry, past)
  method = make.method(config)
  attacks = method.inner.prepare is not None and not past
  if attacks and not config.threat.eps:
    raise InputError(
      f'config.threat.eps is 0, but method {config.method.name!r} learns from adversarial '
      'images; give a radius, or take --config.method=natural'
    )
  if not past and not config.evaluation.threat.eps:
    raise InputError(
      'config.evaluation.threat.eps is 0, so clean accuracies would be called robust; '
      'give a radius above 0'
    )
  # A search of one's own may count in another way.
  if attacks and config.attack.get('steps', 1) < 1:
    raise InputError(
      f'config.attack.steps is {config.attack.steps}, but method {config.method.name!r} '
      'learns from adversarial images, and without a step they are the clean ones; set it to '
      '1 or more, or take --config.method=natural'
    )
  _check_average(config, method)
  _check_group(config, method)
  _check_ensemble(config, method, roles(config, method))
  if attacks:
    make.search(config)
  if not past:
    make.evaluation_attacks(config)
    make.selection_attack(config)
  make.optimizer(config, make.schedule(config, 1000))


def _check_seeds(config: ConfigDict) -> None:
  seeds = list(config.seeds)
  if not all(isinstance(seed, int) and seed >= 0 for seed in seeds):
    raise InputError(f'config.seeds is {seeds}; give whole numbers from 0, such as 0,1,2')
  if len(set(seeds)) < len(seeds):
    raise InputError(f'config.seeds is {seeds}, with one of them twice; give each once')
  for key, usual in (
    ('members', 1),
    ('mesh.fsdp', 1),
    ('select.max_drop', 0.0),
  ):
    value = configs.leaf(config, key)
    if seeds and value != usual:
      raise InputError(
        f'config.seeds trains several runs at once, which config.{key}={value} cannot be '
        f'part of; set it to {usual}, or give one --config.seed'
      )
  if seeds and config.stream == 'always':
    raise InputError(
      'config.seeds trains several runs on one copy of the data, which config.stream=always '
      'cannot give them; set config.stream=auto or never, or give one --config.seed'
    )


def _check_trajectories(config: ConfigDict, past: bool) -> None:
  """Refuses recordings of splits that are not there."""
  splits = config.trajectories.splits
  for split in splits:
    one_of(split, RECORDED, 'config.trajectories.splits')
  if 'heldout' in splits and not config.data.heldout:
    raise InputError(
      'config.trajectories.splits has heldout, but config.data.heldout is 0; hold some '
      'training images out, or leave it out'
    )
  if splits and not past:
    make.trajectory_search(config)


def _check_scale(config: ConfigDict) -> None:
  """What is cut into parts; whether these fit the devices is known where a run begins."""
  one_of(config.stream, STREAM, 'config.stream')
  in_range(config.mesh.fsdp, 1, 2**20, 'config.mesh.fsdp')
  in_range(config.micro_batch, 0, 2**30, 'config.micro_batch')
  if config.micro_batch and config.attack.bn != 'eval':
    raise InputError(
      f'config.micro_batch is {config.micro_batch}, but config.attack.bn={config.attack.bn} '
      'needs the whole batch in the attack; set micro_batch=0, or attack.bn=eval'
    )


def check_surrogates(config: ConfigDict) -> None:
  """The networks on which columns make their images."""
  for name, node in config.evaluation.attacks.items():
    chosen = node.surrogate
    # A path is looked at where it is read: the config may be resolved elsewhere.
    if chosen and chosen not in config.teachers and '/' not in chosen:
      known = ', '.join(config.teachers) or 'none'
      raise InputError(
        f'config.evaluation.attacks.{name}.surrogate is {chosen!r}'
        f'{nearest(chosen, config.teachers)}, which is no teacher of this run (teachers: '
        f'{known}); name one, or the workdir of a finished run as a path with a /'
      )


def _check_average(config: ConfigDict, method: Method) -> None:
  if method.asks_average and not config.ema.decay:
    raise InputError(
      f'method {config.method.name!r} asks the moving average of the student, but '
      'config.ema.decay is 0; set --config.ema.decay=0.995'
    )


def _check_group(config: ConfigDict, method: Method) -> None:
  """The networks that a method trains together, and their particles."""
  name, online = config.method.name, list(config.online)
  if online and method.group != 'teachers':
    raise InputError(
      f'config.online names {", ".join(online)}, but method {name!r} trains no teachers; '
      "take that method's own config, or method=at_aka"
    )
  if method.group == 'teachers' and not online:
    raise InputError(
      f'method {name!r} trains its teachers along with the student, but config.online '
      'names none; add one, such as --config.online.t1.name=resnet18'
    )
  if 'student' in online:
    raise InputError(
      'config.online.student: "student" is the name of the student; choose another name'
    )
  for each in online:
    if not re.fullmatch(r'\w[\w-]*', each):
      raise InputError(
        f'config.online.{each}: a name is made of letters, digits, - and _; choose another'
      )
  if not method.group:
    if config.attack.name.startswith('svgd') and config.attack.particles < 2:
      raise InputError(
        f'config.attack.particles is {config.attack.particles}, but method {name!r} '
        f'attacks one network, on which {config.attack.name} with one particle is pgd; '
        'set it to 2 or more, or attack=pgd'
      )
    return
  count = len(online) or method.students
  method.check_group(count)
  particles = config.attack.get('particles', 0)
  if particles not in (0, count):
    raise InputError(
      f'config.attack.particles is {particles}, but {name} trains {count} networks, each '
      f'on its own particle; set it to {count}, or to 0 for one per network'
    )


def _check_ensemble(
  config: ConfigDict, method: Method, cast: Mapping[str, Mapping[str, float]]
) -> None:
  """The rule by which teachers or members answer together."""
  make.average(config)
  name = config.ensemble.name
  if name not in AMALGAMATIONS:
    return
  where = f'config.ensemble is {name}, which weighs teachers image by image in training'
  if config.members > 1:
    raise InputError(
      f'{where}, but {config.members} members are measured without them; choose '
      'probabilities or logits'
    )
  most = max((len(shares) for shares in cast.values()), default=0)
  if most < 2:
    raise InputError(
      f'{where}, but no role of method {config.method.name!r} has more than one teacher '
      f'({_cast_in_words(cast)}); add teachers of that kind, or choose probabilities'
    )
  if name == 'pareto':
    check_pareto(most, 'config.ensemble')
  weighted = [role for role, entry in config.teachers.items() if entry.weight]
  if weighted:
    raise InputError(
      f'{where}, but config.teachers.{weighted[0]}.weight fixes a share; set it to 0, or '
      'choose probabilities'
    )
  if name == 'pareto' and method.group == 'students':
    raise InputError(
      f'{where} for one student, but {config.method.name} has several students; choose '
      'naive, linear or soft'
    )


def _cast_in_words(cast: Mapping[str, Mapping[str, float]]) -> str:
  return (
    ', '.join(f'{role}: {", ".join(names)}' for role, names in cast.items()) or 'none'
  )


def _check_numbers(config: ConfigDict) -> None:
  for key in ('epochs', 'members', 'batch_size', 'checkpoint_every', 'log_every'):
    if config[key] < 1:
      raise InputError(f'config.{key} is {config[key]}; it must be at least 1')
  if config.evaluation.batch_size < 1:
    raise InputError(
      f'config.evaluation.batch_size is {config.evaluation.batch_size}; it must be at '
      'least 1'
    )
  for key in ('images', 'trust.images', 'gallery.images', 'distances.images'):
    value = configs.leaf(config.evaluation, key)
    if value < 0:
      raise InputError(
        f'config.evaluation.{key} is {value}; it must be a number of images, or 0'
      )
  if config.select.every < 1:
    raise InputError(
      f'config.select.every is {config.select.every}; it must be at least 1'
    )
  in_range(config.label_smoothing.amount, 0, 1, 'config.label_smoothing.amount')
  in_range(config.select.max_drop, 0, 1, 'config.select.max_drop')
  fraction = config.extra.real_fraction
  if config.extra.path and not 0 < fraction < 1:
    raise InputError(
      f'config.extra.real_fraction is {fraction}; it must be above 0 and below 1'
    )
  if config.extra.path and config.batch_size < 2:
    raise InputError(
      'config.batch_size is 1, but with extra images a batch holds some of each kind; use '
      'at least 2'
    )
  if config.schedule_len and config.schedule_len < config.epochs:
    raise InputError(
      f'config.schedule_len is {config.schedule_len}, shorter than the {config.epochs} '
      'epochs; give a longer schedule, or 0 for one as long as the training'
    )
  for epoch in config.keep_epochs:
    if not isinstance(epoch, int) or not 1 <= epoch <= config.epochs:
      raise InputError(
        f'config.keep_epochs names epoch {epoch!r}, but the run has epochs 1 to '
        f'{config.epochs}'
      )


def _check_teacher(config: ConfigDict, name: str, entry: ConfigDict, past: bool) -> None:
  where = f'config.teachers.{name}'
  one_of(entry.checkpoint, ('best', 'last', 'ema', 'swa'), f'{where}.checkpoint')
  one_of(entry.kind, KINDS, f'{where}.kind')
  in_range(entry.weight, 0, 1, f'{where}.weight')
  if not (entry.workdir or entry.file or entry.config):
    raise InputError(
      f'{where} has neither a workdir nor a file nor a config; give --{where}.workdir=RUN, '
      f'--{where}.file=WEIGHTS or a config that trains it'
    )
  if entry.config and entry.config.get('seeds'):
    raise InputError(
      f'{where}.config.seeds is {list(entry.config.seeds)}, but a teacher is one network; '
      f'give it one {where}.config.seed'
    )
  if entry.workdir and entry.file:
    raise InputError(
      f'{where} has both a workdir, {entry.workdir!r}, and a file, {entry.file!r}; give one'
    )
  if entry.recipe and not entry.file:
    raise InputError(
      f'{where}.recipe is {entry.recipe!r}, but there is no file to read; give '
      f'--{where}.file=WEIGHTS, or --{where}.name={entry.recipe} alone, which looks for it'
    )
  if entry.file and (entry.epoch or entry.network):
    raise InputError(
      f'{where} comes from the file {entry.file!r}, which holds one network of one epoch; '
      f'give --{where}.epoch=0 and --{where}.network='
    )
  if not entry.config or entry.workdir or entry.file:
    return
  trained = make.method(entry.config)
  known = make.network_nodes(entry.config, trained)
  if entry.network and entry.network not in known:
    raise InputError(
      f'{where}.network is {entry.network!r}{nearest(entry.network, known)}, but its '
      f'config trains {", ".join(known)}'
    )
  changed = configs.differences(config.data.to_dict(), entry.config.data.to_dict())
  if changed:
    raise InputError(
      f'{where} would be trained on other data ({changed[0]}); give both the same data, '
      'or a workdir of a finished teacher'
    )
  if entry.epoch and not 1 <= entry.epoch <= entry.config.epochs:
    raise InputError(
      f'{where}.epoch is {entry.epoch}, but its config trains {entry.config.epochs} '
      f'epochs; choose one of them, or 0 for its {entry.checkpoint} checkpoint'
    )
  check(entry.config, past)


def schedule_note(config: ConfigDict) -> str:
  """What is unusual about a schedule for the number of epochs; '' where nothing is."""
  node, epochs = config.schedule, config.schedule_len or config.epochs
  milestones = node.get('milestones', ())
  if node.name != 'milestones' or not milestones or min(milestones) < epochs:
    return ''
  return (
    f'the learning rate falls after epochs {", ".join(map(str, milestones))}, and the training '
    f'has {config.epochs}: it never falls. Set schedule.milestones, or '
    '--config.schedule.name=cosine'
  )
