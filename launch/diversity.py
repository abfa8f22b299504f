"""`jaxrkd diversity` for a checkout: `python launch/diversity.py --help` says what it does."""

from jaxrkd.programs.command_line import start

if __name__ == '__main__':
  start('diversity')
