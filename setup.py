"""Puts the configs into the package: in a wheel, `configs/` is `jaxrkd.configs`.

All else about the package is in pyproject.toml.
"""

import pathlib
import shutil

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithConfigs(build_py):
  """Copies `configs/` beside the modules; an editable install reads it where it lies."""

  def run(self) -> None:
    super().run()
    if self.editable_mode:
      return
    shutil.copytree(
      pathlib.Path(__file__).parent / 'configs',
      pathlib.Path(self.build_lib) / 'jaxrkd' / 'configs',
      ignore=shutil.ignore_patterns('__pycache__'),
      dirs_exist_ok=True,
    )


setup(cmdclass={'build_py': BuildWithConfigs})
