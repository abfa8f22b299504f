"""Whether CIFAR-10 trains the same from TFDS, a folder of PNGs, Parquet and arrays.

  python benchmarks/data_layouts.py --data_dir=TFDS --out=FOLDER

Writes the set in each layout, reads each as its source does, and trains a small network on
each for a few steps. Prints the time of writing and reading, and whether images, labels and
losses are equal bit for bit.
"""

import argparse
import io
import json
import os
import pathlib
import time

import numpy as np
import pyarrow
import pyarrow.parquet
from PIL import Image

from jaxrkd import experiment
from jaxrkd.data import read_source
from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import run

STEPS_OF = 2048


def write(root: pathlib.Path, splits) -> dict[str, str]:
  paths = {name: str(root / name) for name in ('folder', 'parquet')}
  paths['npz'] = str(root / 'arrays.npz')
  (root / 'parquet').mkdir(parents=True)
  arrays = {}
  for part, split in splits.items():
    rows = []
    for row, (image, label) in enumerate(zip(split.image, split.label)):
      stream = io.BytesIO()
      Image.fromarray(image).save(stream, 'PNG')
      place = root / 'folder' / part / split.names[label]
      place.mkdir(parents=True, exist_ok=True)
      (place / f'{row}.png').write_bytes(stream.getvalue())
      rows.append(dict(bytes=stream.getvalue(), path=f'{row}.png'))
    features = dict(
      img=dict(_type='Image'), label=dict(_type='ClassLabel', names=list(split.names))
    )
    table = pyarrow.table({'img': rows, 'label': split.label.astype(np.int64)})
    noted = json.dumps(dict(info=dict(features=features)))
    pyarrow.parquet.write_table(
      table.replace_schema_metadata({'huggingface': noted}),
      root / 'parquet' / f'{part}-00000-of-00001.parquet',
    )
    arrays |= {f'{part}_images': split.image, f'{part}_labels': split.label}
  np.savez(root / 'arrays.npz', **arrays, class_names=splits['train'].names)
  return paths


def losses(name: str, path: str, data_dir: str, workdir: pathlib.Path) -> list[float]:
  config = configs.load(pathlib.Path('configs/sat.py'), 'cifar10')
  config.student = dict(name='convnet')
  config.data = dict(name=name, **(dict(path=path) if path else {}), train_limit=STEPS_OF)
  config.data.test_limit = 256
  config.epochs, config.log_every = 1, 1
  config.schedule = dict(name='cosine', peak=0.1)
  config.evaluation.attacks = dict(fgsm=dict())
  config.evaluation.trust.images = 0
  config.evaluation.gallery.images = 0
  run.train_and_evaluate(experiment.resolve(config), workdir, data_dir)
  lines = (workdir / 'metrics.jsonl').read_text(encoding='utf-8').splitlines()
  return [found['loss'] for line in lines if 'loss' in (found := json.loads(line))]


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--data_dir', required=True)
  parser.add_argument('--out', required=True)
  args = parser.parse_args()
  root = pathlib.Path(args.out)
  os.environ['JAXRKD_CACHE'] = str(root / 'cache')
  begin = time.time()
  train, test = read_source('cifar10', data_dir=args.data_dir)
  print(f'tfds      read in {time.time() - begin:.1f} s')
  begin = time.time()
  paths = {'cifar10': '', **write(root, dict(train=train, test=test))}
  print(f'written in {time.time() - begin:.1f} s')
  known = None
  for name, path in paths.items():
    if path:
      begin = time.time()
      found = read_source(name, dict(path=path))
      first = time.time() - begin
      begin = time.time()
      read_source(name, dict(path=path))
      equal = all(
        np.array_equal(np.asarray(got.image), want.image)
        and np.array_equal(got.label, want.label)
        and np.array_equal(got.index, want.index)
        for got, want in zip(found, (train, test))
      )
      again = time.time() - begin
      print(f'{name:9} read in {first:.1f} s, again in {again:.1f} s, equal: {equal}')
    own = losses(name, path, args.data_dir, root / f'run_{name}')
    known = known or own
    print(f'{name:9} {len(own)} losses, last {own[-1]!r}, equal: {own == known}')


if __name__ == '__main__':
  main()
