"""`jaxrkd corruptions` for a checkout: `python launch/corruptions.py --help` says what it does."""

from jaxrkd.programs.command_line import start

if __name__ == '__main__':
  start('corruptions')
