"""`python -m jaxrkd` is the command `jaxrkd`."""

from jaxrkd.programs.cli import main

if __name__ == '__main__':
  main()
