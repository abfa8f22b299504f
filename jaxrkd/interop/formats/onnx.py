"""ONNX, made by PyTorch's exporter from the state_dict, for any batch."""

import io
import json
import logging
import pathlib
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxrkd.interop.formats.base import Format, Predict, Student
from jaxrkd.interop.state_dict import to_state_dict
from jaxrkd.interop.torch_net import torch_module
from jaxrkd.runtime import files


def _write(path: pathlib.Path, student: Student, card: Mapping[str, Any]) -> None:
  import onnx
  import torch

  state = to_state_dict(*student.variables)
  height, width, channels = student.image_shape
  module = torch_module(student.node, state, channels)
  images = torch.zeros((2, channels, height, width))
  # The exporter tells its steps, and warns of what is changing inside torch.
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')
    logging.getLogger('torch.onnx').setLevel(logging.ERROR)
    program = torch.onnx.export(
      module,
      (images,),
      dynamo=True,
      input_names=['images'],
      output_names=['logits'],
      dynamic_shapes={'images': {0: torch.export.Dim('batch')}},
      verbose=False,
    )
  model = program.model_proto
  for node in model.graph.node:
    # Where the exporter found it: lines of files of this machine.
    del node.metadata_props[:]
  onnx.helper.set_model_props(model, {'jaxrkd': json.dumps(dict(card))})
  onnx.checker.check_model(model)
  content = io.BytesIO(model.SerializeToString())
  with files.replacing(path) as temporary:
    temporary.write_bytes(content.getvalue())


def _load(path: pathlib.Path) -> Predict:
  import onnxruntime

  session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])

  def predict(images: np.ndarray) -> np.ndarray:
    given = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    return session.run(None, {'images': given})[0]

  return predict


FORMAT = Format(
  _write,
  _load,
  'onnxruntime',
  'images [B, C, H, W] in [0, 1], float32',
  ('torch', 'onnxscript', 'onnx'),
  ('onnxruntime',),
  'onnx',
  of_torch=True,
)
