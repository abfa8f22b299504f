"""Training steps in PyTorch, as peers for `train_step.py`.

Written from the papers' settings in the structure of their programs: PGD in a Python loop,
the student in evaluation mode during the attack, teachers under no_grad where nothing is
learnt through them, training-mode forwards, SGD. Images are there already: nothing is
augmented or copied, which jaxrkd's steps do too.
"""

from collections.abc import Callable

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
# 'eager' is the structure of the papers' programs; 'compile' is also channels last.
KINDS = ('eager', 'channels_last', 'compile')
EIGHT, TWO = 8 / 255, 2 / 255


def divergence(teacher, logits, epsilon=0.0):
  """Sum over classes, mean over the batch."""
  p, log_q = F.softmax(teacher.float(), 1), F.log_softmax(logits.float(), 1)
  log_p = torch.log(p + epsilon) if epsilon else F.log_softmax(teacher.float(), 1)
  return (p * (log_p - log_q)).sum(1).mean()


class Step:
  """One training step of a method.

  Args:
    method: a row of `METHODS`.
    student: a row of `NETWORKS`.
    teachers: kind ('clean', 'robust') -> a row of `NETWORKS`.
    batch: images.
    classes: labels.
    precision: 'float32', or 'bfloat16' for autocast.
    kind: a row of `KINDS`.
  """

  def __init__(self, method, student, teachers, batch, classes, precision, kind):
    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = True
    self.device = 'cuda' if torch.cuda.is_available() else 'cpu'
    layout = torch.contiguous_format if kind == 'eager' else torch.channels_last
    made = lambda name: NETWORKS[name](classes).to(self.device, memory_format=layout)
    wrapped = lambda net: torch.compile(net) if kind == 'compile' else net
    self.net = made(student)
    self.student = wrapped(self.net)
    self.teachers = {}
    for role, name in teachers.items():
      teacher = made(name).eval().requires_grad_(False)
      self.teachers[role] = wrapped(teacher)
    images = torch.rand(batch, 3, 32, 32, device=self.device)
    self.images = images.contiguous(memory_format=layout)
    self.labels = torch.randint(0, classes, (batch,), device=self.device)
    options = dict(lr=0.1, momentum=0.9, weight_decay=2e-4)
    self.sgd = torch.optim.SGD(self.net.parameters(), **options)
    self.precision, self.method = precision, METHODS[method]
    self.weight, self.start = 0.5, None

  def many(self, count):
    """Does some steps and waits once."""
    for _ in range(count):
      total = self.once()
    return total.item()

  def once(self):
    with torch.autocast(
      self.device, torch.bfloat16, enabled=self.precision == 'bfloat16'
    ):
      total = self.method(self)
    self.sgd.zero_grad()
    total.backward()
    self.sgd.step()
    return total.detach()

  def attack(self, objective: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """PGD with 10 steps of 2/255 from a small normal start."""
    self.net.eval()
    x = self.images + 0.001 * torch.randn_like(self.images)
    for _ in range(10):
      x = x.detach().requires_grad_()
      gradient = torch.autograd.grad(objective(x), x)[0]
      x = x.detach() + TWO * gradient.sign()
      x = torch.min(torch.max(x, self.images - EIGHT), self.images + EIGHT).clamp(0, 1)
    self.net.train()
    return x.detach()

  def label_loss(self, x: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(self.student(x).float(), self.labels)


def natural(step):
  step.net.train()
  return step.label_loss(step.images)


def sat(step):
  return step.label_loss(step.attack(step.label_loss))


def trades(step):
  step.net.eval()
  with torch.no_grad():
    clean = step.student(step.images)
  x = step.attack(lambda x: divergence(clean, step.student(x)))
  logits = step.student(step.images)
  label = F.cross_entropy(logits.float(), step.labels)
  return label + 6 * divergence(logits, step.student(x))


def rslad(step):
  with torch.no_grad():
    target = step.teachers['robust'](step.images)
  x = step.attack(lambda x: divergence(target, step.student(x)))
  adv, nat = step.student(x), step.student(step.images)
  return (5 * divergence(target, adv) + divergence(target, nat)) / 6


def mtard(step):
  x = step.attack(step.label_loss)
  with torch.no_grad():
    target_adv = step.teachers['robust'](x)
    target_nat = step.teachers['clean'](step.images)
  adv = divergence(target_adv, step.student(x), 1e-5)
  nat = divergence(target_nat, step.student(step.images), 1e-5)
  losses = [nat.item(), adv.item()]
  step.start = step.start or losses
  relative = [now / first for now, first in zip(losses, step.start)]
  step.weight = 0.025 * relative[0] / sum(relative) + 0.975 * step.weight
  return step.weight * nat + (1 - step.weight) * adv


def mmard(step):
  teacher = step.teachers['robust']
  x = step.attack(lambda x: divergence(teacher(x), step.student(x)))
  with torch.no_grad():
    targets = [teacher(x), teacher(step.images)]
  logits = [step.student(x), step.student(step.images)]
  label = F.one_hot(step.labels, targets[0].shape[1]).float()

  def angle(adv, nat):
    sides = (F.softmax(z.float(), 1) - label for z in (adv, nat))
    return F.cosine_similarity(*sides, dim=1)

  triangle = F.huber_loss(angle(*logits), angle(*targets))
  return 0.1 * divergence(targets[0], logits[0]) + triangle


METHODS = {
  'natural': natural,
  'sat': sat,
  'trades': trades,
  'rslad': rslad,
  'mtard': mtard,
  'mmard': mmard,
}
