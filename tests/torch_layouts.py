"""The networks as PyTorch modules, written from the facts of their layouts.

Oracles for conversions: names, shapes and arithmetic are PyTorch's own here. Each class
takes its sizes, so that tests can be small.
"""

import torch
from torch import nn
from torch.nn import functional as F

ACTIVATIONS = {'relu': F.relu, 'swish': F.silu, 'gelu': F.gelu, 'elu': F.elu}


def conv3(inputs, outputs, stride=1, pad=1, groups=1):
  return nn.Conv2d(inputs, outputs, 3, stride, pad, groups=groups, bias=False)


def conv1(inputs, outputs, stride=1):
  return nn.Conv2d(inputs, outputs, 1, stride, bias=False)


class Act(nn.Module):
  """A module that knows its activation."""

  def __init__(self, activation):
    super().__init__()
    self.act = ACTIVATIONS[activation]


class PadShortcut(nn.Module):
  def __init__(self, inputs, outputs):
    super().__init__()
    self.front = outputs // 4
    self.back = outputs - inputs - self.front

  def forward(self, x):
    return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.front, self.back))


class Basic(Act):
  def __init__(self, inputs, outputs, stride, activation, name, padded=False):
    super().__init__(activation)
    self.conv1, self.bn1 = conv3(inputs, outputs, stride), nn.BatchNorm2d(outputs)
    self.conv2, self.bn2 = conv3(outputs, outputs), nn.BatchNorm2d(outputs)
    self.name = name
    if stride > 1 or inputs != outputs:
      project = nn.Sequential(conv1(inputs, outputs, stride), nn.BatchNorm2d(outputs))
      setattr(self, name, PadShortcut(inputs, outputs) if padded else project)
    else:
      setattr(self, name, nn.Identity())

  def forward(self, x):
    y = self.act(self.bn1(self.conv1(x)))
    return self.act(self.bn2(self.conv2(y)) + getattr(self, self.name)(x))


class Three(Act):
  def __init__(self, inputs, outputs, stride, activation, name, padded=False):
    super().__init__(activation)
    inner = outputs // 4
    self.conv1, self.bn1 = conv1(inputs, inner), nn.BatchNorm2d(inner)
    self.conv2, self.bn2 = conv3(inner, inner, stride), nn.BatchNorm2d(inner)
    self.conv3, self.bn3 = conv1(inner, outputs), nn.BatchNorm2d(outputs)
    self.name, beside = name, nn.Identity()
    if stride > 1 or inputs != outputs:
      beside = nn.Sequential(conv1(inputs, outputs, stride), nn.BatchNorm2d(outputs))
    setattr(self, name, beside)

  def forward(self, x):
    y = self.act(self.bn1(self.conv1(x)))
    y = self.bn3(self.conv3(self.act(self.bn2(self.conv2(y)))))
    return self.act(y + getattr(self, self.name)(x))


def stem(channels, width, large):
  """The first convolution, and what follows its BatchNorm."""
  if not large:
    return conv3(channels, width), nn.Identity()
  return nn.Conv2d(channels, width, 7, 2, 3, bias=False), nn.MaxPool2d(3, 2, 1)


class ResNet(Act):
  """ResNet-18, -34, -50 (four stages), ResNet-6n+2 (three)."""

  def __init__(
    self,
    classes,
    channels,
    blocks,
    width,
    activation='relu',
    style='kuangliu',
    three=False,
  ):
    super().__init__(activation)
    self.conv1, self.pool = stem(channels, width, style == 'imagenet')
    self.bn1 = nn.BatchNorm2d(width)
    inputs, self.count = width, len(blocks)
    kind, wider = (Three, 4) if three else (Basic, 1)
    name = 'downsample' if style in ('hub', 'imagenet') else 'shortcut'
    for k, number in enumerate(blocks):
      outputs, stage = wider * width * 2**k, []
      for i in range(number):
        stride = 2 if k and not i else 1
        stage.append(kind(inputs, outputs, stride, activation, name, style == 'option A'))
        inputs = outputs
      setattr(self, f'layer{k + 1}', nn.Sequential(*stage))
    self.head = 'fc' if style in ('hub', 'imagenet') else 'linear'
    setattr(self, self.head, nn.Linear(inputs, classes))

  def forward(self, x):
    x = self.pool(self.act(self.bn1(self.conv1(x))))
    for k in range(self.count):
      x = getattr(self, f'layer{k + 1}')(x)
    return getattr(self, self.head)(x.mean((2, 3)))


