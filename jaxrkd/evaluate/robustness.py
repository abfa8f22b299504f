"""How many images a network still gets right under an attack."""

import hashlib
import json
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrkd import losses
from jaxrkd.attacks import Attack, example_keys
from jaxrkd.data import Split
from jaxrkd.data.batches import gather, plain_order
from jaxrkd.models import Net
from jaxrkd.runtime import files, sharding

Array = jax.Array
Tree = Any


class Verdicts(NamedTuple):
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


class Loaded(NamedTuple):
  """A split as it lies on the devices, with its batches in file order."""

  data: dict[str, Array]
  order: Array
  size: int


def load_split(split: Split, batch_size: int, mesh: jax.sharding.Mesh) -> Loaded:
  """Copies a split to every device.

  Raises:
    InputError: the devices do not divide the batch size.
  """
  sharding.check_batch_size(batch_size, 'evaluation.batch_size')
  data = sharding.put(split._asdict(), sharding.replicated(mesh))
  order = sharding.put(plain_order(len(split), batch_size), sharding.rows(mesh, 1))
  return Loaded(data, order, len(split))


Evaluator = Callable[[tuple[Tree, Tree], Loaded, Array], Verdicts]


def make_evaluator(net: Net, attack: Attack | None, mesh: jax.sharding.Mesh) -> Evaluator:
  """Builds (variables, loaded split, key) -> verdicts.

  Compiled once per network, attack and batch shape. Random numbers depend on the key and
  an image's index alone.

  Args:
    net: the network; variables are its (params, stats).
    attack: None measures clean accuracy.
    mesh: the devices.
  """
  split = sharding.rows(mesh)

  def judge(variables, data, order, row, key):
    batch = jax.lax.with_sharding_constraint(gather(data, order[row]), split)
    images = batch['image'].astype(jnp.float32) / 255
    logits_fn = net.logits_fn(*variables)
    clean = logits_fn(images)
    found = images
    if attack is not None:
      keys = example_keys(key, batch['index'])
      found = attack(keys, logits_fn, images, batch['label'])
    logits = logits_fn(found)
    return {
      'clean_prediction': jnp.argmax(clean, -1),
      'adversarial_prediction': jnp.argmax(logits, -1),
      'clean_margin': losses.margin(clean, batch['label']),
      'margin': losses.margin(logits, batch['label']),
    }

  # Copied to every process, so that each can read all of it.
  compiled = jax.jit(judge, out_shardings=sharding.replicated(mesh))

  def evaluate(variables, loaded, key) -> Verdicts:
    rows = [
      compiled(variables, loaded.data, loaded.order, jnp.int32(row), key)
      for row in range(loaded.order.shape[0])
    ]
    parts = jax.device_get(rows)
    flat = {k: np.concatenate([p[k] for p in parts])[: loaded.size] for k in parts[0]}
    index, label = jax.device_get((loaded.data['index'], loaded.data['label']))
    # A margin that is not a number compares false: such an image counts as wrong.
    clean_correct = (flat['clean_prediction'] == label) & (flat['clean_margin'] <= 0)
    stands = (flat['adversarial_prediction'] == label) & (flat['margin'] <= 0)
    return Verdicts(
      index=index,
      label=label,
      clean_prediction=flat['clean_prediction'].astype(np.int32),
      adversarial_prediction=flat['adversarial_prediction'].astype(np.int32),
      margin=flat['margin'].astype(np.float32),
      clean_correct=clean_correct,
      robust=clean_correct & stands,
    )

  return evaluate


def fingerprint(settings: Any) -> str:
  """A short name for settings, to recognise results that still hold."""
  text = json.dumps(settings, sort_keys=True, default=str)
  return hashlib.sha256(text.encode()).hexdigest()[:16]


def stored(path: pathlib.Path, mark: str, compute: Callable[[], Verdicts]) -> Verdicts:
  """Reads verdicts of the same settings from `path`, or computes and writes them.

  Args:
    path: a .npz file.
    mark: `fingerprint` of everything the verdicts depend on.
    compute: makes them.
  """
  if path.is_file():
    try:
      with np.load(path, allow_pickle=False) as archive:
        if str(archive['mark']) == mark:
          return Verdicts(*(archive[name] for name in Verdicts._fields))
    except (OSError, ValueError, KeyError):
      pass  # damaged or of another version: measured again
  verdicts = compute()
  if sharding.is_first_process():
    files.write_npz(path, {**verdicts._asdict(), 'mark': np.array(mark)})
  return verdicts
