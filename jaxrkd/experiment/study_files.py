"""Studies by name, or from a Python file of one's own."""

import pathlib

from jaxrkd.errors import InputError, nearest
from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment.study import Study
from jaxrkd.experiment.study_check import check


def load_study(name: str) -> Study:
  """The study of a name, or of a Python file.

  Raises:
    InputError: no such study, its file defines no `STUDY`, or the study is not sound.
  """
  if not name.endswith('.py') and name not in names():
    raise InputError(
      f'no study {name!r}{nearest(name, names())}; jaxrkd study --list names all of them, and a '
      'file of your own ends in .py'
    )
  path = pathlib.Path(configs.place(name, 'studies'))
  found = getattr(configs.run_file(path, 'study'), 'STUDY', None)
  if not isinstance(found, Study):
    raise InputError(
      f'study {str(path)!r} does not define STUDY = study.Study(...); see '
      'configs/studies/mtard_table2.py'
    )
  check(found)
  return found


# Studies of no paper's.
OWN = ('matrix_cifar10', 'matrix_digits')


def of_papers() -> list[str]:
  """Names of the studies that reproduce a table or figure of a paper."""
  return [name for name in names() if name not in OWN]


def names() -> list[str]:
  """Names of jaxrkd's own studies."""
  texts = {
    name: (configs.SHIPPED / 'studies' / f'{name}.py').read_text(encoding='utf-8')
    for name in configs.own('studies')
  }
  return [name for name, text in texts.items() if 'STUDY = ' in text]
