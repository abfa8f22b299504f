"""What `mkdocs build` calls: adds the reference pages to the site."""

import importlib.util
import pathlib
import re
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


def on_page_content(html: str, page: Any, config: Any, files: Files) -> str:
  """Lets links of notebooks lead to pages: mkdocs follows those of Markdown alone."""
  del config, files
  if not page.file.src_uri.endswith('.ipynb'):
    return html
  return re.sub(r'href="((?:\.\./)*[\w/]+)\.md((?:#[\w-]+)?)"', r'href="\1.html\2"', html)
