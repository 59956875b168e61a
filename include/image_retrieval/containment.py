"""Detects whether one folder lies inside another, however both are written."""

import os
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

Reading = tuple[str, ...]


def lies_inside(inner: str, outer: str) -> bool:
    """Whether folder `inner` is `outer` or lies inside it; both are URIs or paths.

    If a store may read a spelling in several ways (`//`, `..`, `%20`), all of them count, so that folders found
    separate are separate. Links and mounts of existing local folders are followed.
    """
    there = set(_readings(outer))
    if any(reading[: len(other)] == other for reading in _readings(inner) for other in there):
        return True
    same = {found for path in _paths(outer) if (found := _identity(path))}
    return any(_identity(folder) in same for path in _paths(inner) for folder in (path, *path.parents))


def _split(uri: str) -> tuple[str, str]:
    """The scheme in lower case, and the rest; a plain path has the scheme `file`."""
    scheme, found, rest = uri.partition("://")
    return (scheme.lower(), rest) if found else ("file", uri)


def _readings(uri: str) -> Iterator[Reading]:
    """All readings of a URI: scheme, bucket and the parts of its path, from the top."""
    scheme, rest = _split(uri)
    if scheme == "file":
        for path in _paths(uri):
            yield (scheme, *path.parts)
        return
    bucket, _, key = rest.partition("/")
    for name in {key, unquote(key)}:
        yield (scheme, bucket.lower(), *name.rstrip("/").split("/")) if name.rstrip("/") else (scheme, bucket.lower())
        plain = posixpath.normpath(f"/{name}").strip("/")
        yield (scheme, bucket.lower(), *(plain.split("/") if plain else ()))


def _paths(uri: str) -> Iterator[Path]:
    """All real paths that a file URI may mean."""
    scheme, rest = _split(uri)
    if scheme != "file":
        return
    spelled = {rest, unquote(rest, errors="surrogateescape")}
    host, slash, path = rest.partition("/")
    if slash and host.lower() == "localhost":
        spelled |= {f"/{path}", f"/{unquote(path, errors='surrogateescape')}"}
    for name in spelled:
        name = re.sub("[\0\ud800-\udc7f\udd00-\udfff]", "", name)  # no folder's name has these
        yield Path(re.sub("^//+", "/", os.path.realpath(name)))


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and inode, which identify a folder under any of its names; None if it does not exist."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
