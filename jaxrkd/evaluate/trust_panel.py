"""The trust checks for any classifier and the verdicts on it."""

import contextlib
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from jaxrkd.attacks import LogitsFn, Threat, doors
from jaxrkd.attacks.code import DependsOnBatch
from jaxrkd.attacks.stepwise import Randomised
from jaxrkd.attacks.threat import check_threat
from jaxrkd.errors import InputError, whole_number
from jaxrkd.evaluate.given import is_compiled, known, load_given
from jaxrkd.evaluate.inputs import unsteadiness
from jaxrkd.evaluate.trust import Column, Panel, panel
from jaxrkd.evaluate.verdicts import Verdicts


def trust_panel(
  logits_fn: LogitsFn,
  images: np.ndarray | jax.Array,
  labels: np.ndarray | jax.Array,
  threat: Threat,
  *,
  count: int = 100,
  batch_size: int = 256,
  seed: int = 0,
  index: np.ndarray | None = None,
  surrogates: dict[str, LogitsFn] | None = None,
  verdicts: Verdicts | Mapping[str, Verdicts] | None = None,
) -> Panel:
  """Checks whether accuracies under attack can be believed; see `trust.panel`.

  Args:
    logits_fn: see `attack_images`. A classifier whose answers change is not refused here,
      but fails.
    images: see `attack_images`; the first `count` that are right are used.
    labels: see `attack_images`.
    threat: the ball that is asked about.
    count: images to use at most.
    batch_size: see `attack_images`.
    seed: see `attack_images`.
    index: see `attack_images`; that of the verdicts.
    surrogates: other classifiers for the transfer check, by name.
    verdicts: of `attack_images` on these images and this threat, or several by name: what
      is judged. Without them the panel judges its own short attacks only.

  Raises:
    InputError: images, labels, threat or verdicts of the wrong kind.
  """
  check_threat(threat)
  whole_number(count, 1, 'count')
  loaded = load_given(images, labels, index, batch_size)
  if isinstance(verdicts, Verdicts):
    verdicts = {'attack': verdicts}
  if not isinstance(verdicts, Mapping | None):
    raise InputError(
      f'verdicts are {doors.told(verdicts)}; give what attack_images returned, or a '
      'dictionary of such by name'
    )
  few, moved = loaded.images.pixels(np.arange(len(loaded.images))[:8]), 0.0
  others = surrogates or {}
  classes = doors.class_count(logits_fn, jnp.asarray(few))
  doors.check_label_values(loaded.images.label, classes)
  compiled = is_compiled(logits_fn)
  if not isinstance(logits_fn, Randomised) and not compiled:
    # A compiled program may have frozen what a plain call draws.
    moved = max(unsteadiness(logits_fn, few))

  def checked(share: bool) -> Panel:
    own = known(logits_fn, loaded, share)
    read = {name: known(f, loaded, share) for name, f in others.items()}
    with contextlib.ExitStack() as opened:
      for one in (own, *read.values()):
        opened.enter_context(one.using())
      away = max(unsteadiness(own.evaluate, few)) if compiled else moved
      return panel(
        own.subject,
        loaded,
        threat,
        jax.random.key(seed),
        images=count,
        surrogates={name: one.subject for name, one in read.items()},
        unsteady=away,
        table={name: Column.of(found) for name, found in (verdicts or {}).items()},
      )

  try:
    return checked(share=True)
  except DependsOnBatch:
    return checked(share=False)
