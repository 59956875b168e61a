"""Globs such as `*.jpg` or `front/**/*.png`, compared with the end of a key, in any case."""

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from itertools import accumulate
from operator import or_
from pathlib import PurePosixPath


def matches_any(key: str, globs: tuple[str, ...]) -> bool:
    """Whether a key, relative to the source, matches one of the globs."""
    key = key.lower()
    suffixes, others = _split(globs)
    if key.endswith(suffixes):
        return True
    if key.endswith(("/", "/.")):  # a path would drop these
        others = globs
    if not others:
        return False
    parts = PurePosixPath(key).parts
    return any(_matches(parts, _parts(glob)) for glob in others)


def all_that_match(keys: Sequence[str], globs: tuple[str, ...]) -> list[int]:
    """The places of the keys that match one of the globs."""
    suffixes, _ = _split(globs)
    return [at for at, key in enumerate(keys) if key.endswith(suffixes) or matches_any(key, globs)]


@lru_cache(maxsize=64)
def _split(globs: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The lower-case endings of globs such as `*.jpg`, and the other globs.

    Listings check every object, and endings are compared a hundred times as fast as paths.
    """
    plain = {glob for glob in globs if re.fullmatch(r"\*\.[^*?\[\]/]+", glob)}
    return tuple(glob.lower().removeprefix("*") for glob in globs if glob in plain), tuple(
        glob for glob in globs if glob not in plain
    )


@lru_cache(maxsize=64)
def _parts(glob: str) -> tuple[str, ...]:
    """The patterns for the last parts of a key, or for all if one is `**`: any number of folders, including none."""
    parts = PurePosixPath(glob.lower()).parts
    return ("**", *parts) if "**" in parts and not glob.startswith("/") else parts


def _matches(parts: tuple[str, ...], patterns: tuple[str, ...]) -> bool:
    """Whether a key's parts match patterns. On Python 3.13 PurePath.match takes exponential time for some."""
    if "**" in patterns:
        return _match_parts(parts, patterns)
    end = parts[-len(patterns) :]
    return len(end) == len(patterns) and all(map(fnmatchcase, end, patterns))


def _match_parts(parts: tuple[str, ...], patterns: tuple[str, ...]) -> bool:
    """Whether the parts of a path match patterns, comparing each pair once; `reached` holds the possible starts."""
    reached = [True, *[False] * len(parts)]
    for pattern in patterns:
        if pattern == "**":
            reached = list(accumulate(reached, or_))
        else:
            fits = (before and fnmatchcase(part, pattern) for before, part in zip(reached, parts, strict=False))
            reached = [False, *fits]
    return reached[-1]
