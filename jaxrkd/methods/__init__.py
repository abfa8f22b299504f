"""Training methods, one published method per file.

A method is one file here plus one row in `METHODS`: (**options) -> `Method`. What its
attack raises is an inner problem, one row of `INNERS`; any goes under any method.
"""

from collections.abc import Callable

from jaxrkd.methods.adaad import adaad
from jaxrkd.methods.akd import akd
from jaxrkd.methods.ard import ard
from jaxrkd.methods.at_aka import at_aka
from jaxrkd.methods.base import (
  Attacked,
  Batch,
  Evaluated,
  Method,
  MethodState,
  Networks,
  Teacher,
)
from jaxrkd.methods.cat_aka import cat_aka
from jaxrkd.methods.ckd import ckd
from jaxrkd.methods.ffgsm import ffgsm
from jaxrkd.methods.iad_1 import iad_1
from jaxrkd.methods.iad_2 import iad_2
from jaxrkd.methods.inner import INNERS, Inner
from jaxrkd.methods.mart import mart
from jaxrkd.methods.mmard import mmard
from jaxrkd.methods.mtard import mtard
from jaxrkd.methods.natural import natural
from jaxrkd.methods.rslad import rslad
from jaxrkd.methods.sat import sat
from jaxrkd.methods.trades import trades

METHODS: dict[str, Callable[..., Method]] = {
  'natural': natural,
  'sat': sat,
  'ffgsm': ffgsm,
  'trades': trades,
  'mart': mart,
  'ckd': ckd,
  'ard': ard,
  'iad_1': iad_1,
  'iad_2': iad_2,
  'rslad': rslad,
  'adaad': adaad,
  'mtard': mtard,
  'mmard': mmard,
  'akd': akd,
  'at_aka': at_aka,
  'cat_aka': cat_aka,
}

__all__ = [
  'INNERS',
  'METHODS',
  'Attacked',
  'Batch',
  'Evaluated',
  'Inner',
  'Method',
  'MethodState',
  'Networks',
  'Teacher',
]
