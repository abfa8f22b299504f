"""The teacher doctor: a wrong teacher found in a minute and not after 300 epochs."""

import dataclasses
import json
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
from jaxrkd.errors import InputError
from jaxrkd.evaluate import teacher_checks as checks
from jaxrkd.evaluate.probe import Probe
from jaxrkd.evaluate.robustness import Loaded, judge, load_split
from jaxrkd.evaluate.task import Subject
from jaxrkd.evaluate.teacher_checks import Finding
from jaxrkd.experiment.import_network import read_unwritten
from jaxrkd.experiment.load import IMPORTED, Trained, is_imported, load_trained
from jaxrkd.interop import RECIPES
from jaxrkd.models import NORMALISATIONS, Net
from jaxrkd.models.named import named_network
from jaxrkd.models.normalisation import constants
from jaxrkd.paths import expanded
from jaxrkd.runtime import files, sharding
from jaxrkd.runtime.precision import float32_products
from jaxrkd.runtime.progress import say

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


class Patient(NamedTuple):
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


def examine(
  teacher: str | pathlib.Path,
  *,
  recipe: str = '',
  student: str | pathlib.Path = '',
  kind: str = '',
  overrides: Sequence[str] = (),
  images: int = 1000,
  attacked: int = 200,
  seconds: float = 60.0,
  image_shape: Sequence[int] = (),
  data_dir: str = '',
) -> list[Finding]:
  """Makes all checks of a teacher, prints them in one table and returns them.

  Args:
    teacher: workdir of a run or an import, or a file of weights.
    recipe: which public teacher a file is.
    student: workdir of a run whose student's adversarial images are tried on the teacher.
    kind: 'robust', or 'clean' for a teacher that need not be; empty asks the recipe, or the
      method that trained it.
    overrides: 'key=value' texts for its config: data, radius, normalisation.
    images: test images for accuracies.
    attacked: how many of them are attacked.
    seconds: about how long it may take on images; fewer are used where the network is
      slow. 0 is no limit.
    image_shape: (H, W, C) of a file's images, where these are not 32 x 32.
    data_dir: where TFDS data lie.

  Raises:
    InputError: no such teacher or data.
  """
  shape = tuple(image_shape)
  patient = _admit(expanded(teacher), recipe, list(overrides), shape)
  # Refused before anything is measured.
  trained = _student_of(expanded(student), patient) if student else None
  data = experiment.dataset(patient.config, data_dir)
  found = [checks.check_shape(patient.classes, patient.image_shape, data)]
  found.append(checks.check_weights(_broken(patient.variables)))
  say(
    f'{teacher}: {patient.node["name"]} on {data.name} {patient.config.evaluation.split}, '
    f'{patient.config.evaluation.threat.name} eps '
    f'{patient.config.evaluation.threat.eps:.4g}'
  )
  kind = kind or patient.kind
  if checks.verdict(found) == 'fail':
    # The rest would measure nothing.
    return _conclude(found, patient, kind)
  room = _Room(patient, data, images, attacked, seconds)
  found += room.look(kind)
  found.append(room.try_student(trained))
  return _conclude(found, patient, kind)


def _student_of(path: pathlib.Path, patient: Patient) -> Trained:
  """The student whose adversarial images are tried; its classes must be the teacher's."""
  found = load_trained(path, 'best', sharding.data_mesh(), 'float32')
  shape, classes = tuple(found.record['image_shape']), found.record['classes']
  if (shape, classes) != (tuple(patient.image_shape), patient.classes):
    raise InputError(
      f'the student in {str(path)!r} knows {classes} classes of images {list(shape)}, and '
      f'the teacher {patient.classes} of {list(patient.image_shape)}; name a student of '
      'the same data'
    )
  return found


