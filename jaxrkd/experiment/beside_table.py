"""What a run's page shows beside its table: trust checks, curves against eps, examples."""

import pathlib
from typing import Any

import jax
from ml_collections import ConfigDict

from jaxrkd.evaluate import trust
from jaxrkd.evaluate.eps_curve import accuracy_against_eps
from jaxrkd.evaluate.task import Subject
from jaxrkd.experiment import examples, make
from jaxrkd.experiment.load import Trained, load_teacher, load_trained
from jaxrkd.experiment.measurement import Measurement
from jaxrkd.experiment.subjects import identity_of, subject_of
from jaxrkd.experiment.summary import tell_checks, tell_distances
from jaxrkd.runtime.progress import say

# In the folder of per-image results.
EXAMPLES = 'examples.npz'


def check_trust(
  config: ConfigDict,
  workdir: pathlib.Path,
  mesh: jax.sharding.Mesh,
  measure: Measurement,
  trained: Trained,
  place: pathlib.Path,
  title: str,
) -> dict[str, Any]:
  """`trust`, the checks of the network that stands for a run, and `curves` against eps.

  Its teachers are surrogates.
  """
  say(f'checking whether the numbers of {title} can be trusted')
  others = {
    name: subject_of(load_teacher(config, workdir, name, mesh))
    for name in config.teachers
  }
  own = {
    title: subject_of(trained),
    **{f'teacher {name}': s for name, s in others.items()},
  }
  others |= {name: other.subject for name, other in measure.surrogates.items()}
  asked = (
    measure.loaded,
    make.evaluation_threat(config),
    jax.random.key(config.seed),
    config.evaluation.trust.images,
  )
  panel = trust.panel(
    subject_of(trained),
    *asked[:3],
    images=asked[3],
    surrogates=others,
    table=measure.columns(place),
  )
  tell_checks(panel)
  curves = {name: accuracy_against_eps(subject, *asked) for name, subject in own.items()}
  return {'trust': panel.as_dict(), 'curves': curves}


def measure_distances(
  config: ConfigDict,
  workdir: pathlib.Path,
  mesh: jax.sharding.Mesh,
  measure: Measurement,
  trained: Trained,
  place: pathlib.Path,
  folder: pathlib.Path,
  title: str,
) -> dict[str, Any]:
  """How far the nearest adversarial images are: of the network that stands for a run, and of
  its teachers; `Distances.as_dict` by their names."""
  found = {}
  for name in (None, *config.teachers):
    own = trained if name is None else load_teacher(config, workdir, name, mesh)
    called = title if name is None else f'teacher {name}'
    say(f'measuring distances of {called}')
    home = place if name is None else folder / name
    found[called] = measure.distances(subject_of(own), home, identity_of(own), called)
  tell_distances(found)
  return found


def keep_examples(
  config: ConfigDict,
  workdir: pathlib.Path,
  mesh: jax.sharding.Mesh,
  measure: Measurement,
  trained: Trained,
  place: pathlib.Path,
  folder: pathlib.Path,
) -> None:
  """Adversarial images for the page; see `examples.keep`."""
  way = examples.strongest(measure.ways(place))
  precision, search = config.evaluation.search_precision, None
  if way is not None and precision != 'float32':
    # As in the table: the same weights, in the precision that attacks search in.
    net = load_trained(workdir, 'best', mesh, precision).net
    search = Subject(net, subject_of(trained).variables)
  if way is not None:
    examples.keep(
      folder / EXAMPLES,
      way,
      subject_of(trained),
      measure.loaded,
      jax.random.key(config.seed),
      config.evaluation.gallery.images,
      identity_of(trained),
      search,
    )
