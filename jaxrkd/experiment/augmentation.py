"""The augmentation that a config names: single keys, a published recipe, a late change."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from jaxrkd.data.augmentation import PRESETS, Augmentation
from jaxrkd.errors import InputError, in_range, one_of, whole_number

PLAIN = {field.name: field.default for field in dataclasses.fields(Augmentation)}
# Keys of the first recipe that a late one replaces; mirroring and holes stay.
REPLACED = ('crop_shift', 'policy', 'erasing', 'erasing_area')


def make_augmentation(
  config: ConfigDict,
) -> tuple[Augmentation, tuple[int, Augmentation] | None]:
  """Builds what happens to training images, from a resolved config.

  Returns:
    The augmentation, and (epochs before it, another one) where one takes over.

  Raises:
    InputError: a late recipe is none, or a value is outside what is allowed.
  """
  given = config.augment.to_dict()
  late, cutmix = given.pop('late', {}), given.pop('cutmix')
  in_range(cutmix, 0, float('inf'), 'config.augment.cutmix')
  given.pop('preset', '')
  first = Augmentation(**given)
  epoch, other = late.get('epoch', 0), late.get('preset', '')
  whole_number(epoch, 0, 'config.augment.late.epoch')
  _check_name(other, 'config.augment.late.preset')
  if bool(epoch) != bool(other):
    raise InputError(
      f'config.augment.late.epoch is {epoch} and config.augment.late.preset is {other!r}; '
      'give both, or neither'
    )
  if not epoch:
    return first, None
  if epoch == 1:
    raise InputError(
      f'config.augment.late.epoch is 1, so that {other} would be all there is; give '
      'config.augment.preset, or a later epoch'
    )
  base = {**given, **{name: PLAIN[name] for name in REPLACED}}
  if first.crop_shift and not first.pad:
    base['pad'] = PLAIN['pad']  # it was CropShift in the place of a crop
  return first, (epoch - 1, Augmentation(**{**base, **PRESETS[other]}))


def _check_name(preset: str, where: str) -> None:
  one_of(preset, ('', *PRESETS), where)


def spelled_out(given: Mapping[str, Any], where: str) -> dict[str, Any]:
  """The group `augment` of a config file with what its preset stands for, and without it.

  Keys that the file sets to something else than their default go before the preset.

  Args:
    given: the group.
    where: its name, for messages.

  Raises:
    InputError: there is no such preset.
  """
  preset = given.get('preset', '')
  _check_name(preset, f'{where}.preset')
  own = {name: value for name, value in given.items() if name not in PLAIN}
  for name in PLAIN:
    value = given.get(name, PLAIN[name])
    same = (tuple(value) if isinstance(value, list) else value) == PLAIN[name]
    if name in given or name in PRESETS.get(preset, {}):
      own[name] = PRESETS.get(preset, {}).get(name, value) if same else value
  return {**own, 'preset': ''}


def named(preset: str, where: str) -> dict[str, Any]:
  """What an override that names a preset sets.

  Raises:
    InputError: there is no such preset.
  """
  _check_name(preset, where)
  return {**PRESETS.get(preset, {}), 'preset': ''}
