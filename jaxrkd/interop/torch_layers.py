"""Layers as PyTorch computes them, which find their weights by name."""

from collections.abc import Callable
from typing import Any

import numpy as np

from jaxrkd.interop.state_dict import State

Tensor = Any  # torch.Tensor


class Layers:
  """Layers that find their weights by name.

  Args:
    state: PyTorch's names and layouts; numpy arrays.
    activation: a row of `models.ACTIVATIONS`.
  """

  def __init__(self, state: State, activation: str):
    import torch
    from torch.nn import functional

    self._f, self._pad = functional, functional.pad
    self.t = {name: torch.from_numpy(np.array(array)) for name, array in state.items()}
    activations: dict[str, Callable[[Tensor], Tensor]] = {
      'relu': functional.relu,
      'swish': functional.silu,
      'gelu': functional.gelu,
      'elu': functional.elu,
      'relu6': functional.relu6,
    }
    self.act = activations[activation]

  def has(self, name: str) -> bool:
    return f'{name}.weight' in self.t

  def conv(self, x: Tensor, name: str, stride: int = 1, same: bool = False) -> Tensor:
    weight = self.t[f'{name}.weight']
    groups = x.shape[1] if weight.shape[1] == 1 and x.shape[1] > 1 else 1
    pad = weight.shape[-1] // 2
    if same and stride == 2 and pad:
      # "SAME" at even sizes: one row below, one column on the right.
      x, pad = self._pad(x, (0, 1, 0, 1)), 0
    return self._f.conv2d(x, weight, None, stride, pad, 1, groups)

  def bn(self, x: Tensor, name: str) -> Tensor:
    words = ('running_mean', 'running_var', 'weight', 'bias')
    return self._f.batch_norm(x, *(self.t[f'{name}.{word}'] for word in words))

  def linear(self, x: Tensor, name: str) -> Tensor:
    """Over the last axis."""
    return self._f.linear(x, self.t[f'{name}.weight'], self.t[f'{name}.bias'])

  def layer_norm(self, x: Tensor, name: str) -> Tensor:
    weight, bias = self.t[f'{name}.weight'], self.t[f'{name}.bias']
    return self._f.layer_norm(x, weight.shape, weight, bias, 1e-6)

  def sparse(self, x: Tensor, name: str) -> Tensor:
    """MeanSparse, where the network has it."""
    if f'{name}.threshold' not in self.t:
      return x
    mean, var, threshold = (
      self.t[f'{name}.{word}'] for word in ('running_mean', 'running_var', 'threshold')
    )
    mean, reach = mean[:, None, None], (threshold * var.sqrt())[:, None, None]
    return mean.where((x - mean).abs() < reach, x)

  def head(self, x: Tensor, name: str) -> Tensor:
    return self._f.linear(
      x.mean((2, 3)), self.t[f'{name}.weight'], self.t[f'{name}.bias']
    )

  def shortcut(self, x: Tensor, name: str, stride: int) -> Tensor:
    """A projection with BatchNorm under `name`."""
    return self.bn(self.conv(x, f'{name}.0', stride), f'{name}.1')


def count(net: Layers, pattern: str, first: int = 0) -> int:
  """One more than the last number of a layer."""
  found = first
  while net.has(pattern.format(found)):
    found += 1
  return found
