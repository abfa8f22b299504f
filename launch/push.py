"""`jaxrkd push` for a checkout: `python launch/push.py --help` says what it does."""

from jaxrkd.programs.command_line import start

if __name__ == '__main__':
  start('push')
