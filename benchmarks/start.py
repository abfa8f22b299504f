"""Seconds until a run trains: import, data, compiling, and again with compiled programs kept.

Usage: python benchmarks/start.py [--config=configs/mtard_digits.py] [--student=...]

Runs `launch/main.py --dry_run` in processes of their own, first with an empty folder for
compiled programs, then with what that left. PyTorch's import is beside ours where it is
installed; what its first step takes is a column of `train_step.py`.
"""

import argparse
import importlib.util
import pathlib
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).parent.parent


def import_seconds(module):
  """Of a Python that starts, imports and ends; the second time, when the disk was read."""
  for _ in range(2):
    began = time.perf_counter()
    subprocess.run([sys.executable, '-c', f'import {module}'], check=True, cwd=ROOT)
  return time.perf_counter() - began


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--config', default=str(ROOT / 'configs' / 'mtard_digits.py'))
  options, more = parser.parse_known_args()
  print(f'import: {import_seconds("jaxrkd.experiment"):.1f} s')
  if importlib.util.find_spec('torch'):
    print(f'import of PyTorch: {import_seconds("torch"):.1f} s')
  with tempfile.TemporaryDirectory() as folder:
    for title in ('nothing kept', 'compiled before'):
      began = time.perf_counter()
      command = [sys.executable, str(ROOT / 'launch' / 'main.py'), '--dry_run']
      command += [f'--config={options.config}', f'--compiled={folder}', *more]
      done = subprocess.run(command, capture_output=True, text=True, check=False)
      if done.returncode:
        sys.exit(done.stderr)
      found = re.search(r'compiled in ([\d.]+) s', done.stdout)
      print(
        f'{title}: {time.perf_counter() - began:.1f} s in all, step compiled in '
        f'{found[1]} s'
      )


if __name__ == '__main__':
  main()
