"""AKD, Table 2: how the teacher is trained.

Run:       jaxrkd study --name=akd_table2 --workdir=runs/studies
"""

from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import study

S = configs.sibling(__file__, 'papers.py')
P = configs.sibling(__file__, 'papers_akd.py')
Row, Claim, Comparison, Cell = study.Row, study.Claim, study.Comparison, study.Cell

# Training of the teacher -> its name, the words of its row on each data set.
TEACHERS = {
  'none': ('at', 'at'),
  'Std.': ('std', 'std,maximising'),
  'AT_FFGSM': ('ffgsm', 'ffgsm'),
  'AT_PGD-7': ('pgd7,maximising', 'pgd7,maximising'),
}
STUDY = P.akd_study(
  'Table 2',
  'Must the teacher be robust for the student to become so?',
  [
    Row(
      f'teacher {name}' if name != 'none' else 'AT (no teacher)',
      f'akd:{S.DATA[data]},{words[place]}',
      block=data,
      printed=dict(dataset=data, teacher_training=name),
    )
    for place, data in enumerate(S.DATA)
    for name, words in TEACHERS.items()
  ],
  'akd_table2.csv',
  claims=[
    Claim(
      f'a student of an adversarially trained teacher is the most robust: {data}',
      tuple(
        Comparison(
          Cell(f'{data}: teacher AT_PGD-7', 'AA'), Cell(f'{data}: {other}', 'AA')
        )
        for other in ('AT (no teacher)', 'teacher Std.', 'teacher AT_FFGSM')
      ),
    )
    for data in S.DATA
  ]
  + [
    Claim(
      f'a standard teacher makes the student more accurate than AT alone: {data}',
      (
        Comparison(
          Cell(f'{data}: teacher Std.', 'Clean'),
          Cell(f'{data}: AT (no teacher)', 'Clean'),
        ),
      ),
    )
    for data in S.DATA
  ],
)
