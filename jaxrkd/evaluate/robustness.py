"""How many images a network still gets right under an attack."""

import dataclasses
import functools

import jax
import numpy as np

from jaxrkd.attacks import AnyAttack, Cascade, Stepwise, Threat, cascade, uninterrupted
from jaxrkd.attacks.lanes import ladder
from jaxrkd.attacks.minimum_norm import ToTheEnd
from jaxrkd.attacks.threat import told
from jaxrkd.data import Split
from jaxrkd.data.batches import plain_order
from jaxrkd.evaluate.cascade import run_cascade
from jaxrkd.evaluate.evaluator import Evaluation
from jaxrkd.evaluate.partial import Partial
from jaxrkd.evaluate.task import Images, Subject, Task, evaluate
from jaxrkd.evaluate.verdicts import Verdicts
from jaxrkd.runtime import sharding

Array = jax.Array


@dataclasses.dataclass(frozen=True, eq=False)
class Loaded:
  """A split that is measured.

  Attributes:
    images: all of it, in file order.
    batch_size: images at a time, over all devices.
    mesh: the devices.
  """

  images: Images
  batch_size: int
  mesh: jax.sharding.Mesh

  @functools.cached_property
  def batches(self) -> list[dict[str, Array]]:
    """On the devices in batches of one shape: `image` float32, `label` and `index`.

    The last one is filled up with the first image.
    """
    rows, found = sharding.rows(self.mesh), []
    for position in plain_order(len(self.images), self.batch_size):
      place = np.maximum(position, 0)
      batch = {
        'image': self.images.pixels(place),
        'label': self.images.label[place],
        'index': self.images.index[place],
      }
      found.append(sharding.put(batch, rows))
    return found

  @property
  def label(self) -> np.ndarray:
    return self.images.label


def load_split(
  split: Split, batch_size: int, mesh: jax.sharding.Mesh, count: int = 0
) -> Loaded:
  """A split, or its first `count` images (0 takes all), ready to be measured.

  Raises:
    InputError: the devices do not divide the batch size.
  """
  sharding.check_batch_size(batch_size, mesh, 'evaluation.batch_size')
  part = split.take(np.arange(min(count, len(split)))) if count else split
  label, index = (a.astype(np.int32) for a in (part.label, part.index))
  return Loaded(Images(part.image, label, index), batch_size, mesh)


