"""Training methods, one published method per file.

A method is one file here plus one row in `METHODS`: (**options) -> `Method`.
"""

from collections.abc import Callable

from jaxrkd.methods.base import Method
from jaxrkd.methods.mtard import mtard
from jaxrkd.methods.natural import natural
from jaxrkd.methods.sat import sat
from jaxrkd.methods.trades import trades

METHODS: dict[str, Callable[..., Method]] = {
  'natural': natural,
  'sat': sat,
  'trades': trades,
  'mtard': mtard,
}

__all__ = ['METHODS', 'Method']
