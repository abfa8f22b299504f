"""Networks, and the `Net` record that the rest of the library sees.

A network is one file here plus one row in `NETWORKS`: a function of
(layers, classes, channels, **options) that returns a Flax NNX module.
"""

import functools
from collections.abc import Callable
from typing import Any

from jaxrkd.amalgamation import AVERAGES
from jaxrkd.models.activations import ACTIVATIONS
from jaxrkd.models.conv import plain_convolutions
from jaxrkd.models.convnet import ConvNet
from jaxrkd.models.dm_preact_resnet import DMPreActResNet
from jaxrkd.models.dm_wide_resnet import DMWideResNet
from jaxrkd.models.ensemble import ensemble
from jaxrkd.models.group import STACKING
from jaxrkd.models.imagenet_mobilenet_v2 import ImageNetMobileNetV2
from jaxrkd.models.mobilenet_v2 import MobileNetV2
from jaxrkd.models.net import Net, normalized, parameter_count
from jaxrkd.models.normalisation import NORMALISATIONS
from jaxrkd.models.own import as_net, from_functions, from_linen, from_nnx, update_nnx
from jaxrkd.models.preact_resnet import PreActResNet
from jaxrkd.models.resnet import cifar_resnet, imagenet_resnet, resnet
from jaxrkd.models.wide_resnet import WideResNet
from jaxrkd.models.xcit import XCiT

NETWORKS: dict[str, Callable[..., Any]] = {
  'convnet': ConvNet,
  'resnet8': functools.partial(cifar_resnet, depth=8),
  'resnet20': functools.partial(cifar_resnet, depth=20),
  'resnet32': functools.partial(cifar_resnet, depth=32),
  'resnet44': functools.partial(cifar_resnet, depth=44),
  'resnet56': functools.partial(cifar_resnet, depth=56),
  'resnet18': resnet,
  'resnet34': functools.partial(resnet, blocks=(3, 4, 6, 3)),
  'resnet50': functools.partial(resnet, blocks=(3, 4, 6, 3), bottleneck=True),
  'imagenet_resnet18': imagenet_resnet,
  'imagenet_resnet34': functools.partial(imagenet_resnet, blocks=(3, 4, 6, 3)),
  'imagenet_resnet50': functools.partial(
    imagenet_resnet, blocks=(3, 4, 6, 3), bottleneck=True
  ),
  'imagenet_mobilenet_v2': ImageNetMobileNetV2,
  'preact_resnet18': PreActResNet,
  'mobilenet_v2': MobileNetV2,
  'wrn': WideResNet,
  'wrn_22_6': functools.partial(WideResNet, depth=22, width=6),
  'wrn_28_10': functools.partial(WideResNet, depth=28, width=10),
  'wrn_34_10': functools.partial(WideResNet, depth=34, width=10),
  'wrn_34_20': functools.partial(WideResNet, depth=34, width=20),
  'wrn_70_16': functools.partial(WideResNet, depth=70, width=16),
  'xcit_s12': XCiT,
  'xcit_m12': functools.partial(XCiT, dim=512),
  'xcit_l12': functools.partial(XCiT, dim=768, heads=16),
  'dm_preact_resnet18': DMPreActResNet,
  'dm_wrn': DMWideResNet,
  'dm_wrn_22_6': functools.partial(DMWideResNet, depth=22, width=6),
  'dm_wrn_28_10': functools.partial(DMWideResNet, depth=28, width=10),
  'dm_wrn_34_10': functools.partial(DMWideResNet, depth=34, width=10),
  'dm_wrn_34_20': functools.partial(DMWideResNet, depth=34, width=20),
  'dm_wrn_70_16': functools.partial(DMWideResNet, depth=70, width=16),
}

# Those that come with jaxrkd: what else knows a network by its name asks here.
SHIPPED = dict(NETWORKS)


def is_shipped(name: str) -> bool:
  """Whether a network is one of jaxrkd's, and not another one of that name."""
  return name in SHIPPED and NETWORKS.get(name) is SHIPPED[name]


# BatchNorm as Haiku has it, for the networks that were trained with it.
HAIKU = {'bn_variance': 'biased', 'bn_momentum': 0.99}
# Network -> what its BatchNorm does unless the config says otherwise; others do as PyTorch.
BATCH_NORMS: dict[str, dict[str, Any]] = {
  name: HAIKU for name in NETWORKS if name.startswith('dm_')
}

__all__ = [
  'ACTIVATIONS',
  'AVERAGES',
  'BATCH_NORMS',
  'NETWORKS',
  'NORMALISATIONS',
  'STACKING',
  'Net',
  'as_net',
  'ensemble',
  'from_functions',
  'from_linen',
  'from_nnx',
  'is_shipped',
  'normalized',
  'parameter_count',
  'plain_convolutions',
  'update_nnx',
]
