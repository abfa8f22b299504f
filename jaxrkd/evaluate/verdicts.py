"""What happened to each image, and the file that it is kept in."""

import dataclasses
import json
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jaxrkd.errors import InputError
from jaxrkd.evaluate.partial import DAMAGE, Partial, Sketch, same_sketch
from jaxrkd.runtime import files, sharding
from jaxrkd.runtime.progress import say

# Arrays that not all verdicts have.
OPTIONAL = ('images', 'target', 'distance', 'eight_bit')


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Verdicts:
  """What an attack, or a cascade of attacks, did to each image, in the images' order.

  Attributes:
    index: int32 [N], place in the source.
    label: int32 [N].
    clean_prediction: int32 [N].
    clean_margin: float32 [N], `margin` on the clean image.
    adversarial_prediction: int32 [N].
    margin: float32 [N], largest wrong logit minus the true one on the adversarial image;
      positive or not finite counts as wrong. What withstood is told by the image on which
      it came closest to failing; what was wrong anyway was not attacked.
    clean_correct: bool [N].
    robust: bool [N], right on the clean image and whatever the attacks found.
    stage: int32 [N], number of the attack that broke it; -1 where none did.
    reached: int32 [N], number of the last attack that was tried on it; -1 for none.
    queries: int64 [N], forward passes that searching took; 0 where the attack cannot tell.
    not_finite: bool [N, attacks], where an attack met slopes, logits or pixels that are no
      numbers: it stepped over them, and may be weaker for it.
    outside: bool [N, attacks], where an attack made images outside of [0, 1] or of the ball,
      which do not count.
    about: 'attacks', their names; 'seconds' of each; 'runs' of each; 'search_robust', the
      robust accuracy if the search's own precision had the last word, and 'refuted', how
      often it took an image for broken that float32 did not (both None in a transfer);
      'threat', the ball in words, None where it is not known.
    images: float32 [N, H, W, C], the adversarial images; None if they were not kept.
    target: int32 [N], the class that a targeted attack aimed at, -1 for images of that
      class; None where none aimed at one.
    distance: float32 [N], of an attack that looks for the nearest adversarial image: how far
      that is, infinite where it found none, 0 where the image is wrong without one; None of
      others.
    eight_bit: bool [N], where an image was broken and its adversarial image, rounded to 8
      bits, is still taken for another class; None of older versions. No attack knew of the
      rounding, so that the others are not robust for it.
  """

  index: np.ndarray
  label: np.ndarray
  clean_prediction: np.ndarray
  clean_margin: np.ndarray
  adversarial_prediction: np.ndarray
  margin: np.ndarray
  clean_correct: np.ndarray
  robust: np.ndarray
  stage: np.ndarray
  reached: np.ndarray
  queries: np.ndarray
  not_finite: np.ndarray
  outside: np.ndarray
  about: dict[str, Any]
  images: np.ndarray | None = None
  target: np.ndarray | None = None
  distance: np.ndarray | None = None
  eight_bit: np.ndarray | None = None

  def __repr__(self) -> str:
    return (
      f'Verdicts on {len(self.label)} images: {100 * self.clean_accuracy:.2f} % clean, '
      f'{100 * self.robust_accuracy:.2f} % robust under {", ".join(self.about["attacks"])}'
      + (f' ({note})' if (note := self.about.get('note')) else '')
    )

  @property
  def clean_accuracy(self) -> float:
    return float(self.clean_correct.mean())

  @property
  def robust_accuracy(self) -> float:
    return float(self.robust.mean())

  @property
  def weighted(self) -> float:
    """Weighted Robust Accuracy: half clean, half robust (MTARD, equation 12)."""
    return 0.5 * self.clean_accuracy + 0.5 * self.robust_accuracy

  @property
  def reached_target(self) -> float | None:
    """Share of the images that were right, and had a target, that are taken for it.

    None where no attack aimed at a class, or no image could be attacked.
    """
    if self.target is None:
      return None
    tried = self.clean_correct & (self.target >= 0)
    hit = self.adversarial_prediction == self.target
    return float(hit[tried].mean()) if tried.any() else None

  @property
  def winner(self) -> np.ndarray:
    """The attack that broke each image, [N]; 'clean' where none was needed, '' for none."""
    names = np.array([*self.about['attacks'], ''])
    return np.where(self.clean_correct, names[self.stage], 'clean')

  @property
  def by_attack(self) -> dict[str, np.ndarray]:
    """For each attack 'broken', 'withstood' or 'not tried' of each image, [N]."""
    found = {}
    for number, name in enumerate(self.about['attacks']):
      tried = np.where(self.reached >= number, 'withstood', 'not tried')
      found[name] = np.where(self.stage == number, 'broken', tried)
    return found

  @property
  def stages(self) -> dict[str, dict[str, Any]]:
    """For each attack on how many images it was tried, how many it broke, its seconds.

    `not_finite` counts those on which it met what is no number, `outside` those on which
    it left [0, 1] or the ball.
    """
    broken = dict(zip(self.about['attacks'], self.not_finite.T))
    outside = dict(zip(self.about['attacks'], self.outside.T))
    return {
      name: {
        'tried': int(np.sum(seen != 'not tried')),
        'broken': int(np.sum(seen == 'broken')),
        'seconds': round(self.about['seconds'][name], 3),
        'not_finite': int(np.sum(broken[name])),
        'outside': int(np.sum(outside[name])),
      }
      for name, seen in self.by_attack.items()
    }


