"""Why TFDS could not give a data set, in one sentence with a way out for each reason."""

import errno

from jaxrkd.errors import InputError

# By name: their modules are TFDS's own affair, and requests is only known to it.
NO_NETWORK = {
  *('ConnectionError', 'Timeout', 'TimeoutError', 'URLError', 'gaierror'),
  'MaxRetryError',
}
FULL = (errno.ENOSPC, errno.EDQUOT)
CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS)


def prepare_with(dataset: str, folder: str = '') -> str:
  """The line that prepares a data set in the format that is read."""
  place = f", data_dir='{folder}'" if folder else ''
  return (
    f'`python -c "import tensorflow_datasets as t; t.data_source({dataset!r}, '
    f"builder_kwargs=dict(file_format='array_record'{place}))\"`"
  )


def reason(error: Exception, dataset: str, root: str, done: str) -> InputError:
  """The sentence for an exception of TFDS.

  Args:
    error: it.
    dataset: its TFDS name.
    root: the folder where it lies or would lie.
    done: what could not be done with it: 'opened', 'downloaded and prepared' or 'read'.
  """
  names = _kinds(error)
  number = error.errno if isinstance(error, OSError) else None
  text = shortened(error)
  copied = 'copy the folder and name it with --data_dir or TFDS_DATA_DIR'
  elsewhere = (
    f'prepare it where there is a network with {prepare_with(dataset)}, {copied}'
  )
  if 'NonMatchingChecksumError' in names:
    return InputError(
      f'the checksum of a file that was downloaded for {dataset} is not the one that '
      f'TFDS expects ({text}): the download was cut short, the server sent a web page, '
      f'or the file has changed at its source; delete {root}/downloads and try again, or '
      'install a newer tensorflow-datasets'
    )
  if 'DownloadError' in names:
    return InputError(
      f'{dataset} is not in {root}, and its server refuses the file ({text}): try again '
      f'later, or {elsewhere}'
    )
  if isinstance(error, ImportError):
    # Builders of TFDS may need TensorFlow, that of CIFAR does; what they made does not.
    way = f'prepare it where that is installed with {prepare_with(dataset)}, {copied}'
    if done != 'downloaded and prepared':
      way = 'install it, or put the data into a .npz file elsewhere (data.name=npz)'
    return InputError(
      f'{dataset} cannot be {done} without a package that is not installed ({text}): {way}'
    )
  if number in FULL or text.startswith('Not enough disk space'):
    return InputError(
      f'{dataset} cannot be {done}, because the disk of {root} is full ({text}); make '
      'room, or name another folder with --data_dir or TFDS_DATA_DIR'
    )
  if number in CLOSED:
    return InputError(
      f'{dataset} cannot be {done}, because {root} is not open to you ({text}); name '
      'another folder with --data_dir or TFDS_DATA_DIR'
    )
  if names & NO_NETWORK:
    return InputError(
      f'{dataset} is not in {root}, and there is no network to download it '
      f'({type(error).__name__}: {text}): {elsewhere}'
    )
  if text.startswith('Manual directory'):
    return InputError(
      f'{dataset} must be downloaded by hand ({text}): put the files that '
      f'tensorflow.org/datasets/catalog/{dataset.split("/")[0].split(":")[0]} asks for '
      f'into {root}/downloads/manual and try again'
    )
  way = {
    'opened': 'see tensorflow.org/datasets/catalog for its configs and versions',
    'read': f'if it is damaged or incomplete, delete {root} and prepare it once more',
  }.get(done, elsewhere)
  return InputError(f'{dataset} cannot be {done} ({type(error).__name__}: {text}); {way}')


def _kinds(error: BaseException | None) -> set[str]:
  """Names of its classes and of those of its causes: TFDS wraps some errors in its own."""
  found: set[str] = set()
  while error is not None:
    found |= {kind.__name__ for kind in type(error).__mro__}
    error = error.__cause__
  return found


def shortened(error: Exception) -> str:
  """What an exception says, shortened, without what TFDS puts before it."""
  said = ' '.join(str(error).split())
  said = said.split('. Here are ')[0].split('"}": ')[-1].split('\'}": ')[-1]
  # What went wrong may stand at the end, behind the pixels of an image.
  return said if len(said) <= 200 else f'{said[:120]} ... {said[-75:]}'
