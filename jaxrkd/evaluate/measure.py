"""All attacks of a config on one network, with what was already measured reused."""

import functools
import pathlib
import re
from collections.abc import Mapping
from typing import Any

import jax
from ml_collections import ConfigDict

from jaxrkd import build
from jaxrkd.attacks import ATTACKS, UNFORESEEN, Attack
from jaxrkd.data import Dataset
from jaxrkd.evaluate import diversity, robustness
from jaxrkd.evaluate.results import summarize, versions, worst_case
from jaxrkd.models import Net
from jaxrkd.models.group import Group
from jaxrkd.runtime import files, sharding

Tree = Any


class Measurement:
  """The evaluation part of a config, ready to be applied to networks.

  Args:
    config: resolved; `evaluation`, `data` and `seed` are read.
    data: all splits.
    mesh: the devices.
  """

  def __init__(self, config: ConfigDict, data: Dataset, mesh: jax.sharding.Mesh):
    part = config.evaluation
    self._search = build.search(config)
    self._mesh = mesh
    self._key = jax.random.key(config.seed)
    self._loaded = robustness.load_split(getattr(data, part.split), part.batch_size, mesh)
    self._settings = {
      'data': config.data.to_dict(),
      'split': part.split,
      'seed': config.seed,
      'threat': part.threat.to_dict(),
    }
    self._options = {name: node.to_dict() for name, node in part.attacks.items()}
    self._attacks = _in_table_order(build.evaluation_attacks(config), self._options)

  def __call__(
    self,
    net: Net,
    variables: tuple[Tree, Tree],
    folder: pathlib.Path,
    identity: Mapping[str, Any],
    also: pathlib.Path | None = None,
  ) -> dict[str, Any]:
    """Measures one network; see `results.summarize`.

    Args:
      net: its functions.
      variables: its (params, stats).
      folder: where per-example results go, one .npz per attack and `worst.npz`.
      identity: what tells this network from others (run, step, precision): results on
        disk with the same identity and settings are taken as they are.
      also: another folder to take them from; never written to.
    """
    verdicts = {}

    @functools.cache
    def clean():
      return robustness.predict(net, variables, self._loaded, self._mesh)

    def compute(attack: Attack) -> robustness.Verdicts:
      return robustness.judge(
        net, variables, self._loaded, self._mesh, attack, self._key, clean()
      )

    for name, attack in self._attacks.items():
      mark = robustness.fingerprint(
        [self._settings, self._options[name], dict(identity), versions()]
      )
      verdicts[name] = robustness.stored(
        [place / f'{name}.npz' for place in (folder, also) if place],
        mark,
        functools.partial(compute, attack),
      )
    # An attack without a ball is another question than the worst in the ball.
    inside = {
      name: found
      for name, found in verdicts.items()
      if self._options[name]['name'] not in UNFORESEEN
    }
    if sharding.is_first_process():
      files.write_npz(folder / 'worst.npz', worst_case(inside or verdicts))
    return summarize(verdicts, inside)

  def particles(self, group: Group, members: list[tuple[Tree, Tree]]) -> dict[str, float]:
    """What the particles of the training attack are like on this split.

    Args:
      group: networks that were trained together.
      members: their (params, stats).
    """
    return diversity.describe(
      group.logits,
      group.join(members),
      group.size,
      self._loaded,
      self._mesh,
      self._search,
      self._key,
    )


def _in_table_order(
  attacks: dict[str, Attack], options: Mapping[str, Mapping[str, Any]]
) -> dict[str, Attack]:
  """Weak attacks first, as in their tables; configs do not keep the order of their keys."""
  known = [*ATTACKS, *UNFORESEEN]

  def place(name: str) -> tuple[int, list[tuple[int, str]]]:
    # fog_64 comes before fog_128.
    parts = re.findall(r'\d+|\D+', name)
    natural = [(int(p), '') if p.isdigit() else (-1, p) for p in parts]
    return known.index(options[name]['name']), natural

  return {name: attacks[name] for name in sorted(attacks, key=place)}