def _admit(
  path: pathlib.Path, recipe: str, overrides: list[str], shape: tuple[int, ...]
) -> Patient:
  if not path.is_dir():
    read, config = read_unwritten(path, overrides, recipe=recipe, image_shape=shape)
    kind = RECIPES[recipe].kind if recipe else 'robust'
    own = read.net, read.variables, config, read.node, read.classes, read.image_shape
    return Patient(*own, None, kind)
  if recipe:
    raise InputError(
      f'recipe {recipe!r} is for a file of weights, but {str(path)!r} is a folder; leave it '
      'out'
    )
  mesh = sharding.data_mesh()
  found = load_trained(path, 'best', mesh, 'float32')
  if found.crew is None:
    raise InputError(
      f'{str(path)!r} is an ensemble of {found.config.members} runs; examine one of them, '
      f'such as {str(path / "members" / "0")!r}'
    )
  given = ConfigDict(found.config.to_dict())
  config = experiment.resolve(given, overrides)
  node, shape = config.student.to_dict(), tuple(found.record['image_shape'])
  net = named_network(node, found.record['classes'], shape)
  variables = (found.state.params, found.state.stats)
  facts = found.record['classes'], shape
  return Patient(net, variables, config, node, *facts, path, _kind(path, config))


def _kind(path: pathlib.Path, config: ConfigDict) -> str:
  if is_imported(path):
    recipe = json.loads((path / IMPORTED).read_text(encoding='utf-8'))['recipe']
    return RECIPES[recipe].kind if recipe in RECIPES else 'robust'
  return 'clean' if config.method.name == 'natural' else 'robust'


def _broken(variables: tuple[Tree, Tree]) -> str:
  """The name of a weight that is no number; empty if all are."""
  for path, leaf in jax.tree_util.tree_leaves_with_path(variables):
    if not bool(jnp.isfinite(leaf).all()):
      return '/'.join(str(getattr(part, 'key', '')) for part in path[1:])
  return ''


def _conclude(found: list[Finding], patient: Patient, kind: str) -> list[Finding]:
  say(checks.table(found))
  verdict = checks.verdict(found)
  as_clean = kind == 'clean' and verdict != 'fail'
  say(
    f'teacher: {verdict}'
    + (', as a clean one: nothing robust can be learnt from it' if as_clean else '')
  )
  if patient.home is not None and sharding.is_first_process():
    rows = [dataclasses.asdict(finding) for finding in found]
    files.write_json(patient.home / 'doctor.json', rows)
  return found


