"""What happens to one training image: the order of the operations, and published recipes."""

import dataclasses

import jax

from jaxrkd.data import augment
from jaxrkd.data.policies import COLOR_SHAPE, autoaugment, color_shape
from jaxrkd.errors import InputError, in_range, one_of, whole_number

Array = jax.Array

POLICIES = ('', *(f'idbh_{kind}' for kind in COLOR_SHAPE), 'autoaugment')

# Keys of `Augmentation` that a published recipe sets; mirroring stays a matter of the data.
PRESETS: dict[str, dict[str, object]] = {
  'idbh_weak': dict(pad=0, crop_shift=10, policy='idbh_color', erasing=0.5),
  'idbh_strong': dict(pad=0, crop_shift=10, policy='idbh_color', erasing=1.0),
  'idbh_svhn': dict(
    pad=0, crop_shift=8, policy='idbh_shape', erasing=1.0, erasing_area=(0.02, 0.5)
  ),
  'autoaugment': dict(policy='autoaugment'),
}


@dataclasses.dataclass(frozen=True)
class Augmentation:
  """Random changes of one image, in this order; a call takes (key, uint8 [H, W, C]).

  Each operation has a key of its own, so that one more changes no other's draws.

  Attributes:
    pad: pixels of zeros around the image before a random crop; 0 does not crop.
    flip: mirror left and right with probability 1/2.
    crop_shift: lines and columns that CropShift may lose; 0 is off.
    policy: one of `POLICIES`: IDBH's ColorShape, AutoAugment's policy for CIFAR-10, or none.
    erasing: how often random erasing sets a box to 0.
    erasing_area: smallest and largest share of the image that the box takes.
    cutout: side of a square hole in pixels; 0 is off.

  Raises:
    InputError: a value is outside what is allowed.
  """

  pad: int = 4
  flip: bool = True
  crop_shift: int = 0
  policy: str = ''
  erasing: float = 0.0
  erasing_area: tuple[float, float] = (0.02, 0.33)
  cutout: int = 0

  def __post_init__(self):
    for name in ('pad', 'crop_shift', 'cutout'):
      whole_number(getattr(self, name), 0, f'augment.{name}')
    one_of(self.policy, POLICIES, 'augment.policy')
    in_range(self.erasing, 0, 1, 'augment.erasing')
    area = tuple(self.erasing_area)
    numbers = all(isinstance(share, int | float) for share in area)
    if not numbers or len(area) != 2 or not 0 < area[0] <= area[1] <= 1:
      raise InputError(
        f'augment.erasing_area is {area}; it must be the smallest and the largest share of '
        'an image, 0 < smallest <= largest <= 1'
      )
    object.__setattr__(self, 'erasing_area', area)

  def check_images(self, shape: tuple[int, ...]) -> None:
    """Raises `InputError` for images [H, W, C] that this is not made for."""
    # Above it nothing of an image may be left.
    for name in ('crop_shift', 'cutout'):
      if getattr(self, name) >= min(shape[:2]):
        raise InputError(
          f'augment.{name} is {getattr(self, name)}, but images are {shape[0]} x {shape[1]} '
          f'pixels; it must be less than {min(shape[:2])}, or 0 to be off'
        )
    if self.policy and shape[2] not in (1, 3):
      raise InputError(
        f'augment.policy is {self.policy!r}, which changes colours, but images have '
        f"{shape[2]} channels; it needs 1 (grey) or 3 (RGB), or '' for none"
      )

  def __call__(self, key: Array, image: Array) -> Array:
    of = lambda number: jax.random.fold_in(key, number)
    image = augment.crop_and_flip(key, image, pad=self.pad, flip=self.flip)
    image = augment.crop_shift(of(3), image, most=self.crop_shift)
    if self.policy == 'autoaugment':
      image = autoaugment(of(4), image)
    elif self.policy:
      image = color_shape(of(4), image, kind=self.policy.removeprefix('idbh_'))
    image = augment.random_erasing(
      of(5), image, chance=self.erasing, area=self.erasing_area
    )
    return augment.cutout(of(1), image, size=self.cutout)
