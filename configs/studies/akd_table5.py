"""AKD, Table 5: RSLAD and AKD under the same teachers, CIFAR-10.

Run:       jaxrkd study --name=akd_table5 --workdir=runs/studies
"""

from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import study

P = configs.sibling(__file__, 'papers_akd.py')
Row, Claim, Comparison, Cell = study.Row, study.Claim, study.Comparison, study.Cell

# (method, eps of the teacher, early stopping and label mixing, ensemble) -> words.
WORDS = {
  ('None', '8/255', 'No', 'No'): 'at',
  ('RSLAD', '0', 'No', 'No'): 'std,rslad,plain',
  ('RSLAD', '0', 'Yes', 'No'): 'std,rslad',
  ('RSLAD', '0', 'Yes', 'Yes'): 'std,rslad,en',
  ('RSLAD', '2/255', 'Yes', 'No'): 'eps2,rslad',
  ('RSLAD', '8/255', 'Yes', 'No'): 'rslad',
  ('AKD', '0', 'Yes', 'Yes'): 'std,en',
  ('AKD', '2/255', 'Yes', 'No'): 'eps2',
  ('AKD', '8/255', 'Yes', 'No'): 'maximising',
}


def named(method, eps, stopped, ensemble):
  """'RSLAD, teacher eps 0, stopped and mixed, 4 models'."""
  if method == 'None':
    return 'AT (no teacher)'
  more = ', stopped and mixed' if stopped == 'Yes' else ''
  return f'{method}, teacher eps {eps}{more}' + (
    ', 4 models' if ensemble == 'Yes' else ''
  )


STUDY = P.akd_study(
  'Table 5',
  'Do early stopping and label mixing help RSLAD, too?',
  [
    Row(
      named(*key),
      f'akd:cifar10,{words}',
      printed=dict(
        zip(('method', 'teacher_eps', 'early_stop_and_label_mixing', 'ensemble'), key)
      ),
    )
    for key, words in WORDS.items()
  ],
  'akd_table5.csv',
  claims=[
    Claim(
      'early stopping and label mixing make RSLAD from a standard teacher more robust',
      (
        Comparison(
          Cell('RSLAD, teacher eps 0, stopped and mixed', 'AA'),
          Cell('RSLAD, teacher eps 0', 'AA'),
        ),
      ),
    )
  ],
)
