"""`Stepwise`: an attack as a loop of one step, which may end for each image by itself.

Whoever runs it decides when to look: an evaluation stops an image as soon as it is broken
and gives its place to another one, without a change to any image's verdict.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, Self

import jax
import jax.numpy as jnp

from jaxrkd.attacks import doors
from jaxrkd.attacks.aim import Aim
from jaxrkd.attacks.base import Attack, example_keys
from jaxrkd.attacks.built_once import built_once
from jaxrkd.attacks.objectives import LogitsFn
from jaxrkd.attacks.threat import Threat
from jaxrkd.errors import InputError, whole_number

Array = jax.Array


class Points(NamedTuple):
  """What is attacked, one row per image; rows may be in different runs.

  Attributes:
    key: [B] typed keys.
    clean: [B, H, W, C] in [0, 1].
    label: [B] int32.
    target: [B] int32, the class that a targeted run aims at.
    run: [B] int32, which restart or target this is.
  """

  key: Array
  clean: Array
  label: Array
  target: Array
  run: Array

  def run_key(self) -> Array:
    """Keys of this run, [B]."""
    return jax.vmap(jax.random.fold_in)(self.key, self.run)


class State(Protocol):
  """What an attack remembers of each image; every leaf has a leading axis of images.

  Attributes:
    fooled: [B] bool, whether an adversarial image was found.
    found: [B, H, W, C], that image; where there is none, anything inside the threat set.

  An attack that follows gradients also has `not_finite`, [B] bool: whether some were no
  numbers, and were stepped over.
  """

  @property
  def fooled(self) -> Array: ...

  @property
  def found(self) -> Array: ...

  def _replace(self, **changes: Any) -> Self: ...


@dataclasses.dataclass(frozen=True, eq=False)
class Stepwise:
  """An attack on labels that goes step by step; called, it runs to its end.

  Attributes:
    begin: points -> state; asks no network.
    step: (logits_fn, points, state, i) -> state after step i, [B] int32 from 0.
    steps: of one run.
    runs: restarts, or targets of a targeted attack: each for the images that still stand.
    queries: forward passes of one step.
    targeted: whether run r aims at the class ranked r + 2 on the clean image.
    forget: (state, rows [B] bool) -> state that goes on where those rows were not broken
      after all; None only clears `fooled`.
    threat: where images move; None where it is not known.
    aim: see `base.Attack`.
    minimum_norm: whether it looks for the nearest adversarial image; its state then has the
      fields of `minimum_norm.Best`.
  """

  begin: Callable[[Points], Any]
  step: Callable[[LogitsFn, Points, Any, Array], Any]
  steps: int
  runs: int = 1
  queries: int = 1
  targeted: bool = False
  forget: Callable[[Any, Array], Any] | None = None
  threat: Threat | None = None
  aim: Aim | None = None
  minimum_norm: bool = False

  def refuted(self, state: Any, rows: Array) -> Any:
    """The state after a success in `rows` turned out to be none."""
    state = state._replace(fooled=state.fooled & ~rows)
    return self.forget(state, rows) if self.forget else state

  def runs_on(self, classes: int) -> int:
    """How many runs there are; a targeted attack has at most one per wrong class."""
    return min(self.runs, classes - 1) if self.targeted else self.runs

  def __call__(
    self, key: Array, logits_fn: LogitsFn, images: Array, labels: Array
  ) -> Array:
    """Returns adversarial images where it finds them, shaped as `images`.

    Images that are wrong without an attack come back as they are, and those that withstand
    it as the last run left them.

    Args:
      key: a key, or [B] keys, one per image.
      logits_fn: images -> logits [B, classes], in evaluation mode, or `Randomised`.
      images: [B, H, W, C] in [0, 1].
      labels: [B] integers.

    Raises:
      InputError: as `base.Attack`.
    """
    return _alone(self)(key, logits_fn, images, labels)

  def attack(
    self, logits_fn: LogitsFn, points: Points, targets: Array, found: Array, over: Array
  ) -> tuple[Array, Array]:
    """Runs to the end on the images that are not `over`.

    Args:
      logits_fn: see a call.
      points: `target` and `run` are set here.
      targets: [B, classes - 1], see `ranked_targets`.
      found: [B, H, W, C], what there is for the images that are over.
      over: [B] bool.

    Returns:
      `found` and `over` afterwards.
    """

    def run(number, carry):
      found, over = carry
      target = targets[:, jnp.minimum(number, targets.shape[1] - 1)]
      own = points._replace(target=target, run=jnp.full_like(points.run, number))
      state = self.begin(own)
      lanes = Lanes(own, state._replace(fooled=state.fooled | over), own.run * 0)
      state = advance(self, logits_fn, lanes, self.steps).state
      return pick(over, found, state.found), over | state.fooled

    count = self.runs_on(targets.shape[1] + 1)
    return jax.lax.fori_loop(0, count, run, (found, over))


@dataclasses.dataclass(frozen=True)
class Cascade:
  """Attacks one after the other, each from the clean images that the others left standing.

  Attributes:
    attacks: (name, attack), in order.
  """

  attacks: tuple[tuple[str, Stepwise], ...]

  def __post_init__(self):
    names = [name for name, _ in self.attacks]
    if len(set(names)) < len(names):
      raise InputError(
        f'a cascade has the attacks {", ".join(names)}; give each a name of its own'
      )
    # Attacks of one call are steps of their own.
    whole = tuple((name, stepwise(attack)) for name, attack in self.attacks)
    object.__setattr__(self, 'attacks', whole)

  @property
  def threat(self) -> Threat | None:
    """Where all of its attacks move images; None where it is not one known set."""
    known = {attack.threat for _, attack in self.attacks}
    return known.pop() if len(known) == 1 else None

  def __call__(
    self, key: Array, logits_fn: LogitsFn, images: Array, labels: Array
  ) -> Array:
    """Returns adversarial images where an attack finds them; see `Stepwise`."""
    key, images, labels = doors.attack_arguments(key, logits_fn, images, labels)
    # They know attacks and how these are run.
    from jaxrkd.attacks import direct

    found = direct.cascaded(self, logits_fn, key, images, labels)
    if found is not None:
      return found
    keys = key if key.ndim else example_keys(key, jnp.arange(images.shape[0]))
    labels = labels.astype(jnp.int32)
    logits = ask(logits_fn, images, keys)
    points = Points(keys, images, labels, labels, labels * 0)
    state = images, fools(logits, labels)
    for _, attack in self.attacks:
      state = attack.attack(logits_fn, points, ranked_targets(logits, labels), *state)
    return jax.lax.stop_gradient(state[0])


@functools.lru_cache(maxsize=64)
def _alone(attack: Stepwise) -> Cascade:
  return Cascade((('', attack),))


class Lanes(NamedTuple):
  """Images on their way through an attack, each at a step of its own.

  Attributes:
    points: see `Points`.
    state: of the attack.
    done: [B] int32, steps taken.
  """

  points: Points
  state: Any
  done: Array


def going(attack: Stepwise, lanes: Lanes) -> Array:
  """Which images are neither broken nor through, [B]."""
  return ~lanes.state.fooled & (lanes.done < attack.steps)


def advance_once(attack: Stepwise, logits_fn: LogitsFn, lanes: Lanes) -> Lanes:
  """Takes one step with every image that is `going`; the others stay as they are."""
  go = going(attack, lanes)
  moved = attack.step(logits_fn, lanes.points, lanes.state, lanes.done)
  state = jax.tree.map(lambda new, old: pick(go, new, old), moved, lanes.state)
  return Lanes(lanes.points, state, lanes.done + go.astype(jnp.int32))


def advance(
  attack: Stepwise, logits_fn: LogitsFn, lanes: Lanes, count: int | Array
) -> Lanes:
  """Takes up to `count` steps; fewer where no image is `going` any more."""

  def step(carry):
    lanes, taken = carry
    return advance_once(attack, logits_fn, lanes), taken + 1

  def unfinished(carry):
    lanes, taken = carry
    return jnp.any(going(attack, lanes)) & (taken < count)

  return jax.lax.while_loop(unfinished, step, (lanes, jnp.int32(0)))[0]


@dataclasses.dataclass(frozen=True, eq=False)
class Randomised:
  """A classifier that draws random numbers: what AutoAttack's version `rand` is for.

  Args:
    logits_fn: (images [B, H, W, C], keys [B]) -> logits [B, classes].
  """

  logits_fn: Callable[[Array, Array], Array]

  def __call__(self, images: Array) -> Array:
    """Logits with the same draws every time, for attacks that know of no draws."""
    keys = example_keys(jax.random.key(0), jnp.arange(images.shape[0]))
    return self.logits_fn(images, keys)


def ask(logits_fn: LogitsFn, images: Array, keys: Array) -> Array:
  """Logits; the keys are for a classifier that draws random numbers."""
  if isinstance(logits_fn, Randomised):
    return logits_fn.logits_fn(images, keys)
  return logits_fn(images)


def sound(logits: Array) -> Array:
  """Whether logits are an answer, [B]: numbers, or minus infinity for masked classes."""
  ruled_out = jnp.isneginf(logits)
  answers = jnp.isfinite(logits) | ruled_out
  return jnp.all(answers, axis=-1) & ~jnp.all(ruled_out, axis=-1)


def fools(logits: Array, labels: Array) -> Array:
  """Whether a prediction is wrong, [B]; logits that are no answer are wrong too."""
  return (jnp.argmax(logits, axis=-1) != labels) | ~sound(logits)


def ranked_targets(logits: Array, labels: Array) -> Array:
  """The wrong classes of each image, most likely first, [B, classes - 1]."""
  own = jax.nn.one_hot(labels, logits.shape[-1], dtype=bool)
  # Masked classes come last of the wrong ones, and the true one behind all of them.
  least = jnp.finfo(logits.dtype).min
  behind = jnp.where(own, -jnp.inf, jnp.maximum(logits, least))
  return jnp.argsort(behind, axis=-1, descending=True)[:, :-1].astype(jnp.int32)


def possible(logits: Array, labels: Array) -> Array:
  """How many wrong classes of each image are not masked, [B]."""
  own = jax.nn.one_hot(labels, logits.shape[-1], dtype=bool)
  return jnp.sum(~(jnp.isneginf(logits) | own), axis=-1).astype(jnp.int32)


def pick(rows: Array, yes: Array, no: Array) -> Array:
  """Row by row one or the other; keys too."""
  return jnp.where(rows.reshape(-1, *[1] * (yes.ndim - 1)), yes, no)


class AtOnce(NamedTuple):
  """State of an attack that is made in one step, see `State`."""

  fooled: Array
  found: Array
  not_finite: Array


def not_finite(state: Any) -> Array:
  """Where an attack met gradients that are no numbers, [B]; nowhere if it has none."""
  found = getattr(state, 'not_finite', None)
  return jnp.zeros_like(state.fooled) if found is None else found


@dataclasses.dataclass(frozen=True)
class Plain:
  """A function of one's own in the place of an attack.

  Args:
    function: (key, logits_fn, images [1, H, W, C], labels [1]) -> adversarial images. Asked
      about one image at a time, so that neither its random numbers nor its images depend
      on a batch.
    name: of what it computes, where that is known: a function whose settings were changed
      where they lie is another one.
  """

  function: Callable[[Array, LogitsFn, Array, Array], Array]
  name: str = ''

  def __call__(
    self, key: Array, logits_fn: LogitsFn, images: Array, labels: Array
  ) -> Array:
    return self.function(key, logits_fn, images, labels)

  def watched(
    self, keys: Array, logits_fn: LogitsFn, images: Array, labels: Array
  ) -> tuple[Array, Array]:
    """As `Attack.watched`, with keys [B]; what slopes it meets is not known."""

    def alone(key: Array, image: Array, label: Array) -> Array:
      same = lambda x: ask(logits_fn, x, jnp.broadcast_to(key, x.shape[:1]))
      found = self.function(key, same, image[None], label[None])
      if getattr(found, 'shape', None) != (1, *image.shape):
        raise InputError(
          f'the attack gives {doors.told(found)} for images of shape {(1, *image.shape)}; a '
          'function in the place of an attack must return images of the same shape'
        )
      return found[0].astype(image.dtype)

    given = (keys, images, labels)
    try:
      found = jax.vmap(alone)(*given)
    except InputError:
      raise
    except jax.errors.TracerArrayConversionError as error:
      raise InputError(
        'the attack turns its images into numpy arrays, which a compiled program cannot '
        'do; use jax.numpy, or jax.pure_callback for another framework'
      ) from error
    except (NotImplementedError, ValueError):
      # Callbacks into another framework go one by one.
      found = jax.lax.map(lambda row: alone(*row), given)
    return found, jnp.zeros(labels.shape, bool)


# What evaluations take; a plain function is called as an `Attack` is.
AnyAttack = Attack | Stepwise | Cascade | Callable[[Array, LogitsFn, Array, Array], Array]


@built_once
def one_step(attack: Attack | Plain, runs: int = 1) -> Stepwise:
  """Any attack as a single step, so that it can stand in a cascade.

  Args:
    attack: see `Attack`.
    runs: restarts, each with its own random numbers.

  Raises:
    InputError: no run at all.
  """
  whole_number(runs, 1, 'attack.restarts')
  queries, threat, aim = 0, None, None
  if isinstance(attack, Attack):
    queries, threat, aim = attack.search.queries, attack.threat, attack.aim

  def begin(points: Points) -> AtOnce:
    no = jnp.zeros(points.label.shape, bool)
    return AtOnce(no, points.clean, no)

  def step(logits_fn: LogitsFn, points: Points, state: AtOnce, i: Array) -> AtOnce:
    del state, i
    # The first run draws as the attack does by itself.
    keys = pick(points.run == 0, points.key, points.run_key())
    asked: LogitsFn = logits_fn
    if isinstance(attack, Attack):
      asked = lambda x: ask(logits_fn, x, keys)
    found, broken = attack.watched(keys, asked, points.clean, points.label)
    logits = ask(logits_fn, found, keys)
    return AtOnce(fools(logits, points.label), found, broken)

  return Stepwise(begin, step, 1, runs, queries, threat=threat, aim=aim)


def stepwise(attack: AnyAttack) -> Stepwise:
  """Any single attack step by step.

  Raises:
    InputError: no attack, such as a name or a factory that was not called.
  """
  if isinstance(attack, Plain):
    return one_step(attack)
  doors.check_attack(attack, (Attack, Stepwise))
  if isinstance(attack, Stepwise):
    return attack
  return one_step(attack if isinstance(attack, Attack) else Plain(attack))


def cascade(attack: AnyAttack, name: str) -> Cascade:
  """Any attack as a cascade, under its own name where it is a single one.

  Args:
    attack: of this room, or a function like one; see `Plain`.
    name: of a single one.

  Raises:
    InputError: something else, such as a name or a factory that was not called.
  """
  if isinstance(attack, Cascade):
    return attack
  return Cascade(((name, stepwise(attack)),))
