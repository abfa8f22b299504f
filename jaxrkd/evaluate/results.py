"""Verdicts put together: accuracies, the worst case, and the table a person reads."""

import hashlib
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

import jax
import numpy as np

from jaxrkd.evaluate import by_class
from jaxrkd.evaluate.confidence import wilson
from jaxrkd.evaluate.verdicts import Verdicts

# What groups of networks in results.json are called.
GROUPS = (('teacher', 'teachers'), ('online', 'online'), ('surrogate', 'surrogates'))
PACKAGES = ('jaxrkd', 'jax', 'jaxlib', 'flax', 'optax', 'orbax-checkpoint', 'numpy')


def worst_case(verdicts: Mapping[str, Verdicts]) -> dict[str, np.ndarray]:
  """Per image: whether it withstood every attack, and which one broke it first.

  Returns:
    `index`, `label`, `robust`, and `winner`: the attack's name (of a cascade with that of
    its part, 'autoattack/apgd_t'), 'clean' where the image is wrong without one, '' where
    none succeeded.
  """
  first = next(iter(verdicts.values()))
  winner = np.where(first.clean_correct, '', 'clean').astype('U64')
  for name, found in verdicts.items():
    own = found.winner
    full = np.where(own == name, name, np.char.add(f'{name}/', own.astype('U32')))
    winner = np.where((winner == '') & ~found.robust, full, winner)
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
    {'images', 'index_hash', 'clean', 'clean_interval', 'attacks': {name: {'robust',
    'interval', 'weighted', 'stages', 'queries', 'search_robust', 'refuted',
    'not_finite', 'outside', 'broken', 'eight_bit', of a targeted attack
    'reached_target'}}, 'worst_case',
    'worst_case_interval', 'per_class': `by_class`, 'worst_class', 'confusion'}; see
    `interval`, `Verdicts` and the functions of `by_class`.
  """
  first = next(iter(verdicts.values()))
  worst = worst_case(inside or verdicts)['robust']
  counts = by_class.by_class(verdicts, worst)
  return {
    'images': len(first.label),
    'index_hash': index_hash(first.index),
    'clean': first.clean_accuracy,
    'clean_interval': interval(first.clean_correct),
    'attacks': {name: _attack(found) for name, found in verdicts.items()},
    'worst_case': float(worst.mean()),
    'worst_case_interval': interval(worst),
    'per_class': counts,
    'worst_class': by_class.worst_class(counts),
    'confusion': by_class.confusion(inside or verdicts),
    **({'note': first.about['note']} if first.about.get('note') else {}),
  }


def _attack(found: Verdicts) -> dict[str, Any]:
  asked = found.queries[found.clean_correct]
  return {
    'robust': found.robust_accuracy,
    'interval': interval(found.robust),
    'weighted': found.weighted,
    'stages': found.stages,
    # Of an image that was attacked; None where an attack cannot tell.
    'queries': float(asked.mean()) if len(asked) and asked.all() else None,
    'search_robust': found.about['search_robust'],
    'refuted': found.about['refuted'],
    # Images on which it met slopes, logits or pixels that are no numbers.
    'not_finite': int(found.not_finite.any(axis=1).sum()),
    # Images on which it left [0, 1] or the ball, where a success does not count.
    'outside': int(found.outside.any(axis=1).sum()),
    # Of a targeted attack: the share of images that are taken for the target.
    **({} if found.target is None else {'reached_target': found.reached_target}),
    # Images that it broke, and of these where rounding to 8 bits leaves it so.
    'broken': int(np.sum(found.stage >= 0)),
    **({} if found.eight_bit is None else {'eight_bit': int(found.eight_bit.sum())}),
  }


def interval(right: np.ndarray) -> list[float]:
  """Wilson's 95% confidence interval of an accuracy, for drawing other test images."""
  return list(wilson(int(np.sum(right)), len(right)))


def index_hash(index: np.ndarray) -> str:
  """A short name for which images were measured, in which order."""
  return hashlib.sha256(np.asarray(index, '<i8').tobytes()).hexdigest()[:16]


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


def notes(found: Mapping[str, Any]) -> list[str]:
  """What one must know to read results.json: of the ball, the networks and the data."""
  rows = [
    (f'{kind} {name}', row)
    for kind, group in GROUPS
    for name, row in found.get(group, {}).items()
  ]
  students = found.get('students') or {'student': found.get('student', {})}
  rows += [(name, row) for name, several in students.items() for row in several.values()]
  ball = [found['threat_note']] if found.get('threat_note') else []
  return [*ball, *of_networks(rows), *found.get('data_notes', ())]


