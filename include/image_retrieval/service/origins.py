"""Detects whether a request comes from a program, this service's page, or a page of another site in a browser."""

from urllib.parse import urlsplit

from fastapi import Request

from image_retrieval.service.errors import Refused

SENT_UNASKED = ("basic", "digest", "negotiate", "ntlm")  # schemes of Authorization that browsers add by themselves


def is_json(content_type: str) -> bool:
    """Whether a Content-Type header means JSON."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


async def refuse_other_sites(request: Request) -> None:
    """Raise Refused (403) if a page of another site may have made a browser send this, with the cookie of a login.

    A browser sends JSON, or a token in the header Authorization, to another site only if that site allows it, and this
    service never does. For anything else, the browser must say by Sec-Fetch-Site or Origin, which it adds to each POST
    to another site, that this host's own page sent it. Programs send neither header, and no cookie.
    """
    if not (is_json(request.headers.get("content-type", "")) or _has_token(request) or _is_own(request)):
        raise Refused(
            403, "other_site", "a page of another site may have sent this", "send the header Authorization, or JSON"
        )


def _has_token(request: Request) -> bool:
    scheme, _, _ = request.headers.get("authorization", "").strip().partition(" ")
    return bool(scheme) and scheme.lower() not in SENT_UNASKED


def _is_own(request: Request) -> bool:
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        return site == "same-origin"
    if origin is not None:
        return urlsplit(origin).netloc.lower() == request.headers.get("host", "").lower() != ""
    return "cookie" not in request.headers and "referer" not in request.headers
