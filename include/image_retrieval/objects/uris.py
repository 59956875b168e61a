"""The parts of a URI."""

from pathlib import Path

from image_retrieval.errors import UserError
from image_retrieval.redaction import shown_url


def split_s3(uri: str) -> tuple[str, str]:
    """Bucket and key of an s3:// URI."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def local_path(uri: str) -> Path | None:
    """The path of a file:// URI or a plain path; None for s3://. Raises UserError for another scheme."""
    scheme, found, rest = uri.partition("://")
    if not found:
        return Path(uri)
    if scheme not in ("s3", "file"):
        raise UserError(f"{shown_url(uri)} has the unknown scheme {scheme!r}: use s3:// or file://")
    return Path(rest) if scheme == "file" else None
