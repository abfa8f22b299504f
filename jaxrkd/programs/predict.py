"""What a step is going to need, from its compiled program: memory, and a bound on its time."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax

MEBI = 2**20
# What a program may take of a device's memory: data and fragments need some, too.
USABLE = 0.92


class Memory(NamedTuple):
  """Bytes on each device while a program runs.

  Attributes:
    arguments: state, teachers, data.
    working: activations and whatever else comes and goes.
    results: what does not take the place of an argument.
  """

  arguments: int
  working: int
  results: int

  @property
  def total(self) -> int:
    return sum(self)

  def __str__(self) -> str:
    sizes = [f'{size / MEBI:,.0f} MiB' for size in (self.total, *self)]
    return (
      f'{sizes[0]} (arguments {sizes[1]}, working space {sizes[2]}, results beside them '
      f'{sizes[3]})'
    )


def memory_of(compiled: Any) -> Memory | None:
  """What the compiler planned; None where a backend does not tell."""
  found = compiled.memory_analysis()
  if found is None:
    return None
  beside = found.output_size_in_bytes - found.alias_size_in_bytes
  return Memory(found.argument_size_in_bytes, found.temp_size_in_bytes, beside)


def device_limit() -> int:
  """Bytes of one device's memory; the host's on CPU, shared by its virtual devices."""
  device = jax.local_devices()[0]
  limit = (device.memory_stats() or {}).get('bytes_limit', 0)
  if limit:
    return int(limit)
  whole = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
  return whole // jax.local_device_count()


def fits(memory: Memory, limit: int) -> bool:
  """Whether a program of this size runs on a device."""
  return memory.total <= USABLE * limit


def smaller_parts(batch: int, devices: int) -> Iterator[int]:
  """Micro-batches to try, each half of the one before: divisors that devices share."""
  size = batch
  while size % 2 == 0 and (size // 2) % devices == 0:
    size //= 2
    yield size


def first_that_fits(
  compile_with: Callable[[int, bool], Memory | None], parts: Sequence[int], limit: int
) -> tuple[int, bool, Memory] | None:
  """The largest micro-batch, first without and then with remat, whose program fits.

  Args:
    compile_with: (micro-batch, remat) -> its memory.
    parts: micro-batches to try, from large to small.
    limit: see `device_limit`.

  Returns:
    (micro-batch, remat, memory), or None if nothing fits.
  """
  for size in parts:
    memory = compile_with(size, False)
    if memory and fits(memory, limit):
      return size, False, memory
  # Parts do not help the training pass, which sees the whole batch; this does.
  last = parts[-1] if parts else 0
  memory = compile_with(last, True)
  return (last, True, memory) if memory and fits(memory, limit) else None


def matrix_rate(dtype: Any) -> float:
  """FLOP per second of a large matrix product of random numbers on one device."""
  size = 2048 if jax.default_backend() == 'cpu' else 8192
  left, right = (
    jax.random.normal(jax.random.key(k), (size, size), dtype) for k in (0, 1)
  )
  product = jax.jit(lambda a, b: a @ b)
  product(left, right).block_until_ready()
  best = float('inf')
  for _ in range(4):
    began = time.perf_counter()
    for _ in range(4):
      found = product(left, right)
    found.block_until_ready()
    best = min(best, (time.perf_counter() - began) / 4)
  return 2 * size**3 / best
