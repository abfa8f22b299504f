"""Any classifier under any attack: the library call behind every program."""

import contextlib
import functools
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, TypeGuard

import jax
import jax.numpy as jnp
import numpy as np

from jaxrkd.attacks import (
  AnyAttack,
  Attack,
  Cascade,
  LogitsFn,
  Stepwise,
  Threat,
  cascade,
  doors,
)
from jaxrkd.attacks.code import DependsOnBatch
from jaxrkd.attacks.stepwise import Plain
from jaxrkd.attacks.threat import check_threat, told
from jaxrkd.errors import InputError
from jaxrkd.evaluate.fingerprint import describe, fingerprint, images_digest
from jaxrkd.evaluate.given import (
  Known,
  is_compiled,
  known,
  load_given,
  unit_slopes,
)
from jaxrkd.evaluate.inputs import (
  check_classifier,
  check_finite,
)
from jaxrkd.evaluate.marks import has_no_gradients, marked
from jaxrkd.evaluate.partial import Partial, Sketch
from jaxrkd.evaluate.results import versions
from jaxrkd.evaluate.robustness import Loaded, evaluate_clean, measure
from jaxrkd.evaluate.task import Images, Subject
from jaxrkd.evaluate.verdicts import Verdicts, stored
from jaxrkd.paths import expanded

# How far answers on other devices may lie apart, relative to the largest. Where all of a
# classifier is known the answers only confirm it; of one that calls into another framework
# they are all there is to tell it by, so that they may move by rounding alone.
KNOWN, OPAQUE = 1e-3, 4e-6
# Bytes of adversarial images that are kept without being asked for.
MOST_KEPT = 2**30


def attack_images(
  logits_fn: LogitsFn,
  images: np.ndarray | jax.Array,
  labels: np.ndarray | jax.Array,
  attack: AnyAttack,
  *,
  threat: Threat | None = None,
  batch_size: int = 256,
  seed: int = 0,
  index: np.ndarray | None = None,
  search_logits_fn: LogitsFn | None = None,
  surrogate: LogitsFn | None = None,
  path: str | pathlib.Path | None = None,
  keep_images: bool | None = None,
  title: str = '',
  check: bool = True,
) -> Verdicts:
  """Attacks images and returns what happened to each.

  The verdict on an image depends on the image, its index, the classifier, the attack and
  the seed; neither on its batch nor on the devices, over all of which batches are spread.

  Args:
    logits_fn: images [B, H, W, C] in [0, 1] -> logits [B, classes], in evaluation mode, or
      `attacks.Randomised`. Traced and compiled.
    images: [N, H, W, C], floats in [0, 1] or uint8.
    labels: [N] integers.
    attack: such as `attacks.autoattack(attacks.Linf(8 / 255))`, or a function of your own,
      (key, logits_fn, images, labels) -> images.
    threat: if given, what is outside this ball does not count as a success; by default the
      attack is trusted to stay in its own.
    batch_size: images at a time; made a multiple of the devices.
    seed: of all random numbers.
    index: [N], which random numbers belong to an image; 0 ... N - 1 by default.
    search_logits_fn: the same classifier in a faster precision: the attack sees this one,
      and only what fools `logits_fn` too is a success.
    surrogate: another classifier: adversarial images are made on it (a transfer attack).
    path: an .npz file for the verdicts. Killed and called again with the same arguments,
      the evaluation goes on where it was; finished, it is read, and that is said. Another
      classifier is measured anew: one with other weights, or another gradient.
    keep_images: return adversarial images (and keep them in `path`); None does where they
      take at most 1 GiB.
    title: what is shown while it works; nothing if empty.
    check: refuse classifiers whose verdicts would mean nothing.

  Returns:
    `Verdicts`: per image whether it is robust, the attack that broke it, margins, queries;
    seconds and counts of each attack.

  Raises:
    InputError: images outside [0, 1], labels or logits of the wrong kind, probabilities, a
      classifier whose answers change, an attack in another ball than `threat`, or a path
      that cannot be written.
  """
  run = functools.partial(
    _attacked,
    logits_fn,
    images,
    labels,
    attack,
    threat=threat,
    batch_size=batch_size,
    seed=seed,
    index=index,
    search_logits_fn=search_logits_fn,
    surrogate=surrogate,
    path=path,
    keep_images=keep_images,
    title=title,
    check=check,
  )
  try:
    return run(share=True)
  except DependsOnBatch:
    # Compiled by themselves, functions may close over other arrays at each size.
    return run(share=False)
  except ValueError as error:
    if not has_no_gradients(error):
      raise
    raise InputError(
      'logits_fn calls out of JAX and has no gradient, which this attack needs; give it by '
      'jaxrkd.interop.from_numpy(function, classes), whose gradient is zero, and take '
      'attacks.square or a surrogate'
    ) from error


