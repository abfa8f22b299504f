"""`distill`: any method for one's own networks, optimiser, data and loop."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import optax

from jaxrkd.amalgamation import AMALGAMATIONS, AVERAGES, Amalgamation, Average
from jaxrkd.attacks import Search
from jaxrkd.attacks.doors import told
from jaxrkd.attacks.ramp import Ramp
from jaxrkd.errors import InputError, choose, one_of, whole_number
from jaxrkd.methods import Inner, Method
from jaxrkd.models import Net, as_net
from jaxrkd.models.group import is_mapped
from jaxrkd.models.own import begins_as_it_is
from jaxrkd.optimizers import check_decay
from jaxrkd.runtime import sharding
from jaxrkd.train.distiller import Distiller
from jaxrkd.train.learner import Learner
from jaxrkd.train.networks import make_networks
from jaxrkd.train.state import Optimizers
from jaxrkd.train.teachers import Roles, freeze_teachers
from jaxrkd.train.weight_perturbation import WeightPerturbation

Array = jax.Array
Tree = Any
ATTACKED_BN = ('eval', 'batch', 'train')


def distill(
  net: Any,
  method: Method,
  *,
  attack: Search | Ramp | None = None,
  optimizer: optax.GradientTransformation,
  teachers: Mapping[str, Any] | None = None,
  online: Mapping[str, Any] | Sequence[Any] = (),
  inner: Inner | None = None,
  attack_bn: str = 'eval',
  average: str | Average | Amalgamation = 'probabilities',
  weights_optimizer: optax.GradientTransformation | None = None,
  ema_decay: float = 0.0,
  ema_warmup: bool = True,
  awp_gamma: float = 0.0,
  awp_warmup: int = 0,
  steps_per_epoch: int = 1,
  epochs: int = 0,
  classes: int = 0,
  micro_batch: int = 0,
  stacking: str = 'auto',
  mesh: jax.sharding.Mesh | None = None,
) -> Distiller:
  """Builds the train step of a method around one's own network.

      distiller = jaxrkd.distill(
        net, methods.mtard(), teachers={'clean': clean, 'robust': robust},
        attack=attacks.pgd_search(attacks.Linf(8 / 255)), optimizer=optax.adamw(1e-3))
      state = distiller.init(jax.random.key(0))
      for images, labels in batches:
        state, scalars = distiller.step(state, images, labels)
      robust_student = distiller.logits_fn(state)

  The step attacks, asks the teachers and updates in one compiled program over all devices.

  Args:
    net: the student: `models.Net`, a Flax NNX module (trained from its own values), a pair
      of functions (key -> params, (params, images) -> logits), or what
      `models.from_nnx` and `models.from_linen` make. Images are in [0, 1].
    method: such as `methods.mtard()`.
    attack: raises the method's inner objective, such as
      `attacks.pgd_search(attacks.Linf(8 / 255))`, or an `attacks.Ramp`, which lets it grow;
      None for a method without an attack.
    optimizer: of every trained network, an optax transformation. A schedule counts steps.
    teachers: by role: 'clean', 'robust', or what the method names. Each is a function from
      images to logits, a pair (net, (params, stats)), an NNX module, or a list of such,
      which answers as an ensemble. The weights of a function are constants of the compiled
      program, those of the others its arguments.
    online: networks trained beside the student (AT-AKA), by name or in order.
    inner: another inner objective in the place of the method's, such as
      `methods.INNERS['kl_clean_self']()`.
    attack_bn: BatchNorm of those attacked: 'eval' uses running statistics, 'batch' those
      of the batch, 'train' moves the running ones at every step of the attack.
    average: how several teachers answer as one: a row of `amalgamation.AVERAGES`, such a
      function, or a rule that weighs them image by image.
    weights_optimizer: moves the method's own weights; None is `optax.sgd` with the rate
      that the method was given, which then does not fall.
    ema_decay: of a moving average of the parameters; 0 keeps none.
    ema_warmup: let its memory grow from nothing.
    awp_gamma: how far weights move to raise the loss before its gradient is taken, relative
      to their length (AWP); 0 is off.
    awp_warmup: epochs before the first such move.
    steps_per_epoch: for methods that count epochs (IAD) or act after each (ABSLD).
    epochs: of the whole training, for terms that grow until its end (SAAD, IGDM); 0 lets
      them have their full weight from the start.
    classes: how many, for methods that keep something for each (ABSLD, IKL, Fair-ARD).
    micro_batch: images at once in attacks and teachers, which saves memory; 0 is all.
    stacking: 'vmap' or 'loop' for networks of one architecture; 'auto' asks the device.
    mesh: devices, from `runtime.sharding.data_mesh`; None takes all.

  Raises:
    InputError: an argument is something else, a teacher is missing, or an attack.
  """
  moves_weights = optimizer if weights_optimizer is None else weights_optimizer
  teachers = {} if teachers is None else teachers
  _check(method, attack, optimizer, moves_weights, inner, teachers, mesh)
  if inner is not None:
    method = method._replace(inner=inner)
  if method.inner.prepare is not None and attack is None:
    raise InputError(
      'no attack; the inner problem of the method needs one, such as '
      'attack=attacks.pgd_search(attacks.Linf(8 / 255))'
    )
  one_of(attack_bn, ATTACKED_BN, 'attack_bn')
  check_decay(ema_decay)
  awp = WeightPerturbation(awp_gamma, awp_warmup)
  whole_number(steps_per_epoch, 1, 'steps_per_epoch')
  whole_number(epochs, 0, 'epochs')
  whole_number(classes, 0, 'classes')
  whole_number(micro_batch, 0, 'micro_batch')
  if micro_batch and attack_bn != 'eval':
    raise InputError(
      f'attack_bn is {attack_bn!r}, where BatchNorm sees the whole batch, but '
      f'micro_batch attacks only {micro_batch} images at once; set one of the two to its '
      'default'
    )
  mesh = sharding.data_mesh() if mesh is None else mesh
  if micro_batch:
    sharding.check_batch_size(micro_batch, mesh, 'micro_batch')
  student, mapped = as_net(net, 'net'), is_mapped(stacking)
  if method.asks_average and not ema_decay:
    raise InputError(
      'the method asks the moving average of the student, and none is kept; give '
      'ema_decay=0.995'
    )
  members = _members(method, net, student, online)
  optimizers = Optimizers(
    student=optimizer,
    weights=weights_optimizer or optax.sgd(method.weight_rate),
    ema_decay=ema_decay,
    ema_warmup=ema_warmup,
  )
  networks = make_networks(student, method.group, members, mapped)
  nets, variables, roles = _cast(method, teachers)
  # Wherever they lie, the step finds them on its own devices.
  variables = jax.device_put(variables, sharding.replicated(mesh))
  if isinstance(average, str):
    rules: dict[str, Average | Amalgamation] = dict(AVERAGES)
    rules |= {name: row() for name, row in AMALGAMATIONS.items()}
    average = choose(rules, average, 'average')
  frozen = freeze_teachers(nets, roles, average, mapped)
  return Distiller(
    learner=Learner(networks, method, optimizers, mesh, classes),
    teachers=frozen,
    search=attack or Search(_no_attack),
    attack_bn=attack_bn,
    steps_per_epoch=steps_per_epoch,
    epochs=epochs,
    micro_batch=micro_batch,
    awp=awp if awp.gamma else None,
    teacher_variables=frozen.join(variables, mesh),
  )


def _no_attack(*given: Any) -> Any:
  raise AssertionError('asked for an attack where there is none')


def _check(
  method: Any,
  attack: Any,
  optimizer: Any,
  weights_optimizer: Any,
  inner: Any,
  teachers: Any,
  mesh: Any,
) -> None:
  if not isinstance(method, Method):
    raise InputError(
      f'method is {told(method)}; give a method that is built, such as methods.mtard()'
    )
  if inner is not None and not isinstance(inner, Inner):
    raise InputError(
      f"inner is {told(inner)}; give an inner problem, such as methods.INNERS['ce']()"
    )
  if attack is not None and not isinstance(attack, Search | Ramp):
    raise InputError(
      f'attack is {told(attack)}; give a search, which maximises any objective, such as '
      'attacks.pgd_search(attacks.Linf(8 / 255)). An attack from attacks.ATTACKS has its '
      'own objective'
    )
  for name, one in (('optimizer', optimizer), ('weights_optimizer', weights_optimizer)):
    if not (hasattr(one, 'init') and hasattr(one, 'update')):
      raise InputError(
        f'{name} is {told(one)}; give an optax transformation, such as optax.adamw(1e-3)'
      )
  if not isinstance(teachers, Mapping):
    raise InputError(
      f'teachers are {told(teachers)}; give a dictionary from role to teacher, such as '
      "{'robust': logits_fn}"
    )
  if mesh is not None and not isinstance(mesh, jax.sharding.Mesh):
    raise InputError(
      f'mesh is {told(mesh)}; give one of jaxrkd.runtime.sharding.data_mesh(devices)'
    )


def _members(method: Method, net: Any, student: Net, online: Any) -> dict[str, Net]:
  """The networks of a method's group, by name."""
  if method.group == 'students':
    if online:
      raise InputError(
        f'the method trains {method.students} students like net, and no networks beside '
        'them; leave online out'
      )
    if begins_as_it_is(net):
      raise InputError(
        f'the method trains {method.students} students that must begin differently, but '
        'net is a module that has its weights already; give models.from_nnx(make), where '
        'make is a function from nnx.Rngs to a module'
      )
    return {f'student_{k + 1}': student for k in range(method.students)}
  if not method.group:
    if online:
      raise InputError('the method trains nothing beside the student; leave online out')
    return {}
  named = online
  if not isinstance(online, Mapping):
    named = {f'teacher_{k + 1}': one for k, one in enumerate(online)}
  if not named:
    raise InputError(
      'the method trains teachers beside the student; name them, such as '
      'online=[net_1, net_2, net_3]'
    )
  method.check_group(len(named))
  begun = [id(one) for one in named.values() if begins_as_it_is(one)]
  if len(set(begun)) < len(begun):
    raise InputError(
      'one module is there twice in online, and its two networks would stay equal; give '
      'a module for each network, or models.from_nnx(make)'
    )
  return {name: as_net(one, f'online network {name!r}') for name, one in named.items()}


