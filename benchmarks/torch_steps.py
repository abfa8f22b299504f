"""Training steps in PyTorch, as peers for `train_step.py`.

Written in the structure of the papers' programs: PGD in a Python loop, teachers under
no_grad where nothing is learnt through them, training-mode forwards, SGD. Images are there
already: nothing is augmented or copied, which jaxrkd's steps do too.
"""

from collections.abc import Callable

import torch
import torch_methods
import torch_networks
from torch.nn import functional as F

# 'eager' is the structure of the papers' programs; each of the others adds to the one before:
# a layout, torch.compile, and its CUDA graphs, which one launch replays.
KINDS = ('eager', 'channels_last', 'compile', 'graphs')
EPS = 8 / 255


def compiled(net: torch.nn.Module, graphs: bool) -> Callable:
  """A network through torch.compile; with `graphs`, as CUDA graphs."""
  if not graphs:
    return torch.compile(net)
  fast = torch.compile(net, mode='reduce-overhead')
  # A graph's next replay overwrites what it returned.
  return lambda x: fast(x).clone()


class Step:
  """One training step of a method.

  Args:
    method: a row of `torch_methods.METHODS`.
    student: a row of `torch_networks.NETWORKS`.
    teachers: kind ('clean', 'robust') -> a row of `torch_networks.NETWORKS`.
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
    made = lambda name: torch_networks.NETWORKS[name](classes).to(
      self.device, memory_format=layout
    )
    compiles = kind in ('compile', 'graphs')
    wrapped = lambda net: compiled(net, kind == 'graphs') if compiles else net
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
    self.precision, self.method = precision, torch_methods.METHODS[method]
    self.weight, self.start = 0.5, None
    # Else torch.compile computes the gradients of parameters for images, too. Without it
    # autograd skips them, and autocast keeps the casts of those that are not frozen.
    self.freezes = compiles

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

  def attack(
    self,
    objective: Callable[[torch.Tensor], torch.Tensor],
    steps: int = 10,
    size: float = 2 / 255,
    train: bool = False,
  ) -> torch.Tensor:
    """PGD from a small normal start; BatchNorm in training mode if `train`."""
    self.net.train(train)
    self.net.requires_grad_(not self.freezes)
    x = self.images + 0.001 * torch.randn_like(self.images)
    for _ in range(steps):
      x = x.detach().requires_grad_()
      gradient = torch.autograd.grad(objective(x), x)[0]
      x = x.detach() + size * gradient.sign()
      x = torch.min(torch.max(x, self.images - EPS), self.images + EPS).clamp(0, 1)
    self.net.requires_grad_(True)
    self.net.train()
    return x.detach()

  def label_loss(self, x: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(self.student(x).float(), self.labels)
