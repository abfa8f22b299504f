"""The state of a run, the one train step, the loop around it."""
