"""Packs images into a training set: small pictures in tar files, without near duplicates, a share of them held out."""

import hashlib
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import pyarrow as pa
import structlog
from PIL import Image

from image_retrieval.batches import in_order
from image_retrieval.collection import ResampleOptions
from image_retrieval.errors import ImageRejected, UserError
from image_retrieval.http_members import ask_url
from image_retrieval.image_inputs import is_url, listed_image, stored_object
from image_retrieval.imaging.kept_decoders import decoders_of
from image_retrieval.imaging.resample import Resampled, place
from image_retrieval.objects import ObjectStore
from image_retrieval.pipeline.candidates import CANDIDATES, Candidate
from image_retrieval.settings import Settings
from image_retrieval.shards import facts_of, reading, table_of, writing
from image_retrieval.training.near_duplicates import Seen
from image_retrieval.training.packs import (
    INDEX,
    PACKED,
    PER_FILE,
    THUMBNAIL_SIDE,
    Packed,
    PackManifest,
    read_pack,
    tar_of,
    write_pack,
)

log = structlog.get_logger()
PLAN = "_candidates.parquet"  # what a set is made of, until it is complete
DUPLICATE = "near_duplicate"  # beside the reasons of rejections
QUALITY = 92  # of the packed JPEGs
READERS_PER_CORE = 4


@dataclass(frozen=True, slots=True)
class PackOptions:
    """How a set is packed: pictures of at most `longest_side` pixels, at most `most` of them, by a seed."""

    longest_side: int = 320
    held_out_share: float = 0.1
    most: int | None = None
    seed: int = 0


@dataclass(slots=True)
class _Done:
    """What is packed: the index in parts, how many candidates were taken, and why some of them were left out."""

    parts: list[pa.Table] = field(default_factory=list)
    position: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    seen: Seen = field(default_factory=Seen)


def pack(
    source: str,
    folder: str,
    options: PackOptions,
    read_candidates: Callable[[], pa.Table],
    settings: Settings,
    *,
    progress: Callable[[int], None] = lambda done: None,
) -> PackManifest:
    """Write a training set under a folder that ends in `/`, and return its manifest.

    The same candidates, with the same options, give the same bytes. A call continues what a former one began, with the
    candidates that it found; a complete set stays as it is. Images that cannot be decoded, and all but the first of
    those that look alike, are left out. Raises UserError if the folder holds another set, or if no image can be packed.
    """
    store = ObjectStore(settings)
    manifest, candidates = _begin(store, source, folder, options, read_candidates)
    if manifest["complete"]:
        log.info("already packed", uri=folder)
        return manifest
    done = _continued(store, folder)
    progress(done.position)
    batch: list[tuple[Packed, bytes]] = []
    for outcome in _packed(candidates.slice(done.position), options, store, settings):
        done.position += 1
        progress(1)
        if isinstance(outcome, ImageRejected):
            done.left_out[str(outcome.reason)] += 1
        elif not done.seen.add(outcome[0].phash, outcome[0].thumbnail):
            done.left_out[DUPLICATE] += 1
        else:
            batch.append(outcome)
        if len(batch) == PER_FILE or done.position == len(candidates):
            _write_part(store, folder, done, batch)
            batch = []
    return _finish(store, folder, manifest, done)


def _begin(
    store: ObjectStore, source: str, folder: str, options: PackOptions, read_candidates: Callable[[], pa.Table]
) -> tuple[PackManifest, pa.Table]:
    """The manifest and the candidates of a set that was begun before, or is now."""
    wanted = PackManifest(
        source=source,
        longest_side=options.longest_side,
        held_out_share=options.held_out_share,
        most=options.most,
        seed=options.seed,
        complete=False,
        images=0,
        held_out=0,
        duplicates=0,
        rejected={},
    )
    known = read_pack(store, folder)
    if known is None:
        found = (entry.uri for page in store.pages(folder, missing_ok=True) for entry in page)
        if any(uri != folder + PLAN for uri in found):  # a call that was killed early leaves the plan
            raise UserError(f"{folder} holds files that are not of a training set: choose another folder")
        candidates = read_candidates()
        with writing(store, folder + PLAN, CANDIDATES, compression="zstd") as out:
            out.write_table(candidates)
        write_pack(store, folder, wanted)
        return wanted, candidates
    for name in ("source", "longest_side", "held_out_share", "most", "seed"):
        if cast(dict[str, Any], known)[name] != cast(dict[str, Any], wanted)[name]:
            raise UserError(
                f"{folder} holds a training set with {name} {cast(dict[str, Any], known)[name]!r}, not "
                f"{cast(dict[str, Any], wanted)[name]!r}: choose another folder"
            )
    if known["complete"]:
        return known, CANDIDATES.empty_table()
    with reading(store, folder + PLAN) as file:
        return known, file.read()


