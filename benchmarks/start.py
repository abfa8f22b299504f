"""Seconds until a run trains: import, data, compiling, and again with compiled programs kept.

Usage: python benchmarks/start.py [--config=configs/mtard_digits.py] [--student=...]

Runs `launch/main.py --dry_run` in processes of their own, first with an empty folder for
compiled programs, then with what that left.
"""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).parent.parent


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--config', default=str(ROOT / 'configs' / 'mtard_digits.py'))
  options, more = parser.parse_known_args()
  began = time.perf_counter()
  subprocess.run([sys.executable, '-c', 'import jaxrkd.run'], check=True, cwd=ROOT)
  print(f'import: {time.perf_counter() - began:.1f} s')
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
