"""What this installation may read: the URIs under IMAGE_RETRIEVAL_ALLOWED_SOURCES."""

import os
from functools import lru_cache
from urllib.parse import unquote, urlsplit

from image_retrieval.errors import UserError
from image_retrieval.redaction import shown_url
from image_retrieval.schemes import BUCKETS, scheme_of
from image_retrieval.settings import Settings

PORTS = {"http": 80, "https": 443}


def refusal(uri: str, settings: Settings) -> str | None:
    """Why the installation may not read a URI, in one line; None if it may."""
    if not settings.allowed_sources or _lies_in(uri, (*settings.allowed_sources, settings.service_source_uri)):
        return None
    return (
        f"{shown_url(uri)} is outside what this installation may read: correct it, or add its prefix or host to "
        "IMAGE_RETRIEVAL_ALLOWED_SOURCES"
    )


def require(uri: str, settings: Settings) -> None:
    """Raise UserError if the installation may not read a URI."""
    told = refusal(uri, settings)
    if told:
        raise UserError(told)


def _lies_in(uri: str, allowed: tuple[str, ...]) -> bool:
    scheme = scheme_of(uri).lower()
    found = _comparable(uri, scheme)
    return found is not None and found.startswith(_folders(allowed, scheme))


@lru_cache(maxsize=64)
def _folders(allowed: tuple[str, ...], scheme: str) -> tuple[str, ...]:
    """The comparable forms of the allowed prefixes of a scheme, each ending in `/`."""
    found = (_comparable(prefix, scheme) for prefix in allowed if scheme_of(prefix).lower() == scheme)
    return tuple(f"{prefix.rstrip('/')}/" for prefix in found if prefix is not None)


def _comparable(uri: str, scheme: str) -> str | None:
    """A URI so that those inside a folder begin with the folder; None if a store may read it in several ways."""
    if scheme == "file":
        try:
            return f"{os.path.realpath(uri.partition('://')[2] or uri).rstrip('/')}/"  # links are followed
        except ValueError:  # no path has this name
            return None
    if scheme in PORTS:
        return _comparable_url(uri, scheme)
    if scheme not in BUCKETS or ("/.." in uri and ".." in uri.split("/")):
        return None
    return uri if uri.count("/") > 2 else f"{uri}/"


def _comparable_url(url: str, scheme: str) -> str | None:
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port or PORTS[scheme]
    except ValueError:
        return None
    path = unquote(parts.path).replace("\\", "/")
    if not host or parts.username is not None or ".." in path.split("/"):
        return None
    return f"{scheme}://{host}:{port}{path or '/'}"
