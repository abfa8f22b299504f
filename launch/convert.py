"""`jaxrkd convert` for a checkout: `python launch/convert.py --help` says what it does."""

from jaxrkd.programs.command_line import start

if __name__ == '__main__':
  start('convert')
