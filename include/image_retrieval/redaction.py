"""URLs in messages, without what may be a secret: user, password, signature."""

import re

# of a scheme 40 letters are looked at, else a long word would be read again from each of its letters
_URL = re.compile(r"([A-Za-z0-9+.-]{1,40}://)([^\s\"'<>]*)")
LONGEST = 200


def shown_url(url: str) -> str:
    """A URL in ASCII and quotes, without user, password, query and fragment; of one that is not clear, its scheme."""
    head, found, rest = url.partition("://")
    if not found:
        return ascii("…" if "@" in url else re.split(r"[?#]", url, maxsplit=1)[0][:LONGEST])
    return ascii(f"{head[:20]}://{_bare(rest)}"[:LONGEST])


def redacted(text: str) -> str:
    """A text of another program in which no URL holds a user, a password or, unless it names an object, a query."""
    return _URL.sub(lambda found: found[1] + _kept(found[1], found[2]), text)


def _kept(scheme: str, rest: str) -> str:
    if scheme.lower() in ("s3://", "file://"):  # ? and @ are letters of a key like others
        return rest if "@" not in rest.partition("/")[0] else "…"
    return _bare(rest)


def _bare(rest: str) -> str:
    """What follows `://`, without what stands before an @ or after a ? or #.

    A password may hold any of these and `/` itself. So where an @ comes after the host's end, nothing is shown: what
    looks like a host and its port may be a user and the start of a password, or the start of a token.
    """
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    beyond = rest[len(authority) :]
    if authority.count("@") > 1 or "@" in beyond:
        return "…"
    path = re.split(r"[?#]", beyond, maxsplit=1)[0]
    return authority.rpartition("@")[2] + path
