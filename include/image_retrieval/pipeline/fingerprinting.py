"""Fingerprints images that were embedded before there were these fingerprints, from their resampled pictures."""

from collections.abc import Iterator

from image_retrieval.batches import in_order
from image_retrieval.collection import Collection
from image_retrieval.imaging.resample import Prints, prints_of_resampled
from image_retrieval.objects import ObjectFault, ObjectStore
from image_retrieval.settings import Settings
from image_retrieval.store.connection import connect
from image_retrieval.store.fingerprints import Unprinted, find_unprinted, set_prints

BATCH = 500
READERS = 8


def fingerprint_images(collection: Collection, settings: Settings) -> int:
    """Fill in the perceptual hash, colours, sharpness and complexity of images without. Returns how many got some.

    A cropped picture shows only a part, so it tells no hash.
    """
    store, printed = ObjectStore(settings), 0

    def work(image: Unprinted) -> Prints | None:
        try:
            return prints_of_resampled(store.read(image.resampled_uri), image.width, image.height, collection.resample)
        except (ObjectFault, OSError):  # the picture is gone, or is no picture
            return None

    for images in _unprinted(collection, settings):
        prints = zip(images, in_order(work, images, READERS), strict=True)
        found = [(image, told) for image, told in prints if told is not None]
        with connect(settings) as connection:
            set_prints(connection, found)
        printed += len(found)
    return printed


def _unprinted(collection: Collection, settings: Settings) -> Iterator[list[Unprinted]]:
    after, whole = 0, collection.resample.fit != "crop"
    while True:
        with connect(settings) as connection:
            images = find_unprinted(connection, collection.name, after, BATCH, whole=whole)
        if not images:
            return
        yield images
        after = images[-1].id
