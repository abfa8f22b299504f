"""A teacher that the doctor examines, and the checks that look at images."""

import dataclasses
import functools
import pathlib
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxrkd import experiment
from jaxrkd.attacks import Threat
from jaxrkd.data import Dataset, Split
from jaxrkd.evaluate import teacher_checks
from jaxrkd.evaluate.probe import Probe
from jaxrkd.evaluate.robustness import Loaded, load_split, measure
from jaxrkd.evaluate.task import Subject
from jaxrkd.evaluate.teacher_checks import Finding
from jaxrkd.evaluate.verdicts import Verdicts
from jaxrkd.experiment.load import Trained
from jaxrkd.models import NORMALISATIONS, Net
from jaxrkd.models.named import named_network
from jaxrkd.models.normalisation import constants
from jaxrkd.runtime import sharding
from jaxrkd.runtime.precision import float32_products

Tree = Any
# Columns of PGD with 20 steps that papers report, the best known first.
PGD_COLUMNS = ('pgd_sat', 'pgd_trades')
# What a robust teacher keeps under PGD-20, in percent, where nothing is known of it.
LEAST_ROBUST = 10.0
# Fewer tell nothing, however slow the network is: of 40 images none that is right is
# enough to be sure that fewer than `LEAST_ROBUST` are.
LEAST_IMAGES = 40
# A gradient costs about three forward passes.
GRADIENT = 3.0


class Examined(NamedTuple):
  """A teacher that is examined.

  Attributes:
    net: its functions, in float32.
    variables: (params, stats).
    config: of its run or import.
    node: its `student` group.
    classes: number of logits.
    image_shape: (H, W, C).
    home: its run's folder; None for a file.
    kind: 'robust' or 'clean', by what is known of it.
  """

  net: Net
  variables: tuple[Tree, Tree]
  config: ConfigDict
  node: ConfigDict
  classes: int
  image_shape: tuple[int, ...]
  home: pathlib.Path | None
  kind: str


