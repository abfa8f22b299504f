"""`jaxrkd dynamics` for a checkout: `python launch/dynamics.py --help` says what it does."""

from jaxrkd.programs.command_line import start

if __name__ == '__main__':
  start('dynamics')
