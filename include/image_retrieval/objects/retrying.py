"""What breaks on the way is done again: bounded tries, with a pause that grows and varies."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

import structlog

log = structlog.get_logger()
T = TypeVar("T")

TRIES = 5
PAUSE = 0.1  # seconds after the first break; twice as long after each further one


class Broken(Exception):
    """What was asked for came in part, or wrong. The text says how, in a few words and without secrets."""


def again(work: Callable[[], T], what: str) -> T:
    """What `work` returns; it is done again, TRIES times in all, where it raises Broken. Raises the last Broken."""
    for number in range(TRIES - 1):
        try:
            return work()
        except Broken as broken:
            log.info("broke, and is tried again", uri=what, cause=str(broken))
            time.sleep(PAUSE * 2**number * random.uniform(0.5, 1.5))  # so that readers do not return all at once
    return work()
