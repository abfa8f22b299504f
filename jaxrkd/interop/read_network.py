"""A file of weights as one of our networks, checked."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrkd.errors import InputError
from jaxrkd.interop import architecture
from jaxrkd.interop.haiku_names import to_torch_names
from jaxrkd.interop.logit_check import check_logits
from jaxrkd.interop.recipes import Recipe
from jaxrkd.interop.recipes import recipe as find_recipe
from jaxrkd.interop.state_dict import Fit, State, fit, from_state_dict
from jaxrkd.interop.unwrap import Unwrapped, unwrap
from jaxrkd.interop.weights_file import WeightsFile, own_card, read_weights
from jaxrkd.models import Net
from jaxrkd.models.named import NETWORK_KEYS, named_network, network_options
from jaxrkd.models.normalisation import constants

Tree = Any
# Names in a message.
SHOWN = 2
# Networks that belong together and are not each other's copies.
ROLES = {'student', 'teacher'}
MEANS = ('mu', 'mean', 'means')


class ReadNetwork(NamedTuple):
  """A network out of a file.

  Attributes:
    net: its functions.
    variables: (params, stats), on the default device.
    node: the resolved `student` group.
    classes: number of logits.
    image_shape: (H, W, C).
    settings: groups of a config that are known of it: data, evaluation, and the accuracies
      that are expected.
    about: where it comes from, for imported.json.
  """

  net: Net
  variables: tuple[Tree, Tree]
  node: dict[str, Any]
  classes: int
  image_shape: tuple[int, int, int]
  settings: dict[str, Any]
  about: dict[str, Any]


class _Suited(NamedTuple):
  """A network in a file that is the one that is wanted."""

  inside: Unwrapped
  state: State
  net: Net
  like: tuple[Tree, Tree]
  node: dict[str, Any]
  classes: int
  image_shape: tuple[int, int, int]


def read_network(
  path: Any,
  *,
  recipe: str = '',
  network: Mapping[str, Any] | None = None,
  classes: int = 0,
  image_shape: Sequence[int] = (),
  key: str = '',
  ignore: Sequence[str] = (),
  precision: str = 'float32',
  remat: bool = False,
  check: bool = True,
) -> ReadNetwork:
  """Reads weights of any known kind and checks that they are the network's.

  Args:
    path: the file; see `weights_file`.
    recipe: a public teacher (`recipes.RECIPES`), where the file is one.
    network: a `student` group, or the part of it that differs from the recipe's, or from
      what the file's names and shapes call for.
    classes: how many there must be; 0 takes the file's.
    image_shape: (H, W, C); by default what an export of ours says, or 32 x 32.
    key: where in the file the weights are, such as 'state_dict_ema' or 'ema.model'; empty
      looks under the usual names.
    ignore: beginnings of names that belong to nothing wanted, such as a second head; as in
      the file, or as in the network.
    precision: compute type of `net`.
    remat: see `config.remat`.
    check: False does not compute logits: whether the file suits is known sooner.

  Raises:
    InputError: see `weights_file.read_weights`; an unknown or unsuitable network, another
      number of classes, weights that are no numbers, another normalisation in the file, or
      logits that differ from PyTorch's.
  """
  found = read_weights(path)
  where, (card, damage) = repr(str(found.path)), own_card(found)
  known = find_recipe(recipe) if recipe else None
  given = known.network if known else card.get('network')
  asked = known.classes if known else classes
  source = f'recipe {recipe!r}' if known else 'what was asked for'

  def suit(inside: Unwrapped) -> _Suited:
    guessed = architecture.guess(inside.state)
    node = _node(network, given, guessed, where, inside.state)
    count = _classes(where, inside.state, card, asked, source)
    shape = _image_shape(where, inside.state, card, tuple(image_shape))
    try:
      net = named_network(node, count, shape, precision, remat)
      like = jax.eval_shape(net.init, jax.random.key(0))
    except (TypeError, ArithmeticError) as error:
      if not card:
        raise
      raise InputError(
        f'{where}: its card describes a {node["name"]} that cannot be built; say what '
        'differs, as --config.student.NAME=VALUE, or take another copy of the file'
      ) from error
    fitted = fit(inside.state, *like)
    if not fitted.whole:
      raise InputError(_misfit(where, node, count, fitted, guessed))
    _check_numbers(where, fitted.state)
    _check_constants(where, node, inside.constants, shape[-1])
    return _Suited(inside, fitted.state, net, like, node, count, shape)

  took, notes = _choose(where, _weights(found, where, key, ignore), suit)
  net, node, count, shape = took.net, took.node, took.classes, took.image_shape
  notes += [damage] if damage else []
  variables = jax.tree.map(jnp.asarray, from_state_dict(took.state, *took.like))
  if took.inside.constants:
    names = ', '.join(took.inside.constants)
    notes += [f'the normalisation in the file is that of the network: {names}']
  about = {
    'file': str(found.path),
    'sha256': found.sha256,
    'kind': found.kind,
    'wrapper': took.inside.wrapper,
    'prefix': took.inside.prefix,
    'unused': list(took.inside.dropped),
    'notes': notes,
    'recipe': recipe,
    'card': bool(card),
    'network': dict(node),
    'classes': count,
    'image_shape': list(shape),
    'parameters': int(sum(leaf.size for leaf in jax.tree.leaves(variables[0]))),
  }
  if check:
    # In float32, whatever it will be computed in.
    plain = named_network(node, count, shape)
    about['logit_check'] = check_logits(plain, variables, node, shape, where)
  settings = _known_of_recipe(known) if known else _known_of_card(card)
  return ReadNetwork(net, variables, node, count, shape, settings, about)


def _classes(
  where: str, state: State, card: Mapping[str, Any], asked: int, source: str
) -> int:
  """The file's classes, which must be those that `source` asks for (0: any)."""
  count = architecture.classes_of(state) or card.get('classes', 0) or asked
  if asked and count != asked:
    raise InputError(
      f'{where} holds a network of {count} classes, but {source} has {asked}; take the '
      'file of the other data set, or the recipe that suits it'
    )
  if not count:
    raise InputError(
      f'{where} has no last layer named linear, fc or logits, so the number of classes '
      'is not known; give it (jaxrkd convert --classes), or ignore fewer names (--ignore)'
    )
  return count