def _attacked(
  logits_fn: LogitsFn,
  images: Any,
  labels: Any,
  attack: AnyAttack,
  *,
  threat: Threat | None,
  batch_size: int,
  seed: int,
  index: Any,
  search_logits_fn: LogitsFn | None,
  surrogate: LogitsFn | None,
  path: str | pathlib.Path | None,
  keep_images: bool | None,
  title: str,
  check: bool,
  share: bool,
) -> Verdicts:
  """`attack_images`; `share` what is compiled with other functions of the same code."""
  whole = cascade(attack, 'attack')
  if threat is not None:
    check_threat(threat)
    _check_same_ball(whole.threat, threat)
  if search_logits_fn is not None and surrogate is not None:
    raise InputError(
      'both search_logits_fn and surrogate are given; give only search_logits_fn (the '
      'same classifier in another precision) or only surrogate (another classifier)'
    )
  loaded = load_given(images, labels, index, batch_size)
  keep = _fits(loaded.images) if keep_images is None else keep_images
  own = _known(logits_fn, loaded, check, share)
  key = jax.random.key(seed)
  with contextlib.ExitStack() as opened:
    opened.enter_context(own.using())
    clean = evaluate_clean(own.subject, loaded, key)
    if check:
      check_finite(clean.finite)
    classes = clean.targets.shape[1] + 1
    others: dict[str, Known] = {}
    for what, f in (('search_logits_fn', search_logits_fn), ('surrogate', surrogate)):
      if f is not None:
        others[what] = _other(f, what, loaded, classes if check else 0, share)
        opened.enter_context(others[what].using())
    about = None
    if path is not None or _is_plain(attack):
      attacked = search_logits_fn or surrogate or logits_fn
      about = describe(whole, loaded.images, classes, attacked)
    if about and _is_plain(attack):
      attack = Plain(attack, str(about.parts))
    subjects = {what: other.subject for what, other in others.items()}

    # Images that another network made say nothing of this one's gradients.
    asked_for = None if surrogate is not None else attack

    def compute(partial: Partial | None) -> Verdicts:
      return measure(
        own.subject,
        loaded,
        attack,
        key,
        clean=clean,
        threat=threat,
        search=subjects.get('search_logits_fn'),
        surrogate=subjects.get('surrogate'),
        partial=partial,
        keep=keep,
        title=title,
      )

    note = getattr(getattr(logits_fn, 'net', None), 'note', '')
    if path is None:
      return marked(compute(None), own.subject, loaded, asked_for, note)
    assert about is not None
    path = expanded(path)
    if path.suffix != '.npz':
      raise InputError(
        f'path is {str(path)!r}; verdicts are written as .npz, so give a path ending in '
        '.npz'
      )
    made_by = {name: value for name, value in versions().items() if name != 'device'}
    asked = [own, *others.values()]
    settings = [
      seed,
      about.parts,
      repr(threat),
      ['search_logits_fn' in others, 'surrogate' in others, keep],
      made_by,
      images_digest(loaded.images),
      [one.name for one in asked],
    ]
    answers = [clean.margin]
    answers += [_margins(subject, loaded, key) for subject in subjects.values()]
    sketch = _sketch(asked, loaded, answers, about.found)
    found = stored([path], fingerprint(settings), compute, sketch, told=True)
    return marked(found, own.subject, loaded, asked_for, note)


def _known(logits_fn: LogitsFn, loaded: Loaded, check: bool, share: bool) -> Known:
  """A classifier that is checked, unless that is not wanted, and read."""
  shown = loaded.images.pixels(np.arange(len(loaded.images))[:8]), loaded.label
  if not check:
    return known(logits_fn, loaded, share)
  if is_compiled(logits_fn):
    # Its program is all there is to ask, and compiled already where it was seen before.
    found = known(logits_fn, loaded, share)
    with found.using():
      check_classifier(found.evaluate, *shown)
    return found
  # Before it is traced: what draws by itself, or changes when it is asked, shows only so.
  check_classifier(logits_fn, *shown)
  return known(logits_fn, loaded, share)


def _other(
  logits_fn: LogitsFn, what: str, loaded: Loaded, classes: int, share: bool
) -> Known:
  """A search network or surrogate; refused if it cannot stand beside the classifier.

  Args:
    logits_fn: itself.
    what: name for messages.
    loaded: the images.
    classes: of the classifier; 0 checks nothing.
    share: see `known`.
  """
  try:
    found = _known(logits_fn, loaded, bool(classes), share)
    image = jnp.asarray(found.image)
    own = doors.class_count(logits_fn, image) if classes else 0
  except InputError as error:
    raise InputError(f'{what}: {error}') from error
  if own != classes:
    raise InputError(
      f'{what} has {own} classes and logits_fn {classes}; give two networks of the same '
      'classes'
    )
  return found


def _sketch(
  asked: Sequence[Known],
  loaded: Loaded,
  answers: Sequence[np.ndarray],
  found: np.ndarray,
) -> Sketch:
  """Answers by which classifiers are recognised that other devices round differently.

  Args:
    asked: all classifiers.
    loaded: the images.
    answers: margins of all of them.
    found: what attacks of another framework made, see `describe`.
  """
  opaque = any(one.opaque for one in asked)
  numbers = list(answers)
  if opaque:
    few = np.arange(len(loaded.images))[:8]
    shown = loaded.images.pixels(few), loaded.label[few]
    numbers += [unit_slopes(one.function, *shown) for one in asked]
  numbers.append(found)
  tolerance = OPAQUE if opaque or len(found) else KNOWN
  return Sketch(np.concatenate(numbers), tolerance)


def _fits(images: Images) -> bool:
  """Whether adversarial images are kept that nobody asked for."""
  return images.image.size * 4 <= MOST_KEPT


def _is_plain(attack: AnyAttack) -> TypeGuard[Callable[..., jax.Array]]:
  return not isinstance(attack, Attack | Stepwise | Cascade)


def _check_same_ball(searched: Threat | None, threat: Threat) -> None:
  if searched is not None and told(searched) != told(threat):
    raise InputError(
      f'the attack searches {told(searched)}, but threat is {told(threat)}: images that '
      'are not robust may look so. Make the attack for the ball of threat, or leave '
      'threat out'
    )


def _margins(subject: Subject, loaded: Loaded, key: jax.Array) -> np.ndarray:
  return np.asarray(evaluate_clean(subject, loaded, key).margin)
