"""The scores by which the best checkpoint of a run is chosen."""

from collections.abc import Mapping

import jax
from ml_collections import ConfigDict

from jaxrkd.evaluate import robustness
from jaxrkd.experiment import make
from jaxrkd.train.networks import STUDENT
from jaxrkd.train.selection import Scorer
from jaxrkd.train.setup import Setup
from jaxrkd.train.state import NetState


def make_scorer(config: ConfigDict, setup: Setup) -> Scorer:
  """Scores students on the selection split, as `config.select` says."""
  select = config.select
  split = getattr(setup.data, select.split)
  loaded = robustness.load_split(split, config.evaluation.batch_size, setup.mesh)
  attack = make.selection_attack(config)
  key = jax.random.key(config.seed)

  networks = setup.learner.networks
  judged = (STUDENT,) if networks.student else networks.names

  def score(name: str, state: NetState) -> dict[str, float]:
    variables = (state.params, state.stats)
    subject = robustness.Subject(networks.nets[name], variables)
    found = robustness.measure(subject, loaded, attack, key)
    scores = {
      'clean': found.clean_accuracy,
      'robust': found.robust_accuracy,
      'weighted': found.weighted,
    }
    if attack is None:
      scores = {'clean': found.clean_accuracy}
    return {**scores, 'score': scores[select.metric]}

  def scores(nets: Mapping[str, NetState]) -> dict[str, dict[str, float]]:
    return {name: score(name, nets[name]) for name in judged}

  return scores
