"""All attacks of a config on one network, with what was already measured reused."""

import functools
import pathlib
import re
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
from ml_collections import ConfigDict

from jaxrkd.attacks import ATTACKS, UNFORESEEN, AnyAttack, Stepwise
from jaxrkd.attacks.minimum_norm import to_the_end
from jaxrkd.attacks.ramp import Ramp
from jaxrkd.data import Dataset
from jaxrkd.evaluate import particle_statistics, robustness
from jaxrkd.evaluate.distances import of_verdicts
from jaxrkd.evaluate.fingerprint import fingerprint, images_digest
from jaxrkd.evaluate.partial import Partial
from jaxrkd.evaluate.results import summarize, versions, worst_case
from jaxrkd.evaluate.table_checks import Column
from jaxrkd.evaluate.task import Images, Subject
from jaxrkd.evaluate.verdicts import Verdicts, stored
from jaxrkd.experiment import make
from jaxrkd.experiment.examples import Way
from jaxrkd.experiment.tables import options
from jaxrkd.models.group import Group
from jaxrkd.runtime import files, sharding
from jaxrkd.runtime.progress import say

Tree = Any
# An attack that takes longer than this tells its result when it is there.
TELL_AFTER = 20.0


class Surrogate(NamedTuple):
  """A network on which adversarial images are made for others.

  Attributes:
    subject: its functions and weights.
    identity: what tells it from others.
  """

  subject: Subject
  identity: Mapping[str, Any]


