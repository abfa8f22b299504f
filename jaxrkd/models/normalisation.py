"""Constants by which networks normalise their images inside themselves.

In [0, 1] pixels, per channel. Two sets circulate for CIFAR-10; a network must have the one
it was trained with (methods that share a teacher file share its constants).
"""

from collections.abc import Sequence

from jaxrkd.errors import InputError, choose

Constants = tuple[tuple[float, ...], tuple[float, ...]]

# Name -> (mean, std).
NORMALISATIONS: dict[str, Constants] = {
  'none': ((), ()),
  # DeepMind's networks and most public ones.
  'cifar10': ((0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616)),
  'cifar100': ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
  # Rounded further, as torchvision recipes and the author of AKD have it.
  'cifar10_rounded': ((0.4914, 0.4822, 0.4465), (0.247, 0.243, 0.261)),
  # The other set for CIFAR-10: mean of the deviations of single images.
  'cifar10_per_image': ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
  # As they circulate for these sets.
  'svhn': ((0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970)),
  'gtsrb': ((0.3403, 0.3121, 0.3214), (0.2724, 0.2608, 0.2669)),
  'tiny_imagenet': ((0.4802, 0.4481, 0.3975), (0.2302, 0.2265, 0.2262)),
  'imagenet': ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
  # Images in [-1, 1].
  'half': ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}


def constants(
  name: str, mean: Sequence[float], std: Sequence[float], channels: int
) -> Constants:
  """Mean and standard deviation, by name or as numbers; empty for none.

  Raises:
    InputError: an unknown name, both a name and numbers, or not one per channel.
  """
  if name != 'none' and (mean or std):
    raise InputError(
      f'student.normalisation is {name!r} and student.mean or student.std are given too; '
      'give the name or the numbers'
    )
  if name != 'none':
    mean, std = choose(NORMALISATIONS, name, 'normalisation')
  if (mean or std) and not len(mean) == len(std) == channels:
    where = 'student.mean' if name == 'none' else f'normalisation {name!r}'
    raise InputError(
      f'{where} has {len(mean)} and student.std {len(std)} values for images of '
      f'{channels} channels; give one per channel, or none'
    )
  if not all(value > 0 for value in std):
    raise InputError(f'student.std is {tuple(std)}; every value must be above 0')
  return tuple(mean), tuple(std)
