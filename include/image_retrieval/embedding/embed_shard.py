"""Embeds one shard: reads packed pixels, runs the model, writes vectors."""

import hashlib
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress

import pyarrow as pa
import pyarrow.parquet as pq
import structlog

from image_retrieval.collection import ModelOptions
from image_retrieval.embedding.checkpoint import Parts
from image_retrieval.embedding.engine import Embedded, Engine
from image_retrieval.embedding.probing import Sampler, leave_probes
from image_retrieval.embedding.quickest import quickest
from image_retrieval.embedding.reader import batches, sample_of
from image_retrieval.errors import UserError
from image_retrieval.models.digest import require_digest
from image_retrieval.objects import ObjectStore
from image_retrieval.settings import Settings
from image_retrieval.shards import VECTORS_PER_GROUP, embeddings_schema, facts_of, reading, writing

log = structlog.get_logger()
LOG_SECONDS = 10.0  # between lines of progress


def embed_shard(
    resampled: str,
    embeddings: str,
    model: ModelOptions,
    load_engine: Callable[[], Engine],
    settings: Settings,
    *,
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Write a vector of length 1, or the reason for a rejection, for each picture of a packed shard, in its order.

    Also leaves the probes of the model, if the shard names a place for them and they are due there. Does nothing if the
    file exists; `load_engine` is called only if there is work. Continues from what a former process saved. Saves
    finished work every few seconds, and when an error or a signal ends it. Raises UserError if the packed shard is
    missing, OutOfMemory if not even one image fits.
    """
    store = ObjectStore(settings)
    if store.exists(embeddings):
        log.info("already embedded", output=embeddings)
        return
    with reading(store, resampled) as file:
        facts = facts_of(file)
        shard_log = log.bind(**_names(facts))
        started = time.monotonic()
        engine = load_engine()
        digest = engine.tower.digest
        require_digest(digest, facts.get("digest"), model.source)
        shard_log.info("model loaded", model=model.source, seconds=_since(started))
        schema = embeddings_schema(engine.tower.dimensions)
        parts = Parts(store, embeddings, _made_of(model, {**facts, "digest": digest}))
        count = _Count(shard_log, progress)
        with writing(store, embeddings, schema, compression="none", use_dictionary=False) as out:
            rows = RowGroups(out, schema)
            for table in parts.saved():
                rows.add(table)
                count.take_saved(table)
            sample = sample_of(file, count.continued)
            engine = quickest(engine, model, sample, settings)
            count.begin()
            feed = batches(store, resampled, file, engine.size, count.continued, pinned=engine.on_gpu)
            sampler = Sampler(sample.images)
            embedded = sampler.vectors(engine.embed(sampler.pictures(feed)))
            tables = behind(parts.add, (_table(found, schema) for found in embedded))
            with saved_at_the_end(parts), closing(feed), closing(tables):
                for table in tables:
                    rows.add(table)
                    count.take(table)
            rows.end()
            out.add_key_value_metadata({"seconds": f"{count.seconds():.3f}", "digest": digest})
    parts.remove()
    count.end()
    if "probes" in facts:
        leave_probes(facts["probes"], sampler, engine, model, store, settings)


class _Count:
    """Counts images as they are embedded, tells `progress` of them, and logs every few seconds how far they are."""

    def __init__(self, shard_log: structlog.stdlib.BoundLogger, progress: Callable[[int], None]) -> None:
        self._log, self._progress = shard_log, progress
        self._started = self._logged = time.monotonic()
        self._done = self._rejected = 0
        self.continued = 0

    def seconds(self) -> float:
        """The time since the model was loaded."""
        return time.monotonic() - self._started

    def take_saved(self, table: pa.Table) -> None:
        """Count what a former process made."""
        self.continued += len(table)
        self._rejected += _rejected(table)

    def begin(self) -> None:
        """Tell of what was saved, before the first batch."""
        if self.continued:
            self._log.info("continued", images=self.continued)
            self._progress(self.continued)
        self._logged = time.monotonic()

    def take(self, table: pa.Table) -> None:
        """Count a batch."""
        if not self._done:
            self._log.info("first batch", images=len(table), seconds=round(self.seconds(), 3))
        self._done += len(table)
        self._rejected += _rejected(table)
        self._progress(len(table))
        if time.monotonic() - self._logged >= LOG_SECONDS:
            self._log.info("progress", images=self.continued + self._done, images_per_second=self._rate())
            self._logged = time.monotonic()

    def end(self) -> None:
        """Tell of all."""
        self._log.info(
            "embedded",
            images=self.continued + self._done - self._rejected,
            rejected=self._rejected,
            seconds=round(self.seconds(), 2),
            images_per_second=self._rate(),
        )

    def _rate(self) -> float | None:
        """Images a second."""
        seconds = self.seconds()
        return round(self._done / seconds, 1) if seconds else None


def _rejected(table: pa.Table) -> int:
    return len(table) - int(table["reason"].null_count)


class RowGroups:
    """Writes tables of any length as row groups of one length, so that a continued file has the same groups."""

    def __init__(self, out: pq.ParquetWriter, schema: pa.Schema) -> None:
        self._out, self._schema, self._rows, self._count = out, schema, list[pa.Table](), 0

    def add(self, table: pa.Table) -> None:
        """Add rows, and write the full row groups."""
        self._rows.append(table.cast(self._schema))
        self._count += len(table)
        while self._count >= VECTORS_PER_GROUP:
            self._write(VECTORS_PER_GROUP)

    def end(self) -> None:
        """Write the rest."""
        if self._count:
            self._write(self._count)

    def _write(self, count: int) -> None:
        rows = pa.concat_tables(self._rows)
        self._out.write_table(rows.slice(0, count).combine_chunks())
        self._rows, self._count = [rows.slice(count)], self._count - count


def behind(work: Callable[[pa.Table], None], tables: Iterable[pa.Table]) -> Generator[pa.Table]:
    """The same tables; `work` runs on each while the next one is made."""
    with ThreadPoolExecutor(1) as pool:
        at_work: Future[None] | None = None
        for table in tables:
            if at_work is not None:
                at_work.result()
            at_work = pool.submit(work, table)
            yield table
        if at_work is not None:
            at_work.result()


def _since(started: float) -> float:
    return round(time.monotonic() - started, 3)


def _names(facts: dict[str, str]) -> dict[str, str]:
    """The collection, run and shard of a packed shard, for log lines."""
    return {key: facts[key] for key in ("collection", "run", "shard") if key in facts}


def _made_of(model: ModelOptions, facts: dict[str, str]) -> str:
    """An identifier of this input and model, so that parts of others are not used."""
    described = model.model_dump_json(exclude={"name", "batch_size"}) + repr(sorted(facts.items()))
    return hashlib.sha256(described.encode()).hexdigest()[:16]


@contextmanager
def saved_at_the_end(parts: Parts) -> Iterator[None]:
    """Save finished work if the block ends early, even by a signal."""
    try:
        yield
    except BaseException:
        with suppress(UserError):  # the store itself may have failed
            parts.save()
        raise


def _table(found: Embedded, schema: pa.Schema) -> pa.Table:
    """Rows of the embeddings file."""
    lost = pa.array([reason is not None for reason in found.reasons])
    values = pa.array(found.vectors.reshape(-1))
    column = pa.FixedSizeListArray.from_arrays(values, found.vectors.shape[1], mask=lost)
    reasons, details = pa.array(found.reasons, pa.string()), pa.array(found.details, pa.string())
    return pa.table([found.ids, column, reasons, details], schema=schema)
