"""`jaxrkd pull` for a checkout: `python launch/pull.py --help` says what it does."""

from jaxrkd.programs.command_line import start

if __name__ == '__main__':
  start('pull')
