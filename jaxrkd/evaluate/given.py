"""A classifier that is given as a function, and what it is recognised by."""

import contextlib
import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrkd.attacks import LogitsFn, doors, objectives
from jaxrkd.attacks.code import Code, Coded, coded, signature
from jaxrkd.attacks.stepwise import ask
from jaxrkd.errors import InputError, whole_number
from jaxrkd.evaluate.inputs import checked_images
from jaxrkd.evaluate.robustness import Loaded
from jaxrkd.evaluate.task import Images, Subject
from jaxrkd.runtime import sharding


@dataclasses.dataclass(frozen=True, eq=False)
class Given:
  """A function whose weights cannot be told apart from it; the same one is compiled once.

  Attributes:
    function: itself.
    name: of what it computes; see `code.signature`. A function whose weights were changed
      where they lie is another one, and what was compiled of it is out of date.
  """

  function: LogitsFn
  name: str = ''

  def __hash__(self) -> int:
    # Modules that can be called may have no hash.
    return hash((id(self.function), self.name))

  def __eq__(self, other: object) -> bool:
    if not isinstance(other, Given):
      return False
    return other.function is self.function and other.name == self.name

  def logits_fn(self, params: Any, stats: Any) -> LogitsFn:
    del params, stats
    return self.function


@dataclasses.dataclass(frozen=True, eq=False)
class Known:
  """A classifier that is given as a function, and what was read off its program.

  Attributes:
    function: itself.
    image: one, [1, H, W, C].
    code: its program apart from its weights; None where they cannot be told apart.
    mesh: devices that its weights are put on.
  """

  function: LogitsFn
  image: np.ndarray
  code: Coded | None
  mesh: jax.sharding.Mesh

  @functools.cached_property
  def _signature(self) -> tuple[str, bool]:
    try:
      return signature(self.function, self.image)
    except Exception as error:
      raise doors.fails(error, self.image.shape, self.image.dtype) from error

  @property
  def name(self) -> str:
    """Of what it computes, with its weights; see `code.signature`."""
    return self._signature[0]

  @property
  def opaque(self) -> bool:
    """Whether parts of it could not be read; see `code.signature`."""
    return self._signature[1]

  @functools.cached_property
  def subject(self) -> Subject:
    """What is measured: to be used while `using` is open."""
    if self.code is None:
      return Subject(Given(self.function, self.name), ((), ()))
    arrays = tuple(placed(array, self.mesh) for array in self.code.arrays)
    return Subject(self.code.code, (arrays, ()))

  def evaluate(self, images: jax.Array) -> jax.Array:
    """Logits; compiled once for all functions of this code, inside of `using`."""
    if self.code is None:
      return self.function(images)
    return _evaluator(self.code.code)(self.subject.variables, images)

  def using(self) -> contextlib.AbstractContextManager[None]:
    """Has programs traced from this function while it is open."""
    return self.code.using() if self.code else contextlib.nullcontext()


def load_given(images: Any, labels: Any, index: Any, batch_size: int) -> Loaded:
  """Images, their labels and indices, checked."""
  images, labels = checked_images(images, labels)
  if index is None:
    index = np.arange(len(images))
  if np.shape(index) != labels.shape:
    raise InputError(
      f'index has shape {np.shape(index)}; give one number for each of the {len(images)} '
      'images'
    )
  whole_number(batch_size, 1, 'batch_size')
  mesh = sharding.data_mesh()
  size = -(-batch_size // mesh.size) * mesh.size
  return Loaded(Images(images, labels, np.asarray(index, np.int32)), size, mesh)


@functools.lru_cache(maxsize=16)
def _evaluator(code: Code) -> Callable[..., jax.Array]:
  return jax.jit(lambda variables, images: code.logits_fn(*variables)(images))


def is_compiled(logits_fn: LogitsFn) -> bool:
  """Whether a function is one of `jax.jit`, which asks Python no second time."""
  return hasattr(logits_fn, 'lower') and hasattr(logits_fn, 'trace')


def known(logits_fn: LogitsFn, loaded: Loaded, share: bool = True) -> Known:
  """Reads off a classifier's program what it computes.

  Args:
    logits_fn: the classifier.
    loaded: the images that it will be asked about.
    share: what is compiled with other functions of the same code.
  """
  image = loaded.images.pixels(np.arange(1))
  batch = jax.ShapeDtypeStruct((loaded.batch_size, *image.shape[1:]), image.dtype)
  try:
    code = coded(logits_fn, batch) if share else None
  except doors.UNTRACEABLE as error:
    raise doors.fails(error, image.shape, image.dtype) from error
  return Known(logits_fn, image, code, loaded.mesh)


def placed(array: Any, mesh: jax.sharding.Mesh) -> jax.Array:
  """A weight where a mesh can use it: as it lies, or copied to every device."""
  if not isinstance(array, jax.Array):
    array = np.asarray(array)
  elif array.sharding.device_set == set(mesh.devices.flat):
    return array
  return jax.device_put(array, sharding.replicated(mesh))


def unit_slopes(logits_fn: LogitsFn, few: np.ndarray, labels: np.ndarray) -> np.ndarray:
  """Gradients of a few images, of unit size, flat: another backward pass is another
  classifier. Zeros where there is none."""
  keys = jax.random.split(jax.random.key(0), len(few))
  fixed = lambda x: ask(logits_fn, x, keys)
  value = objectives.cross_entropy(fixed, jnp.asarray(labels))
  try:
    slopes = np.asarray(jax.grad(lambda x: value(x).sum())(jnp.asarray(few)))
  except Exception:
    return np.zeros(few.size, np.float32)
  return (slopes / max(float(np.abs(slopes).max()), 1e-30)).ravel()