def evaluate_clean(subject: Subject, loaded: Loaded, key: Array) -> Evaluation:
  """What a network says about the images as they are; numpy arrays of length N."""
  images, count = loaded.images, len(loaded.images)
  sizes = ladder(loaded.batch_size, loaded.mesh.size)
  # Without looking at all pixels at once: they may be many.
  found = [
    evaluate(subject, images, places, images.pixels(places), loaded.mesh, sizes, key)
    for places in np.array_split(np.arange(count), max(count // 4096, 1))
  ]
  return Evaluation(*(np.concatenate(column) for column in zip(*found)))


def measure(
  subject: Subject,
  loaded: Loaded,
  attack: AnyAttack | None,
  key: Array,
  *,
  name: str = 'attack',
  clean: Evaluation | None = None,
  threat: Threat | None = None,
  search: Subject | None = None,
  surrogate: Subject | None = None,
  partial: Partial | None = None,
  keep: bool = False,
  title: str = '',
) -> Verdicts:
  """Verdicts on every image.

  Args:
    subject: the network that is measured.
    loaded: see `load_split`.
    attack: None measures clean images only.
    key: random numbers depend on it and an image's index alone.
    name: of the attack, where it is not a cascade of named ones.
    clean: `evaluate_clean` of the same network, if it is there already.
    threat: what successes must lie in, besides [0, 1].
    search: the same network in another precision, which the attack is told instead.
    surrogate: another network, on which adversarial images are made (a transfer attack).
    partial: where to note how far it is.
    keep: keep the adversarial images.
    title: what is shown while it works; nothing if empty.
  """
  clean = clean or evaluate_clean(subject, loaded, key)
  parts = _parts(attack, name) if attack is not None else Cascade(())
  if surrogate is not None:
    parts = _whole_runs(parts)
  norm = _norm(parts)
  aims = clean
  if surrogate is not None:
    # A black-box attack knows the ranks of its own network only.
    other = evaluate_clean(surrogate, loaded, key)
    aims = clean._replace(targets=other.targets, possible=other.possible)
  task = Task(
    subject,
    parts,
    loaded.images,
    aims,
    mesh=loaded.mesh,
    key=key,
    batch_size=loaded.batch_size,
    threat=threat,
    search=surrogate or search,
    transfer=surrogate is not None,
    partial=partial,
    keep=keep or norm is not None,
    title=title,
  )
  run_cascade(task)
  ledger, label = task.ledger, loaded.images.label
  correct = clean.right(label)
  own = surrogate is None
  classes = clean.targets.shape[1] + 1
  ball = threat if threat is not None else parts.threat
  return Verdicts(
    index=loaded.images.index,
    label=label,
    clean_prediction=np.asarray(clean.prediction),
    clean_margin=np.asarray(clean.margin, np.float32),
    adversarial_prediction=ledger.prediction,
    margin=ledger.margin,
    clean_correct=correct,
    robust=ledger.standing,
    stage=ledger.stage,
    reached=ledger.reached,
    queries=ledger.queries,
    not_finite=ledger.not_finite,
    outside=ledger.outside,
    about={
      'attacks': [name for name, _ in parts.attacks],
      'seconds': task.seconds,
      'runs': {name: part.runs_on(classes) for name, part in parts.attacks},
      'search_robust': float(np.mean(correct & ~ledger.claimed)) if own else None,
      'refuted': int(ledger.refuted.sum()) if own else None,
      'threat': told(ball) if ball is not None else None,
    },
    images=task.found if keep else None,
    target=_target(parts, aims, label),
    distance=None if norm is None else _distance(task, norm),
    eight_bit=ledger.eight_bit & (ledger.stage >= 0),
  )


def _norm(parts: Cascade) -> Threat | None:
  """What measures distances, where a single attack looks for the nearest image."""
  attacks = [attack for _, attack in parts.attacks]
  if len(attacks) == 1 and isinstance(attacks[0], ToTheEnd):
    return attacks[0].norm
  return None


def _distance(task: Task, norm: Threat) -> np.ndarray:
  """How far the adversarial images are; see `Verdicts.distance`."""
  assert task.found is not None
  ask, far = jax.jit(norm.norm), []
  for places in np.array_split(np.arange(len(task.images)), -(-len(task.images) // 4096)):
    moved = task.found[places] - task.images.pixels(places)
    far.append(np.asarray(ask(moved), np.float32).reshape(-1))
  # Nothing else says whether anything was found: what lies on the boundary has distance 0.
  ledger = task.ledger
  found = ~ledger.standing | (ledger.claimed & ~ledger.outside.any(axis=1))
  distance = np.where(found, np.concatenate(far), np.float32(np.inf))
  return np.where(task.clean.right(task.images.label), distance, np.float32(0))


def _target(parts: Cascade, clean: Evaluation, labels: np.ndarray) -> np.ndarray | None:
  """The classes that a single targeted attack aims at; see `Verdicts.target`."""
  aims = [part.aim for _, part in parts.attacks if part.aim is not None]
  if len(aims) != 1:
    return None
  classes = aims[0].classes(clean.targets, labels, clean.possible)
  return np.asarray(classes, np.int32)


@functools.lru_cache(maxsize=64)
def _parts(attack: AnyAttack, name: str) -> Cascade:
  """The same request gives the same object, so that what was compiled is found again."""
  return cascade(attack, name)


@functools.lru_cache(maxsize=32)
def _whole_runs(parts: Cascade) -> Cascade:
  """What is tried on another network is made to the end."""

  def whole(part: Stepwise) -> Stepwise:
    return part if part.steps == 1 else uninterrupted(part)

  return Cascade(tuple((name, whole(part)) for name, part in parts.attacks))
