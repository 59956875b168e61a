"""What each training does to the record in its folder: begins it, takes it up, and tells in it what ended it."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from image_retrieval.errors import Unavailable, UserError
from image_retrieval.objects import ObjectStore
from image_retrieval.training import ranks
from image_retrieval.training.failures import in_words
from image_retrieval.training.loop import Collapsed
from image_retrieval.training.records import (
    CHECKPOINT,
    COLLAPSED,
    FAILED,
    FINISHED,
    STOPPED,
    Options,
    find_record,
    require_empty,
    require_own,
    require_same,
    update_record,
)


def begun(store: ObjectStore, out: str, options: Options, *, resume: bool) -> dict[str, Any] | None:
    """The record of the training that a folder holds; None if it is to begin. Raises UserError if it may not."""
    record = find_record(store, out)
    if record is None:
        require_empty(store, out)
        return None
    if record.get("state") == FAILED and not store.exists(out + CHECKPOINT):
        return None  # it came to nothing: other settings may do better
    if not resume and record.get("state") == FINISHED and (record.get("figures") or {}).get("decision") == "refused":
        return None
    require_same(options, record, out)
    if not resume:
        raise UserError(f"{out} holds this training: `image-retrieval training resume {out}` goes on with it")
    require_sound(record, out)
    return record


def require_sound(record: dict[str, Any], out: str) -> None:
    """Raise UserError if a training has collapsed."""
    if record.get("state") == COLLAPSED:
        raise UserError(f"the training in {out} would collapse again ({record.get('reason')}): begin another one")


@contextmanager
def failures_recorded(store: ObjectStore, out: str, token: str, options: Options) -> Iterator[None]:
    """Write an error of the block into the folder's record, in rank 0 alone, and raise it again.

    The record of another process that goes on with the training is left alone.
    """
    try:
        yield
    except Exception as error:
        told = in_words(error, options) or error
        if ranks.rank() == 0:
            with suppress(UserError):
                require_own(store, out, token)
                update_record(store, out, state=_state_after(told), reason=str(told))
        raise


def _state_after(error: Exception) -> str:
    if isinstance(error, Collapsed):
        return COLLAPSED
    return STOPPED if isinstance(error, Unavailable) else FAILED


@contextmanager
def told_to_stop() -> Iterator[Callable[[], bool]]:
    """Whether SIGTERM has come: the loop then saves a checkpoint and ends."""
    told: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
    try:
        yield lambda: bool(told)
    finally:
        signal.signal(signal.SIGTERM, before)
