"""Resample: turns the images of a manifest into packed pixels, on all cores."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial

import structlog

from image_retrieval.batches import in_batches, in_order
from image_retrieval.collection import Collection
from image_retrieval.errors import ImageRejected, Reason
from image_retrieval.image_inputs import is_url, listed_image, rejection_of, stored_object
from image_retrieval.imaging.kept_decoders import decoders_of
from image_retrieval.imaging.resample import Resampled
from image_retrieval.objects import NameUnsupported, ObjectFault, ObjectStore
from image_retrieval.pipeline.evidence import DOUBTFUL, Evidence
from image_retrieval.pipeline.names import resampled_uri
from image_retrieval.pipeline.table_images import Given, Image, with_images
from image_retrieval.settings import Settings
from image_retrieval.shards import (
    ROWS_PER_GROUP,
    ManifestRow,
    PackedRow,
    Shard,
    facts_of,
    reading,
    resampled_schema,
    table_of,
    writing,
)
from image_retrieval.tar_uris import place_of

log = structlog.get_logger()
Draw = Callable[[bytes], tuple[Resampled, bytes]]  # an image's bytes at the target size, and its resampled file
UNKNOWN_SIZE = 32 * 2**20  # bytes that are reserved for an image whose size is not known
READERS_PER_CORE = 4  # threads that fetch, wait for a decoder, and store, so that no decoder waits for the network


def resample_shard(
    collection: Collection,
    run_id: str,
    shard: int,
    settings: Settings,
    *,
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Write the packed pixels of a shard: each image of its manifest, resampled or with the reason for its rejection.

    Does nothing if the file exists. Raises UserError if the object store fails as a whole, or refuses every object.
    """
    started = time.monotonic()
    store = ObjectStore(settings)
    files = Shard(collection.name, run_id, shard).files(settings.work_uri)
    if store.exists(files.resampled):
        log.info("already resampled", shard=shard)
        return
    with reading(store, files.manifest) as manifest:
        rows = [ManifestRow(**row) for row in manifest.read().to_pylist()]
        planned = facts_of(manifest)
    width, height = int(planned["width"]), int(planned["height"])
    layout = resampled_schema(width, height)
    done = rejected = 0
    with (
        decoders_of(settings) as decoders,
        writing(store, files.resampled, layout, compression="lz4", use_dictionary=False) as out,
    ):
        waiting = Budget(settings.read_ahead_mb * 2**20)
        evidence = Evidence()
        draw = partial(decoders.resample, options=collection.resample.of_size((width, height)))

        def work(given: Given) -> PackedRow:
            row, image = given
            with waiting.taken(row.size or UNKNOWN_SIZE):
                kept = _kept_row(row, (width, height), store, draw)
                if kept is not None:
                    return kept
                found = _resampled_row(row, image, collection, settings, store, draw)
                if not is_url(row.uri):  # a host that is down is no store's fault: the attempts of its URLs end
                    evidence.take(found)
                return found

        given = with_images(collection, rows, planned.get("table_version"), store, settings)
        for batch in in_batches(in_order(work, given, READERS_PER_CORE * settings.cores), ROWS_PER_GROUP):
            out.write_table(table_of(batch, layout))
            done += len(batch)
            rejected += sum(row.reason is not None for row in batch)
            progress(len(batch))
            if all(row.reason in DOUBTFUL for row in batch):  # perhaps the store is down: no need to ask for all
                evidence.require_images_fault(collection, store, settings)
        evidence.require_images_fault(collection, store, settings)
        seconds = time.monotonic() - started
        out.add_key_value_metadata(
            {"collection": collection.name, "run": run_id, "shard": str(shard), "seconds": f"{seconds:.3f}"}
            | {name: planned[name] for name in ("digest", "probes") if name in planned}
        )
    log.info("resampled", shard=shard, images=done - rejected, rejected=rejected, seconds=round(seconds, 2))


class Budget:
    """A number of bytes that threads share. A request for more than all waits until it is alone."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Wait until `size` bytes are free, and hold them during the block."""
        size = min(size, self._size)
        with self._changed:
            self._changed.wait_for(lambda: self._taken + size <= self._size)
            self._taken += size
        try:
            yield
        finally:
            with self._changed:
                self._taken -= size
                self._changed.notify_all()


def _kept_row(row: ManifestRow, size: tuple[int, int], store: ObjectStore, draw: Draw) -> PackedRow | None:
    """A switch's row with the pixels of the kept picture, or None if there is none of this size."""
    if row.resampled_uri is None:
        return None
    try:
        found, _ = draw(store.read(row.resampled_uri))
    except (ImageRejected, ObjectFault) as error:
        log.info("resampled again: its kept picture cannot be used", uri=row.uri, reason=str(error))
        return None
    if (found.width, found.height) != size:
        log.info("resampled again: its kept picture has another size", uri=row.uri, size=(found.width, found.height))
        return None
    return PackedRow(**asdict(row), pixels=found.pixels)


def _resampled_row(
    row: ManifestRow, image: Image, collection: Collection, settings: Settings, store: ObjectStore, draw: Draw
) -> PackedRow:
    """The manifest's row with pixels and facts, or with the reason for its rejection; `image` is what a table holds."""
    packed = PackedRow(**asdict(row))
    try:
        if isinstance(image, ImageRejected):
            raise image
        if image is not None:
            packed = replace(packed, size=len(image))
        elif not (row.size or is_url(row.uri) or place_of(row.uri, row.etag)):  # an index file told the version alone
            told = stored_object(store, row.uri)
            packed = replace(packed, size=told.size, last_modified=told.last_modified)
        if packed.size > settings.max_image_bytes:
            detail = f"{packed.size} bytes are over the limit of {settings.max_image_bytes}"
            raise ImageRejected(Reason.TOO_LARGE, detail)
        if image is None:
            image = listed_image(store, row.uri, row.etag, packed.size, settings)
        found, file = draw(image)
        uri = None
        if collection.resample.keep:
            uri = resampled_uri(collection, row.image_id, settings)
            _keep(store, uri, file)
    except ImageRejected as error:
        return replace(packed, reason=str(error.reason), detail=error.detail)
    return replace(
        packed,
        sha256=found.sha256,
        width=found.width,
        height=found.height,
        format=found.format,
        mode=found.mode,
        phash=found.phash,
        captured_at=found.captured_at,
        colours=found.colours,
        sharpness=found.sharpness,
        complexity=found.complexity,
        resampled_uri=uri,
        pixels=found.pixels,
    )


def _keep(store: ObjectStore, uri: str, file: bytes) -> None:
    try:
        store.write(uri, file)
    except NameUnsupported as fault:  # for example, a folder has the file's name
        raise rejection_of(fault) from None
