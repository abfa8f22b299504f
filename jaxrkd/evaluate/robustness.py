"""How many images a network still gets right under an attack."""

import dataclasses
import functools
import hashlib
import json
import pathlib
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrkd import losses
from jaxrkd.attacks import Attack, example_keys
from jaxrkd.data import Split
from jaxrkd.data.batches import plain_order
from jaxrkd.models import Net
from jaxrkd.runtime import files, sharding

Array = jax.Array
Tree = Any


@dataclasses.dataclass(frozen=True, eq=False)
class Verdicts:
  """What happened to each image of a split, in its order.

  Attributes:
    index: int32 [N], place in the source.
    label: int32 [N].
    clean_prediction: int32 [N].
    adversarial_prediction: int32 [N].
    margin: float32 [N], largest wrong logit minus the true one on the adversarial image;
      positive or not finite counts as wrong.
    clean_correct: bool [N].
    robust: bool [N], right on both images.
  """

  index: np.ndarray
  label: np.ndarray
  clean_prediction: np.ndarray
  adversarial_prediction: np.ndarray
  margin: np.ndarray
  clean_correct: np.ndarray
  robust: np.ndarray

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


@dataclasses.dataclass(frozen=True, eq=False)
class Loaded:
  """A split as it lies on the devices, in batches of one shape and in file order.

  Attributes:
    batches: each has `image` float32 [B, H, W, C], `label` [B] and `index` [B].
    index: all indices, without padding.
    label: all labels, without padding.
  """

  batches: list[dict[str, Array]]
  index: np.ndarray
  label: np.ndarray


def load_split(split: Split, batch_size: int, mesh: jax.sharding.Mesh) -> Loaded:
  """Puts a split on the devices, the rows of each batch spread over them.

  Raises:
    InputError: the devices do not divide the batch size.
  """
  sharding.check_batch_size(batch_size, mesh, 'evaluation.batch_size')
  rows = sharding.rows(mesh)
  batches = []
  for position in plain_order(len(split), batch_size):
    part = split.take(np.maximum(position, 0))
    images = part.image.astype(np.float32) / 255
    batches.append(sharding.put({**part.arrays(), 'image': images}, rows))
  return Loaded(batches, split.index, split.label)


@functools.lru_cache(maxsize=64)
def _predictor(net: Net, mesh: jax.sharding.Mesh) -> Any:
  def predict(variables, images, labels):
    logits = net.logits_fn(*variables)(images)
    return jnp.argmax(logits, -1), losses.margin(logits, labels)

  # Copied to every process, so that each can read all of it.
  return jax.jit(predict, out_shardings=sharding.replicated(mesh))


@functools.lru_cache(maxsize=64)
def _attacker(net: Net, attack: Attack, mesh: jax.sharding.Mesh) -> Any:
  def adversarial(variables, batch, key):
    keys = example_keys(key, batch['index'])
    return attack(keys, net.logits_fn(*variables), batch['image'], batch['label'])

  return jax.jit(adversarial, out_shardings=sharding.rows(mesh))


def predict(
  net: Net,
  variables: tuple[Tree, Tree],
  loaded: Loaded,
  mesh: jax.sharding.Mesh,
  attack: Attack | None = None,
  key: Array | None = None,
) -> tuple[np.ndarray, np.ndarray]:
  """Predictions and margins on every image of a split, clean or under an attack.

  Compiled once per network, attack and batch shape. Random numbers depend on the key and
  an image's index alone.

  Args:
    net: the network.
    variables: its (params, stats).
    loaded: see `load_split`.
    mesh: the devices.
    attack: None leaves the images as they are.
    key: for the attack.

  Returns:
    int32 [N] and float32 [N]; a margin is positive where a wrong class is ahead.
  """
  found = []
  for batch in loaded.batches:
    images = batch['image']
    if attack is not None:
      images = _attacker(net, attack, mesh)(variables, batch, key)
    found.append(_predictor(net, mesh)(variables, images, batch['label']))
  parts = jax.device_get(found)
  count = len(loaded.label)
  prediction, margin = (np.concatenate(column)[:count] for column in zip(*parts))
  return prediction.astype(np.int32), margin.astype(np.float32)


def judge(
  net: Net,
  variables: tuple[Tree, Tree],
  loaded: Loaded,
  mesh: jax.sharding.Mesh,
  attack: Attack | None,
  key: Array,
  clean: tuple[np.ndarray, np.ndarray] | None = None,
) -> Verdicts:
  """Verdicts on every image; arguments as `predict`, with its result on clean images."""
  clean = clean or predict(net, variables, loaded, mesh)
  attacked = clean
  if attack is not None:
    attacked = predict(net, variables, loaded, mesh, attack, key)
  # A margin that is not a number compares false: such an image counts as wrong.
  clean_correct = (clean[0] == loaded.label) & (clean[1] <= 0)
  stands = (attacked[0] == loaded.label) & (attacked[1] <= 0)
  return Verdicts(
    index=loaded.index,
    label=loaded.label,
    clean_prediction=clean[0],
    adversarial_prediction=attacked[0],
    margin=attacked[1],
    clean_correct=clean_correct,
    robust=clean_correct & stands,
  )


def fingerprint(settings: Any) -> str:
  """A short name for settings, to recognise results that still hold."""
  text = json.dumps(settings, sort_keys=True, default=str)
  return hashlib.sha256(text.encode()).hexdigest()[:16]


def stored(
  paths: Sequence[pathlib.Path], mark: str, compute: Callable[[], Verdicts]
) -> Verdicts:
  """Reads verdicts of the same settings, or computes and writes them.

  Args:
    paths: .npz files to look into; the first is written where none has them.
    mark: `fingerprint` of everything the verdicts depend on.
    compute: makes them.
  """
  names = [field.name for field in dataclasses.fields(Verdicts)]
  sound = [v for v in (_read(path, mark, names) for path in paths) if v is not None]
  if sharding.agreed(bool(sound)) and sound:
    return sound[0]
  verdicts = compute()
  if sharding.is_first_process():
    arrays = {name: getattr(verdicts, name) for name in names}
    files.write_npz(paths[0], {**arrays, 'mark': np.array(mark)})
  return verdicts


def _read(path: pathlib.Path, mark: str, names: list[str]) -> Verdicts | None:
  try:
    # Opened here because np.load leaves a damaged file open.
    with path.open('rb') as file, np.load(file, allow_pickle=False) as archive:
      if str(archive['mark']) == mark:
        return Verdicts(**{name: archive[name] for name in names})
  except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile):
    pass  # missing, damaged or of another version: measured again
  return None
