"""Verdicts put together: accuracies, the worst case, and the table a person reads."""

from collections.abc import Mapping
from importlib import metadata
from typing import Any

import jax
import numpy as np

from jaxrkd.evaluate.robustness import Verdicts

PACKAGES = ('jaxrkd', 'jax', 'jaxlib', 'flax', 'optax', 'orbax-checkpoint', 'numpy')


def worst_case(verdicts: Mapping[str, Verdicts]) -> dict[str, np.ndarray]:
  """Per image: whether it withstood every attack, and which one broke it first.

  Returns:
    `index`, `label`, `robust`, and `winner`: the attack's name, 'clean' where the image is
    wrong without one, '' where none succeeded.
  """
  first = next(iter(verdicts.values()))
  winner = np.where(first.clean_correct, '', 'clean').astype('U32')
  for name, found in verdicts.items():
    winner = np.where((winner == '') & ~found.robust, name, winner)
  return {
    'index': first.index,
    'label': first.label,
    'robust': winner == '',
    'winner': winner,
  }


def summarize(
  verdicts: Mapping[str, Verdicts], inside: Mapping[str, Verdicts] | None = None
) -> dict[str, Any]:
  """Accuracies of one network as fractions of all images.

  Args:
    verdicts: of every attack.
    inside: those that the worst case is taken over; all if there are none.

  Returns:
    {'images', 'clean', 'attacks': {name: {'robust', 'weighted'}}, 'worst_case'}.
  """
  first = next(iter(verdicts.values()))
  return {
    'images': len(first.label),
    'clean': first.clean_accuracy,
    'attacks': {
      name: {'robust': found.robust_accuracy, 'weighted': found.weighted}
      for name, found in verdicts.items()
    },
    'worst_case': float(worst_case(inside or verdicts)['robust'].mean()),
  }


def versions() -> dict[str, str]:
  """Versions of what computed the numbers, and the kind of device."""
  found = {}
  for name in PACKAGES:
    try:
      found[name] = metadata.version(name)
    except metadata.PackageNotFoundError:
      found[name] = 'not installed'
  device = jax.devices()[0]
  return {**found, 'device': f'{jax.device_count()} x {device.device_kind}'}


def table(rows: Mapping[str, Mapping[str, Any]]) -> str:
  """A text table in percent: clean and robust accuracy, then weighted, per attack.

  Args:
    rows: name -> `summarize` of that network.
  """
  attacks = list(next(iter(rows.values()))['attacks'])
  head = ['', 'clean', *attacks, 'worst', *(f'W {name}' for name in attacks)]
  lines = [head]
  for name, found in rows.items():
    robust = [found['attacks'][a]['robust'] for a in attacks]
    weighted = [found['attacks'][a]['weighted'] for a in attacks]
    values = [found['clean'], *robust, found['worst_case'], *weighted]
    lines.append([name, *(f'{100 * value:.2f}' for value in values)])
  widths = [max(len(line[k]) for line in lines) for k in range(len(head))]
  return '\n'.join(
    '  '.join(
      cell.ljust(width) if k == 0 else cell.rjust(width)
      for k, (cell, width) in enumerate(zip(line, widths))
    ).rstrip()
    for line in lines
  )
