"""Lists the ranges of a bucket's keys at once, and yields their pages in the order of the keys.

Keys that are known divide the bucket into ranges. A range that turns out to be long is listed in part, and guesses
divide the rest of it, so that a bucket that nobody knows is divided as it is listed.

A range is listed up to the first key behind its end, and this key has to be the first one that the next range finds.
So the ranges together hold all that one listing would hold. If they do not meet, or if a range cannot be listed
completely and in order, the bucket is listed anew, one page after the other, and that listing alone counts.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass
from itertools import chain, islice
from operator import lt

import structlog

from image_retrieval.objects.base import ANEW, ListingIncomplete, Page
from image_retrieval.objects.columns import uris_of
from image_retrieval.objects.s3_cuts import guessed_cuts
from image_retrieval.objects.s3_listing import Ask, is_text, pages
from image_retrieval.objects.uris import root_of

log = structlog.get_logger()
AT_ONCE = 16  # ranges: what they hold waits in memory for its turn
LONG = 8  # pages of a range that are listed before the rest of it is divided


@dataclass(frozen=True, slots=True)
class _Range:
    """The keys behind `lower` up to `upper`, from the first or to the last one if there is none."""

    lower: str | None
    upper: str | None


@dataclass(frozen=True, slots=True)
class _Found:
    """A listed range: its pages, the first URIs behind its lower and its upper end, and the ranges of its rest."""

    pages: list[Page]
    first: str | None
    after: str | None
    rest: list[_Range]


def pages_at_once(ask: Ask, prefix: str, cuts: Sequence[str], behind: str | None = None) -> Iterator[Page]:
    """Pages of the objects under a prefix, divided behind the URIs `cuts`, and of those behind a URI if one is given.

    Where the ranges of a store do not meet, the page ANEW comes, and then all pages. Raises ListingIncomplete.
    """
    bucket = root_of(prefix)
    lower = None if behind is None else behind.removeprefix(bucket)
    keys = sorted({cut.removeprefix(bucket) for cut in cuts if cut.startswith(prefix) and is_text(cut)})
    keys = [key for key in keys if lower is None or key > lower]
    try:
        yield from _joined(ask, prefix, list(map(_Range, [lower, *keys], [*keys, None])))
    except _Apart as apart:
        log.info("listing one page after the other", prefix=prefix, cause=str(apart))
        yield ANEW
        yield from pages(ask, prefix)


class _Apart(Exception):
    """The ranges do not hold what one listing would hold. The text says why."""


class _Line:
    """Ranges in the order of their keys, of which the first AT_ONCE are listed at once."""

    def __init__(self, pool: ThreadPoolExecutor, ask: Ask, prefix: str, ranges: list[_Range]) -> None:
        self._pool, self._ask, self._prefix = pool, ask, prefix
        self._parts: list[_Range | Future[_Found]] = [*ranges]
        self._divided = set[Future[_Found]]()  # those whose rest is in the line
        self._started = 0

    def __bool__(self) -> bool:
        return bool(self._parts)

    def next(self) -> _Found:
        """Take the first range out of the line once it is listed. Raises _Apart."""
        while True:
            self._start()
            started = list(islice((part for part in self._parts if isinstance(part, Future)), self._started))
            if started[0].done():
                break
            wait([part for part in started if not part.done()], return_when=FIRST_COMPLETED)
        found = started[0].result()
        if started[0] not in self._divided:
            self._parts[1:1] = found.rest
        self._divided.discard(started[0])
        del self._parts[0]
        self._started -= 1
        return found

    def _start(self) -> None:
        """Let the rests of listed ranges join the line, and list its first ranges."""
        at = 0
        while at < len(self._parts) and (self._started < AT_ONCE or at == 0):
            part = self._parts[at]
            if isinstance(part, _Range):
                self._parts[at] = self._pool.submit(copy_context().run, _listed, self._ask, self._prefix, part)
                self._started += 1
            elif part.done() and part not in self._divided and part.exception() is None:
                self._parts[at + 1 : at + 1] = part.result().rest
                self._divided.add(part)
            at += 1


def _joined(ask: Ask, prefix: str, ranges: list[_Range]) -> Iterator[Page]:
    """The pages of the ranges, in order. Raises _Apart."""
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="listing") as pool:
        line = _Line(pool, ask, prefix, ranges)
        expected: tuple[str | None] | None = None  # what the range before found behind its end
        try:
            while line:
                found = line.next()
                if expected not in (None, (found.first,)):
                    raise _Apart("a range does not begin where the one before it ends")
                expected = (found.after,)
                found.pages.reverse()
                while found.pages:  # none is kept longer than it is read
                    yield found.pages.pop()
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
    taken: list[Page] = []
    for page in pages(ask, prefix, part.lower):
        uris = uris_of(page)
        if not all(map(lt, chain([last], uris), uris)):
            raise _Apart("a range is not in order")
        last = uris[-1]
        if end is not None and last > end:
            inside = bisect_right(uris, end)
            taken += [page[:inside]] if inside else []
            return _Found(taken, taken[0][0].uri if taken else uris[inside], uris[inside], [])
        taken.append(page)
        if len(taken) == LONG and len(page) > 1 and is_text(uris[-2]):
            taken[-1] = page[:-1]  # its last key shows that the rest begins there
            rest = _Range(uris[-2].removeprefix(bucket), part.upper)
            return _Found(taken, taken[0][0].uri, last, _divided(rest, taken, bucket))
    return _Found(taken, taken[0][0].uri if taken else None, None, [])


def _divided(rest: _Range, taken: list[Page], bucket: str) -> list[_Range]:
    """The rest of a range whose first pages are listed, in ranges that likely are as long."""
    keys = [uri.removeprefix(bucket) for page in taken for uri in uris_of(page)]
    cuts = guessed_cuts(keys, rest.upper)
    return list(map(_Range, [rest.lower, *cuts], [*cuts, rest.upper]))
