"""A PyTorch state_dict, with torch.save or as safetensors.

Names and layouts are those of RobustBench's model definitions. What a state_dict cannot hold
(network, activation, normalisation, image shape) is in the card beside it: under the key
'jaxrkd' of a .pt file, in the metadata of safetensors.
"""

import io
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxrkd.interop.formats.base import Format, Predict, Student
from jaxrkd.interop.state_dict import to_state_dict
from jaxrkd.interop.torch_net import torch_logits
from jaxrkd.interop.unwrap import unwrap
from jaxrkd.interop.weights_file import own_card, read_weights
from jaxrkd.runtime import files


def _write_pt(path: pathlib.Path, student: Student, card: Mapping[str, Any]) -> None:
  import torch

  state = to_state_dict(*student.variables)
  tensors = {name: torch.from_numpy(np.array(array)) for name, array in state.items()}
  content = {'state_dict': tensors, 'jaxrkd': json.dumps(dict(card))}
  memory = io.BytesIO()
  torch.save(content, memory)
  with files.replacing(path) as temporary:
    temporary.write_bytes(memory.getvalue())


def _write_safetensors(
  path: pathlib.Path, student: Student, card: Mapping[str, Any]
) -> None:
  from safetensors.numpy import save

  state = to_state_dict(*student.variables)
  content = save(state, {'format': 'pt', 'jaxrkd': json.dumps(dict(card))})
  with files.replacing(path) as temporary:
    temporary.write_bytes(content)


def _load(path: pathlib.Path) -> Predict:
  found = read_weights(path)
  card, _ = own_card(found)
  (inside,) = unwrap(found.tree, repr(str(path)))
  return torch_logits(card['network'], inside.state, card['image_shape'][-1])


INPUTS = (
  'a state_dict; the network it belongs to takes images [B, C, H, W] in [0, 1], normalised '
  'with the mean and std of this card'
)
_TORCH = Format(
  _write_pt, _load, 'torch', INPUTS, ('torch',), ('torch',), 'torch', of_torch=True
)
PT = _TORCH
SAFETENSORS = _TORCH._replace(write=_write_safetensors, needs=())
