"""AKD, Table 4: one teacher or four.

Run:       jaxrkd study --name=akd_table4 --workdir=runs/studies
"""

from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import study

S = configs.sibling(__file__, 'papers.py')
P = configs.sibling(__file__, 'papers_akd.py')
Row, Claim, Comparison, Cell = study.Row, study.Claim, study.Comparison, study.Cell

WORDS = {
  'CIFAR-10': {
    ('Std.', '1'): 'std',
    ('Std.', '4'): 'std,maximising,en',
    ('AT_FFGSM', '1'): 'ffgsm',
    ('AT_FFGSM', '4'): 'ffgsm,en',
    ('AT_PGD-7', '1'): 'pgd7,maximising',
    ('AT_PGD-7', '4'): 'pgd7,maximising,en',
  },
  'CIFAR-100': {
    ('Std.', '1'): 'std,maximising',
    ('Std.', '4'): 'std,maximising,en',
    ('AT_FFGSM', '1'): 'ffgsm',
    ('AT_FFGSM', '4'): 'ffgsm,en',
    ('AT_PGD-7', '1'): 'pgd7,maximising',
    ('AT_PGD-7', '4'): 'pgd7,maximising,en',
  },
}
STUDY = P.akd_study(
  'Table 4',
  'Do four teachers teach more than one?',
  [
    Row(
      f'{training}, {count} model{"s" if count == "4" else ""}',
      f'akd:{S.DATA[data]},{words}',
      block=data,
      printed=dict(dataset=data, teacher_training=training, n_teachers=count),
    )
    for data, rows in WORDS.items()
    for (training, count), words in rows.items()
  ],
  'akd_table4.csv',
  claims=[
    Claim(
      f'four teachers are better than one: {training}, {title}, {data}',
      (
        Comparison(
          Cell(f'{data}: {training}, 4 models', title),
          Cell(f'{data}: {training}, 1 model', title),
        ),
      ),
    )
    for data in S.DATA
    for training in ('Std.', 'AT_FFGSM', 'AT_PGD-7')
    for title in ('Clean', 'AA')
  ],
)