class Examination:
  """One teacher, the images it is shown, and how many there is time for."""

  def __init__(
    self, examined: Examined, data: Dataset, images: int, attacked: int, seconds: float
  ):
    self.examined, self.mesh = examined, sharding.data_mesh()
    config = examined.config
    self.split: Split = getattr(data, config.evaluation.split)
    self.batch = min(config.evaluation.batch_size, 64 * self.mesh.size)
    self.batch = max(self.batch // self.mesh.size, 1) * self.mesh.size
    self.threat: Threat = experiment.evaluation_threat(config)
    self.key = jax.random.key(config.seed)
    self.subject = Subject(examined.net, examined.variables)
    self._robust: dict[str, np.ndarray] = {}
    # One that tells the constants apart is made of the network without any.
    bare = {'normalisation': 'none', 'mean': (), 'std': ()}
    node = {**examined.node, **bare}
    self.bare = named_network(node, examined.classes, examined.image_shape)
    self._ask = jax.jit(self._logits, out_shardings=sharding.replicated(self.mesh))
    whole = min(images or len(self.split), len(self.split))
    self.images, self.attacked = whole, min(attacked or whole, whole)
    if seconds:
      each = self._seconds_per_image()
      # A fifth for clean images, a half for attacks, the rest for constants and compiling.
      self.images = self._fits(whole, 0.2 * seconds / each)
      steps = 20 * GRADIENT
      self.attacked = self._fits(self.attacked, 0.5 * seconds / (each * steps))

  def _fits(self, wanted: int, possible: float) -> int:
    return min(wanted, max(int(possible), LEAST_IMAGES))

  def _logits(
    self, variables: tuple[Tree, Tree], images: Any, mean: Any, std: Any
  ) -> Any:
    with float32_products():
      return self.bare.apply(*variables, (images - mean) / std)

  def loaded(self, count: int) -> Loaded:
    """The first `count` test images, ready to be measured."""
    return load_split(self.split, self.batch, self.mesh, count)

  def _constants(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
    node, channels = self.examined.node, self.examined.image_shape[-1]
    return constants(node['normalisation'], node['mean'], node['std'], channels)

  def logits(
    self, images: Loaded, normal: tuple[Sequence[float], Sequence[float]]
  ) -> np.ndarray:
    """[N, classes] with some constants in the place of the network's own."""
    channels = self.examined.image_shape[-1]
    mean = jnp.asarray(normal[0] or (0.0,) * channels, jnp.float32)
    std = jnp.asarray(normal[1] or (1.0,) * channels, jnp.float32)
    variables = self.examined.variables
    found = [
      np.asarray(self._ask(variables, batch['image'], mean, std))
      for batch in images.batches
    ]
    return np.concatenate(found)[: len(images.images)]

  def _seconds_per_image(self) -> float:
    first = self.loaded(self.batch)
    self.logits(first, self._constants())  # compiles
    began = time.monotonic()
    self.logits(first, self._constants())
    return max((time.monotonic() - began) / self.batch, 1e-7)

  @functools.cached_property
  def clean(self) -> tuple[np.ndarray, np.ndarray]:
    """(logits [N, classes], labels [N]) of the images as they are."""
    loaded = self.loaded(self.images)
    return self.answers(loaded), loaded.label

  def answers(self, images: Loaded) -> np.ndarray:
    """[N, classes]: the teacher's logits."""
    return self.logits(images, self._constants())

  def checks(self, kind: str) -> Iterator[Finding]:
    """The checks that need nothing but the teacher."""
    examined, expected = self.examined, self.examined.config.get('expected', {})
    logits, label = self.clean
    right = logits.argmax(-1) == label
    probe = Probe(
      self.loaded(min(self.batch, self.images)), self.key, self.threat, self.subject
    )
    yield teacher_checks.check_steady(probe.unrepeatable())
    if examined.image_shape[-1] in (1, 3):
      yield self._normalisation()
    yield teacher_checks.check_accuracy(
      'clean accuracy',
      right,
      expected.get('clean'),
      floor=max(min(500 / examined.classes, 50.0), 20.0),
      advice='It is not the teacher that is named, or its images are prepared in another '
      'way: check network, activation, normalisation and the order of the classes.',
    )
    yield teacher_checks.check_entropy(logits)
    yield teacher_checks.check_calibration(logits, label)
    yield teacher_checks.check_gradients(float(np.mean(probe.slopes()[0])))
    yield self._pgd(expected, kind)

  def _normalisation(self) -> Finding:
    """Other constants, and other ranges of the input, tried on fewer images."""
    loaded = self.loaded(min(self.images, 500))
    channels = self.examined.image_shape[-1]
    own = self._constants()
    right = self.logits(loaded, own).argmax(-1) == loaded.label
    tried = {
      name: (mean[:channels], std[:channels])
      for name, (mean, std) in NORMALISATIONS.items()
    }
    # Networks that were trained on bytes.
    tried['images from 0 to 255'] = ((0.0,) * channels, (1 / 255,) * channels)
    others = {
      name: self.logits(loaded, normal).argmax(-1) == loaded.label
      for name, normal in tried.items()
      if normal != own
    }
    node = self.examined.node
    name = node['normalisation'] if not node['mean'] else 'its mean and std'
    return teacher_checks.check_normalisation(right, others, name)

  def _attack(self, column: str) -> Any:
    config = ConfigDict(self.examined.config.to_dict())
    config.evaluation.attacks = experiment.columns([column], self.examined.config)
    return experiment.evaluation_attacks(experiment.resolve(config))[column]

  def attack(self, subject: Subject, images: Loaded, *, keep: bool = False) -> Verdicts:
    """Verdicts of PGD-20 on any network, with the images that it made if they are kept."""
    attack = self._attack(PGD_COLUMNS[0])
    return measure(subject, images, attack, self.key, threat=self.threat, keep=keep)

  def verdicts(self, column: str = PGD_COLUMNS[0]) -> np.ndarray:
    """[N]: which of the attacked images the teacher withstands."""
    if column not in self._robust:
      loaded, attack = self.loaded(self.attacked), self._attack(column)
      found = measure(self.subject, loaded, attack, self.key, threat=self.threat)
      self._robust[column] = found.robust
    return self._robust[column]

  def _pgd(self, expected: Any, kind: str) -> Finding:
    column = next((c for c in PGD_COLUMNS if c in expected), PGD_COLUMNS[0])
    known, bound = expected.get(column), False
    # Published numbers are of gradients that hide; others may break more.
    hides = not self.examined.node.get('straight_through', False)
    if known is None and 'autoattack' in expected and hides:
      known, bound = expected['autoattack'], True
    return teacher_checks.check_accuracy(
      f'PGD-20 accuracy ({column})',
      self.verdicts(column),
      known,
      floor=LEAST_ROBUST if kind == 'robust' else 0.0,
      at_least=bound,
      advice='The teacher is less robust than it should be: it may be a clean teacher, '
      'be trained for another radius, or have the weights of another network. If it is a '
      'clean teacher, give --kind=clean.',
    )

  def try_student(self, trained: Trained | None) -> Finding:
    """What fools a student, shown to the teacher."""
    if trained is None:
      name = 'transfer from the student'
      return Finding(name, 'skip', 'no --student given', 'at most 50 %')
    subject = Subject(trained.net, (trained.state.params, trained.state.stats))
    made = self.attack(subject, self.loaded(self.attacked), keep=True)
    return teacher_checks.check_transfer(*self.fooled_by(made))

  def fooled_by(self, made: Verdicts) -> tuple[int, int]:
    """What another network's adversarial images do to the teacher.

    Args:
      made: verdicts on the attacked images, with the images that were made.

    Returns:
      (images that the other one is fooled on and the teacher is right about as they are,
      how many of them it gets wrong as they were made).
    """
    assert made.images is not None
    loaded = self.loaded(self.attacked)
    own = dataclasses.replace(
      loaded, images=dataclasses.replace(loaded.images, image=made.images)
    )
    before = self.answers(loaded).argmax(-1) == loaded.label
    after = self.answers(own).argmax(-1) == loaded.label
    both = before & made.clean_correct & ~made.robust
    return int(both.sum()), int(np.sum(both & ~after))
