"""What a person should know of the data, printed before anything is done with them."""

from jaxrkd.data import Dataset
from jaxrkd.runtime.progress import say


def tell(data: Dataset) -> None:
  """Prints the notes of a data set, a line each."""
  for note in data.notes:
    say(f'note: {note}')