def _continued(store: ObjectStore, folder: str) -> _Done:
    """What former calls packed."""
    done = _Done()
    while store.exists(part := _part(folder, len(done.parts))):
        with reading(store, part) as file:
            table, facts = file.read(), facts_of(file)
        for phash, thumbnail in zip(table["phash"].to_pylist(), table["thumbnail"].to_pylist(), strict=True):
            done.seen.add(phash, thumbnail)
        done.parts.append(table)
        done.position, done.left_out = int(facts["position"]), Counter(json.loads(facts["left_out"]))
    return done


def _write_part(store: ObjectStore, folder: str, done: _Done, batch: list[tuple[Packed, bytes]]) -> None:
    """Write a tar file, and then its part of the index, which says that both are complete."""
    number = len(done.parts)
    name = f"{number:05}.tar"
    for picture, _ in batch:
        picture.shard = name
    if batch:
        store.write(folder + name, tar_of(batch, sum(map(len, done.parts))))
    table = table_of([picture for picture, _ in batch], PACKED)
    with writing(store, _part(folder, number), PACKED, compression="zstd") as out:
        out.write_table(table)
        out.add_key_value_metadata({"position": str(done.position), "left_out": json.dumps(done.left_out)})
    done.parts.append(table)
    log.info("packed", images=sum(map(len, done.parts)), candidates=done.position)


def _finish(store: ObjectStore, folder: str, manifest: PackManifest, done: _Done) -> PackManifest:
    index = pa.concat_tables(done.parts)
    rejected = {reason: count for reason, count in sorted(done.left_out.items()) if reason != DUPLICATE}
    if not len(index):
        raise UserError(f"no image of {manifest['source']} could be packed: {rejected}; delete {folder}")
    with writing(store, folder + INDEX, PACKED, compression="zstd") as out:
        out.write_table(index)
    complete: PackManifest = {
        **manifest,
        "complete": True,
        "images": len(index),
        "held_out": sum(index["held_out"].to_pylist()),
        "duplicates": done.left_out[DUPLICATE],
        "rejected": rejected,
    }
    write_pack(store, folder, complete)
    store.delete([folder + PLAN, *(_part(folder, number) for number in range(len(done.parts)))])
    return complete


def _part(folder: str, number: int) -> str:
    return f"{folder}_index-{number:05}.parquet"


def _packed(
    candidates: pa.Table, options: PackOptions, store: ObjectStore, settings: Settings
) -> Iterator[tuple[Packed, bytes] | ImageRejected]:
    """Each candidate as a packed picture, or the reason why it is none, in order."""
    resample = ResampleOptions(target_size=(options.longest_side,) * 2, fit="pad", keep=False)
    batches = candidates.to_batches(max_chunksize=PER_FILE)
    rows = (Candidate(**row) for batch in batches for row in batch.to_pylist())
    with decoders_of(settings) as decoders:

        def work(row: Candidate) -> tuple[Packed, bytes] | ImageRejected:
            try:
                etag, data = _read(row, store, settings)
                found, _ = decoders.resample(data, resample)
                if (longest := max(found.width, found.height)) < options.longest_side:  # it is not enlarged
                    resample_less = resample.model_copy(update={"target_size": (longest, longest)})
                    found, _ = decoders.resample(data, resample_less)
                    return _picture(row, etag, found, resample_less, options)
                return _picture(row, etag, found, resample, options)
            except ImageRejected as rejection:
                return rejection

        yield from in_order(work, rows, READERS_PER_CORE * settings.cores)


def _read(row: Candidate, store: ObjectStore, settings: Settings) -> tuple[str, bytes]:
    """The version and the bytes of a candidate, at the version of the table, if that is known."""
    etag, size = row.etag, row.size or 0
    if is_url(row.uri):
        if not etag:
            told = ask_url(row.uri, settings)
            etag, size = told.version, told.size
    elif not etag or not size:
        known = stored_object(store, row.uri)
        etag, size = etag or known.etag, known.size
    return etag, listed_image(store, row.uri, etag, size, settings)


def _picture(
    row: Candidate, etag: str, found: Resampled, resample: ResampleOptions, options: PackOptions
) -> tuple[Packed, bytes]:
    """A picture in its own proportions as a JPEG, and its facts."""
    whole = Image.frombytes("RGB", resample.target_size, found.pixels)
    width, height = place(found.width, found.height, resample).size
    left, upper = (whole.width - width) // 2, (whole.height - height) // 2
    picture = whole.crop((left, upper, left + width, upper + height))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=QUALITY)
    thumbnail = picture.resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BOX).tobytes()
    return Packed(
        shard="",
        offset=0,
        size=0,
        image_id=row.image_id,
        uri=row.uri,
        etag=etag,
        sha256=found.sha256,
        width=width,
        height=height,
        group_id=row.group_id,
        caption=row.caption,
        held_out=_share(options.seed, row.cluster) < options.held_out_share,
        cluster=row.cluster,
        phash=found.phash,
        thumbnail=thumbnail,
    ), file.getvalue()


def _share(seed: int, cluster: int) -> float:
    """A number from 0 to 1 for a cluster, so that all of its images are held out, or none."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{cluster}".encode()).digest()[:6], "big") / 2**48