def _cast(
  method: Method, teachers: Mapping[str, Any]
) -> tuple[dict[str, Net], dict[str, tuple[Tree, Tree]], Roles]:
  """Teachers by name, their variables, and who plays which role."""
  nets: dict[str, Net] = {}
  variables: dict[str, tuple[Tree, Tree]] = {}
  own: dict[str, list[str]] = {}
  for role, given in teachers.items():
    several = given if isinstance(given, list) else [given]
    own[role] = [
      role if len(several) == 1 else f'{role}_{k}' for k in range(len(several))
    ]
    for name, one in zip(own[role], several):
      nets[name], variables[name] = _teacher(one, role)
  asked = dict.fromkeys((*method.teachers, *method.inner.teachers))
  everyone = [name for names in own.values() for name in names]
  roles: dict[str, Mapping[str, float]] = {}
  for role in asked:
    names = everyone if role == 'all' else own.get(role, [])
    if not names:
      known = ', '.join(map(repr, own)) or 'none'
      raise InputError(
        f'no teacher answers as {role!r} (there: {known}); add one, '
        f'teachers={{{role!r}: logits_fn}}'
      )
    roles[role] = dict.fromkeys(names, 1 / len(names))
  idle = [
    role
    for role, names in own.items()
    if not any(set(names) & set(r) for r in roles.values())
  ]
  if idle:
    wanted = ', '.join(map(repr, asked)) or 'no teacher'
    raise InputError(f'the method asks {wanted}, and not {idle[0]!r}; leave it out')
  return nets, variables, roles


def _teacher(given: Any, role: str) -> tuple[Net, tuple[Tree, Tree]]:
  """A network and its variables, of whatever was given."""
  what = f'the teacher that answers as {role!r}'
  if isinstance(given, tuple) and not isinstance(given, Net):
    if len(given) == 2 and isinstance(given[1], tuple | list) and len(given[1]) == 2:
      return as_net(given[0], what), tuple(given[1])
    raise InputError(
      f'{what} is a tuple of {len(given)}; give (net, (params, stats)), or a function from '
      'images to logits'
    )
  if isinstance(given, Net):
    raise InputError(f'{what} is a network without weights; give (net, (params, stats))')
  if hasattr(given, 'net') and hasattr(given, 'variables'):
    return given.net, given.variables  # of `load_run`
  try:
    net = as_net(given, what)
  except InputError:
    if not callable(given):
      raise
    return _function(given), ((), ())
  return net, net.init(jax.random.key(0))


def _function(logits_fn: Callable[[Array], Array]) -> Net:
  """A function from images to logits, as a network without variables."""

  def apply_train(*given: Any) -> Any:
    raise AssertionError('a teacher is not trained')

  return Net(lambda key: ((), ()), lambda params, stats, x: logits_fn(x), apply_train)
