"""A classifier against a named test set: AutoAttack, the trust checks and a table."""

import dataclasses
import pathlib

import numpy as np

from jaxrkd.attacks import AnyAttack, LogitsFn, Threat, autoattack
from jaxrkd.data import read_source
from jaxrkd.data.dataset import checked
from jaxrkd.errors import whole_number
from jaxrkd.evaluate import results
from jaxrkd.evaluate.attack_images import attack_images
from jaxrkd.evaluate.trust import Panel
from jaxrkd.evaluate.trust_panel import trust_panel
from jaxrkd.evaluate.verdicts import Verdicts
from jaxrkd.runtime.progress import say


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Benchmark:
  """What a classifier is worth in a ball.

  Attributes:
    verdicts: of every image.
    panel: the trust checks; None if none were made.
    table: accuracies and checks as a text.
  """

  verdicts: Verdicts
  panel: Panel | None
  table: str

  def __repr__(self) -> str:
    return self.table

  @property
  def clean_accuracy(self) -> float:
    return self.verdicts.clean_accuracy

  @property
  def robust_accuracy(self) -> float:
    return self.verdicts.robust_accuracy


def benchmark(
  logits_fn: LogitsFn,
  data: str,
  threat: Threat,
  *,
  attack: AnyAttack | None = None,
  count: int = 0,
  checked_images: int = 100,
  batch_size: int = 256,
  seed: int = 0,
  path: str | pathlib.Path | None = None,
  data_dir: str = '',
  title: str = 'classifier',
) -> Benchmark:
  """Measures a classifier on a test set, says what was found, and returns it.

  Args:
    logits_fn: see `attack_images`.
    data: a row of `data.SOURCES`, such as 'cifar10'.
    threat: the ball that is asked about.
    attack: by default AutoAttack's standard version in that ball.
    count: how many test images, the first ones; 0 takes all.
    checked_images: of the trust checks; 0 makes none.
    batch_size: see `attack_images`.
    seed: see `attack_images`.
    path: see `attack_images`.
    data_dir: where TFDS data lie.
    title: what it is called in the table.

  Raises:
    InputError: an unknown data set, or as `attack_images`.
  """
  whole_number(count, 0, 'count')
  whole_number(checked_images, 0, 'checked_images')
  _, test = read_source(data, data_dir=data_dir)
  test = checked(test, f'{data} test')
  images, labels = test.image, test.label
  if count:
    images, labels = images[:count], labels[:count]
  images = np.asarray(images)
  found = attack_images(
    logits_fn,
    images,
    labels,
    attack or autoattack(threat),
    threat=threat,
    batch_size=batch_size,
    seed=seed,
    path=path,
    keep_images=False,
    title=title,
  )
  name = 'attack' if attack is not None else 'autoattack'
  lines = [f'{data} test, {found.about["threat"]}, accuracy in %']
  summary = results.summarize({name: found})
  lines.append(results.table({title: summary}))
  if told := results.weakest(summary, test.names):
    lines.append(told)
  panel = None
  if checked_images:
    few = min(checked_images, len(labels))
    say(f'trust checks on at most {few} images: most of their time is compiling')
    panel = trust_panel(
      logits_fn,
      images,
      labels,
      threat,
      count=checked_images,
      batch_size=batch_size,
      seed=seed,
      verdicts={name: found},
    )
    lines += [f'  {check.status}  {check.name}' for check in panel.checks]
    lines += [c.advice for c in panel.checks if c.status in ('warn', 'fail')]
  table = '\n'.join(lines)
  say(table)
  return Benchmark(found, panel, table)
