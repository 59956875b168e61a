"""Removes possible secrets from URLs in messages: user, password, signature."""

import re

from image_retrieval.schemes import BUCKETS

# a scheme has at most 40 letters here; without a limit, a long word would be scanned again from each letter
_URL = re.compile(r"([A-Za-z0-9+.-]{1,40}://)([^\s\"'<>]*)")
LONGEST = 200


def shown_url(url: str) -> str:
    """A URL in ASCII and quotes, without user, password, query and fragment; only the scheme if it is ambiguous."""
    head, found, rest = url.partition("://")
    if not found:
        return ascii("…" if "@" in url else re.split(r"[?#]", url, maxsplit=1)[0][:LONGEST])
    return ascii(f"{head[:20]}://{_bare(rest)}"[:LONGEST])


def redacted(text: str) -> str:
    """Another program's text without user and password in URLs, and without the query unless it is an object's key."""
    return _URL.sub(lambda found: found[1] + _kept(found[1], found[2]), text)


def _kept(scheme: str, rest: str) -> str:
    if scheme.lower().removesuffix("://") in (*BUCKETS, "file"):  # a key may contain ? and @
        return rest if "@" not in rest.partition("/")[0] else "…"
    return _bare(rest)


def _bare(rest: str) -> str:
    """The part after `://`, without anything before an @ or after a ? or #.

    A password may contain any of these, and `/`. So if an @ comes after the end of the host, nothing is shown: the
    apparent host and port may be a user and the start of a password, or the start of a token.
    """
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    beyond = rest[len(authority) :]
    if authority.count("@") > 1 or "@" in beyond:
        return "…"
    path = re.split(r"[?#]", beyond, maxsplit=1)[0]
    return authority.rpartition("@")[2] + path