def _image_shape(
  where: str, state: State, card: Mapping[str, Any], asked: tuple[int, ...]
) -> tuple[int, int, int]:
  """(H, W, C) as the card or the caller says, or 32 x 32; C is the file's."""
  known = tuple(card.get('image_shape', ()))
  # A network of one's own has other names; then the card's word holds.
  channels = architecture.channels_of(state) or (known or asked or (0, 0, 3))[-1]
  if known and asked and known != asked:
    raise InputError(
      f'{where} holds a network for images {list(known)}, not {list(asked)}; take one of the '
      'same data set'
    )
  height, width, own = known or asked or (32, 32, channels)
  if own != channels:
    raise InputError(
      f'{where} holds a network for images of {channels} channels, not of {own} as in '
      f'{list(known or asked)}; give image_shape as height, width, channels'
    )
  return height, width, own


def _known_of_recipe(chosen: Recipe) -> dict[str, Any]:
  return {
    'data': {'name': chosen.data},
    'evaluation': {'threat': {'name': chosen.norm.lower(), 'eps': chosen.eps}},
    'expected': dict(chosen.expected),
  }


def _known_of_card(card: Mapping[str, Any]) -> dict[str, Any]:
  """Data and measurement as in the run that an export of ours came from."""
  own = card.get('config')
  if not own:
    return {}
  # Transfer attacks need networks that are not here.
  attacks = {
    name: options
    for name, options in own['evaluation']['attacks'].items()
    if not options.get('surrogate')
  }
  measured = card.get('measured') or {}
  expected = {}
  if measured:
    column = measured['attack']['column']
    expected = {'clean': 100 * measured['clean'], column: 100 * measured['robust']}
  return {
    'data': own['data'],
    'evaluation': {'threat': own['evaluation']['threat'], 'attacks': attacks},
    'expected': expected,
  }


def _weights(
  found: WeightsFile, where: str, key: str, ignore: Sequence[str]
) -> list[Unwrapped]:
  """The networks in a file, by PyTorch's names."""
  if found.kind != 'haiku':
    return unwrap(found.tree, where, key, ignore)
  if key:
    raise InputError(
      f'{where} holds one pair of parameters and state and has no keys, but the key is '
      f'{key!r}; leave the key out'
    )
  state = to_torch_names(found.tree, where)
  # As PyTorch's: `--ignore` acts on the names that messages show.
  return unwrap(state, where, ignore=ignore)


def _choose(
  where: str, inside: Sequence[Unwrapped], suit: Callable[[Unwrapped], _Suited]
) -> tuple[_Suited, list[str]]:
  """The part of a file that is the network, and what to say of it and of the others."""
  found, errors = [], []
  for one in inside:
    try:
      found.append(suit(one))
    except InputError as error:
      errors.append(error)
  if not found:
    raise errors[0]
  took, *others = found
  notes = list(took.inside.notes)
  different = [one for one in others if not _same(one.state, took.state)]
  both = {one.inside.prefix for one in (took, *different)}
  if different and any(set(prefix.split('.')) & ROLES for prefix in both):
    raise InputError(
      f'{where} holds more than one network that fits, under '
      f'{", ".join(repr(prefix) for prefix in sorted(both))}; choose one, such as '
      f'--key={_key_of(took.inside)}'
    )
  if len(inside) > 1:
    notes.append(f'took the network under {took.inside.prefix!r}')
  for one in inside:
    if one is not took.inside:
      copies = [other for other in others if other.inside is one]
      how = 'which does not suit'
      if copies:
        how = (
          'whose numbers differ' if copies[0] in different else 'with the same numbers'
        )
      flag = f' (--key={_key_of(one)})' if how == 'whose numbers differ' else ''
      notes.append(f'left out the network under {one.prefix!r}, {how}{flag}')
  return took, notes


def _key_of(inside: Unwrapped) -> str:
  return '.'.join(part for part in (inside.wrapper, inside.prefix.strip('.')) if part)


