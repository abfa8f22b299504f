"""The formats that a student can leave in, by the ending of the file's name."""

from jaxrkd.interop.formats import (
  int8_onnx,
  int8_tflite,
  npz,
  onnx,
  pytorch,
  stablehlo,
  tflite,
)
from jaxrkd.interop.formats.base import Format, Predict, Student
from jaxrkd.interop.formats.npz import load_exported

FORMATS: dict[str, Format] = {
  '.npz': npz.FORMAT,
  '.pt': pytorch.PT,
  '.pth': pytorch.PT,
  '.safetensors': pytorch.SAFETENSORS,
  '.onnx': onnx.FORMAT,
  '.stablehlo': stablehlo.FORMAT,
  '.tflite': tflite.FORMAT,
  '.int8.onnx': int8_onnx.FORMAT,
  '.int8.tflite': int8_tflite.FORMAT,
}

__all__ = ['FORMATS', 'Format', 'Predict', 'Student', 'load_exported']
