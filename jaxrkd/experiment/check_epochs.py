"""Whether the epochs that a config names are epochs of its training."""

from ml_collections import ConfigDict

from jaxrkd.errors import InputError, whole_number
from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment.augmentation import make_augmentation

# Key -> what to do in place of naming an epoch.
NAMED = {
  'augment.late.epoch': '0 and no preset for the same augmentation throughout',
  'attack.ramp': '0 for the whole radius from the start, or -1 to grow until the end',
  'swa.start': '0 for no average over epochs',
}


def check_epochs(config: ConfigDict, past: bool = False) -> None:
  """Refuses epochs after the last one, and averages over no epoch.

  Args:
    config: resolved.
    past: of a run that was trained already, which may have been stopped early.

  Raises:
    InputError: such an epoch, or a value that names none.
  """
  make_augmentation(config)
  whole_number(config.attack.ramp, -1, 'config.attack.ramp')
  whole_number(config.swa.start, 0, 'config.swa.start')
  for key, other in NAMED.items():
    epoch = configs.leaf(config, key)
    if epoch > config.epochs and not past:
      raise InputError(
        f'config.{key} is {epoch}, but the training has {config.epochs} epochs; choose one '
        f'of them, or {other}'
      )
  warmup = config.awp.warmup
  if config.awp.gamma and warmup >= config.epochs and not past:
    raise InputError(
      f'config.awp.warmup is {warmup}, but the training has {config.epochs} epochs, so that '
      'AWP would never begin; give fewer, or config.awp.gamma=0 for none'
    )
  decay = config.swa.decay
  if not 0 <= decay < 1:
    raise InputError(
      f'config.swa.decay is {decay}; it must be from 0 (all epochs weigh alike) to below 1'
    )
  if decay and not config.swa.start:
    raise InputError(
      f'config.swa.decay is {decay}, but config.swa.start is 0, so that there is no average '
      'over epochs; give the first epoch that counts'
    )