class _Room:
  """One teacher, the images it is shown, and how many there is time for."""

  def __init__(
    self, patient: Patient, data: Dataset, images: int, attacked: int, seconds: float
  ):
    self.patient, self.mesh = patient, sharding.data_mesh()
    config = patient.config
    self.split: Split = getattr(data, config.evaluation.split)
    self.batch = min(config.evaluation.batch_size, 64 * self.mesh.size)
    self.batch = max(self.batch // self.mesh.size, 1) * self.mesh.size
    self.threat: Threat = experiment.evaluation_threat(config)
    self.key = jax.random.key(config.seed)
    # One that tells the constants apart is made of the network without any.
    bare = {'normalisation': 'none', 'mean': (), 'std': ()}
    node = {**patient.node, **bare}
    self.bare = named_network(node, patient.classes, patient.image_shape)
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

  def _loaded(self, count: int) -> Loaded:
    return load_split(self.split, self.batch, self.mesh, count)

  def _constants(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
    node, channels = self.patient.node, self.patient.image_shape[-1]
    return constants(node['normalisation'], node['mean'], node['std'], channels)

  def logits(
    self, images: Loaded, normal: tuple[Sequence[float], Sequence[float]]
  ) -> np.ndarray:
    """[N, classes] with some constants in the place of the network's own."""
    channels = self.patient.image_shape[-1]
    mean = jnp.asarray(normal[0] or (0.0,) * channels, jnp.float32)
    std = jnp.asarray(normal[1] or (1.0,) * channels, jnp.float32)
    variables = self.patient.variables
    found = [
      np.asarray(self._ask(variables, batch['image'], mean, std))
      for batch in images.batches
    ]
    return np.concatenate(found)[: len(images.images)]

  def _seconds_per_image(self) -> float:
    first = self._loaded(self.batch)
    self.logits(first, self._constants())  # compiles
    began = time.monotonic()
    self.logits(first, self._constants())
    return max((time.monotonic() - began) / self.batch, 1e-7)

  def look(self, kind: str) -> Iterator[Finding]:
    """The checks that need nothing but the teacher."""
    patient, expected = self.patient, self.patient.config.get('expected', {})
    loaded = self._loaded(self.images)
    logits = self.logits(loaded, self._constants())
    right = logits.argmax(-1) == loaded.label
    subject = Subject(patient.net, patient.variables)
    probe = Probe(
      self._loaded(min(self.batch, self.images)), self.key, self.threat, subject
    )
    yield checks.check_steady(probe.unrepeatable())
    if patient.image_shape[-1] in (1, 3):
      yield self._normalisation()
    yield checks.check_accuracy(
      'clean accuracy',
      right,
      expected.get('clean'),
      floor=max(min(500 / patient.classes, 50.0), 20.0),
      advice='It is not the teacher that is named, or its images are prepared in another '
      'way: check network, activation, normalisation and the order of the classes.',
    )
    yield checks.check_entropy(logits)
    yield checks.check_calibration(logits, loaded.label)
    yield checks.check_gradients(float(np.mean(probe.slopes()[0])))
    yield self._pgd(subject, expected, kind)

  def _normalisation(self) -> Finding:
    """Other constants, and other ranges of the input, tried on fewer images."""
    loaded = self._loaded(min(self.images, 500))
    channels = self.patient.image_shape[-1]
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
    node = self.patient.node
    name = node['normalisation'] if not node['mean'] else 'its mean and std'
    return checks.check_normalisation(right, others, name)

  def _attack(self, column: str) -> Any:
    config = ConfigDict(self.patient.config.to_dict())
    config.evaluation.attacks = experiment.columns([column], self.patient.config)
    return experiment.evaluation_attacks(experiment.resolve(config))[column]

  def _pgd(self, subject: Subject, expected: Any, kind: str) -> Finding:
    column = next((c for c in PGD_COLUMNS if c in expected), PGD_COLUMNS[0])
    loaded = self._loaded(self.attacked)
    found = judge(subject, loaded, self._attack(column), self.key, threat=self.threat)
    known, bound = expected.get(column), False
    if known is None and 'autoattack' in expected:
      known, bound = expected['autoattack'], True
    return checks.check_accuracy(
      f'PGD-20 accuracy ({column})',
      found.robust,
      known,
      floor=LEAST_ROBUST if kind == 'robust' else 0.0,
      at_least=bound,
      advice='It is not robust as it should be: a clean teacher, another radius, or weights '
      'of another network. As a clean teacher it passes with --kind=clean.',
    )

  def try_student(self, trained: Trained | None) -> Finding:
    """What fools a student, shown to the teacher."""
    if trained is None:
      name = 'transfer from the student'
      return Finding(name, 'skip', 'no --student given', 'at most 50 %')
    subject = Subject(trained.net, (trained.state.params, trained.state.stats))
    loaded = self._loaded(self.attacked)
    made = judge(
      *(subject, loaded, self._attack(PGD_COLUMNS[0]), self.key),
      threat=self.threat,
      keep=True,
    )
    assert made.images is not None
    own = dataclasses.replace(
      loaded, images=dataclasses.replace(loaded.images, image=made.images)
    )
    before = self.logits(loaded, self._constants()).argmax(-1) == loaded.label
    after = self.logits(own, self._constants()).argmax(-1) == loaded.label
    both = before & made.clean_correct & ~made.robust
    return checks.check_transfer(int(both.sum()), int(np.sum(both & ~after)))
