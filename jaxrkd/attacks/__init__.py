"""Attacks on any classifier of [0, 1] images that has a pure `logits_fn(images)`.

An attack is one file here plus one row in `ATTACKS`: (threat, **options) -> `Attack`,
`Stepwise` (each image may end by itself) or `Cascade` (several of these); one that has no
threat set of pixels lies in `unforeseen/` and has a row in `UNFORESEEN`.
A search that training may use has a row in `SEARCHES`: (threat, **options) -> `Search`.
"""

import functools
from collections.abc import Callable
from typing import Any

from jaxrkd.attacks import objectives
from jaxrkd.attacks.adam import adam_search
from jaxrkd.attacks.aim import Aim
from jaxrkd.attacks.apgd import apgd, apgd_t
from jaxrkd.attacks.autoattack import VERSIONS, autoattack
from jaxrkd.attacks.base import Attack, Search, example_keys
from jaxrkd.attacks.cw import cw_inf
from jaxrkd.attacks.cw_l2 import cw_l2
from jaxrkd.attacks.ddn import ddn
from jaxrkd.attacks.deepfool import deepfool
from jaxrkd.attacks.fab import fab, fab_t
from jaxrkd.attacks.fgsm import fgsm
from jaxrkd.attacks.minimum_norm import distances, is_minimum_norm
from jaxrkd.attacks.objectives import LogitsFn
from jaxrkd.attacks.pgd import pgd, pgd_sat, pgd_search, pgd_trades
from jaxrkd.attacks.ramp import Ramp
from jaxrkd.attacks.square import square
from jaxrkd.attacks.starts import STARTS
from jaxrkd.attacks.stepwise import (
  AnyAttack,
  Cascade,
  Randomised,
  Stepwise,
  cascade,
)
from jaxrkd.attacks.svgd import svgd, svgd_search
from jaxrkd.attacks.targeted import targeted_pgd, towards
from jaxrkd.attacks.threat import L1, L2, THREATS, Linf, Threat
from jaxrkd.attacks.unforeseen import (
  UNFORESEEN,
  elastic,
  fog,
  frank_wolfe_l1,
  gabor,
  jpeg,
  snow,
)
from jaxrkd.attacks.uninterrupted import uninterrupted

# The width that AT-AKA prints: so narrow that every particle is on its own.
PAPER: dict[str, Any] = dict(bandwidth='fixed', sigma=1e-3)
ATTACKS: dict[str, Callable[..., AnyAttack]] = {
  'fgsm': fgsm,
  'pgd': pgd,
  'pgd_sat': pgd_sat,
  'pgd_trades': pgd_trades,
  'cw_inf': cw_inf,
  'targeted_pgd': targeted_pgd,
  'svgd': functools.partial(svgd, particles=10),
  'svgd_paper': functools.partial(svgd, particles=10, **PAPER),
  'apgd_ce': functools.partial(apgd, loss='ce'),
  'apgd_dlr': functools.partial(apgd, loss='dlr'),
  'apgd_t': apgd_t,
  'fab': fab,
  'fab_t': fab_t,
  'deepfool': deepfool,
  'ddn': ddn,
  'cw_l2': cw_l2,
  'square': square,
  'autoattack': autoattack,
}
SEARCHES: dict[str, Callable[..., Search]] = {
  'pgd': pgd_search,
  'adam': adam_search,
  'svgd': svgd_search,
  'svgd_paper': functools.partial(svgd_search, **PAPER),
}

__all__ = [
  'ATTACKS',
  'L1',
  'L2',
  'SEARCHES',
  'STARTS',
  'THREATS',
  'UNFORESEEN',
  'VERSIONS',
  'Aim',
  'AnyAttack',
  'Attack',
  'Cascade',
  'Linf',
  'LogitsFn',
  'Ramp',
  'Randomised',
  'Search',
  'Stepwise',
  'Threat',
  'adam_search',
  'apgd',
  'apgd_t',
  'autoattack',
  'cascade',
  'cw_inf',
  'cw_l2',
  'ddn',
  'deepfool',
  'distances',
  'elastic',
  'example_keys',
  'fab',
  'fab_t',
  'fgsm',
  'fog',
  'frank_wolfe_l1',
  'gabor',
  'is_minimum_norm',
  'jpeg',
  'objectives',
  'pgd',
  'pgd_sat',
  'pgd_search',
  'pgd_trades',
  'snow',
  'square',
  'svgd',
  'svgd_search',
  'targeted_pgd',
  'towards',
  'uninterrupted',
]
