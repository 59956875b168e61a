"""Lists the ranges of a bucket's keys at once, and yields their pages in the order of the keys.

Keys that are known divide the bucket into ranges. A range that turns out to be long is listed in part, and keys that
are looked up divide the rest of it, so that a bucket that nobody knows is divided as it is listed.

A range is listed up to the first key behind its end, and this key has to be the first one that the next range finds.
So the ranges together hold all that one listing would hold. If they do not meet, or if a range cannot be listed
completely and in order, the bucket is listed one page after the other, and that listing decides.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from itertools import chain, islice
from os.path import commonprefix

import structlog

from image_retrieval.objects.base import ListingIncomplete, ObjectFault, StoredObject, StoreUnavailable
from image_retrieval.objects.s3_listing import Ask, entries, is_text, pages
from image_retrieval.objects.uris import root_of, split_s3

log = structlog.get_logger()
AT_ONCE = 24  # ranges: what they hold waits in memory for its turn
LONG = 8  # pages of a range that are listed before the rest of it is divided
CHILDREN = 8  # ranges into which a rest is divided, at least, if its keys allow that
LOOK_UPS = 64  # requests for that, at most
GREATEST = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class _Range:
    """The keys behind `lower` up to `upper`, from the first or to the last one if there is none."""

    lower: str | None
    upper: str | None


@dataclass(frozen=True, slots=True)
class _Found:
    """A listed range: its pages, the first URIs behind its lower and its upper end, and the ranges of its rest."""

    pages: list[list[StoredObject]]
    first: str | None
    after: str | None
    rest: list[_Range]


def pages_at_once(ask: Ask, prefix: str, cuts: Sequence[str]) -> Iterator[list[StoredObject]]:
    """Pages of the objects under a prefix, divided behind the URIs `cuts`. Raises ListingIncomplete.

    Objects are listed twice where the ranges of a store do not meet.
    """
    bucket = root_of(prefix)
    keys = sorted({cut.removeprefix(bucket) for cut in cuts if cut.startswith(prefix) and is_text(cut)})
    waiting = deque(map(_Range, [None, *keys], [*keys, None]))
    try:
        yield from _joined(ask, prefix, waiting)
    except _Apart as apart:
        log.info("listing one page after the other", prefix=prefix, cause=str(apart))
        yield from pages(ask, prefix)


class _Apart(Exception):
    """The ranges do not hold what one listing would hold. The text says why."""


def _joined(ask: Ask, prefix: str, waiting: deque[_Range]) -> Iterator[list[StoredObject]]:
    """The pages of the ranges, in order, of which AT_ONCE are listed at once. Raises _Apart."""
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="listing") as pool:
        started: deque[Future[_Found]] = deque()
        expected: tuple[str | None] | None = None  # what the range before found behind its end

        def start(part: _Range) -> Future[_Found]:
            return pool.submit(copy_context().run, _listed, ask, prefix, part)

        try:
            while waiting or started:
                while waiting and len(started) < AT_ONCE:
                    started.append(start(waiting.popleft()))
                found = started.popleft().result()
                if expected not in (None, (found.first,)):
                    raise _Apart("a range does not begin where the one before it ends")
                expected = (found.after,)
                started.extendleft(start(part) for part in reversed(found.rest))
                yield from found.pages
        finally:
            pool.shutdown(cancel_futures=True)


def _listed(ask: Ask, prefix: str, part: _Range) -> _Found:
    """List a range, or its first pages if it is long, which then leave ranges of the rest. Raises _Apart."""
    try:
        return _read(ask, prefix, part)
    except ListingIncomplete as error:
        raise _Apart(str(error)) from None


def _read(ask: Ask, prefix: str, part: _Range) -> _Found:
    bucket = root_of(prefix)
    last = "" if part.lower is None else bucket + part.lower
    end = None if part.upper is None else bucket + part.upper
    taken: list[list[StoredObject]] = []
    for page in pages(ask, prefix, part.lower):
        uris = [entry.uri for entry in page]
        if not all(before < uri for before, uri in zip(chain([last], uris), uris, strict=False)):
            raise _Apart("a range is not in order")
        last = uris[-1]
        if end is not None and last > end:
            inside = sum(uri <= end for uri in uris)
            taken += [page[:inside]] if inside else []
            return _Found(taken, taken[0][0].uri if taken else uris[inside], uris[inside], [])
        taken.append(page)
        if len(taken) == LONG and len(page) > 1 and is_text(uris[-2]):
            lower = uris[-2].removeprefix(bucket)
            taken[-1] = page[:-1]  # its last key shows that the rest begins there
            return _Found(taken, taken[0][0].uri, last, _rest(ask, prefix, _Range(lower, part.upper)))
    return _Found(taken, taken[0][0].uri if taken else None, None, [])


def _rest(ask: Ask, prefix: str, part: _Range) -> list[_Range]:
    """A range divided; whole if the store refuses to be asked for what lies behind a made-up key."""
    try:
        return divide(ask, prefix, part)
    except (ObjectFault, StoreUnavailable):
        return [part]


def divide(ask: Ask, prefix: str, part: _Range) -> list[_Range]:
    """Ranges of a range, found by looking up which characters follow each other in its keys."""
    bounded = part.lower is not None and part.upper is not None  # then all of its keys begin as both ends do
    ends = [part.lower or "", part.upper or ""]
    names = deque([commonprefix(ends) if bounded else split_s3(prefix)[1]])  # noqa: RUF071 (by characters)
    cuts: list[str] = []
    left = LOOK_UPS
    while names and len(cuts) < CHILDREN and left > 0:
        children = list(islice(_children(ask, prefix, names.popleft(), part), left))
        left -= len(children) + 1
        names.extend(children)
        cuts += [child + GREATEST for child in children[:-1]]
    bounds = sorted(cut for cut in cuts if cut > (part.lower or ""))
    return list(map(_Range, [part.lower, *bounds], [*bounds, part.upper]))


def _children(ask: Ask, prefix: str, name: str, part: _Range) -> Iterator[str]:
    """The beginnings of the range's keys that are one character longer than `name`, in order."""
    behind = max(name, part.lower or "")
    while (key := _next_key(ask, prefix, behind)) is not None:
        child = key[: len(name) + 1]
        if not key.startswith(name) or key <= behind or not is_text(child) or key > (part.upper or key):
            return
        yield child
        behind = child + GREATEST


def _next_key(ask: Ask, prefix: str, behind: str) -> str | None:
    """The first key behind another one, as the store tells it."""
    found = entries(ask(2, StartAfter=behind, MaxKeys=1), prefix)
    return split_s3(found[0].uri)[1] if found else None