class Measurement:
  """The evaluation part of a config, ready to be applied to networks.

  Args:
    config: resolved; `evaluation`, `data` and `seed` are read.
    data: all splits.
    mesh: the devices.
    surrogates: by the name that columns have for them.
  """

  def __init__(
    self,
    config: ConfigDict,
    data: Dataset,
    mesh: jax.sharding.Mesh,
    surrogates: Mapping[str, Surrogate] | None = None,
  ):
    part = config.evaluation
    self._config = config
    self._mesh = mesh
    self._key = jax.random.key(config.seed)
    split = getattr(data, part.split)
    self.loaded = robustness.load_split(split, part.batch_size, mesh, part.images)
    self._settings = {
      'data': _told_of_data(config.data.to_dict()),
      'split': part.split,
      'images': images_digest(self.loaded.images),
      'seed': config.seed,
      'threat': part.threat.to_dict(),
      'search_precision': part.search_precision,
    }
    self._options = {name: node.to_dict() for name, node in part.attacks.items()}
    self._attacks = _in_table_order(make.evaluation_attacks(config), self._options)
    self._threats = make.evaluation_threats(config)
    self.surrogates = surrogates or {}
    self._measured: dict[pathlib.Path, dict[str, Verdicts]] = {}

  @property
  def images(self) -> str:
    """A mark of the measured images: equal for equal pixels and labels."""
    return str(self._settings['images'])

  def __call__(
    self,
    subject: Subject,
    folder: pathlib.Path,
    identity: Mapping[str, Any],
    also: pathlib.Path | None = None,
    search: Subject | None = None,
    title: str = '',
  ) -> dict[str, Any]:
    """Measures one network; see `results.summarize`.

    Args:
      subject: the network, in float32.
      folder: where per-example results go, one .npz per attack and `worst.npz`.
      identity: what tells this network from others (run, step): results on disk with the
        same identity and settings are taken as they are.
      also: another folder to take them from; never written to.
      search: the same network in the precision that attacks search in.
      title: what it is called while this takes long.
    """
    verdicts: dict[str, Verdicts] = {}

    @functools.cache
    def clean():
      return robustness.evaluate_clean(subject, self.loaded, self._key)

    def compute(name: str, partial: Partial) -> Verdicts:
      surrogate = self._surrogate(name)
      return robustness.measure(
        subject,
        self.loaded,
        self._attacks[name],
        self._key,
        name=name,
        clean=clean(),
        threat=self._threats[name],
        search=search,
        surrogate=surrogate.subject if surrogate else None,
        partial=partial,
        title=f'{title}:',
      )

    for name in self._attacks:
      surrogate = self._surrogate(name)
      # Not the devices: on others the same verdicts come out.
      made_by = {key: value for key, value in versions().items() if key != 'device'}
      settings = [self._settings, self._options[name], dict(identity), made_by]
      if surrogate:
        settings.append(dict(surrogate.identity))
      began = time.monotonic()
      places = [place / f'{name}.npz' for place in (folder, also) if place]
      found = stored(places, fingerprint(settings), functools.partial(compute, name))
      verdicts[name] = found
      if time.monotonic() - began > TELL_AFTER:
        say(f'{title}: {_told(name, found)}, in {places[0]}')
    # An attack without a ball is another question than the worst in the ball.
    inside = {
      name: found
      for name, found in verdicts.items()
      if self._options[name]['name'] not in UNFORESEEN
    }
    if sharding.is_first_process():
      files.write_npz(folder / 'worst.npz', worst_case(inside or verdicts))
    self._measured[folder] = verdicts
    return summarize(verdicts, inside)

  def distances(
    self,
    subject: Subject,
    folder: pathlib.Path,
    identity: Mapping[str, Any],
    title: str,
  ) -> dict[str, Any]:
    """How far a network's nearest adversarial images are; see `Distances.as_dict`.

    What the columns broke bounds the distance, where they were measured into the folder.

    Args:
      subject: the network, in float32.
      folder: where per-image results go, as `distance_NAME.npz`.
      identity: see a call.
      title: what it is called while this takes long.
    """
    part = self._config.evaluation
    ball, count = make.evaluation_threat(self._config), part.distances.images
    rows = slice(min(count, len(self.loaded.images)) if count else None)
    every = self.loaded.images
    images = Images(every.image[rows], every.label[rows], every.index[rows])
    loaded = robustness.Loaded(images, self.loaded.batch_size, self._mesh)
    clean = robustness.evaluate_clean(subject, loaded, self._key)
    classes = clean.targets.shape[1] + 1
    made_by = {key: value for key, value in versions().items() if key != 'device'}
    found = {}
    for name, attack in make.distance_attacks(self._config).items():

      def compute(partial: Partial, name: str = name, attack: Stepwise = attack):
        return robustness.measure(
          subject,
          loaded,
          to_the_end(attack, classes, ball),
          self._key,
          name=name,
          clean=clean,
          partial=partial,
          title=f'{title}:',
        )

      settings = [
        {**self._settings, 'images': images_digest(images)},
        ['distance', name, options(ATTACKS[name])],
        dict(identity),
        made_by,
      ]
      path = folder / f'distance_{name}.npz'
      found[name] = stored([path], fingerprint(settings), compute)
    distances = of_verdicts(found, ball)
    for name, column in self.columns(folder).items() if folder in self._measured else ():
      if type(column.threat) is type(ball) and column.threat is not None:
        broken = ~column.verdicts.robust[rows]
        distances = distances.bounded(name, broken, column.threat.eps)
    return distances.as_dict()

  def columns(self, folder: pathlib.Path) -> dict[str, Column]:
    """What was measured into a folder, for checks of whether it can be believed."""
    return {
      name: Column(
        verdicts,
        self._options[name]['name'],
        self._threats[name],
        transfer=self._surrogate(name) is not None,
        ball=self._threats[name] is not None,
      )
      for name, verdicts in self._measured[folder].items()
    }

  def ways(self, folder: pathlib.Path) -> list[Way]:
    """The attacks in a ball, on the network itself, that were measured into a folder."""
    found = []
    for name, verdicts in self._measured[folder].items():
      threat = self._threats[name]
      if threat is not None and self._surrogate(name) is None:
        found.append(Way(name, self._attacks[name], threat, verdicts))
    return found

  def _surrogate(self, name: str) -> Surrogate | None:
    chosen = self._options[name].get('surrogate', '')
    return self.surrogates[chosen] if chosen else None

  def particles(self, group: Group, members: list[tuple[Tree, Tree]]) -> dict[str, float]:
    """What the particles of the training attack are like on this split.

    Args:
      group: networks that were trained together.
      members: their (params, stats).
    """
    search = make.search(self._config)
    return particle_statistics.describe(
      group.logits,
      group.join(members),
      group.size,
      self.loaded,
      self._mesh,
      search.whole if isinstance(search, Ramp) else search,
      self._key,
    )


def _told_of_data(node: dict[str, Any]) -> dict[str, Any]:
  """What verdicts depend on; an empty `classes` is newer than many of them."""
  return {k: v for k, v in node.items() if k != 'classes' or v}


def _told(name: str, found: Verdicts) -> str:
  """One attack's result in a few words."""
  parts = [f'{n} broke {s["broken"]} of {s["tried"]}' for n, s in found.stages.items()]
  return f'{name} {100 * found.robust_accuracy:.2f} % robust ({", ".join(parts)} images)'


def _in_table_order(
  attacks: dict[str, AnyAttack], options: Mapping[str, Mapping[str, Any]]
) -> dict[str, AnyAttack]:
  """Weak attacks first, as in their tables; configs do not keep the order of their keys."""
  known = [*ATTACKS, *UNFORESEEN]

  def place(name: str) -> tuple[int, list[tuple[int, str]]]:
    # fog_64 comes before fog_128.
    parts = re.findall(r'\d+|\D+', name)
    natural = [(int(p), '') if p.isdigit() else (-1, p) for p in parts]
    return known.index(options[name]['name']), natural

  return {name: attacks[name] for name in sorted(attacks, key=place)}
