"""Captions one shard: reads packed pixels, asks a model or an endpoint, writes captions."""

import hashlib
import time
from collections.abc import Callable, Sequence
from contextlib import closing

import pyarrow as pa
import structlog

from image_retrieval.captioning.answers import Captioned, Captioner
from image_retrieval.embedding.checkpoint import Parts
from image_retrieval.embedding.embed_shard import RowGroups, behind, saved_at_the_end
from image_retrieval.embedding.reader import batches
from image_retrieval.objects import ObjectStore
from image_retrieval.settings import Settings
from image_retrieval.shards import CAPTIONS, facts_of, reading, writing

log = structlog.get_logger()


def caption_shard(
    resampled: str,
    captions: str,
    languages: Sequence[str],
    load: Callable[[], Captioner],
    settings: Settings,
    *,
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Write a caption per language, or why there is none, for each picture of a packed shard, in the shard's order.

    Does nothing if the file exists; `load` is called only if there is work. Continues from what a former process saved.
    Saves finished work every few seconds, and when an error or a signal ends it. Raises UserError if the packed shard
    is missing, OutOfMemory if not even one image fits, Unavailable if an endpoint does not answer.
    """
    store = ObjectStore(settings)
    if store.exists(captions):
        log.info("already captioned", output=captions)
        return
    started = time.monotonic()
    with reading(store, resampled) as file:
        captioner = load()
        parts = Parts(store, captions, _made_of(captioner.digest, languages, facts_of(file)))
        done = 0
        with writing(store, captions, CAPTIONS, compression="zstd") as out:
            rows = RowGroups(out, CAPTIONS)
            for table in parts.saved():
                rows.add(table)
                done += len(table) // len(languages)
            if done:
                log.info("continued", images=done)
                progress(done)
            feed = batches(store, resampled, file, captioner.size, done, pinned=captioner.on_gpu)
            tables = behind(parts.add, (_table(found, languages) for found in captioner.captions(feed)))
            with saved_at_the_end(parts), closing(feed), closing(tables):
                for table in tables:
                    rows.add(table)
                    done += len(table) // len(languages)
                    progress(len(table) // len(languages))
            rows.end()
            out.add_key_value_metadata({"digest": captioner.digest})
    parts.remove()
    log.info("captioned", images=done, seconds=round(time.monotonic() - started, 2))


def _made_of(digest: str, languages: Sequence[str], facts: dict[str, str]) -> str:
    """Identifies this input and captioner, so that parts of others are not used."""
    return hashlib.sha256(f"{digest} {list(languages)} {sorted(facts.items())}".encode()).hexdigest()[:16]


def _table(found: Captioned, languages: Sequence[str]) -> pa.Table:
    """Rows of the captions file."""
    answers = [answer for of_image in found.answers for answer in of_image]
    columns = {
        "id": [id for id in found.ids.to_pylist() for _ in languages],
        "language": list(languages) * len(found.answers),
        "text": [answer.text for answer in answers],
        "reason": [answer.reason and str(answer.reason) for answer in answers],
        "detail": [answer.detail for answer in answers],
    }
    return pa.table(columns, schema=CAPTIONS)
