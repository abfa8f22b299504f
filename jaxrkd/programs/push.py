"""Publishes a run's student with its robustness: to a folder or the Hugging Face hub.

Usage: jaxrkd push --workdir=runs/mtard --to=published/mtard
       jaxrkd push --workdir=runs/mtard --to=hf://USER/NAME --private

It leaves model.safetensors with the config inside, results.json, and a README.md with the
robustness table, its settings and the trust panel. `jaxrkd pull` makes a run of it again.
"""

from absl import flags

from jaxrkd.errors import InputError, one_of
from jaxrkd.experiment import publish
from jaxrkd.programs import command_line


def define() -> None:
  """Defines the flags."""
  flags.DEFINE_string('to', '', 'A folder, or hf://USER/NAME.')
  flags.DEFINE_string('checkpoint', 'best', 'best, last, ema or swa.')
  flags.DEFINE_bool('private', False, 'Make a private repository on the hub.')


def main(overrides: list[str]) -> None:
  """The program; see the top of this file."""
  found = flags.FLAGS
  if overrides:
    raise InputError(f'--config.{overrides[0]}: publishing takes no config keys')
  if not found.to:
    raise InputError('no --to; name a folder, or hf://USER/NAME')
  one_of(found.checkpoint, ('best', 'last', 'ema', 'swa'), '--checkpoint')
  workdir = command_line.required_workdir()
  publish.push(workdir, found.to, checkpoint=found.checkpoint, private=found.private)
