"""LiteRT (TensorFlow Lite), converted from StableHLO and run without TensorFlow."""

import os
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from jaxrkd.interop.formats.base import Format, Predict, Student, folded_function
from jaxrkd.runtime import files

SIGNATURE = 'serving_default'


def _write(path: pathlib.Path, student: Student, card: Mapping[str, Any]) -> None:
  del card  # the format has no place for it
  silence()
  from litert_converter.mlir import ir, passmanager
  from litert_converter.mlir._mlir_libs import converter_api_ext as converter

  # One image: with a batch of any size conversion fails for strided slices, and resizing
  # a fixed one gives wrong answers there.
  images = jax.ShapeDtypeStruct((1, *student.image_shape), jnp.float32)
  program = export.export(jax.jit(folded_function(student)), platforms=('cpu',))(images)
  context = ir.Context()
  converter.prepare_mlir_context(context)
  with context:
    module = ir.Module.parse(program.mlir_module())
    converter.set_signature(
      module.operation,
      signature_name=SIGNATURE,
      input_names=['images'],
      output_names=['logits'],
    )
    options = converter.ConvertToTFLConfig()
    passes = passmanager.PassManager()
    converter.run_convert_to_tfl_passes(module, passes, options)
    content = converter.export_flatbuffer_to_bytes(module.operation)
  with files.replacing(path) as temporary:
    temporary.write_bytes(content)


def silence() -> None:
  """Its libraries log to the terminal while they load."""
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '0')


def interpreter(path: pathlib.Path) -> tuple[Any, dict[str, Any], dict[str, Any]]:
  """What runs a file, and what is known of its input and its output."""
  silence()
  from ai_edge_litert.interpreter import Interpreter

  made = Interpreter(model_path=str(path))
  made.allocate_tensors()
  (given,) = made.get_input_details()
  (found,) = made.get_output_details()
  return made, given, found


def _load(path: pathlib.Path) -> Predict:
  made, given, found = interpreter(path)

  def one(image: np.ndarray) -> np.ndarray:
    made.set_tensor(given['index'], image[None])
    made.invoke()
    return made.get_tensor(found['index'])[0]

  return lambda images: np.stack([one(image) for image in images])


FORMAT = Format(
  _write,
  _load,
  'ai-edge-litert',
  'one image [1, H, W, C] in [0, 1], float32; the batch must not be resized',
  ('litert_converter',),
  ('ai_edge_litert',),
  'tflite',
)
