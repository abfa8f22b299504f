"""Training methods, one published method per file.

A method is one file here plus one row in `METHODS`: (**options) -> `Method`. What its
attack raises is an inner problem, one row of `INNERS`; any goes under any method.
"""

from collections.abc import Callable

from jaxrkd.methods.absld import absld
from jaxrkd.methods.ada_iad import ada_iad
from jaxrkd.methods.adaad import adaad
from jaxrkd.methods.adr import adr
from jaxrkd.methods.akd import akd
from jaxrkd.methods.ard import ard
from jaxrkd.methods.at_aka import at_aka
from jaxrkd.methods.b_mtard import b_mtard
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
from jaxrkd.methods.dgad import dgad
from jaxrkd.methods.fair import fair_ard, fair_iad, fair_mtard, fair_rslad
from jaxrkd.methods.ffgsm import ffgsm
from jaxrkd.methods.hat import hat
from jaxrkd.methods.iad_1 import iad_1
from jaxrkd.methods.iad_2 import iad_2
from jaxrkd.methods.ikl import gkl, ikl
from jaxrkd.methods.inner import INNERS, Inner
from jaxrkd.methods.lbgat import lbgat
from jaxrkd.methods.mart import mart
from jaxrkd.methods.mmard import mmard
from jaxrkd.methods.mtard import mtard
from jaxrkd.methods.natural import natural
from jaxrkd.methods.peeraid import peeraid
from jaxrkd.methods.rslad import rslad
from jaxrkd.methods.saad import saad
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
  'saad': saad,
  'b_mtard': b_mtard,
  'ada_iad': ada_iad,
  'dgad': dgad,
  'adr': adr,
  'absld': absld,
  'fair_ard': fair_ard,
  'fair_iad': fair_iad,
  'fair_rslad': fair_rslad,
  'fair_mtard': fair_mtard,
  'peeraid': peeraid,
  'lbgat': lbgat,
  'hat': hat,
  'ikl': ikl,
  'gkl': gkl,
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
