"""What a user can mend, or wait for, ends a task with one line in its log and no stack trace."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from airflow.sdk.definitions.retry_policy import ExceptionRetryPolicy, RetryAction, RetryRule

from image_retrieval.errors import ImageRejected, Unavailable, UserError

log = structlog.get_logger()


class Mistake(SystemExit):
    """Ends a task; Airflow logs a SystemExit without a trace."""


class Outage(SystemExit):
    """Ends a task that is worth another try."""


RETRY_POLICY = ExceptionRetryPolicy(
    rules=[
        RetryRule(exception=Mistake, action=RetryAction.FAIL, reason="the same command would fail the same way"),
        RetryRule(exception=Outage, action=RetryAction.RETRY, reason="a service did not answer"),
    ]
)


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """Turn a user's mistake into Mistake and a service that does not answer into Outage."""
    try:
        yield
    except Unavailable as error:
        log.error(str(error))
        raise Outage(str(error)) from None
    except (UserError, ImageRejected) as error:
        log.error(str(error))
        raise Mistake(str(error)) from None
