"""A user's mistake ends a task with one line in its log, without a stack trace and without retries."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from image_retrieval.errors import UserError

log = structlog.get_logger()


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """Turn a UserError into SystemExit, which Airflow logs without a trace and TASK_DEFAULTS never retries."""
    try:
        yield
    except UserError as error:
        log.error(str(error))
        raise SystemExit(str(error)) from None
