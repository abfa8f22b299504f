"""Converts PyTorch (or DeepMind's JAX) weights to a run, and a run to PyTorch weights.

Usage: jaxrkd convert --file=model_cifar_wrn.pt --recipe=trades_wrn_34_10 \\
         --workdir=runs/trades
       jaxrkd convert --recipe=cifar10/Wang2023Better_WRN-28-10 --workdir=runs/wang
       jaxrkd convert --file=mine.pth --workdir=runs/mine \\
         --config.student.name=resnet18 --config.student.normalisation=cifar10
       jaxrkd convert --file=mine.pth --key=state_dict_ema --workdir=runs/average
       jaxrkd convert --workdir=runs/mtard --out=student.pt
       jaxrkd convert --list

A recipe without a file is looked for in the folder JAXRKD_WEIGHTS, and downloaded where it is
not there. The names and shapes in a file tell its network, but not its activation (ReLU, unless you
give another) and not its normalisation (none, unless you give one); a recipe knows both.
The run can be a teacher (`--config.teachers.NAME.workdir`), and you can measure it
(`jaxrkd evaluate`) and examine it (`jaxrkd doctor`). Nothing in the file is executed. The
program says which parts of the file it leaves out.
"""

from absl import flags

from jaxrkd import experiment, interop
from jaxrkd.attacks.threat import radius
from jaxrkd.commands import command
from jaxrkd.errors import InputError
from jaxrkd.programs import command_line
from jaxrkd.runtime.progress import say

# Flags that say how a file is read.
OF_FILES = ('recipe', 'classes', 'image_shape', 'key', 'ignore')


def define() -> None:
  """Defines the flags."""
  flags.DEFINE_string(
    'file', '', 'Weights: .pt, .pth, .th, .t7, .safetensors, .npz (of export) or .npy.'
  )
  flags.DEFINE_string(
    'recipe', '', 'Recipe of the public teacher that the file holds; --list shows all.'
  )
  flags.DEFINE_integer('classes', 0, 'Number of classes of the file; 0 takes any.')
  flags.DEFINE_list(
    'image_shape', [], "height,width,channels; by default 32,32 and the file's channels."
  )
  flags.DEFINE_string(
    'key', '', 'Where in the file the weights are: state_dict_ema, ema.model, student.'
  )
  flags.DEFINE_list('ignore', [], 'Names in the file that begin with these are left out.')
  flags.DEFINE_string('out', '', 'File to write with the network of the run --workdir.')
  flags.DEFINE_string('checkpoint', 'best', 'best, last, ema or swa, with --out.')
  flags.DEFINE_bool('list', False, 'List the recipes and exit.')


def main(overrides: list[str]) -> None:
  """The program; see the top of this file."""
  found = flags.FLAGS
  if found.list:
    _list()
    return
  public = found.recipe and not found.file and not found.out
  if bool(found.file) == bool(found.out) and not public:
    both = '--file and --out are both given; ' if found.file else ''
    raise InputError(
      f'{both}give --file=WEIGHTS to convert it to the run --workdir, or --out=FILE to '
      'convert that run to a file'
    )
  workdir = command_line.required_workdir()
  file, out = command_line.home(found.file), command_line.home(found.out)
  if out:
    given = [name for name in OF_FILES if found[name].present]
    if given:
      raise InputError(
        f'--{given[0]} says how --file is read, but --out reads no file; leave '
        f'--{given[0]} out'
      )
    if overrides:
      raise InputError(
        f'--config.{overrides[0]}: --out takes no config keys; leave it out'
      )
    options = dict(checkpoint=found.checkpoint, data_dir=found.data_dir)
    experiment.export(workdir, [out], **options)
    return
  about = experiment.import_network(
    interop.public_file(found.recipe) if public else file,
    workdir,
    overrides=overrides,
    recipe=found.recipe,
    classes=found.classes,
    image_shape=command_line.image_shape(found.image_shape),
    key=found.key,
    ignore=found.ignore,
  )
  _tell(about, workdir)


def _tell(about: dict, workdir: str) -> None:
  node = {k: v for k, v in about['network'].items() if k != 'name' and v not in ((), [])}
  options = ', '.join(f'{key} {value}' for key, value in node.items())
  say(f'network: {about["network"]["name"]} ({options})')
  say(f'parameters: {about["parameters"]:,}; classes: {about["classes"]}')
  source = [f'sha256 {about["sha256"][:16]}', about['kind']]
  source += [f'under {about["wrapper"]!r}'] if about['wrapper'] else []
  source += [f'names begin with {about["prefix"]!r}'] if about['prefix'] else []
  say(f'file: {about["file"]} ({", ".join(source)})')
  say(f'unused: {_some(about["unused"])}; missing: none')
  check = about['logit_check']
  if 'skipped' in check:
    say(f'logits were not checked against PyTorch: {check["skipped"]}')
  else:
    say(
      f'logits against PyTorch on {check["images"]} random images: they differ by '
      f'{check["largest_difference"]:.2g} at most (largest logit '
      f'{check["largest_logit"]:.3g})'
    )
  if not about['recipe'] and not about['card']:
    say(
      'activation and normalisation are not in the file: check them with '
      f'{command("doctor")} --teacher={workdir}'
    )
  say(f'the run is in {workdir}')


def _some(names: list[str]) -> str:
  counters = [name for name in names if name.endswith('num_batches_tracked')]
  others = [name for name in names if name not in counters]
  told = others[:3] + ([f'{len(others) - 3} more'] if len(others) > 3 else [])
  told += [f'{len(counters)} counters of batches'] if counters else []
  return ', '.join(told) or 'none'


def _list() -> None:
  width = max(map(len, interop.RECIPES))
  say(
    f'{"--recipe":{width}}  data, network and options; accuracies in percent on all test '
    'images, clean and under attacks (in which ball); source'
  )
  for name, row in interop.RECIPES.items():
    known = ', '.join(f'{column} {value:g}' for column, value in row.expected.items())
    ball = f'{row.norm} {radius(row.eps)}' if len(row.expected) > 1 else 'no attack'
    options = ''.join(
      f' {k}={v}' for k, v in row.network.items() if k not in ('name', 'mean', 'std')
    )
    constants = ' mean, std' if 'mean' in row.network else ''
    say(
      f'{name:{width}}  {row.data} {row.network["name"]}{options}{constants}; {known} '
      f'({ball}); {row.source}'
    )