class PreBasic(Act):
  def __init__(self, inputs, outputs, stride, activation, raw):
    super().__init__(activation)
    self.bn1, self.conv1 = nn.BatchNorm2d(inputs), conv3(inputs, outputs, stride)
    self.bn2, self.conv2 = nn.BatchNorm2d(outputs), conv3(outputs, outputs)
    self.raw = raw
    if stride > 1 or inputs != outputs:
      self.shortcut = nn.Sequential(conv1(inputs, outputs, stride))

  def forward(self, x):
    active = self.act(self.bn1(x))
    y = self.conv2(self.act(self.bn2(self.conv1(active))))
    if hasattr(self, 'shortcut'):
      x = self.shortcut(x if self.raw else active)
    return y + x


class PreActResNet(Act):
  def __init__(
    self,
    classes,
    channels,
    width,
    activation='relu',
    final=True,
    raw=False,
    large=False,
  ):
    super().__init__(activation)
    self.conv1, self.pool = stem(channels, width, large)
    inputs = width
    for k in range(4):
      outputs, stage = width * 2**k, []
      for i in range(2):
        stage.append(PreBasic(inputs, outputs, 2 if k and not i else 1, activation, raw))
        inputs = outputs
      setattr(self, f'layer{k + 1}', nn.Sequential(*stage))
    if final:
      self.bn = nn.BatchNorm2d(inputs)
    self.linear = nn.Linear(inputs, classes)

  def forward(self, x):
    x = self.pool(self.conv1(x))
    for k in range(4):
      x = getattr(self, f'layer{k + 1}')(x)
    if hasattr(self, 'bn'):
      x = self.act(self.bn(x))
    return self.linear(x.mean((2, 3)))


def shifted(conv, x):
  """Zeros below and on the right only where a 3x3 convolution has stride 2."""
  if conv.stride == (2, 2) and conv.kernel_size == (3, 3):
    x = F.pad(x, (0, 1, 0, 1))
  return conv(x)


def same3(inputs, outputs, stride=1):
  return conv3(inputs, outputs, stride, 0 if stride == 2 else 1)


class DMPreBlock(Act):
  def __init__(self, inputs, outputs, stride, activation):
    super().__init__(activation)
    self.batchnorm_0, self.conv_2d_1 = (
      nn.BatchNorm2d(inputs),
      same3(inputs, outputs, stride),
    )
    self.batchnorm_1, self.conv_2d_2 = nn.BatchNorm2d(outputs), conv3(outputs, outputs)
    if stride > 1 or inputs != outputs:
      self.shortcut = same3(inputs, outputs, stride)

  def forward(self, x):
    y = shifted(self.conv_2d_1, self.act(self.batchnorm_0(x)))
    y = self.conv_2d_2(self.act(self.batchnorm_1(y)))
    return y + (shifted(self.shortcut, x) if hasattr(self, 'shortcut') else x)


class DMPreActResNet(Act):
  def __init__(self, classes, channels, width, activation='swish'):
    super().__init__(activation)
    self.conv_2d, inputs = conv3(channels, width), width
    for k in range(4):
      outputs, stage = width * 2**k, []
      for i in range(2):
        stage.append(DMPreBlock(inputs, outputs, 2 if k and not i else 1, activation))
        inputs = outputs
      setattr(self, f'layer_{k}', nn.Sequential(*stage))
    self.batchnorm, self.logits = nn.BatchNorm2d(inputs), nn.Linear(inputs, classes)

  def forward(self, x):
    x = self.conv_2d(x)
    for k in range(4):
      x = getattr(self, f'layer_{k}')(x)
    return self.logits(self.act(self.batchnorm(x)).mean((2, 3)))


