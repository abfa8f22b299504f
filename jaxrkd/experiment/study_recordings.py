"""What a study reads from the recordings of its trainings; see `evaluate.dynamics`."""

import functools
import pathlib

import numpy as np

from jaxrkd.evaluate import dynamics
from jaxrkd.evaluate.intervals import OfImages
from jaxrkd.evaluate.trajectories import Trajectories, read
from jaxrkd.experiment.study import Recorded, Study
from jaxrkd.experiment.study_run import Outcome
from jaxrkd.experiment.watch import recording_path


class Recordings:
  """The recordings of a study's rows, each read once.

  Args:
    study: names each row's teacher, and the row that says how hard an image is.
    outcome: where the runs are.
  """

  def __init__(self, study: Study, outcome: Outcome):
    self._study = study
    self._runs = {
      (one.wanted.row.key, one.wanted.seed): (one.run, one.wanted.network)
      for one in outcome.measured
    }
    self._read = functools.lru_cache(maxsize=32)(read)

  def seeds(self, key: str) -> list[int]:
    """The seeds of a row that are there."""
    return [seed for row, seed in self._runs if row == key]

  def run(self, key: str, seed: int) -> pathlib.Path:
    """The folder of a row."""
    return self._runs[key, seed][0]

  def of(self, key: str, seed: int, split: str) -> Trajectories | None:
    """A recording; None where the row is not there."""
    found = self._runs.get((key, seed))
    return self._read(recording_path(found[0], split, found[1])) if found else None

  def difficulty(
    self, seed: int, split: str, of: Trajectories | None = None
  ) -> np.ndarray | None:
    """How hard each image is to the study's `difficulty`, [N]; None where it is not there.

    Args:
      seed: of the row.
      split: of the recording.
      of: the images that it is asked for.

    Raises:
      InputError: it was recorded on other images.
    """
    found = self.of(self._study.difficulty, seed, split)
    if found is None:
      return None
    if of is not None:
      dynamics.same_images(found, of)
    return dynamics.measure('difficulty', 'clean', found)

  def images(self, key: str, seed: int, chosen: Recorded) -> OfImages | None:
    """A quantity of each image of a part; None where a training of it is not there.

    Raises:
      InputError: a row without a teacher where one is needed.
    """
    row, split = self._study.row(key), chosen.split
    student, teacher = self.of(key, seed, split), None
    if student is None:
      return None
    if chosen.what in dynamics.OF_TEACHERS:
      if not row.teacher:
        return None
      teacher = self.of(row.teacher, seed, split)
      if teacher is None:
        return None
    value = dynamics.measure(chosen.what, chosen.images, student, teacher)
    if chosen.part == 'all':
      return OfImages(value, student.place)
    hard = self.difficulty(seed, split, student)
    if hard is None:
      return None
    rows = dynamics.part(hard, chosen.part)
    return OfImages(value[rows], student.place[rows])

  def by_epoch(self, key: str, seed: int, chosen: Recorded) -> dict[int, float]:
    """Epoch -> the mean over all images."""
    found = self.of(key, seed, chosen.split)
    if found is None:
      return {}
    means = dynamics.by_epoch(chosen.what, chosen.images, found)
    return {k: float(mean) for k, mean in enumerate(means, 1) if np.isfinite(mean)}

  def ordered(self, keys: list[str], chosen: Recorded) -> dict[str, np.ndarray]:
    """Row -> a quantity of each image, easiest first; means over the seeds of all.

    Images are ordered by their mean difficulty over the same seeds.
    """
    seeds = sorted(set.intersection(*(set(self.seeds(k)) for k in keys)))
    there = [self.of(keys[0], seed, chosen.split) for seed in seeds]
    hard = [self.difficulty(s, chosen.split, of) for s, of in zip(seeds, there)]
    known = [one for one in hard if one is not None]
    if not known or len(known) < len(seeds):
      return {}
    order = dynamics.easiest_first(np.mean(known, 0))
    found = {}
    for key in keys:
      several = [self.images(key, seed, chosen) for seed in seeds]
      if all(one is not None for one in several):
        found[key] = np.mean([one.value for one in several if one], 0)[order]
    return found
