"""Embeds texts that are searched: in batches that fit into memory, and one shard of them at a time."""

import hashlib
import time
from collections.abc import Callable, Generator
from contextlib import closing

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import structlog
import torch
from numpy.typing import NDArray

from image_retrieval.collection import ModelOptions
from image_retrieval.embedding.checkpoint import Parts
from image_retrieval.embedding.embed_shard import RowGroups, behind, saved_at_the_end
from image_retrieval.embedding.engine import first_line, is_memory
from image_retrieval.embedding.probing import leave_text_probes
from image_retrieval.errors import OutOfMemory, UserError
from image_retrieval.models.digest import require_digest
from image_retrieval.models.towers import TextTower
from image_retrieval.objects import ObjectStore
from image_retrieval.settings import Settings
from image_retrieval.shards import embeddings_schema, facts_of, reading, writing

log = structlog.get_logger()
READ = 1024  # texts at once


class TextEngine:
    """A text encoder, and the batch of texts that fits into memory: halved for good where one does not."""

    def __init__(self, tower: TextTower, size: int) -> None:
        self.tower, self.size = tower, size

    def embed(self, texts: list[str]) -> NDArray[np.float32]:
        """The vectors (texts, dimensions), of length 1, of texts that are searched.

        Raises OutOfMemory if not even one text fits, UserError if a vector is not finite.
        """
        parts: list[NDArray[np.float32]] = [np.empty((0, self.tower.dimensions), np.float32)]
        place = 0
        while place < len(texts):
            try:
                parts.append(self.tower.embed_passages(texts[place : place + self.size]).numpy())
                place += self.size
            except (RuntimeError, MemoryError) as error:
                if not is_memory(error):
                    raise
                self._halve(first_line(error))
        vectors = np.concatenate(parts)
        if not np.isfinite(vectors).all():
            raise UserError("text_model makes vectors that are not finite: set its dtype to float32")
        return vectors

    def _halve(self, told: str) -> None:
        if self.size == 1:
            raise OutOfMemory(f"out of memory with a single caption ({told})") from None
        log.warning("out of memory", batch_size=self.size, continuing_with=self.size // 2, error=told)
        self.size //= 2
        if self.tower.device.type == "cuda":
            torch.cuda.empty_cache()


def embed_texts(
    texts: str,
    embeddings: str,
    model: ModelOptions,
    load: Callable[[], TextTower],
    settings: Settings,
    *,
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Write a vector of length 1 for each text of a file, in its order.

    Does nothing if the file of vectors exists; `load` is called only if there is work. Continues from what a former
    process saved. Saves finished work every few seconds, and when an error or a signal ends it. Also leaves the probes
    of the model, if the file of texts names a place for them and they are due there. Raises UserError if the texts are
    missing, or of another model than they were planned for, OutOfMemory if not even one text fits.
    """
    store = ObjectStore(settings)
    if store.exists(embeddings):
        log.info("already embedded", output=embeddings)
        return
    started = time.monotonic()
    with reading(store, texts) as file:
        facts, engine = facts_of(file), TextEngine(load(), model.batch_size)
        digest = engine.tower.digest
        require_digest(digest, facts.get("digest"), model.source)
        schema = embeddings_schema(engine.tower.dimensions)
        parts = Parts(store, embeddings, _made_of(model, {**facts, "digest": digest}))
        done = 0
        with writing(store, embeddings, schema, compression="none", use_dictionary=False) as out:
            rows = RowGroups(out, schema)
            for table in parts.saved():
                rows.add(table)
                done += len(table)
            if done:
                log.info("continued", texts=done)
                progress(done)
            tables = behind(parts.add, _tables(file, done, engine, schema))
            with saved_at_the_end(parts), closing(tables):
                for table in tables:
                    rows.add(table)
                    done += len(table)
                    progress(len(table))
            rows.end()
            out.add_key_value_metadata({"digest": digest})
    parts.remove()
    if "probes" in facts:
        leave_text_probes(facts["probes"], engine.tower, store)
    log.info("embedded", texts=done, seconds=round(time.monotonic() - started, 2))


def _tables(file: pq.ParquetFile, done: int, engine: TextEngine, schema: pa.Schema) -> Generator[pa.Table]:
    """Rows of the embeddings file for the texts after the first `done`, a batch at a time."""
    skipped = 0
    for batch in file.iter_batches(READ, columns=["id", "text"]):
        rest = batch.slice(min(done - skipped, len(batch)))
        skipped += len(batch) - len(rest)
        while len(rest):
            part, rest = rest.slice(0, engine.size), rest.slice(engine.size)
            vectors = pa.array(engine.embed(part["text"].to_pylist()).reshape(-1))
            column = pa.FixedSizeListArray.from_arrays(vectors, engine.tower.dimensions)
            missing = pa.nulls(len(part), pa.string())
            yield pa.table([part["id"], column, missing, missing], schema=schema)


def _made_of(model: ModelOptions, facts: dict[str, str]) -> str:
    """An identifier of these texts and this model, so that parts of others are not used."""
    described = model.model_dump_json(exclude={"name", "batch_size"}) + repr(sorted(facts.items()))
    return hashlib.sha256(described.encode()).hexdigest()[:16]
