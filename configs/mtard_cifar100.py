"""MTARD on CIFAR-100 with the paper's teachers and hyper-parameters.

Run:       python launch/main.py --config=configs/mtard_cifar100.py --workdir=runs/mtard_c100
Students:  ResNet-18; MobileNetV2 with ':mobilenet_v2'
Smoke:     ':smoke', or ':mobilenet_v2,smoke'; a minute on a CPU
Hardware:  a GPU or TPU; `--dry_run` estimates the time
Result:    not measured yet
"""

import pathlib
import runpy

from ml_collections import ConfigDict

# The two data sets share everything but their teachers.
CIFAR10 = runpy.run_path(str(pathlib.Path(__file__).parent / 'mtard_cifar10.py'))


def get_config(arg: str = '') -> ConfigDict:
  return CIFAR10['experiment']('cifar100', arg)
