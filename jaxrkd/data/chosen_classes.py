"""Some classes of a data set: the others are left out, and these are numbered anew."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from jaxrkd.data.split import Split
from jaxrkd.errors import InputError, nearest


def class_numbers(
  name: str, classes: Sequence[int | str], count: int, names: Sequence[str] = ()
) -> list[int]:
  """The numbers of classes that are named or numbered.

  Args:
    name: of the data set, for messages.
    classes: names and numbers.
    count: how many classes there are.
    names: of all of them, where they have names.

  Raises:
    InputError: no such class, one twice, or fewer than two.
  """
  found = []
  for each in classes:
    known = f'0 to {count - 1}' + (f', or {", ".join(names)}' if names else '')
    if isinstance(each, str) and each in names:
      number = list(names).index(each)
    elif isinstance(each, int) and not isinstance(each, bool) and 0 <= each < count:
      number = each
    else:
      hint = nearest(str(each), names)
      raise InputError(
        f'data.classes has {each!r}, which {name} does not have{hint} (it has: {known})'
      )
    if number in found:
      raise InputError(f'data.classes names class {number} of {name} twice')
    found.append(number)
  if len(found) < 2:
    raise InputError(
      f'data.classes keeps one class of {name}; at least two classes are needed'
    )
  return found


def only_classes(split: Split, numbers: Sequence[int]) -> Split:
  """The images of some classes, labelled 0, 1, ... in the order of `numbers`.

  They keep their place in the source, and so their random numbers.
  """
  kept = split.take(np.flatnonzero(np.isin(split.label, numbers)))
  new = {number: place for place, number in enumerate(numbers)}
  label = np.array([new[int(number)] for number in kept.label], np.int32)
  names = tuple(split.names[number] for number in numbers) if split.names else ()
  return dataclasses.replace(kept, label=label, names=names)
