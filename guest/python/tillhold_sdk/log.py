"""Lines for the operator: the only thing that a plugin may ask of its host. At most 100 a batch, each at most 1,024
bytes; never personal data. In a test on the author's own machine they go to standard error.
"""

import sys

from .wire import logging


def info(line):
    _write("INFO", line)


def warning(line):
    _write("WARNING", line)


def _write(level, line):
    if logging is None:
        print(f"{level.lower()}: {line}", file=sys.stderr)
    else:
        logging.write(getattr(logging.Level, level), line)


def last_words(error):
    """An exception, with the author's own line in it: the host puts it beside the trap."""
    at, place = error.__traceback__, ""
    while at is not None:
        code = at.tb_frame.f_code
        if "tillhold_sdk" not in code.co_filename:
            place = f" ({code.co_filename.rsplit('/', 1)[-1]}, line {at.tb_lineno})"
        at = at.tb_next
    warning(f"{type(error).__name__}: {error}{place}")
