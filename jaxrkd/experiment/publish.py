"""A run's student to a folder or the Hugging Face hub, with its robustness, and back."""

import contextlib
import json
import pathlib
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

from ml_collections import ConfigDict

from jaxrkd.errors import InputError
from jaxrkd.evaluate import results
from jaxrkd.evaluate.fingerprint import weights_digest
from jaxrkd.experiment import measured_words
from jaxrkd.experiment.export_network import student_and_card
from jaxrkd.experiment.import_network import import_network
from jaxrkd.experiment.load import is_imported, load_trained, read_config
from jaxrkd.experiment.places import without_folders
from jaxrkd.experiment.run_report import UNREADABLE
from jaxrkd.interop.formats.pytorch import SAFETENSORS
from jaxrkd.interop.weights_file import own_card, read_weights
from jaxrkd.paths import expanded
from jaxrkd.report.model_card import Published, model_card
from jaxrkd.runtime import files, sharding
from jaxrkd.runtime.progress import say

# What a published student is.
WEIGHTS, CARD, NUMBERS = 'model.safetensors', 'README.md', 'results.json'
HUB = 'hf://'
# Of results.json; the rest tells of this machine and of other networks.
KEPT = (
  *('title', 'data', 'class_names', 'selection', 'training_threat', 'threat_note'),
  *('data_notes', 'images', 'evaluation', 'seed', 'members', 'precision', 'versions'),
  *('recipe', 'finished'),
)
# What was found on the best checkpoint alone.
OF_BEST = ('trust', 'curves', 'distances')


def push(
  run: str | pathlib.Path,
  to: str,
  *,
  checkpoint: str = 'best',
  private: bool = False,
) -> str:
  """Publishes the student of a measured run.

  What is published are weights (safetensors, with the config inside), the numbers, and a
  card with the robustness table, its settings and the trust panel.

  Args:
    run: workdir of a run that was measured.
    to: a folder, or 'hf://USER/NAME' on the Hugging Face hub.
    checkpoint: 'best', 'last', 'ema' or 'swa', as it was measured.
    private: whether a repository that is made is private.

  Returns:
    Where it is.

  Raises:
    InputError: no measured run, numbers of other weights, a folder that holds something
      else, or a hub that refuses.
  """
  home = expanded(run)
  found, row = _measured(home, checkpoint)
  if to.startswith(HUB):
    name = _repository(to)
    with tempfile.TemporaryDirectory() as text:
      _write(home, pathlib.Path(text), to, checkpoint, found, row)
      _upload(pathlib.Path(text), name, private)
  else:
    folder = expanded(to)
    _check_folder(folder)
    _write(home, folder, folder.name, checkpoint, found, row)
  say(f'published: {to}')
  return to


def pull(
  source: str,
  workdir: str | pathlib.Path,
  *,
  overrides: Sequence[str] = (),
  revision: str = '',
) -> dict[str, Any]:
  """Makes a run of a published student, which can be measured and can teach.

  Args:
    source: a folder, or 'hf://USER/NAME'.
    workdir: folder of the run.
    overrides: 'key=value' texts for its config, such as the path of the data.
    revision: branch, tag or commit on the hub; empty is the newest.

  Returns:
    What was published with it: the contents of its results.json.

  Raises:
    InputError: no such place, files that are missing or damaged, or as `import_network`.
  """
  with _folder_of(source, revision) as folder:
    for name in (WEIGHTS, NUMBERS):
      if not (folder / name).is_file():
        raise InputError(
          f'{source} has no {name}; give a folder or repository that jaxrkd push wrote'
        )
    weights = read_weights(folder / WEIGHTS)
    card, fault = own_card(weights)
    if not card:
      raise InputError(
        f'{source}: {WEIGHTS} says nothing of its network; {fault or "it is not of jaxrkd push"}'
      )
    found = _published(folder / NUMBERS, source)
    (row,) = found['student'].values()
    if found['weights_sha256'] != weights.sha256 or row['step'] != card['step']:
      raise InputError(
        f'{source}: {NUMBERS} is not of these weights, so that its numbers say nothing about '
        'them; push the run again'
      )
    if overrides and is_imported(expanded(workdir)):
      raise InputError(
        f'{str(workdir)!r} holds an import already, which --config keys do not change; name '
        'another workdir'
      )
    # Random starts are those of the published measurement.
    own = [f'seed={int(card["config"].get("seed", 0))}']
    import_network(folder / WEIGHTS, workdir, overrides=[*own, *overrides])
  files.write_json(expanded(workdir) / f'published_{NUMBERS}', found)
  return found


def _published(path: pathlib.Path, source: str) -> dict[str, Any]:
  """What was published with weights."""
  try:
    found: dict[str, Any] = json.loads(path.read_text(encoding='utf-8'))
    (row,) = found['student'].values()
    results.table({'': row})
    if not isinstance(row['step'], int) or not isinstance(found['weights_sha256'], str):
      raise TypeError('step, weights_sha256')
  except (OSError, *UNREADABLE) as error:
    raise InputError(
      f'{source}: {NUMBERS} is damaged ({type(error).__name__}: {error})'
    ) from error
  return found


