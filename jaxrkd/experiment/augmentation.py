"""The augmentation that a config names: single keys, a published recipe, a late change."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from jaxrkd.data.augmentation import PRESETS, Augmentation
from jaxrkd.errors import InputError, in_range, one_of, whole_number


def make_augmentation(
  config: ConfigDict,
) -> tuple[Augmentation, tuple[int, Augmentation] | None]:
  """Builds what happens to training images.

  Returns:
    The augmentation, and (epochs before it, another one) where one takes over.

  Raises:
    InputError: a preset is none, or a key says something else than the preset.
  """
  given = config.augment.to_dict()
  late, cutmix = given.pop('late', {}), given.pop('cutmix')
  in_range(cutmix, 0, float('inf'), 'config.augment.cutmix')
  preset = given.pop('preset', '')
  one_of(preset, ('', *PRESETS), 'config.augment.preset')
  first = Augmentation(**_with_preset(given, preset))
  epoch, other = late.get('epoch', 0), late.get('preset', '')
  whole_number(epoch, 0, 'config.augment.late.epoch')
  one_of(other, ('', *PRESETS), 'config.augment.late.preset')
  if bool(epoch) != bool(other):
    raise InputError(
      f'config.augment.late.epoch is {epoch} and config.augment.late.preset is {other!r}; '
      'give both, or neither'
    )
  if not epoch:
    return first, None
  # The late recipe takes the place of the first one, and does not come on top of it.
  return first, (epoch - 1, Augmentation(**{**given, **PRESETS[other]}))


def _with_preset(given: Mapping[str, Any], preset: str) -> dict[str, Any]:
  """The keys of an augmentation where a preset has its say."""
  plain = {field.name: field.default for field in dataclasses.fields(Augmentation)}
  told = PRESETS.get(preset, {})
  for name, value in told.items():
    was = given.get(name, plain[name])
    was = tuple(was) if isinstance(value, tuple) else was
    if was not in (plain[name], value):
      raise InputError(
        f'config.augment.{name} is {was!r}, but config.augment.preset={preset} sets it to '
        f'{value!r}; leave one of the two out'
      )
  return {**given, **told}
