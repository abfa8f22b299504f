"""Attacks that no training in this library prepares for: fog, snow, warps, JPEG, L1.

They are those of Kang et al. (2019, arXiv:1908.08016). None has a threat set of pixels; each
takes a `strength` in the unit of its paper. One attack is one file here plus one row.
"""

import functools
from collections.abc import Callable

from jaxrkd.attacks.base import Attack
from jaxrkd.attacks.unforeseen.corruption import Corruption, corruption_search
from jaxrkd.attacks.unforeseen.elastic import elastic
from jaxrkd.attacks.unforeseen.fog import fog
from jaxrkd.attacks.unforeseen.frank_wolfe import frank_wolfe_l1
from jaxrkd.attacks.unforeseen.gabor import gabor
from jaxrkd.attacks.unforeseen.jpeg import jpeg
from jaxrkd.attacks.unforeseen.snow import snow

UNFORESEEN: dict[str, Callable[..., Attack]] = {
  'fog': fog,
  'snow': snow,
  'gabor': gabor,
  'elastic': elastic,
  'jpeg_linf': jpeg,
  'jpeg_l2': functools.partial(jpeg, norm='l2', strength=1.0),
  'jpeg_l1': functools.partial(jpeg, norm='l1', strength=64.0),
  'frank_wolfe_l1': frank_wolfe_l1,
}

__all__ = [
  'UNFORESEEN',
  'Corruption',
  'corruption_search',
  'elastic',
  'fog',
  'frank_wolfe_l1',
  'gabor',
  'jpeg',
  'snow',
]