def _measured(
  home: pathlib.Path, checkpoint: str
) -> tuple[dict[str, Any], dict[str, Any]]:
  """What results.json holds, and the row of a checkpoint."""
  path = home / NUMBERS
  try:
    found = json.loads(path.read_text(encoding='utf-8'))
  except FileNotFoundError as error:
    raise InputError(
      f'{str(home)!r} has no {NUMBERS}; give the workdir of a run that was measured '
      '(jaxrkd evaluate --workdir=RUN)'
    ) from error
  except (OSError, ValueError) as error:
    raise InputError(f'{str(path)!r} cannot be read ({error})') from error
  rows = (found.get('student') or {}) if isinstance(found, dict) else {}
  if checkpoint not in rows:
    raise InputError(
      f'--checkpoint is {checkpoint!r}, which {str(path)!r} has no numbers of (it has: '
      f'{", ".join(rows) or "none"}); measure it first'
    )
  return found, rows[checkpoint]


def _check_folder(folder: pathlib.Path) -> None:
  there = [path.name for path in folder.iterdir()] if folder.is_dir() else []
  if there and WEIGHTS not in there:
    raise InputError(
      f'{str(folder)!r} holds other files, such as {sorted(there)[0]!r}; name an empty '
      'folder, or one that was pushed to before'
    )
  files.make_folder(folder)


def _write(
  home: pathlib.Path,
  folder: pathlib.Path,
  place: str,
  checkpoint: str,
  found: dict[str, Any],
  row: dict[str, Any],
) -> None:
  """Writes all files, if the numbers are those of the weights."""
  SAFETENSORS.check_network(read_config(home).student.name)
  trained = load_trained(home, checkpoint, sharding.data_mesh(), 'float32')
  student, card = student_and_card(trained, home, '', checkpoint)
  told = row.get('weights')
  if told != weights_digest(student.variables):
    raise InputError(
      f'the numbers of {checkpoint!r} in {str(home)!r} are of '
      f'{"unknown" if told is None else "other"} weights (step {row.get("step")}; the '
      f'checkpoint is of step {card["step"]}); measure it again with jaxrkd evaluate'
    )
  kept = {key: found[key] for key in KEPT if key in found}
  if checkpoint == 'best':
    kept |= {key: found[key] for key in OF_BEST if key in found}
  # Folders are this machine's.
  without_folders(kept)
  if kept.get('recipe'):
    kept['recipe'] = {**kept['recipe'], 'changes': _changes(kept['recipe'])}
  if trained.net.note:
    # It may say more than when it was measured.
    row = {**row, 'note': trained.net.note}
  kept['student'] = {checkpoint: row}
  try:
    lead = measured_words.lead(ConfigDict(found['evaluation']), row)
    text = model_card(Published(card['run'], lead, card, kept, row, place))
  except UNREADABLE as error:
    raise InputError(
      f'{str(home / NUMBERS)!r} cannot be published ({type(error).__name__}: {error}); measure '
      'the run again'
    ) from error
  SAFETENSORS.write(folder / WEIGHTS, student, {**card, 'measured': None})
  kept['weights_sha256'] = read_weights(folder / WEIGHTS).sha256
  files.write_json(folder / NUMBERS, kept)
  files.write_text(folder / CARD, text)


def _changes(recipe: dict[str, Any]) -> list[list[Any]]:
  """What differs from the recipe, without what leads to files."""
  return [
    change
    for change in recipe.get('changes', ())
    if change[0].rpartition('.')[2] not in ('path', 'file', 'workdir', 'surrogate')
  ]


def _repository(to: str) -> str:
  name = to.removeprefix(HUB).strip('/')
  if name.count('/') != 1 or not all(name.split('/')):
    raise InputError(f"{to!r} is no repository; give 'hf://USER/NAME'")
  return name


def _hub() -> Any:
  try:
    import huggingface_hub
  except ImportError as error:
    raise InputError(
      "hf:// needs the package huggingface_hub; install it with pip install 'jaxrkd[hub]', or "
      'name a folder'
    ) from error
  return huggingface_hub


def _upload(folder: pathlib.Path, name: str, private: bool) -> None:
  hub = _hub()
  try:
    client = hub.HfApi()
    client.create_repo(name, private=private, exist_ok=True)
    client.upload_folder(
      repo_id=name, folder_path=str(folder), commit_message='jaxrkd push'
    )
  except Exception as error:
    raise _refused(name, error) from error


@contextlib.contextmanager
def _folder_of(source: str, revision: str) -> Iterator[pathlib.Path]:
  if not source.startswith(HUB):
    folder = expanded(source)
    if not folder.is_dir():
      raise InputError(
        f"{source!r} is no folder; give one that jaxrkd push wrote, or 'hf://USER/NAME'"
      )
    if revision:
      raise InputError(f'--revision={revision} is for hf://; leave it out')
    yield folder
    return
  name, hub = _repository(source), _hub()
  try:
    found = hub.snapshot_download(
      name, revision=revision or None, allow_patterns=[WEIGHTS, CARD, NUMBERS]
    )
  except Exception as error:
    raise _refused(name, error) from error
  yield pathlib.Path(found)


def _refused(name: str, error: Exception) -> InputError:
  """The hub raises anything, and writes pages of text."""
  text = (str(error).strip() or type(error).__name__).splitlines()[0]
  return InputError(
    f'hf://{name}: {text[:200]}; see that the name is right, that there is a network, and '
    'that hf auth login was run where it is needed'
  )
