"""What every format of an export supplies."""

import importlib
import pathlib
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxrkd.errors import InputError
from jaxrkd.interop.torch_net import family, no_counterpart
from jaxrkd.models import Net, plain_convolutions
from jaxrkd.models.named import folded_network

Tree = Any
# images [B, H, W, C] in [0, 1], float32 -> logits [B, classes].
Predict = Callable[[np.ndarray], np.ndarray]


class Student(NamedTuple):
  """A trained network that leaves.

  Attributes:
    net: its functions, in float32.
    variables: (params, stats).
    node: its name and options; see `models.named`.
    classes: number of logits.
    image_shape: (H, W, C).
    calibration: [N, H, W, C] in [0, 1], float32, training images on which the ranges of
      activations are measured for integers; None where none were given.
  """

  net: Net
  variables: tuple[Tree, Tree]
  node: Mapping[str, Any]
  classes: int
  image_shape: tuple[int, int, int]
  calibration: np.ndarray | None = None

  def calibrated(self) -> np.ndarray:
    """The calibration images; raises `InputError` where there are none."""
    if self.calibration is None or not len(self.calibration):
      raise InputError(
        'a file in integers needs images to calibrate on, and there are none; give some with '
        '--calibration'
      )
    return self.calibration


class Format(NamedTuple):
  """A kind of file.

  Attributes:
    write: (path, student, card) -> None. The card says what the file is; formats that have
      a place for texts keep it inside.
    load: path -> `Predict`, in the run time that such files are made for.
    runtime: the package that runs it.
    inputs: what the network in the file takes, in words.
    needs: modules that writing takes, beside jaxrkd's own.
    runs_with: modules that reading and running take.
    extra: of `pip install jaxrkd[...]`, which brings them all; empty if none is needed.
    of_torch: whether it is made of a network's PyTorch counterpart.
    quantised: whether it computes in integers, so that its answers are another network's.
  """

  write: Callable[[pathlib.Path, Student, Mapping[str, Any]], None]
  load: Callable[[pathlib.Path], Predict]
  runtime: str
  inputs: str
  needs: tuple[str, ...] = ()
  runs_with: tuple[str, ...] = ()
  extra: str = ''
  of_torch: bool = False
  quantised: bool = False

  def check(self, path: pathlib.Path, run: bool = True) -> None:
    """Raises `InputError` if what the format needs is not installed.

    Args:
      path: of the file, for the message.
      run: whether it is going to be run, too.
    """
    for name in (*self.needs, *(self.runs_with if run else ())):
      try:
        importlib.import_module(name)
      except ImportError as error:
        raise InputError(
          f'{str(path)!r} needs the package {name}, which is not installed ({error}); '
          f'install it with pip install "jaxrkd[{self.extra}]"'
        ) from error

  def check_network(self, name: str) -> None:
    """Raises `InputError` for a network that cannot be written in this format.

    Args:
      name: of its row.
    """
    if self.of_torch and family(name) is None:
      raise no_counterpart(name)

  def version(self) -> str:
    """The run time's name and version, or its name alone where it is not here."""
    try:
      return f'{self.runtime} {metadata.version(self.runtime)}'
    except metadata.PackageNotFoundError:
      return self.runtime


def folded_function(student: Student) -> Callable[[jax.Array], jax.Array]:
  """images -> logits with BatchNorm folded and the weights as constants."""
  net, fold = folded_network(student.node, student.classes, student.image_shape)
  params, stats = jax.tree.map(np.asarray, fold(*student.variables))

  def logits(images: jax.Array) -> jax.Array:
    with plain_convolutions():
      return net.apply(params, stats, images)

  return logits
