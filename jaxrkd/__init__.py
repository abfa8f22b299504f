"""Robust knowledge distillation and robustness evaluation in JAX.

    import jaxrkd
    f = jaxrkd.load_run('runs/mtard_digits')
    jaxrkd.evaluate.benchmark(f, 'digits', jaxrkd.attacks.Linf(0.12))

`attacks`, `losses`, `methods`, `models`, `data`, `interop` and `evaluate` are the library, and
are imported when they are first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = '0.1.0'

if TYPE_CHECKING:
  from jaxrkd import attacks, data, evaluate, interop, losses, methods, models
  from jaxrkd.experiment.load_run import load_run
  from jaxrkd.train.distill import distill

ROOMS = ('attacks', 'data', 'evaluate', 'interop', 'losses', 'methods', 'models')
# Name -> the module that has it.
NAMES = {
  'distill': 'jaxrkd.train.distill',
  'load_run': 'jaxrkd.experiment.load_run',
}

__all__ = [
  '__version__',
  'attacks',
  'data',
  'distill',
  'evaluate',
  'interop',
  'load_run',
  'losses',
  'methods',
  'models',
]


def __getattr__(name: str) -> Any:
  if name in ROOMS:
    return importlib.import_module(f'jaxrkd.{name}')
  if name in NAMES:
    return getattr(importlib.import_module(NAMES[name]), name)
  raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__() -> list[str]:
  return sorted(__all__)
