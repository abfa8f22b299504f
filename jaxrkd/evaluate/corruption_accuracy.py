"""Accuracy under corruptions, and the mean error over them.

Hendrycks and Dietterich, 1903.12261: 15 corruptions of 5 severities each. On CIFAR-10-C the
mean error over all 75 is reported as it is; ImageNet-C divides by the errors of AlexNet.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

# The mean is taken over these.
from jaxrkd.data.cifar10_corrupted import CORRUPTIONS as COUNTED
from jaxrkd.data.cifar10_corrupted import SEVERITIES
from jaxrkd.evaluate.results import interval


def corruption_accuracy(
  right: Callable[[np.ndarray], np.ndarray],
  clean: np.ndarray,
  corrupted: Callable[[str, int], np.ndarray],
  names: Sequence[str],
  tell: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
  """Measures a classifier.

  Args:
    right: images [N, H, W, C] -> bool [N], which of them it names rightly.
    clean: the images as they are.
    corrupted: (name, severity) -> the same images, corrupted.
    names: of corruptions.
    tell: is told of each.

  Returns:
    {'images', 'clean', 'clean_interval', 'accuracy': {name: [of severity 1, ..., 5]},
    'mean_error': over all corruptions of `COUNTED` that were measured, 'counted': how many
    these are, 'left_out': those of `COUNTED` that were not}; 'mean_error' is None where
    there are none.
  """
  as_they_are = right(clean)
  accuracy: dict[str, list[float]] = {}
  for name in names:
    accuracy[name] = [float(right(corrupted(name, s)).mean()) for s in SEVERITIES]
    tell(f'{name}: {" ".join(f"{100 * value:.1f}" for value in accuracy[name])}')
  counted = [name for name in COUNTED if name in accuracy]
  errors = [1 - value for name in counted for value in accuracy[name]]
  return {
    'images': len(clean),
    'clean': float(as_they_are.mean()),
    'clean_interval': interval(as_they_are),
    'accuracy': accuracy,
    'mean_error': float(np.mean(errors)) if errors else None,
    'counted': len(counted),
    'left_out': [name for name in COUNTED if name not in accuracy],
  }


def table(found: Mapping[str, Any]) -> str:
  """Text, in percent: a line for each corruption, and the mean error."""
  wide = max(map(len, (*found['accuracy'], 'corruption')))
  lines = [f'{"corruption":{wide}}' + ''.join(f'{s:>8}' for s in (*SEVERITIES, 'mean'))]
  lines.append(f'{"clean":{wide}}{"":40}{100 * found["clean"]:8.2f}')
  for name, values in found['accuracy'].items():
    shown = ''.join(f'{100 * value:8.2f}' for value in (*values, np.mean(values)))
    lines.append(f'{name:{wide}}{shown}')
  return '\n'.join([*lines, said(found)])


def said(found: Mapping[str, Any]) -> str:
  """The mean error in words, and what it leaves out."""
  if found['mean_error'] is None:
    return 'no mean error: none of the corruptions that it is taken over was measured'
  told = f'mean corruption error {100 * found["mean_error"]:.2f} %'
  if not found['left_out']:
    return f'{told} (mCE of CIFAR-10-C)'
  return (
    f'{told} over {found["counted"]} of {len(COUNTED)} corruptions, without '
    f'{", ".join(found["left_out"])}: not to be compared with an mCE over all'
  )