def _same(one: State, two: State) -> bool:
  return one.keys() == two.keys() and all(np.array_equal(one[k], two[k]) for k in one)


def _node(
  network: Mapping[str, Any] | None,
  known: Mapping[str, Any] | None,
  guessed: Mapping[str, Any] | None,
  where: str,
  state: State,
) -> dict[str, Any]:
  """The resolved `student` group: what was asked for, over what is known or guessed."""
  given = dict(network or {})
  base = dict(known or guessed or {})
  if 'name' in given and given['name'] != base.get('name'):
    # Another network: of the old one only what every network has can stay.
    same = guessed if guessed and guessed['name'] == given['name'] else {}
    base = {**{k: v for k, v in base.items() if k in NETWORK_KEYS}, **(same or {})}
  node = {**base, **given}
  if 'name' not in node:
    begin = sorted({name.partition('.')[0] for name in state})
    more = f' and {len(begin) - 2 * SHOWN} more' if len(begin) > 2 * SHOWN else ''
    raise InputError(
      f'{where}: its names are those of no network here (they begin with '
      f'{", ".join(begin[: 2 * SHOWN])}{more}); give the network, such as '
      '--config.student.name=resnet18, or a recipe; or give the part of the file that '
      'holds it (--key), or the names to ignore (--ignore)'
    )
  return network_options(node)


def _misfit(
  where: str,
  node: Mapping[str, Any],
  classes: int,
  found: Fit,
  guessed: Mapping[str, Any] | None,
) -> str:
  """The sentence for weights of another network."""
  parts = []
  for what, names in (
    ('missing', found.missing),
    ('unused', found.unused),
    ('of another shape', found.misshapen),
  ):
    if names:
      more = f' and {len(names) - SHOWN} more' if len(names) > SHOWN else ''
      parts.append(f'{what} are {", ".join(names[:SHOWN])}{more}')
  own = {k: v for k, v in (guessed or {}).items() if k != 'name'}
  other = network_options(guessed) if guessed else node
  differs = any(other.get(key) != node.get(key) for key in ('name', *own))
  hint = 'take another file'
  if found.unused and not found.missing:
    hint += ', or ignore the names that the network does not need (--ignore)'
  if guessed and differs:
    options = f' with {", ".join(f"{k}={v}" for k, v in own.items())}' if own else ''
    hint = (
      f'its names and shapes are those of {guessed["name"]}{options}, so take that or its '
      'recipe'
    )
  return (
    f'{where} does not hold the weights of {node["name"]} with {classes} classes: '
    f'{"; ".join(parts)}; {hint}'
  )


def _check_numbers(where: str, state: State) -> None:
  for name, array in state.items():
    if not jnp.issubdtype(array.dtype, jnp.floating):
      raise InputError(
        f'{where} has {name} in numbers of type {array.dtype}; a quantised network is not '
        'read, so take the file with its weights in floating point'
      )
    with np.errstate(over='ignore'):  # as it is going to be computed with
      numbers = array.astype(np.promote_types(jnp.result_type(float), np.float32))
    if name.endswith('running_var') and np.any(numbers < 0):
      raise InputError(
        f'{where} has negative variances in {name}; the file is damaged, so take another'
      )
    broken = int(np.sum(~np.isfinite(numbers)))
    if broken:
      raise InputError(
        f'{where} has {broken} values of {name} that are not finite numbers (NaN or '
        'infinite); its training diverged or the file is damaged, so take another'
      )


def _check_constants(
  where: str, node: Mapping[str, Any], found: State, channels: int
) -> None:
  """Refuses a file whose own normalisation is not the network's."""
  own = constants(node['normalisation'], node['mean'], node['std'], channels)
  means, stds = own if own[0] else ((0.0,) * channels, (1.0,) * channels)
  numbers = lambda values: ','.join(f'{value:.6g}' for value in np.ravel(values))
  hints: dict[str, dict[str, str]] = {}
  wrong = []
  for name, array in found.items():
    if array.size not in (1, channels) or array.dtype.kind in 'OSUMmc':
      raise InputError(
        f'{where} has {name} of shape {list(array.shape)}, which looks like a '
        f'normalisation but does not fit {channels} channels; if it is something else, '
        f'leave it out (--ignore={name})'
      )
    module, _, word = name.rpartition('.')
    what = 'mean' if word.endswith(MEANS) else 'std'
    values = np.broadcast_to(array.astype(float).ravel(), channels)
    hints.setdefault(module, {})[what] = numbers(values)
    if not np.allclose(means if what == 'mean' else stds, values, atol=5e-4):
      wrong.append(module)
  if not wrong:
    return
  its = hints[wrong[0]]
  flags = ' '.join(f'--config.student.{what}={its[what]}' for what in sorted(its))
  raise InputError(
    f'{where} normalises with {" and ".join(f"{k} {its[k]}" for k in sorted(its))}'
    f'{f" ({wrong[0]})" if wrong[0] else ""}, but the network has normalisation '
    f'{node["normalisation"]!r} (mean {numbers(means)}, std {numbers(stds)}); give '
    f'--config.student.normalisation=none {flags}'
  )
