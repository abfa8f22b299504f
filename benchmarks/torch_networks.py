"""The networks of the papers' experiments in PyTorch, untrained; for `torch_steps.py`."""

from torch import nn
from torch.nn import functional as F

from jaxrkd.models.mobilenet_v2 import GROUPS


def conv(inputs, outputs, size, stride=1, groups=1):
  return nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)


def projection(inputs, outputs, stride):
  return nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))


class Basic(nn.Module):
  def __init__(self, inputs, outputs, stride):
    super().__init__()
    self.conv1, self.bn1 = conv(inputs, outputs, 3, stride), nn.BatchNorm2d(outputs)
    self.conv2, self.bn2 = conv(outputs, outputs, 3), nn.BatchNorm2d(outputs)
    same = stride == 1 and inputs == outputs
    self.shortcut = nn.Identity() if same else projection(inputs, outputs, stride)

  def forward(self, x):
    y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
    return F.relu(y + self.shortcut(x))


class Wide(nn.Module):
  def __init__(self, inputs, outputs, stride):
    super().__init__()
    self.bn1, self.conv1 = nn.BatchNorm2d(inputs), conv(inputs, outputs, 3, stride)
    self.bn2, self.conv2 = nn.BatchNorm2d(outputs), conv(outputs, outputs, 3)
    self.shortcut = None if inputs == outputs else conv(inputs, outputs, 1, stride)

  def forward(self, x):
    a = F.relu(self.bn1(x))
    y = self.conv2(F.relu(self.bn2(self.conv1(a))))
    return y + (x if self.shortcut is None else self.shortcut(a))


class Inverted(nn.Module):
  def __init__(self, inputs, outputs, expansion, stride):
    super().__init__()
    hidden = inputs * expansion
    self.body = nn.Sequential(
      conv(inputs, hidden, 1),
      nn.BatchNorm2d(hidden),
      nn.ReLU(),
      conv(hidden, hidden, 3, stride, groups=hidden),
      nn.BatchNorm2d(hidden),
      nn.ReLU(),
      conv(hidden, outputs, 1),
      nn.BatchNorm2d(outputs),
    )
    self.stride = stride
    same = inputs == outputs
    self.shortcut = (
      nn.Identity() if same or stride == 2 else projection(inputs, outputs, 1)
    )

  def forward(self, x):
    y = self.body(x)
    return y + self.shortcut(x) if self.stride == 1 else y


def stem(width):
  return [conv(3, width, 3), nn.BatchNorm2d(width), nn.ReLU()]


def head(width, classes):
  return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes)]


def resnet(blocks, widths, classes):
  layers, inputs = stem(widths[0]), widths[0]
  for group, width in enumerate(widths):
    for i in range(blocks):
      layers.append(Basic(inputs, width, 2 if group and not i else 1))
      inputs = width
  return nn.Sequential(*layers, *head(inputs, classes))


def wide_resnet(depth, width, classes):
  layers, inputs = [conv(3, 16, 3)], 16
  for group in range(3):
    for i in range((depth - 4) // 6):
      outputs = 16 * width * 2**group
      layers.append(Wide(inputs, outputs, 2 if group and not i else 1))
      inputs = outputs
  return nn.Sequential(*layers, nn.BatchNorm2d(inputs), nn.ReLU(), *head(inputs, classes))


def mobilenet_v2(classes):
  layers, inputs = stem(32), 32
  for expansion, outputs, count, stride in GROUPS:
    for i in range(count):
      layers.append(Inverted(inputs, outputs, expansion, stride if not i else 1))
      inputs = outputs
  last = [conv(inputs, 1280, 1), nn.BatchNorm2d(1280), nn.ReLU()]
  return nn.Sequential(*layers, *last, *head(1280, classes))


NETWORKS = {
  'resnet18': lambda classes: resnet(2, (64, 128, 256, 512), classes),
  'mobilenet_v2': mobilenet_v2,
  'resnet56': lambda classes: resnet(9, (16, 32, 64), classes),
  'wrn_16_4': lambda classes: wide_resnet(16, 4, classes),
  'wrn_22_6': lambda classes: wide_resnet(22, 6, classes),
  'wrn_34_10': lambda classes: wide_resnet(34, 10, classes),
  'wrn_70_16': lambda classes: wide_resnet(70, 16, classes),
}
