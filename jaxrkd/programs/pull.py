"""Makes a run of a published student, to measure it, to export it, or to learn from it.

Usage: jaxrkd pull --from=published/mtard --workdir=runs/pulled
       jaxrkd pull --from=hf://USER/NAME --revision=v1 --workdir=runs/pulled

What was published with it lies in published_results.json. Data of your own need their place:
--config.data.path=FOLDER.
"""

from absl import flags

from jaxrkd.errors import InputError
from jaxrkd.evaluate import results
from jaxrkd.experiment import publish
from jaxrkd.programs import command_line
from jaxrkd.runtime.progress import say


def define() -> None:
  """Defines the flags."""
  flags.DEFINE_string('from', '', 'A folder that jaxrkd push wrote, or hf://USER/NAME.')
  flags.DEFINE_string('revision', '', 'Branch, tag or commit on the hub.')


def main(overrides: list[str]) -> None:
  """The program; see the top of this file."""
  source = flags.FLAGS['from'].value
  if not source:
    raise InputError('no --from; name a folder that jaxrkd push wrote, or hf://USER/NAME')
  workdir = command_line.required_workdir()
  found = publish.pull(
    source, workdir, overrides=overrides, revision=flags.FLAGS.revision
  )
  rows = {f'{source} {version}': row for version, row in found['student'].items()}
  say(f'published with it, accuracy in %:\n{results.table(rows)}')
  say('these numbers came with the weights and were not measured here')
  if not found.get('trust'):
    say('note: no trust checks were published with these numbers')
  say(f'the run is in {workdir}')
