"""Operations of a compiled program, from XLA's text of it."""

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

WIDTH = {
  'pred': 1, 's8': 1, 'u8': 1, 'f8e4m3fn': 1, 'f8e5m2': 1, 's16': 2, 'u16': 2, 'f16': 2,
  'bf16': 2, 's32': 4, 'u32': 4, 'f32': 4, 's64': 8, 'u64': 8, 'f64': 8, 'c64': 8, 'c128': 16,
}  # fmt: skip
SHAPE = re.compile(rf'\b({"|".join(WIDTH)})\[([\d,]*)\]')
HEAD = re.compile(r'^(ENTRY )?%?([\w.-]+) \(.*\{$')
LINE = re.compile(r'^\s+(?:ROOT )?%?([\w.-]+) = (.*?) ([\w-]+)\((.*?)\)')
COLLECTIVE = re.compile(
  r'= (.*?) (all-reduce|all-gather|all-to-all|reduce-scatter|collective-permute)(?:-done)?\('
)
# They move nothing.
FREE = ('parameter', 'constant', 'get-tuple-element', 'tuple', 'bitcast')


class Operation(NamedTuple):
  """An operation that the device is handed.

  Attributes:
    name: the program's own.
    kind: of HLO, such as fusion or custom-call.
    times: how often it runs.
    size: bytes of its operands and results, once.
    line: all that is said about it.
  """

  name: str
  kind: str
  times: int
  size: int
  line: str


def bytes_of(shapes: str) -> int:
  """Of all shapes in a text, such as an instruction's result."""
  return sum(
    WIDTH[kind] * int(np.prod([int(n) for n in sizes.split(',') if n] or [1]))
    for kind, sizes in SHAPE.findall(shapes)
  )


def operations(text: str) -> Iterator[Operation]:
  """Everything that runs, what is in a loop with the loop's number of rounds.

  Rounds that XLA does not know count as one; of a condition's branches all count. Operands
  count whole, also where an operation reads a part of them.
  """
  bodies, entry, inside = {}, '', None
  # Every fifth operand and result is numbered in a comment.
  for line in re.sub(r'/\*.*?\*/', '', text).splitlines():
    head = HEAD.match(line)
    if head:
      inside = bodies.setdefault(head[2], [])
      entry = head[2] if head[1] else entry
    elif inside is not None:
      inside.append(line)
  yield from _run(bodies, entry, 1)


def collectives(text: str) -> tuple[dict[str, int], dict[str, int], int]:
  """What devices tell each other: kind -> how many, kind -> bytes, how many in a loop.

  A TPU does one in many steps beside other work, which have its channel in common.
  """
  found: dict[str, dict[str, int]] = {}
  inside = set()
  for number, line in enumerate(text.splitlines()):
    hit = COLLECTIVE.search(line)
    if hit:
      channel = re.search(r'channel_id=(\d+)', line)
      name = channel[1] if channel else f'line {number}'
      found.setdefault(hit[2], {})[name] = bytes_of(hit[1])
      if 'while/body' in line:
        inside.add((hit[2], name))
  counts = {kind: len(those) for kind, those in found.items()}
  return counts, {k: sum(those.values()) for k, those in found.items()}, len(inside)


def _run(bodies: dict[str, list[str]], name: str, times: int) -> Iterator[Operation]:
  results = {}
  for line in bodies[name]:
    found = LINE.match(line)
    if not found:
      continue
    own, result, kind, operands = found.groups()
    results[own] = result
    # Of what runs beside other things the end counts: it names only what was moved.
    if kind in FREE or kind.endswith('-start'):
      continue
    if kind in ('while', 'call', 'conditional'):
      rounds = re.search(r'"known_trip_count":\{"n":"(\d+)"', line)
      inner = re.findall(
        r'(?:body|condition|to_apply|calls|\w+_computation)=%?([\w.-]+)', line
      )
      inner += re.findall(r'%?([\w.-]+)', _between(line, 'branch_computations={', '}'))
      for body in inner:
        yield from _run(bodies, body, times * int(rounds[1] if rounds else 1))
      continue
    read = (results.get(part.strip().lstrip('%'), '') for part in operands.split(','))
    ends = kind.endswith('-done')
    size = bytes_of(result) + (bytes_of(result) if ends else sum(map(bytes_of, read)))
    yield Operation(own, kind, times, size, line)


def _between(text: str, start: str, end: str) -> str:
  return text.partition(start)[2].partition(end)[0]
