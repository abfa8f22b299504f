"""Checks every link of a folder of pages: `python docs/hooks/links.py site`.

The pages are served to LinkChecker on this machine alone: as root it gives its rights up, and
could not read the files. Anchors are checked by mkdocs itself.
"""

import functools
import http.server
import pathlib
import subprocess
import sys
import tempfile
import threading

# Ten requests a second would be its manners towards others.
SETTINGS = '[checking]\nmaxrequestspersecond=1000\n'


class Server(http.server.ThreadingHTTPServer):
  """Does not mind who hangs up."""

  def handle_error(self, *said: object) -> None:
    """Drops a traceback: LinkChecker reads heads of large files only."""


class Quiet(http.server.SimpleHTTPRequestHandler):
  """Serves files, and says nothing."""

  def log_message(self, *said: object) -> None:
    """Drops a line."""


def check(folder: str) -> int:
  """The status of LinkChecker: 0 if every link leads somewhere."""
  handler = functools.partial(Quiet, directory=folder)
  with Server(('127.0.0.1', 0), handler) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as place:
      settings = pathlib.Path(place) / 'linkcheckerrc'
      settings.write_text(SETTINGS, encoding='utf-8')
      pathlib.Path(place).chmod(0o755)
      address = f'http://127.0.0.1:{server.server_address[1]}/index.html'
      command = [str(pathlib.Path(sys.executable).parent / 'linkchecker')]
      command += [f'--config={settings}', '--no-status', '--no-robots', address]
      done = subprocess.run(command, check=False)
    server.shutdown()
  return done.returncode


if __name__ == '__main__':
  sys.exit(check(sys.argv[1]))
