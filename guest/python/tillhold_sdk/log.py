"""Lines for the operator: the only thing that a plugin may ask of its host. At most 100 a batch, each at most 1,024
bytes; never personal data. In a test on the author's own machine they go to standard error.
"""

import io
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


class _Lines(io.TextIOBase):
    """A stream whose lines are the operator's: a component has no standard output, and `print` would stop the batch."""

    def __init__(self, say):
        self._say = say
        self._begun = ""

    def writable(self):
        return True

    def write(self, text):
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            self._say(line)
        return len(text)

    def end(self):
        if self._begun:
            self.write("\n")


class heard:
    """What is printed inside goes to the operator."""

    def __enter__(self):
        self._before = sys.stdout, sys.stderr
        self._streams = _Lines(info), _Lines(warning)
        sys.stdout, sys.stderr = self._streams

    def __exit__(self, *_):
        for stream in self._streams:
            stream.end()
        sys.stdout, sys.stderr = self._before


def last_words(error):
    """An exception, with the author's own line in it: the host puts it beside the trap."""
    at, place = error.__traceback__, ""
    while at is not None:
        code = at.tb_frame.f_code
        if "tillhold_sdk" not in code.co_filename:
            place = f" ({code.co_filename.rsplit('/', 1)[-1]}, line {at.tb_lineno})"
        at = at.tb_next
    warning(f"{type(error).__name__}: {error}{place}")
