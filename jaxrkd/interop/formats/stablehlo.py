"""A compiled program's source, for CPU, CUDA and TPU: `jax.export` reads and runs it."""

import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from jaxrkd.interop.formats.base import Format, Predict, Student, folded_function
from jaxrkd.runtime import files

PLATFORMS = ('cpu', 'cuda', 'tpu')


def traced(student: Student, platforms: tuple[str, ...] = PLATFORMS) -> export.Exported:
  """images [batch, H, W, C] -> logits, for any batch."""
  shape = export.symbolic_shape(f'batch, {", ".join(map(str, student.image_shape))}')
  images = jax.ShapeDtypeStruct(shape, jnp.float32)
  return export.export(jax.jit(folded_function(student)), platforms=platforms)(images)


def _write(path: pathlib.Path, student: Student, card: Mapping[str, Any]) -> None:
  del card  # the format has no place for it
  content = traced(student).serialize()
  with files.replacing(path) as temporary:
    temporary.write_bytes(content)


def _load(path: pathlib.Path) -> Predict:
  program = export.deserialize(bytearray(path.read_bytes()))
  call = jax.jit(program.call)
  return lambda images: np.asarray(call(images))


FORMAT = Format(_write, _load, 'jax', 'images [B, H, W, C] in [0, 1], float32')
