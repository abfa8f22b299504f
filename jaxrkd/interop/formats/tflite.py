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


def _write(path: pathlib.Path, student: Student, card: Mapping[str, Any]) -> None:
  del card  # the format has no place for it
  _silence()
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
      signature_name='serving_default',
      input_names=['images'],
      output_names=['logits'],
    )
    options = converter.ConvertToTFLConfig()
    passes = passmanager.PassManager()
    converter.run_convert_to_tfl_passes(module, passes, options)
    content = converter.export_flatbuffer_to_bytes(module.operation)
  with files.replacing(path) as temporary:
    temporary.write_bytes(content)


def _silence() -> None:
  """Its libraries log to the terminal while they load."""
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '0')


def _load(path: pathlib.Path) -> Predict:
  _silence()
  from ai_edge_litert.interpreter import Interpreter

  interpreter = Interpreter(model_path=str(path))
  interpreter.allocate_tensors()
  (given,) = interpreter.get_input_details()
  (found,) = interpreter.get_output_details()

  def one(image: np.ndarray) -> np.ndarray:
    interpreter.set_tensor(given['index'], image[None])
    interpreter.invoke()
    return interpreter.get_tensor(found['index'])[0]

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
