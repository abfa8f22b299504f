"""What the matrices share: methods, extras, and which of them go together."""

from collections.abc import Collection

from jaxrkd.experiment import study

# Name in the table -> config.
METHODS = {
  'SAT': 'sat',
  'TRADES': 'trades',
  'MART': 'mart',
  'ARD': 'ard',
  'IAD-I': 'iad_1',
  'RSLAD': 'rslad',
  'AdaAD': 'adaad',
  'MTARD': 'mtard',
  'MMARD': 'mmard',
  'SAAD': 'saad',
  'B-MTARD': 'b_mtard',
  'AdaIAD': 'ada_iad',
  'DGAD': 'dgad',
  'ABSLD': 'absld',
  'Fair-RSLAD': 'fair_rslad',
  'PeerAiD': 'peeraid',
  'LBGAT': 'lbgat',
  'HAT': 'hat',
  'ADR': 'adr',
  'IKL': 'ikl',
}
# Without a frozen robust teacher there is no indirect gradient to match.
NO_TEACHER = {'SAT', 'TRADES', 'MART', 'PeerAiD', 'LBGAT', 'HAT', 'ADR', 'IKL'}
# IKL has AWP as its authors use it.
HAS_AWP = {'IKL'}
PLAIN = 'plain'
COLUMNS = [
  study.Shown('Clean', 'clean'),
  study.Shown('PGD_sat', 'pgd_sat'),
  study.Shown('APGD-T', 'apgd_t'),
  study.Shown('W', 'weighted:apgd_t'),
]
# The last epoch, so that no row gains by selection; the average over epochs where there is one.
PROTOCOL = study.Protocol(
  'jaxrkd',
  dict(pgd_sat={}, apgd_t=dict(steps=50, targets=5)),
  checkpoint='last',
  seeds=(0, 1, 2),
  states=('Every row shows the last epoch, or the average over epochs where it has one',),
)


def extras(epochs: int, alpha: float) -> dict[str, dict]:
  """Name of an extra -> what it changes.

  Args:
    epochs: of the trainings; SWA begins after half of them.
    alpha: of IGDM.
  """
  # One training gives the last epoch and the average: both rows have its key.
  swa = {'swa.start': epochs // 2}
  awp = {**swa, 'awp.gamma': 0.005, 'awp.warmup': epochs // 20}
  igdm = {**swa, 'igdm.alpha': alpha}
  return {
    PLAIN: swa,
    'AWP': awp,
    'SWA': swa,
    'AWP + SWA': awp,
    'IGDM': igdm,
    'IGDM + SWA': igdm,
  }


def rows(
  words: str, epochs: int, alpha: float, methods: Collection[str] = tuple(METHODS)
) -> list[study.Row]:
  """A row for each extra and method that go together.

  Args:
    words: of every config, such as 'digits'.
    epochs: of every training.
    alpha: of IGDM.
    methods: names in the table.
  """
  return [
    study.Row(
      name,
      f'{METHODS[name]}:{words}',
      {'epochs': epochs, **changes},
      block=extra,
      checkpoint='swa' if 'SWA' in extra else '',
    )
    for extra, changes in extras(epochs, alpha).items()
    for name in methods
    if not (extra.startswith('IGDM') and name in NO_TEACHER)
    and not (extra.startswith('AWP') and name in HAS_AWP)
  ]


def claims(made: list[study.Row], column: str = 'APGD-T') -> list[study.Claim]:
  """Of each extra and method, whether the extra adds to robust accuracy."""
  return [
    study.Claim(
      f'{row.block} adds to the robust accuracy of {row.name}',
      (
        study.Comparison(
          study.Cell(row.key, column), study.Cell(f'{PLAIN}: {row.name}', column)
        ),
      ),
    )
    for row in made
    if row.block != PLAIN
  ]
