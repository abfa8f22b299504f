"""Writes one trained network of a run to files that other run times read.

Usage: jaxrkd export --workdir=runs/mtard_digits --out=student.onnx
       jaxrkd export --workdir=runs/mtard_digits \\
         --out=student.pt,student.safetensors,student.stablehlo,student.tflite,student.npz
       jaxrkd export --workdir=runs/mtard_digits --out=student.int8.tflite,student.int8.onnx
       jaxrkd export --workdir=runs/cat_aka --network=student_2 --out=s2.npz

The ending says the format. Each file is measured in its own run time, on test images and on
adversarial ones; FILE.json beside it says what was found, what the network takes, and the
config that trained it. Files in integers (.int8.onnx, .int8.tflite) are calibrated on training
images and attacked as well: with images that were made on the float network, and with
queries.
"""

from absl import flags

from jaxrkd import experiment, interop
from jaxrkd.errors import InputError, one_of
from jaxrkd.programs import command_line


def define() -> None:
  """Defines the flags."""
  flags.DEFINE_list('out', [], f'Files, ending in {", ".join(interop.FORMATS)}.')
  flags.DEFINE_string('network', '', 'One of several networks; empty takes the student.')
  flags.DEFINE_string('checkpoint', 'best', 'best, last, ema or swa.')
  flags.DEFINE_integer('images', 1000, 'Test images to measure on; 0 takes all.')
  flags.DEFINE_integer(
    'calibration', 256, 'Training images on which files in integers find their ranges.'
  )
  flags.DEFINE_integer(
    'queries', 200, 'Queries of the attack on files in integers, for each image.'
  )
  flags.DEFINE_integer('query_images', 100, 'Images that this attack is tried on.')
  flags.DEFINE_bool('check', True, 'Measure each file (--nocheck needs no data).')


def main(overrides: list[str]) -> None:
  """The program; see the top of this file."""
  found = flags.FLAGS
  if overrides:
    raise InputError(f'--config.{overrides[0]}: an export takes no config keys')
  if not found.out:
    raise InputError('no --out; name a file, such as --out=student.onnx')
  one_of(found.checkpoint, ('best', 'last', 'ema', 'swa'), '--checkpoint')
  if found.images < 0:
    raise InputError(f'--images is {found.images}; give a number of images, or 0 for all')
  workdir = command_line.required_workdir()
  experiment.export(
    workdir,
    [command_line.home(path) for path in found.out],
    network=found.network,
    checkpoint=found.checkpoint,
    images=found.images,
    check=found.check,
    calibration=found.calibration,
    queries=found.queries,
    query_images=found.query_images,
    data_dir=found.data_dir,
  )
