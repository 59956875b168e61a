"""Captioning: describes the images of a collection whose present version has no caption.

What is due is read from the tables, in the order of the images' ids, and done in parts. A part's folder is named after
its images and the captioner, so the next process continues what a killed one has left.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypedDict

import pyarrow.compute as pc
import structlog

from image_retrieval.captioning.answers import Fault
from image_retrieval.collection import Collection
from image_retrieval.errors import Reason, UserError
from image_retrieval.imaging.kept_decoders import keeping_decoders
from image_retrieval.objects import NotDeleted, ObjectStore
from image_retrieval.pipeline.captioners import Captioning, captioning_of, drawn_for, options_of
from image_retrieval.pipeline.listing import write_manifests
from image_retrieval.pipeline.resampling import resample_shard
from image_retrieval.pipeline.table_images import at_version
from image_retrieval.settings import Settings
from image_retrieval.shards import (
    CAPTIONS_RUN,
    KEPT_MANIFEST,
    ManifestRow,
    Shard,
    captions_work,
    collection_folder,
    facts_of,
    reading,
    run_folder,
)
from image_retrieval.store import captions
from image_retrieval.store.captions import Caption, CaptionSpace, NoCaption
from image_retrieval.store.connection import Connection, connect

log = structlog.get_logger()
PART = 1000  # images; a killed process repeats at most so many
Progress = Callable[[str, int], None]


class CaptionReport(TypedDict):
    """Images that were due, captions written, missing captions by reason, and images that are left.

    `shown`: the captioner whose captions the views now show; None: there is none.
    """

    due: int
    captions: int
    missing: dict[str, int]
    left: int
    shown: str | None


def caption_collection(
    collection: Collection,
    settings: Settings,
    *,
    device: str = "cpu",
    planned: Callable[[int], None] = lambda images: None,
    progress: Progress = lambda stage, done: None,
) -> CaptionReport:
    """Caption new and changed images, and those whose captions have another digest.

    `planned` is called with the number of images, and `progress` with each stage and the number of further images done.
    Raises UserError if the collection names no captioner, or another process captions it.
    """
    collection = at_version(collection, ObjectStore(settings), settings)
    captioning = captioning_of(collection, settings)
    from image_retrieval.captioning.shard_captioner import shard_captioner

    captioner, space = shard_captioner(options_of(collection), settings, device), captioning.space
    written, missing = 0, Counter[str]()
    with _alone(collection.name, settings), keeping_decoders():
        with connect(settings) as connection:
            due = captions.count_due(connection, space)
        planned(due)
        after = 0
        while not captioner.spent():
            with connect(settings) as connection:
                images = captions.read_due(connection, space, after, min(PART, collection.shard_size))
            if not images:
                break
            number, reasons = _caption_part(collection, captioning, captioner.run, images, settings, progress)
            written, missing, after = written + number, missing + reasons, images[-1].id
        with connect(settings) as connection:
            left = captions.count_due(connection, space)
            shown = show_captions(connection, space, complete=not left)
            captions.count_words(connection, collection.name)
        _clear_work(collection.name, settings)
    log.info("captions", collection=collection.name, due=due, captions=written, missing=missing.total(), left=left)
    return {"due": due, "captions": written, "missing": dict(missing), "left": left, "shown": shown}


@contextmanager
def _alone(collection: str, settings: Settings) -> Iterator[None]:
    """Keep other processes from captioning the same collection during the block."""
    with connect(settings) as connection:
        if not captions.try_lock(connection, collection):
            raise UserError(f"collection {collection!r} is being captioned by another process: wait for its end")
        yield


def _clear_work(collection: str, settings: Settings) -> None:
    """Delete the work files of parts that were broken off, and that no later process continues."""
    store = ObjectStore(settings)
    stale = captions_work(settings.work_uri, collection)
    for page in store.pages(collection_folder(settings.work_uri, collection), missing_ok=True):
        try:
            store.delete([entry.uri for entry in page if entry.uri.startswith(stale)])
        except NotDeleted as error:  # the captions are stored; the next captioning tries again
            log.warning("work files of former captioning were not deleted", cause=str(error))


def show_captions(connection: Connection, space: CaptionSpace, *, complete: bool) -> str | None:
    """Let the views show these captions if they are complete, or no others are shown. Returns whose are shown."""
    shown = captions.find_shown(connection, space.collection)
    if complete or shown is None or shown.model == space.model:
        captions.show(connection, space)
        return space.model
    return shown.model


def _caption_part(
    collection: Collection,
    captioning: Captioning,
    run: Callable[[str, str, Callable[[int], None]], None],
    images: list[ManifestRow],
    settings: Settings,
    progress: Progress,
) -> tuple[int, Counter[str]]:
    """Caption some images by `run`. Returns the number of captions written, and of missing ones by reason."""
    space, store = captioning.space, ObjectStore(settings)
    run_id = f"{CAPTIONS_RUN}{_name(captioning, images)}"
    shard = Shard(collection.name, run_id, 0)
    files = shard.files(settings.work_uri)
    if not store.exists(files.manifest):
        write_manifests([captioning.pictures(images)], KEPT_MANIFEST, shard, settings, captioning.facts)
    resample_shard(drawn_for(collection), run_id, 0, settings, progress=lambda done: progress("resample", done))
    run(files.resampled, files.captions, lambda done: progress("caption", done))
    made = read_captions(files.resampled, files.captions, space.languages, store)
    with connect(settings) as connection:
        written = captions.write_captions(connection, space, made.captions, made.faults, settings.max_attempts)
        show_captions(connection, space, complete=False)
    store.delete_under(run_folder(settings.work_uri, collection.name, run_id))
    return written, Counter(fault.reason for fault in made.faults)


def _name(captioning: Captioning, images: list[ManifestRow]) -> str:
    digest = hashlib.sha256(f"{captioning.space} {captioning.facts}".encode())
    for image in images:
        digest.update(f"{image.id} {image.etag}\n".encode())
    return digest.hexdigest()[:24]


@dataclass(frozen=True, slots=True)
class Made:
    """The captions of a shard, the reasons for those that are missing, and the digest of the captioner."""

    captions: list[Caption]
    faults: list[NoCaption]
    digest: str | None


def read_captions(resampled: str, captioned: str, languages: list[str], store: ObjectStore) -> Made:
    """What was made of a shard; images that the endpoint was not asked about are in neither list.

    Raises UserError if a file is missing, ValueError if the two do not belong together.
    """
    with reading(store, resampled) as file:
        images = file.read(["id", "etag", "reason", "detail"])
    with reading(store, captioned) as file:
        answers, digest = file.read(), facts_of(file).get("digest")
    usable = images.filter(pc.is_null(images["reason"]))["id"].to_pylist()
    if answers["id"].to_pylist() != [image for image in usable for _ in languages]:
        raise ValueError(f"{captioned} does not belong to {resampled}: delete both, and run again")
    etags = dict(zip(images["id"].to_pylist(), images["etag"].to_pylist(), strict=True))
    found = [
        Caption(row["id"], etags[row["id"]], row["language"], row["text"])
        for row in answers.filter(pc.is_valid(answers["text"])).to_pylist()
    ]
    faults = [
        NoCaption(
            row["id"], etags[row["id"]], row["language"], row["reason"], row["detail"] or "",
            Fault(row["reason"]).transient,
        )
        for row in answers.filter(pc.is_valid(answers["reason"])).to_pylist()
        if row["reason"] != Fault.NOT_ASKED
    ]  # fmt: skip
    faults += [
        NoCaption(row["id"], row["etag"], language, row["reason"], row["detail"] or "", Reason(row["reason"]).transient)
        for row in images.filter(pc.is_valid(images["reason"])).to_pylist()
        for language in languages
    ]
    return Made(found, faults, digest)
