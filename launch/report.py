"""`jaxrkd report` for a checkout: `python launch/report.py --help` says what it does."""

from jaxrkd.programs.command_line import start

if __name__ == '__main__':
  start('report')
