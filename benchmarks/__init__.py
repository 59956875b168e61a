"""Measurements: `python -m benchmarks.NAME` prints a table, then one JSON object as the last line."""

import sys
from types import TracebackType


def _told(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Tell a missing package in one line: a benchmark's imports come before anything that it could check."""
    if isinstance(error, ModuleNotFoundError):
        print(f"the module {error.name} is missing: `make test` installs what benchmarks need", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


if any(word.startswith("benchmarks.") for word in sys.orig_argv):
    sys.excepthook = _told