class WideBlock(Act):
  def __init__(self, inputs, outputs, stride, activation):
    super().__init__(activation)
    self.bn1, self.conv1 = nn.BatchNorm2d(inputs), conv3(inputs, outputs, stride)
    self.bn2, self.conv2 = nn.BatchNorm2d(outputs), conv3(outputs, outputs)
    if inputs != outputs:
      self.convShortcut = conv1(inputs, outputs, stride)

  def forward(self, x):
    active = self.act(self.bn1(x))
    y = self.conv2(self.act(self.bn2(self.conv1(active))))
    return y + (self.convShortcut(active) if hasattr(self, 'convShortcut') else x)


class WideGroup(nn.Module):
  def __init__(self, inputs, outputs, count, stride, activation):
    super().__init__()
    self.layer = nn.Sequential(
      *(
        WideBlock(outputs if i else inputs, outputs, 1 if i else stride, activation)
        for i in range(count)
      )
    )

  def forward(self, x):
    return self.layer(x)


class WideResNet(Act):
  def __init__(self, classes, channels, depth, width, activation='relu', sub_block=False):
    super().__init__(activation)
    n, (a, b, c) = (depth - 4) // 6, (16 * width, 32 * width, 64 * width)
    self.conv1 = conv3(channels, 16)
    self.block1 = WideGroup(16, a, n, 1, activation)
    if sub_block:
      self.sub_block1 = WideGroup(16, a, n, 1, activation)
    self.block2 = WideGroup(a, b, n, 2, activation)
    self.block3 = WideGroup(b, c, n, 2, activation)
    self.bn1, self.fc = nn.BatchNorm2d(c), nn.Linear(c, classes)

  def forward(self, x):
    x = self.block3(self.block2(self.block1(self.conv1(x))))
    return self.fc(self.act(self.bn1(x)).mean((2, 3)))


class Sparse(nn.Module):
  """Activations near the mean of their channel become it."""

  def __init__(self, channels):
    super().__init__()
    self.register_buffer('running_mean', torch.zeros(channels))
    self.register_buffer('running_var', torch.zeros(channels))
    self.register_buffer('threshold', torch.tensor(0.0))

  def forward(self, x):
    mean = self.running_mean[:, None, None]
    reach = self.threshold.abs() * self.running_var.sqrt()[:, None, None]
    return torch.where((x - mean).abs() < reach, mean, x)


def sparse_parts(module, sparse, **widths):
  """Gives a module `Sparse` parts, or ones that change nothing."""
  for name, width in widths.items():
    setattr(module, name, Sparse(width) if sparse else nn.Identity())


class DMBlock(Act):
  def __init__(self, inputs, outputs, stride, activation, sparse):
    super().__init__(activation)
    sparse_parts(
      self, sparse, meansparse_0=inputs, meansparse_1=outputs, meansparse_2=outputs
    )
    self.batchnorm_0, self.conv_0 = nn.BatchNorm2d(inputs), same3(inputs, outputs, stride)
    self.batchnorm_1, self.conv_1 = nn.BatchNorm2d(outputs), conv3(outputs, outputs)
    if inputs != outputs:
      self.shortcut = conv1(inputs, outputs, stride)

  def forward(self, x):
    active = self.act(self.meansparse_0(self.batchnorm_0(x)))
    y = self.meansparse_1(self.batchnorm_1(shifted(self.conv_0, active)))
    beside = self.shortcut(active) if hasattr(self, 'shortcut') else x
    return self.meansparse_2(self.conv_1(self.act(y)) + beside)


