"""SVHN's cropped digits: its authors' MATLAB files, or TFDS."""

from jaxrkd.data.mat import mat
from jaxrkd.data.split import Split
from jaxrkd.data.tfds import tfds


def svhn(
  path: str = '', data_dir: str = '', train_split: str = 'train'
) -> tuple[Split, Split]:
  """Reads SVHN (Netzer et al. 2011): 73,257 and 26,032 images [32, 32, 3] of ten digits.

  Args:
    path: folder with `train_32x32.mat` and `test_32x32.mat`; empty takes TFDS's
      `svhn_cropped`.
    data_dir: where TFDS keeps data.
    train_split: of TFDS; 'train+extra' adds 531,131 easier images.

  Raises:
    InputError: as `mat` and `tfds`.
  """
  if path:
    return mat(path)
  return tfds('svhn_cropped', data_dir, train_split)
