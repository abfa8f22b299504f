"""MTARD on CIFAR-10 with the paper's teachers and hyper-parameters.

Run:       python launch/main.py --config=configs/mtard_cifar10.py --workdir=runs/mtard_c10
Students:  ResNet-18; MobileNetV2 with ':mobilenet_v2'
Smoke:     ':smoke', or ':mobilenet_v2,smoke'; a minute on a CPU
Hardware:  a GPU or TPU; `--dry_run` estimates the time
Paper:     ResNet-18 87.36 clean, 50.73 PGD_sat; MobileNetV2 89.26 clean, 44.16 PGD_sat
Result:    not measured yet
"""

import pathlib

from ml_collections import ConfigDict

from jaxrkd import config as configs

FOLDER = pathlib.Path(__file__).parent
STUDENTS = {'resnet18', 'mobilenet_v2'}


def experiment(data: str, arg: str) -> ConfigDict:
  """MTARD on either CIFAR set."""
  chosen = configs.words(arg, {*STUDENTS, 'smoke'})
  smoke = 'smoke' if 'smoke' in chosen else ''
  teachers = FOLDER / 'teachers' / 'cifar.py'
  clean = configs.load(teachers, f'{data},clean,{smoke}')
  robust = configs.load(teachers, f'{data},robust,{smoke}')
  config = configs.load(teachers, f'{data},robust,{smoke}')
  config.teachers = dict(
    clean=configs.teacher(clean),
    # The TRADES script selects nothing: its teacher is the last epoch's.
    robust={**configs.teacher(robust), 'checkpoint': 'last'},
  )
  config.student = dict(name='mobilenet_v2' if 'mobilenet_v2' in chosen else 'resnet18')
  if smoke:
    # The networks' real sizes are what `--dry_run` is for.
    config.student = dict(name='resnet8', width=8)
  config.method = dict(name='mtard')
  config.threat.eps = 8 / 255
  config.attack = dict(name='pgd', steps=10, step_size=2 / 255, start='gauss')
  config.epochs = 1 if smoke else 300
  config.schedule = dict(name='milestones', peak=0.1, milestones=(215, 260, 285))
  return config


def get_config(arg: str = '') -> ConfigDict:
  return experiment('cifar10', arg)