def of_networks(rows: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str]:
  """What networks say of themselves: a sentence each, with all that say it."""
  said: dict[str, dict[str, None]] = {}
  for name, row in rows:
    said.setdefault(row.get('note') or '', {})[name] = None
  return [f'{", ".join(names)}: {note}' for note, names in said.items() if note]


def table(
  rows: Mapping[str, Mapping[str, Any]], heads: Mapping[str, str] | None = None
) -> str:
  """A text table in percent: clean and robust accuracy, then weighted, per attack.

  A star marks attacks that met what is no number or left the ball; a line below says on
  how many images. Another says how often a targeted attack reached its class.

  Args:
    rows: name -> `summarize` of that network.
    heads: attack -> what its column is called, where that is not its name.
  """
  attacks = list(next(iter(rows.values()))['attacks'])
  called = [(heads or {}).get(name, name) for name in attacks]
  head = ['', 'clean', *called, 'worst', *(f'W {name}' for name in called)]
  lines, notes = [head], []
  for name, found in rows.items():
    seen = found['attacks']
    robust = [f'{100 * seen[a]["robust"]:.2f}{star(seen[a])}' for a in attacks]
    weighted = [f'{100 * seen[a]["weighted"]:.2f}' for a in attacks]
    clean, worst = (f'{100 * found[key]:.2f}' for key in ('clean', 'worst_case'))
    lines.append([name, clean, *robust, worst, *weighted])
    notes += [f'* {name}, {a}: {why(seen[a])}' for a in attacks if star(seen[a])]
    notes += [f'{name}, {a}: {hits(seen[a])}' for a in attacks if hits(seen[a])]
  notes += [f'note: {told}' for told in of_networks(list(rows.items()))]
  widths = [max(len(line[k]) for line in lines) for k in range(len(head))]
  text = '\n'.join(
    '  '.join(
      cell.ljust(width) if k == 0 else cell.rjust(width)
      for k, (cell, width) in enumerate(zip(line, widths))
    ).rstrip()
    for line in lines
  )
  return '\n'.join([text, *notes])


def weakest(found: Mapping[str, Any], classes: Sequence[str] = ()) -> str:
  """The weakest class in words; nothing for results of older versions, or of one class.

  Args:
    found: `summarize` of a network.
    classes: their names; empty shows numbers.
  """
  told = found.get('worst_class')
  if not told or told['images'] == found['images']:
    return ''
  number = told['class']
  name = classes[number] if number < len(classes) else f'class {number}'
  worst, clean = 100 * told['worst_case'], 100 * told['clean']
  low, high = (100 * bound for bound in told['interval'])
  return (
    f'weakest class: {name}, {worst:.2f} worst ({low:.1f} to {high:.1f}), {clean:.2f} clean, '
    f'{_images(told["images"])}'
  )


def hits(attack: Mapping[str, Any]) -> str:
  """How often a targeted attack reached its class; nothing for others."""
  share = attack.get('reached_target')
  if share is None:
    return ''
  return f'{100 * share:.2f} % of the images that were right are taken for the target'


def eight_bit(attack: Mapping[str, Any]) -> str:
  """How many adversarial images survive a file of 8 bits; nothing where that is not known."""
  if not attack.get('broken') or 'eight_bit' not in attack:
    return ''
  return f'{attack["eight_bit"]} of {attack["broken"]}'


def star(attack: Mapping[str, Any]) -> str:
  """The mark of an accuracy that may be too high for what its attack met, or nothing."""
  # Results of older versions have no such counts.
  return '*' if attack.get('not_finite') or attack.get('outside') else ''


def why(attack: Mapping[str, Any]) -> str:
  """What the mark means."""
  told = []
  if count := attack.get('not_finite'):
    told.append(
      f'gradients or logits were not finite on {_images(count)}; the attack ignored '
      'these values, and may be too weak there'
    )
  if count := attack.get('outside'):
    told.append(
      f'the attack left [0, 1] or the ball on {_images(count)}, where its success does not '
      'count'
    )
  return '; '.join(told)


def _images(count: int) -> str:
  return f'{count} {"image" if count == 1 else "images"}'
