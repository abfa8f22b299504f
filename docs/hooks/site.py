"""What `mkdocs build` calls: adds the reference pages to the site."""

import importlib.util
import pathlib
from typing import Any

from mkdocs.structure.files import File, Files


def on_files(files: Files, config: Any) -> Files:
  """Adds the pages that `reference.py` makes."""
  for path, text in _reference().pages().items():
    files.append(File.generated(config, path, content=text))
  return files


def _reference() -> Any:
  """The module beside this one: hooks are no package."""
  path = pathlib.Path(__file__).with_name('reference.py')
  spec = importlib.util.spec_from_file_location('reference', path)
  assert spec is not None and spec.loader is not None
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module
