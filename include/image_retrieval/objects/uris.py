"""The parts of a URI."""

from pathlib import Path

from image_retrieval.errors import UserError
from image_retrieval.redaction import shown_url
from image_retrieval.schemes import BUCKETS, SUPPORTED


def split_s3(uri: str) -> tuple[str, str]:
    """Bucket and key of a URI such as s3://bucket/key."""
    bucket, _, key = uri.partition("://")[2].partition("/")
    return bucket, key


def root_of(uri: str) -> str:
    """The URI of a bucket, ending in `/`, of anything in it."""
    scheme, _, rest = uri.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}/"


def local_path(uri: str) -> Path | None:
    """The path of a file:// URI or a plain path; None for one in a bucket. Raises UserError for another scheme."""
    scheme, found, rest = uri.partition("://")
    if not found:
        return Path(uri)
    if scheme not in BUCKETS and scheme != "file":
        raise UserError(f"{shown_url(uri)} has the unknown scheme {scheme!r}: use {SUPPORTED}")
    return Path(rest) if scheme == "file" else None
