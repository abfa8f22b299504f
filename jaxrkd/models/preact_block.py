"""The pre-activation block that WideResNets and PreActResNets are made of.

He et al., 2016, arXiv:1603.05027. Networks differ in what their PyTorch files call its parts,
in the projection, and in what that reads.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
from flax import nnx

from jaxrkd.models.activations import activation_of
from jaxrkd.models.layers import Layers

# (layers, inputs, outputs, stride) -> the shortcut where shapes change.
Project = Callable[[Layers, int, int, int], nnx.Module]


class Names(NamedTuple):
  """What a PyTorch file calls the parts of a block."""

  bns: tuple[str, str]
  convs: tuple[str, str]
  shortcut: str
  sparse: tuple[str, str, str] = ('', '', '')


def project_1x1(layers: Layers, inputs: int, outputs: int, stride: int) -> nnx.Module:
  """A 1x1 convolution; WideResNets have it."""
  return layers.conv(inputs, outputs, 1, stride)


class PreActBlock(nnx.Module):
  """BatchNorm, activation and 3x3 convolution twice, plus the shortcut.

  Args:
    layers: maker of layers.
    inputs: channels that enter.
    outputs: channels that leave.
    stride: of the first convolution and of the projection.
    activation: a row of `ACTIVATIONS`.
    names: of the parts.
    project: makes the shortcut where shapes change.
    sparse: width -> what follows each BatchNorm and the block, such as `MeanSparse`.
    reads_activated: whether that acts on the activated input, or on what enters.
  """

  def __init__(
    self,
    layers: Layers,
    inputs: int,
    outputs: int,
    stride: int,
    *,
    activation: str,
    names: Names,
    project: Project = project_1x1,
    reads_activated: bool = True,
    sparse: Callable[[int], nnx.Module] | None = None,
  ):
    activation_of(activation)
    self.names, self.activation = names, activation
    self.reads_activated = reads_activated
    self.FOLDS = ((names.convs[0], names.bns[1]),)
    setattr(self, names.bns[0], layers.bn(inputs))
    setattr(self, names.convs[0], layers.conv(inputs, outputs, 3, stride))
    setattr(self, names.bns[1], layers.bn(outputs))
    setattr(self, names.convs[1], layers.conv(outputs, outputs, 3))
    self.sparse: tuple[str, ...] = ()
    if sparse is not None:
      self.sparse = names.sparse
      for name, width in zip(self.sparse, (inputs, outputs, outputs)):
        setattr(self, name, sparse(width))
    self.changes = stride != 1 or inputs != outputs
    if self.changes:
      setattr(self, names.shortcut, project(layers, inputs, outputs, stride))

  def __call__(self, x: jax.Array) -> jax.Array:
    act, names = activation_of(self.activation), self.names
    bns, convs = ([getattr(self, n) for n in pair] for pair in names[:2])
    same = lambda y: y
    kept = [getattr(self, name) for name in self.sparse] or [same] * 3
    activated = act(kept[0](bns[0](x)))
    y = convs[1](act(kept[1](bns[1](convs[0](activated)))))
    if self.changes:
      x = getattr(self, names.shortcut)(activated if self.reads_activated else x)
    return kept[2](y + x)
