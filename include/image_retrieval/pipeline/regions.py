"""The pictures that regions of a collection's images are cut from."""

from collections.abc import Callable

from image_retrieval.collection import ResampleChoice
from image_retrieval.errors import ImageRejected
from image_retrieval.store.images import ListedObject

Version = tuple[str, int]  # ETag and size
Read = Callable[[str, Version | None], bytes]


def picture_of(listed: ListedObject, choice: ResampleChoice, read: Read) -> bytes:
    """The bytes of an image's original at the version that was embedded.

    Where that cannot be read, those of its kept picture, if that shows the whole original. Raises ImageRejected.
    """
    version = (listed.etag, listed.size or 0) if listed.etag is not None else None
    try:
        return read(listed.uri, version)
    except ImageRejected:
        if listed.resampled_uri is None or choice.fit != "stretch":
            raise
        return read(listed.resampled_uri, None)
