"""What `mkdocs build` calls: adds the reference pages to the site."""

import pathlib
import re
import sys
from typing import Any

from mkdocs.structure.files import File, Files

# Hooks are no package: the module beside this one is found by its folder.
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import reference


def on_files(files: Files, config: Any) -> Files:
  """Adds the pages that `reference.py` makes."""
  for path, text in reference.pages().items():
    files.append(File.generated(config, path, content=text))
  return files


def on_page_content(html: str, page: Any, config: Any, files: Files) -> str:
  """Lets links of notebooks lead to pages: mkdocs follows those of Markdown alone."""
  del config, files
  if not page.file.src_uri.endswith('.ipynb'):
    return html
  return re.sub(r'href="((?:\.\./)*[\w/]+)\.md((?:#[\w-]+)?)"', r'href="\1.html\2"', html)