class DMGroup(nn.Module):
  def __init__(self, inputs, outputs, count, stride, activation, sparse):
    super().__init__()
    self.block = nn.Sequential(
      *(
        DMBlock(outputs if i else inputs, outputs, 1 if i else stride, activation, sparse)
        for i in range(count)
      )
    )

  def forward(self, x):
    return self.block(x)


class DMWideResNet(Act):
  def __init__(self, classes, channels, depth, width, activation='swish', sparse=False):
    super().__init__(activation)
    n, sizes = (depth - 4) // 6, (16, 16 * width, 32 * width, 64 * width)
    self.init_conv = conv3(channels, 16)
    self.layer = nn.Sequential(
      *(
        DMGroup(sizes[k], sizes[k + 1], n, 2 if k else 1, activation, sparse)
        for k in range(3)
      )
    )
    sparse_parts(self, sparse, meansparse_end=sizes[3])
    self.batchnorm, self.logits = nn.BatchNorm2d(sizes[3]), nn.Linear(sizes[3], classes)

  def forward(self, x):
    x = self.layer(self.init_conv(x))
    return self.logits(self.act(self.meansparse_end(self.batchnorm(x))).mean((2, 3)))


class Inverted(Act):
  def __init__(self, inputs, outputs, expansion, stride, activation):
    super().__init__(activation)
    hidden = inputs * expansion
    self.conv1, self.bn1 = conv1(inputs, hidden), nn.BatchNorm2d(hidden)
    self.conv2 = conv3(hidden, hidden, stride, groups=hidden)
    self.bn2 = nn.BatchNorm2d(hidden)
    self.conv3, self.bn3 = conv1(hidden, outputs), nn.BatchNorm2d(outputs)
    self.stride = stride
    if stride == 1 and inputs != outputs:
      self.shortcut = nn.Sequential(conv1(inputs, outputs), nn.BatchNorm2d(outputs))

  def forward(self, x):
    y = self.act(self.bn1(self.conv1(x)))
    y = self.bn3(self.conv3(self.act(self.bn2(self.conv2(y)))))
    if self.stride == 2:
      return y
    return y + (self.shortcut(x) if hasattr(self, 'shortcut') else x)


class MobileNetV2(Act):
  GROUPS = (
    *((1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2)),
    *((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)),
  )

  def __init__(self, classes, channels, activation='relu'):
    super().__init__(activation)
    self.conv1, self.bn1 = conv3(channels, 32), nn.BatchNorm2d(32)
    blocks, inputs = [], 32
    for expansion, outputs, count, stride in self.GROUPS:
      for i in range(count):
        own = 1 if i else stride
        blocks.append(Inverted(inputs, outputs, expansion, own, activation))
        inputs = outputs
    self.layers = nn.Sequential(*blocks)
    self.conv2, self.bn2 = conv1(320, 1280), nn.BatchNorm2d(1280)
    self.linear = nn.Linear(1280, classes)

  def forward(self, x):
    x = self.layers(self.act(self.bn1(self.conv1(x))))
    return self.linear(self.act(self.bn2(self.conv2(x))).mean((2, 3)))


def conv_bn(inputs, outputs, size, stride=1, groups=1):
  conv = nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)
  return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU6())


class LargeInverted(nn.Module):
  def __init__(self, inputs, outputs, expansion, stride):
    super().__init__()
    hidden = inputs * expansion
    wide = [conv_bn(inputs, hidden, 1)] if expansion > 1 else []
    deep = conv_bn(hidden, hidden, 3, stride, hidden)
    self.conv = nn.Sequential(
      *wide, deep, conv1(hidden, outputs), nn.BatchNorm2d(outputs)
    )
    self.adds = stride == 1 and inputs == outputs

  def forward(self, x):
    return self.conv(x) + (x if self.adds else 0)


