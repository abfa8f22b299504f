"""LiteRT in 8-bit integers from input to output, quantised on calibration images."""

import contextlib
import io
import pathlib
import tempfile
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxrkd.errors import InputError
from jaxrkd.interop.formats import tflite as float_tflite
from jaxrkd.interop.formats.base import Format, Predict, Student
from jaxrkd.runtime import files


def _write(path: pathlib.Path, student: Student, card: Mapping[str, Any]) -> None:
  float_tflite.silence()
  from ai_edge_quantizer import quantizer, recipe

  images = student.calibrated()
  with tempfile.TemporaryDirectory() as folder:
    whole = pathlib.Path(folder, 'float.tflite')
    float_tflite.FORMAT.write(whole, student, card)
    # It draws bars, tells sizes, and warns that it keeps what it looks at.
    with (
      contextlib.redirect_stdout(io.StringIO()),
      contextlib.redirect_stderr(io.StringIO()),
      warnings.catch_warnings(),
    ):
      warnings.simplefilter('ignore')
      work = quantizer.Quantizer(str(whole))
      work.load_quantization_recipe(recipe.static_wi8_ai8())
      given = [{'images': image[None].astype(np.float32)} for image in images]
      seen = work.calibrate({float_tflite.SIGNATURE: given})
      content = bytes(work.quantize(seen).quantized_model)
    small = pathlib.Path(folder, 'int8.tflite')
    small.write_bytes(content)
    _check_loads(small)
  with files.replacing(path) as temporary:
    temporary.write_bytes(content)


def _check_loads(path: pathlib.Path) -> None:
  """Raises `InputError` where its own run time refuses what the quantiser made."""
  try:
    float_tflite.interpreter(path)
  except (ValueError, RuntimeError) as error:
    told = str(error).split('.')[0]
    raise InputError(
      'no .int8.tflite was written: LiteRT refuses what ai-edge-quantizer makes of this '
      f'network ({told}); take .int8.onnx, or .tflite in float32'
    ) from error


def _load(path: pathlib.Path) -> Predict:
  interpreter, given, found = float_tflite.interpreter(path)
  scale, zero = given['quantization']
  out_scale, out_zero = found['quantization']

  def one(image: np.ndarray) -> np.ndarray:
    whole = np.clip(np.round(image / scale) + zero, -128, 127).astype(np.int8)
    interpreter.set_tensor(given['index'], whole[None])
    interpreter.invoke()
    answer = interpreter.get_tensor(found['index'])[0].astype(np.float32)
    return (answer - out_zero) * np.float32(out_scale)

  return lambda images: np.stack([one(image) for image in images])


FORMAT = Format(
  _write,
  _load,
  'ai-edge-litert',
  "one image [1, H, W, C], int8: pixels in [0, 1] divided by the input's scale, plus its "
  'zero point (read both from the file); the batch must not be resized',
  (*float_tflite.FORMAT.needs, 'ai_edge_quantizer'),
  ('ai_edge_litert',),
  'tflite',
  quantised=True,
)
