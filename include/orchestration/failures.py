"""Errors that the user can correct, and outages, end a task with one line in its log and no stack trace."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from airflow.sdk.definitions.retry_policy import ExceptionRetryPolicy, RetryAction, RetryRule

from image_retrieval.errors import ImageRejected, Unavailable, UserError

log = structlog.get_logger()


class Mistake(SystemExit):
    """A mistake of the user. It ends a task; Airflow logs a SystemExit without a trace."""


class Outage(SystemExit):
    """An outage. It ends a task, which Airflow retries."""


RETRY_POLICY = ExceptionRetryPolicy(
    rules=[
        RetryRule(exception=Mistake, action=RetryAction.FAIL, reason="the same command would fail the same way"),
        RetryRule(exception=Outage, action=RetryAction.RETRY, reason="a service did not answer"),
    ]
)


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """Turn a user's mistake into Mistake, and an unavailable service into Outage."""
    try:
        yield
    except Unavailable as error:
        log.error(str(error))
        raise Outage(str(error)) from None
    except (UserError, ImageRejected) as error:
        log.error(str(error))
        raise Mistake(str(error)) from None
