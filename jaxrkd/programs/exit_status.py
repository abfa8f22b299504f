"""What the exit status of a program says."""

import signal

DONE, WRONG, FAILED, UNKNOWN = 0, 2, 3, 4
INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM
# Status -> when a program ends with it.
MEANINGS: dict[int, str] = {
  DONE: 'Everything that was asked for is done.',
  1: 'A defect of jaxrkd or of a library. Send the traceback with a bug report.',
  WRONG: 'A mistake in the command, a config, a file or the data, or a full disk. One line on '
  'stderr names it. Also: one or more rows of a study could not be done.',
  FAILED: '`evaluate --strict`: a trust check failed. `doctor`: a check of the teacher failed.',
  UNKNOWN: '`evaluate --strict`: no trust check could be made.',
  INTERRUPTED: 'Ctrl-C. A training has saved where it was: the same command continues.',
  TERMINATED: 'SIGTERM, as clusters send it before they take a machine away. A training has saved '
  'where it was: the same command continues.',
}
