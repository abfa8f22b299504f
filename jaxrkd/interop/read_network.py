"""A file of weights as one of our networks, checked."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxrkd import build
from jaxrkd.errors import InputError
from jaxrkd.interop import architecture
from jaxrkd.interop.haiku_names import to_torch_names
from jaxrkd.interop.logit_check import check_logits
from jaxrkd.interop.recipes import Recipe
from jaxrkd.interop.recipes import recipe as find_recipe
from jaxrkd.interop.state_dict import (
  Fit,
  State,
  Unwrapped,
  fit,
  from_state_dict,
  unwrap,
)
from jaxrkd.interop.weights_file import WeightsFile, own_card, read_weights
from jaxrkd.models import Net
from jaxrkd.models.normalisation import constants

Tree = Any
# Names in a message.
SHOWN = 2


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
  node: ConfigDict
  classes: int
  image_shape: tuple[int, int, int]
  settings: dict[str, Any]
  about: dict[str, Any]


def read_network(
  path: Any,
  *,
  recipe: str = '',
  network: Mapping[str, Any] | None = None,
  classes: int = 0,
  image_shape: Sequence[int] = (),
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
    ignore: beginnings of names that belong to nothing wanted, such as a second head.
    precision: compute type of `net`.
    remat: see `config.remat`.
    check: False does not compute logits: whether the file suits is known sooner.

  Raises:
    InputError: see `weights_file.read_weights`; an unknown or unsuitable network, another
      number of classes, weights that are no numbers, another normalisation in the file, or
      logits that differ from PyTorch's.
  """
  found = read_weights(path)
  where, card = repr(str(found.path)), own_card(found)
  chosen = find_recipe(recipe) if recipe else None
  state, file_constants, about = _weights(found, where, ignore)
  guessed = architecture.guess(state)
  node = _node(network, chosen.network if chosen else card.get('network'), guessed, where)
  asked = chosen.classes if chosen else classes
  source = f'recipe {recipe!r}' if chosen else 'what was asked for'
  count = _classes(where, state, card, asked, source)
  shape = _image_shape(where, state, card, tuple(image_shape))
  net = build.network(node, count, shape, precision, remat)
  like = jax.eval_shape(net.init, jax.random.key(0))
  fitted = fit(state, *like)
  if not fitted.whole:
    raise InputError(_misfit(where, node, count, fitted, guessed))
  _check_finite(where, fitted.state)
  _check_constants(where, node, file_constants, shape[-1])
  variables = jax.tree.map(jnp.asarray, from_state_dict(fitted.state, *like))
  about |= {
    'recipe': recipe,
    'card': bool(card),
    'network': node.to_dict(),
    'classes': count,
    'image_shape': list(shape),
    'parameters': int(sum(leaf.size for leaf in jax.tree.leaves(variables[0]))),
  }
  if check:
    # In float32, whatever it will be computed in.
    plain = build.network(node, count, shape)
    about['logit_check'] = check_logits(plain, variables, node, shape, where)
  settings = _known_of_recipe(chosen) if chosen else _known_of_card(card)
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
      f'{where}: no last layer named linear, fc or logits tells the classes; say how many'
    )
  return count


def _image_shape(
  where: str, state: State, card: Mapping[str, Any], asked: tuple[int, ...]
) -> tuple[int, int, int]:
  """(H, W, C) as the card or the caller says, or 32 x 32; C is the file's."""
  channels = architecture.channels_of(state) or 3
  known = tuple(card.get('image_shape', ()))
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
    'evaluation': {'threat': {'eps': chosen.eps}},
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
  found: WeightsFile, where: str, ignore: Sequence[str]
) -> tuple[State, State, dict[str, Any]]:
  """Weights by PyTorch's names, constants of a normalisation, and what is told of both."""
  if found.kind == 'haiku':
    inside = Unwrapped(to_torch_names(found.tree, where), {}, (), '', '')
  else:
    inside = unwrap(found.tree, where)
  state = inside.state
  ignored = [name for name in state if name.startswith(tuple(ignore))] if ignore else []
  kept = {name: array for name, array in state.items() if name not in ignored}
  about = {
    'file': str(found.path),
    'sha256': found.sha256,
    'kind': found.kind,
    'wrapper': inside.wrapper,
    'prefix': inside.prefix,
    'unused': [*inside.dropped, *ignored],
  }
  return kept, inside.constants, about


def _node(
  network: Mapping[str, Any] | None,
  known: Mapping[str, Any] | None,
  guessed: Mapping[str, Any] | None,
  where: str,
) -> ConfigDict:
  """The resolved `student` group: what was asked for, over what is known or guessed."""
  given = dict(network or {})
  base = dict(known or guessed or {})
  if 'name' in given and given['name'] != base.get('name'):
    # Another network: of the old one only what every network has can stay.
    same = guessed if guessed and guessed['name'] == given['name'] else {}
    base = {**{k: v for k, v in base.items() if k in build.NETWORK_KEYS}, **(same or {})}
  node = {**base, **given}
  if 'name' not in node:
    raise InputError(
      f'{where}: its names are those of no network here; name one, such as '
      '--config.student.name=resnet18, or a recipe'
    )
  return build.network_node(node)


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
  other = build.network_node(guessed) if guessed else node
  differs = any(other.get(key) != node.get(key) for key in ('name', *own))
  hint = 'take another file, or ignore names that belong to nothing wanted (--ignore)'
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


def _check_finite(where: str, state: State) -> None:
  for name, array in state.items():
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
  mean = found.get('mean', found.get('mu'))
  std = found.get('std', found.get('sigma'))
  if mean is None or std is None or not len(mean) == len(std) == channels:
    return
  own = constants(node['normalisation'], node['mean'], node['std'], channels)
  ours = own if own[0] else ((0.0,) * channels, (1.0,) * channels)
  if np.allclose(ours, (mean, std), atol=5e-4):
    return
  numbers = lambda values: ','.join(f'{value:.6g}' for value in np.ravel(values))
  raise InputError(
    f'{where} normalises with mean {numbers(mean)} and std {numbers(std)}, but the network '
    f'has normalisation {node["normalisation"]!r} (mean {numbers(ours[0])}, std '
    f'{numbers(ours[1])}); give --config.student.normalisation=none '
    f'--config.student.mean={numbers(mean)} --config.student.std={numbers(std)}'
  )