class ImageNetMobileNetV2(nn.Module):
  """The layout of torchvision; Dropout has no weights."""

  STRIDES = (1, 2, 2, 2, 1, 2, 1)

  def __init__(self, classes, channels):
    super().__init__()
    parts, inputs = [conv_bn(channels, 32, 3, 2)], 32
    for (expansion, outputs, count, _), stride in zip(MobileNetV2.GROUPS, self.STRIDES):
      for i in range(count):
        parts.append(LargeInverted(inputs, outputs, expansion, 1 if i else stride))
        inputs = outputs
    self.features = nn.Sequential(*parts, conv_bn(320, 1280, 1))
    self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, classes))

  def forward(self, x):
    return self.classifier(self.features(x).mean((2, 3)))


class ConvNet(Act):
  def __init__(self, classes, channels, widths, strides, activation='relu'):
    super().__init__(activation)
    sizes = [channels, *widths]
    self.convs = nn.ModuleList(
      conv3(i, o, s) for i, o, s in zip(sizes[:-1], widths, strides)
    )
    self.bns = nn.ModuleList(nn.BatchNorm2d(o) for o in widths)
    self.linear = nn.Linear(sizes[-1], classes)

  def forward(self, x):
    for conv, bn in zip(self.convs, self.bns):
      x = self.act(bn(conv(x)))
    return self.linear(x.mean((2, 3)))


class Xca(nn.Module):
  def __init__(self, dim, heads):
    super().__init__()
    self.heads, self.temperature = heads, nn.Parameter(torch.ones(heads, 1, 1))
    self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

  def forward(self, x):
    # [B, heads, channels, places] each.
    q, k, v = (
      part.unflatten(-1, (self.heads, -1)).permute(0, 2, 3, 1)
      for part in self.qkv(x).chunk(3, dim=-1)
    )
    q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)
    alike = torch.einsum('bhdn,bhen->bhde', q, k) * self.temperature
    found = torch.einsum('bhde,bhen->bnhd', alike.softmax(-1), v)
    return self.proj(found.flatten(2))


class Lpi(nn.Module):
  def __init__(self, dim):
    super().__init__()
    deep = lambda: nn.Conv2d(dim, dim, 3, padding=1, groups=dim)
    self.conv1, self.bn, self.conv2 = deep(), nn.BatchNorm2d(dim), deep()

  def forward(self, x):
    return self.conv2(self.bn(F.gelu(self.conv1(x))))


class Fc(nn.Module):
  def __init__(self, dim):
    super().__init__()
    self.fc1, self.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

  def forward(self, x):
    return self.fc2(F.gelu(self.fc1(x)))


class XcaBlock(nn.Module):
  def __init__(self, dim, heads):
    super().__init__()
    for k in (1, 2, 3):
      setattr(self, f'gamma{k}', nn.Parameter(torch.ones(dim)))
      setattr(self, f'norm{k}', nn.LayerNorm(dim, eps=1e-6))
    self.attn, self.local_mp, self.mlp = Xca(dim, heads), Lpi(dim), Fc(dim)

  def forward(self, x, shape):
    x = x + self.gamma1 * self.attn(self.norm1(x))
    image = self.norm3(x).transpose(1, 2).unflatten(2, shape)
    x = x + self.gamma3 * self.local_mp(image).flatten(2).transpose(1, 2)
    return x + self.gamma2 * self.mlp(self.norm2(x))


class ToClass(nn.Module):
  def __init__(self, dim, heads):
    super().__init__()
    self.heads = heads
    self.q, self.k, self.v, self.proj = (nn.Linear(dim, dim) for _ in range(4))

  def forward(self, x):
    split = lambda y: y.unflatten(-1, (self.heads, -1)).transpose(1, 2)
    q, k, v = split(self.q(x[:, :1])), split(self.k(x)), split(self.v(x))
    found = F.scaled_dot_product_attention(q, k, v)
    return self.proj(found.transpose(1, 2).flatten(2))


