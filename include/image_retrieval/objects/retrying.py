"""Retries broken transfers: a bounded number of tries, with growing, randomised pauses."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

import structlog

log = structlog.get_logger()
T = TypeVar("T")

TRIES = 5
PAUSE = 0.1  # seconds after the first failure, doubled after each further one


class Broken(Exception):
    """An answer was incomplete or wrong. The text says how, in a few words and without secrets."""


def again(work: Callable[[], T], what: str) -> T:
    """The result of `work`, which is called up to TRIES times if it raises Broken. Raises the last Broken."""
    for number in range(TRIES - 1):
        try:
            return work()
        except Broken as broken:
            log.info("a transfer broke off: trying again", uri=what, cause=str(broken))
            time.sleep(PAUSE * 2**number * random.uniform(0.5, 1.5))  # so that readers do not return all at once
    return work()
