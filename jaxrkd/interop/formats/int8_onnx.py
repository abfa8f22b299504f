"""ONNX in 8-bit integers, quantised by onnxruntime on calibration images."""

import json
import logging
import pathlib
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from jaxrkd.interop.formats import onnx as float_onnx
from jaxrkd.interop.formats.base import Format, Student
from jaxrkd.runtime import files

# Images that are calibrated on at a time.
BATCH = 32


def _write(path: pathlib.Path, student: Student, card: Mapping[str, Any]) -> None:
  import onnx
  from onnxruntime import quantization
  from onnxruntime.quantization import shape_inference

  images = student.calibrated()

  class Reader(quantization.CalibrationDataReader):
    """The calibration images, a batch at a time."""

    def __init__(self):
      self._batches = self._all()

    def _all(self) -> Iterator[dict[str, np.ndarray]]:
      for first in range(0, len(images), BATCH):
        part = images[first : first + BATCH].transpose(0, 3, 1, 2)
        yield {'images': np.ascontiguousarray(part, np.float32)}

    def get_next(self):
      return next(self._batches, None)

  with tempfile.TemporaryDirectory() as folder:
    place = pathlib.Path(folder)
    whole, ready, small = (str(place / f'{n}.onnx') for n in ('float', 'ready', 'int8'))
    float_onnx.FORMAT.write(pathlib.Path(whole), student, {})
    # It warns of what this does: shapes are inferred, and constants folded.
    logging.disable(logging.WARNING)
    try:
      shape_inference.quant_pre_process(whole, ready, skip_symbolic_shape=True)
      quantization.quantize_static(
        ready,
        small,
        Reader(),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=True,
        activation_type=quantization.QuantType.QInt8,
        weight_type=quantization.QuantType.QInt8,
      )
    finally:
      logging.disable(logging.NOTSET)
    model = onnx.load(small)
  onnx.helper.set_model_props(model, {'jaxrkd': json.dumps(dict(card))})
  onnx.checker.check_model(model)
  with files.replacing(path) as temporary:
    temporary.write_bytes(model.SerializeToString())


FORMAT = Format(
  _write,
  float_onnx.FORMAT.load,
  'onnxruntime',
  'images [B, C, H, W] in [0, 1], float32; weights and activations are int8 inside',
  float_onnx.FORMAT.needs,
  ('onnxruntime',),
  'onnx',
  of_torch=True,
  quantised=True,
)