class ClassBlock(nn.Module):
  def __init__(self, dim, heads):
    super().__init__()
    for k in (1, 2):
      setattr(self, f'gamma{k}', nn.Parameter(torch.ones(dim)))
      setattr(self, f'norm{k}', nn.LayerNorm(dim, eps=1e-6))
    self.attn, self.mlp = ToClass(dim, heads), Fc(dim)

  def forward(self, x):
    y = self.norm1(x)
    x = self.norm2(x + self.gamma1 * torch.cat([self.attn(y), y[:, 1:]], 1))
    return x + torch.cat([self.gamma2 * self.mlp(x[:, :1]), x[:, 1:]], 1)


class XCiT(nn.Module):
  """The layout of timm, with normalised tokens; patches of 4 have strides 1, 1, 2, 2."""

  def __init__(self, classes, channels, dim, depth, heads, patch=16):
    super().__init__()
    widths, parts = [channels, dim // 8, dim // 4, dim // 2, dim], []
    for k in range(4):
      stride = 1 if patch == 4 and k < 2 else 2
      conv = conv3(widths[k], widths[k + 1], stride)
      parts += [nn.Sequential(conv, nn.BatchNorm2d(widths[k + 1])), nn.GELU()]
    self.patch_embed = nn.Module()
    self.patch_embed.proj = nn.Sequential(*parts[:-1])
    self.pos_embed = nn.Module()
    self.pos_embed.token_projection = nn.Conv2d(64, dim, 1)
    self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
    self.blocks = nn.ModuleList(XcaBlock(dim, heads) for _ in range(depth))
    self.cls_attn_blocks = nn.ModuleList(ClassBlock(dim, heads) for _ in range(2))
    self.norm, self.head = nn.LayerNorm(dim, eps=1e-6), nn.Linear(dim, classes)

  def places(self, height, width):
    def waves(length):
      place = torch.arange(1, length + 1, dtype=torch.float64)
      place = place / (length + 1e-6) * 2 * torch.pi
      speed = 10000 ** (2 * (torch.arange(32) // 2).double() / 32)
      angle = place[:, None] / speed
      return torch.stack([angle[:, 0::2].sin(), angle[:, 1::2].cos()], -1).flatten(1)

    rows = waves(height)[:, None].expand(-1, width, -1)
    columns = waves(width)[None].expand(height, -1, -1)
    both = torch.cat([rows, columns], -1).permute(2, 0, 1)[None]
    return self.pos_embed.token_projection(both.to(self.cls_token.dtype))

  def forward(self, x):
    x = self.patch_embed.proj(x)
    shape = x.shape[2:]
    x = (x + self.places(*shape)).flatten(2).transpose(1, 2)
    for block in self.blocks:
      x = block(x, shape)
    x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1)
    for block in self.cls_attn_blocks:
      x = block(x)
    return self.head(self.norm(x)[:, 0])


def randomise(module, seed=0):
  """Random weights and statistics, in evaluation mode, with logits of about 1."""
  generator = torch.Generator().manual_seed(seed)
  with torch.no_grad():
    for name, tensor in module.state_dict().items():
      if name.endswith('num_batches_tracked'):
        continue
      if tensor.ndim == 4:
        fan = tensor[0].numel()
        tensor.normal_(0, (1 / fan) ** 0.5, generator=generator)
      elif name.endswith('threshold'):
        tensor.fill_(0.4)
      elif name.endswith(('running_var', 'weight')) and tensor.ndim == 1:
        tensor.uniform_(0.5, 1.5, generator=generator)
      else:
        tensor.normal_(0, 0.2, generator=generator)
    module.eval()
    channels = next(p for p in module.parameters() if p.ndim == 4).shape[1]
    images = torch.rand((4, channels, 32, 32), generator=generator)
    images = images.to(next(module.parameters()).dtype)
    size = module(images).abs().max()
    head = [p for p in module.parameters() if p.ndim == 2][-1]
    head.mul_(1 / size)
  return module