def stored(
  paths: Sequence[pathlib.Path],
  mark: str,
  compute: Callable[[Partial], Verdicts],
  sketch: Sketch | None = None,
  told: bool = False,
) -> Verdicts:
  """Reads verdicts of the same settings, or computes and writes them.

  Args:
    paths: .npz files to look into; the first is written where none has them. One that
      holds something else is left alone.
    mark: `fingerprint.fingerprint` of everything the verdicts depend on.
    compute: makes them, and is told where it may note how far it is.
    sketch: answers that tell the network, up to rounding, where no name does.
    told: whether to say that verdicts were read, or replaced.

  Raises:
    InputError: the file cannot be written, or holds something else than verdicts.
  """
  sound = [v for v in (read(path, mark, sketch) for path in paths) if v is not None]
  if sharding.seen_by_all(bool(sound)):
    if told:
      say(f'{paths[0]}: has verdicts of the same classifier and attack; these are read')
    return sound[0]
  if told and _is_replaced(paths[0]):
    say(
      f'{paths[0]}: has verdicts of another classifier, attack or images; measuring again'
    )
  partial = Partial(paths[0].with_name(f'{paths[0].stem}.partial'), mark, sketch)
  if sharding.is_first_process():
    # Hours of work end in this folder.
    files.check_writable(paths[0].parent)
  verdicts = compute(partial)
  if sharding.is_first_process():
    write(paths[0], mark, verdicts, sketch)
    partial.remove()
  return verdicts


def _is_replaced(path: pathlib.Path) -> bool:
  """Whether there are verdicts, which new ones will replace.

  Raises:
    InputError: there is something else.
  """
  if not path.exists():
    return False
  try:
    with path.open('rb') as file, np.load(file, allow_pickle=False) as archive:
      if 'mark' in archive:
        return True
  except DAMAGE:
    found = path.read_bytes()
    if not found or b'clean_prediction.npy' in found or b'mark.npy' in found:
      return True  # verdicts that a disk has damaged
  raise InputError(
    f'{str(path)!r} is there and holds no verdicts; name another path for them, or remove '
    'that file'
  )


def write(
  path: pathlib.Path,
  mark: str,
  verdicts: Verdicts,
  sketch: Sketch | None = None,
) -> None:
  """Writes verdicts, with their images where these were kept.

  Raises:
    InputError: the file cannot be written.
  """
  arrays = {f.name: getattr(verdicts, f.name) for f in dataclasses.fields(Verdicts)}
  arrays.pop('about')
  for name in OPTIONAL:
    if arrays[name] is None:
      arrays.pop(name)
  about = np.array(json.dumps(verdicts.about))
  if sketch is not None:
    arrays['sketch'] = sketch.numbers
  winner = verdicts.winner
  files.write_npz(
    path, {**arrays, 'winner': winner, 'about': about, 'mark': np.array(mark)}
  )


def read(path: pathlib.Path, mark: str, sketch: Sketch | None = None) -> Verdicts | None:
  """Verdicts of these settings; None if the file is missing, damaged or of others."""
  names = [f.name for f in dataclasses.fields(Verdicts)]
  try:
    # Opened here because np.load leaves a damaged file open.
    with path.open('rb') as file, np.load(file, allow_pickle=False) as archive:
      if str(archive['mark']) == mark and same_sketch(archive, sketch):
        found = {n: archive[n] for n in names if n in archive or n not in OPTIONAL}
        return Verdicts(**{**found, 'about': json.loads(str(found['about']))})
  except DAMAGE:
    pass  # missing, damaged or of another version: measured again
  return None
