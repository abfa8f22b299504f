"""The MTARD step in PyTorch, as a peer for `train_step.py`.

Written from the papers' settings: PGD in a Python loop, the student in evaluation mode
during the attack, both teachers under no_grad, two training-mode forwards, SGD.
"""

import torch
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


def head(width):
  return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10)]


def resnet(blocks, widths):
  layers, inputs = stem(widths[0]), widths[0]
  for group, width in enumerate(widths):
    for i in range(blocks):
      layers.append(Basic(inputs, width, 2 if group and not i else 1))
      inputs = width
  return nn.Sequential(*layers, *head(inputs))


def wide_resnet(blocks, width):
  layers, inputs = [conv(3, 16, 3)], 16
  for group in range(3):
    for i in range(blocks):
      outputs = 16 * width * 2**group
      layers.append(Wide(inputs, outputs, 2 if group and not i else 1))
      inputs = outputs
  return nn.Sequential(*layers, nn.BatchNorm2d(inputs), nn.ReLU(), *head(inputs))


def mobilenet_v2():
  layers, inputs = stem(32), 32
  for expansion, outputs, count, stride in GROUPS:
    for i in range(count):
      layers.append(Inverted(inputs, outputs, expansion, stride if not i else 1))
      inputs = outputs
  last = [conv(inputs, 1280, 1), nn.BatchNorm2d(1280), nn.ReLU()]
  return nn.Sequential(*layers, *last, *head(1280))


def make_step(student, batch, precision, kind):
  """Returns a function that does one step and waits for it.

  Args:
    student: 'resnet18' or 'mobilenet_v2'.
    batch: images.
    precision: 'float32', or 'bfloat16' for autocast.
    kind: 'eager', 'channels_last' or 'compile' (channels last, and torch.compile).
  """
  torch.manual_seed(0)
  device = 'cuda' if torch.cuda.is_available() else 'cpu'
  layout = torch.contiguous_format if kind == 'eager' else torch.channels_last
  net = mobilenet_v2() if student == 'mobilenet_v2' else resnet(2, (64, 128, 256, 512))
  nets = [net, resnet(9, (16, 32, 64)), wide_resnet(2, 4)]
  net, clean, robust = (n.to(device, memory_format=layout) for n in nets)
  clean.eval()
  robust.eval()
  run = [torch.compile(n) if kind == 'compile' else n for n in (net, clean, robust)]
  student_fn, clean_fn, robust_fn = run
  images = torch.rand(batch, 3, 32, 32, device=device).contiguous(memory_format=layout)
  labels = torch.randint(0, 10, (batch,), device=device)
  sgd = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=2e-4)
  weight, start = 0.5, None

  def divergence(teacher, logits):
    p = F.softmax(teacher.float(), 1)
    return (p * (torch.log(p + 1e-5) - F.log_softmax(logits.float(), 1))).mean()

  def step():
    nonlocal weight, start
    with torch.autocast(device, torch.bfloat16, enabled=precision == 'bfloat16'):
      net.eval()
      x = images + 0.001 * torch.randn_like(images)
      for _ in range(10):
        x = x.detach().requires_grad_()
        loss = F.cross_entropy(student_fn(x).float(), labels)
        gradient = torch.autograd.grad(loss, x)[0]
        x = x.detach() + 2 / 255 * gradient.sign()
        x = torch.min(torch.max(x, images - 8 / 255), images + 8 / 255).clamp(0, 1)
      net.train()
      with torch.no_grad():
        target_adv, target_nat = robust_fn(x), clean_fn(images)
      adv = divergence(target_adv, student_fn(x))
      nat = divergence(target_nat, student_fn(images))
    losses = [nat.item(), adv.item()]
    start = start or losses
    relative = [now / first for now, first in zip(losses, start)]
    weight = 0.025 * relative[0] / sum(relative) + 0.975 * weight
    total = weight * nat + (1 - weight) * adv
    sgd.zero_grad()
    total.backward()
    sgd.step()
    return total.item()

  return step
