"""One encoded image (PNG, JPEG, WebP, ...) made an array."""

import pathlib
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from jaxrkd.errors import InputError, one_of, whole_number

# What image files are called.
SUFFIXES = frozenset(
  ('.png', '.jpg', '.jpeg', '.webp', '.bmp', '.gif', '.tif', '.tiff', '.ppm', '.pgm')
)
FITS = ('crop', 'stretch')
INTERPOLATIONS = ('nearest', 'bilinear', 'bicubic', 'lanczos', 'box')
GREY = ('1', 'L', 'LA', 'La', 'I', 'I;16', 'I;16B', 'I;16L', 'I;16N')
# Larger images are photographs, which nobody trains on as they are.
LARGEST = 256

Encoded = pathlib.Path | BinaryIO


class Form(NamedTuple):
  """What encoded images are made to be.

  Attributes:
    size: side of the square image, in pixels; 0 keeps the size that all images share.
    resize: what the shorter side becomes before the middle is cut out; 0 is `size`.
    fit: 'crop' keeps proportions and cuts the middle square out, 'stretch' does not.
    interpolation: a row of `INTERPOLATIONS`; shrinking averages over what a pixel covers.
    channels: 1 (grey) or 3 (colour); 0 takes 1 where all images are grey.
  """

  size: int = 0
  resize: int = 0
  fit: str = 'crop'
  interpolation: str = 'bilinear'
  channels: int = 0


class Header(NamedTuple):
  """What an image says of itself before it is decoded."""

  width: int
  height: int
  grey: bool
  transparent: bool


def checked_form(form: Form) -> Form:
  """The same, or `InputError` where an option is wrong."""
  whole_number(form.size, 0, 'data.size')
  whole_number(form.resize, 0, 'data.resize')
  one_of(form.fit, FITS, 'data.fit')
  one_of(form.interpolation, INTERPOLATIONS, 'data.interpolation')
  if form.channels not in (0, 1, 3):
    raise InputError(
      f'data.channels is {form.channels!r}; give 1 (grey), 3 (colour) or 0 (as they are)'
    )
  if form.resize and (form.fit != 'crop' or form.resize < form.size or not form.size):
    raise InputError(
      f'data.resize is {form.resize} with data.size={form.size} and data.fit={form.fit}; it '
      'is the shorter side before the middle is cut out: give at least data.size, with '
      'data.fit=crop, or leave it out'
    )
  return form


def header(encoded: Encoded) -> Header:
  """Reads the first bytes of an image.

  Raises:
    Exception: anything, where it is none.
  """
  with _opened(encoded) as image:
    width, height = image.size
    # Of a TIFF Pillow turns what it says of its size, too.
    if image.format != 'TIFF' and image.getexif().get(_ORIENTATION, 1) in _TURNED:
      width, height = height, width
    transparent = 'A' in image.getbands() or 'transparency' in image.info
    return Header(width, height, image.mode in GREY, transparent)


def decoded(encoded: Encoded, form: Form) -> np.ndarray:
  """An image [size, size, channels], uint8.

  What a camera says about its orientation is followed; of 16 bits the upper 8 are kept;
  transparency is left out; of an animation the first frame is taken.

  Args:
    encoded: a file, or its bytes as an open file.
    form: with `channels`; where `size` is 0, the image keeps its size.

  Raises:
    Exception: anything, where it cannot be decoded.
  """
  from PIL import Image, ImageOps

  with _opened(encoded) as opened:
    image = _eight_bits(ImageOps.exif_transpose(opened))
    if image.mode == 'P' and 'transparency' in image.info:
      # Pillow warns of going from here to RGB at once.
      image = image.convert('RGBA')
    image = image.convert('L' if form.channels == 1 else 'RGB')
    if form.size and (image.size != (form.size,) * 2 or form.resize > form.size):
      method = Image.Resampling[form.interpolation.upper()]
      image = image.resize(_scaled(image.size, form), method)
      image = image.crop(_middle(image.size, form.size))
    array = np.asarray(image, np.uint8)
  return array[..., None] if array.ndim == 2 else array


# The tag of EXIF, and its values that exchange width and height.
_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)


def _opened(encoded: Encoded) -> Any:
  # Imported here: only sources of files need it.
  from PIL.Image import open as image_of

  return image_of(encoded)


def _eight_bits(image: Any) -> Any:
  """Of deeper images the upper bits: Pillow's own conversion cuts at 255."""
  from PIL import Image

  if image.mode == 'F':
    raise ValueError('its pixels are floating-point numbers')
  if not image.mode.startswith('I'):
    return image
  levels = np.asarray(image).astype(np.int64)
  if levels.min() < 0 or levels.max() > 65535:
    raise ValueError(f'its pixels range over [{levels.min()}, {levels.max()}]')
  return Image.fromarray((levels >> 8).astype(np.uint8))


def _scaled(size: tuple[int, int], form: Form) -> tuple[int, int]:
  """Width and height before the middle is cut out."""
  if form.fit == 'stretch':
    return form.size, form.size
  shorter = form.resize or form.size
  width, height = size
  if width <= height:
    return shorter, max(shorter, int(shorter * height / width))
  return max(shorter, int(shorter * width / height)), shorter


def _middle(size: tuple[int, int], side: int) -> tuple[int, int, int, int]:
  """The box of the middle square, as torchvision's CenterCrop has it."""
  left, top = (round((length - side) / 2) for length in size)
  return left, top, left + side, top + side
