"""Globs such as `*.jpg` or `front/**/*.png`, compared with the end of a key, in any case."""

import re
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
    return bool(others) and any(_matches(PurePosixPath(key), pattern.lower()) for pattern in others)


@lru_cache(maxsize=64)
def _split(globs: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The lower-case endings of globs such as `*.jpg`, and the other globs.

    Listings check every object, and endings are compared a hundred times as fast as paths.
    """
    plain = {glob for glob in globs if re.fullmatch(r"\*\.[^*?\[\]/]+", glob)}
    return tuple(glob.lower().removeprefix("*") for glob in globs if glob in plain), tuple(
        glob for glob in globs if glob not in plain
    )


def _matches(key: PurePosixPath, pattern: str) -> bool:
    """Whether the end of a key matches a glob; `**` stands for any number of folders, including none."""
    if "**" not in pattern:
        return key.match(pattern)
    parts = PurePosixPath(pattern).parts
    return _match_parts(key.parts, parts if pattern.startswith("/") else ("**", *parts))


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
