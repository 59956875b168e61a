"""Embed one shard: read packed pixels, infer, write vectors."""

import hashlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import structlog
import torch

from image_retrieval.collection import ModelOptions
from image_retrieval.embedding.parts import Parts
from image_retrieval.errors import OutOfMemory, Reason, UserError
from image_retrieval.models.digest import require_digest
from image_retrieval.models.towers import ImageTower
from image_retrieval.objectstore import ObjectStore
from image_retrieval.settings import Settings
from image_retrieval.shards import embeddings_schema, reading, writing

log = structlog.get_logger()
Batch = tuple[pa.Array, torch.Tensor]
Vectors = np.ndarray[tuple[int, ...], np.dtype[np.float32]]
Usable = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


def embed_shard(
    resampled: str,
    embeddings: str,
    model: ModelOptions,
    load_tower: Callable[[], ImageTower],
    settings: Settings,
    *,
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Write a vector of length 1 for each picture of a packed shard, in its order.

    Does nothing where that file is there; `load_tower` is called only where there is something to do. Goes on from
    what a former process saved; saves what is done every few seconds, and when it is ended by an error or a signal.
    Raises UserError where the packed shard is not there, OutOfMemory where a batch does not fit.
    """
    store = ObjectStore(settings)
    if store.exists(embeddings):
        log.info("already embedded", output=embeddings)
        return
    with reading(store, resampled) as file:
        facts = {key.decode(): value.decode() for key, value in file.metadata.metadata.items()}
        started = time.monotonic()
        tower = load_tower()
        require_digest(tower.digest, facts.get("digest"), model.source)
        log.info("model loaded", **_names(facts), model=model.source, seconds=_since(started))
        started = time.monotonic()
        schema = embeddings_schema(tower.dimensions)
        parts = Parts(store, embeddings, _made_of(model, {**facts, "digest": tower.digest}))
        done = continued = rejected = 0
        with writing(store, embeddings, schema, compression="none", use_dictionary=False) as out:
            for table in parts.saved():
                out.write_table(table.cast(schema))
                continued += len(table)
                rejected += len(table) - table["reason"].null_count
            if continued:
                log.info("continued", **_names(facts), images=continued)
                progress(continued)
            with _saved_at_the_end(parts), _memory_errors(model.batch_size):
                for ids, pixels in _read_ahead(_batches(file, facts, model.batch_size, continued)):
                    table = _table(ids, tower.embed(pixels).numpy(), schema)
                    parts.add(table)
                    out.write_table(table)
                    if not done:
                        log.info("first batch", **_names(facts), images=len(ids), seconds=_since(started))
                    done += len(ids)
                    rejected += len(ids) - table["reason"].null_count
                    progress(len(ids))
            seconds = time.monotonic() - started
            out.add_key_value_metadata({"seconds": f"{seconds:.3f}", "digest": tower.digest})
    parts.remove()
    log.info(
        "embedded",
        **_names(facts),
        images=continued + done - rejected,
        rejected=rejected,
        seconds=round(seconds, 2),
        images_per_second=round(done / seconds, 1) if seconds else None,
    )


def _since(started: float) -> float:
    return round(time.monotonic() - started, 3)


def _names(facts: dict[str, str]) -> dict[str, str]:
    """What log lines name: the collection, run and shard that a packed shard belongs to."""
    return {key: facts[key] for key in ("collection", "run", "shard") if key in facts}


def _made_of(model: ModelOptions, facts: dict[str, str]) -> str:
    """A name for vectors of this input by this model: parts of others do not fit."""
    described = model.model_dump_json(exclude={"name", "batch_size"}) + repr(sorted(facts.items()))
    return hashlib.sha256(described.encode()).hexdigest()[:16]


@contextmanager
def _saved_at_the_end(parts: Parts) -> Iterator[None]:
    """Save what is done when the block ends early, even by a signal."""
    try:
        yield
    except BaseException:
        with suppress(UserError):  # the store may be what failed
            parts.save()
        raise


@contextmanager
def _memory_errors(batch_size: int) -> Iterator[None]:
    """Turn what torch raises into OutOfMemory."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise OutOfMemory(_too_little(batch_size, error)) from None
    except RuntimeError as error:  # the CPU's allocator raises nothing of its own
        if "not enough memory" in str(error) or "can't allocate memory" in str(error):
            raise OutOfMemory(_too_little(batch_size, error)) from None
        raise


def _too_little(batch_size: int, error: BaseException) -> str:
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return f"out of memory with batches of {batch_size} images: lower the model's batch_size ({first[:200]})"


def _batches(file: pq.ParquetFile, facts: dict[str, str], size: int, skip: int) -> Iterator[Batch]:
    """Ids and pixels (batch, height, width, 3) of the rows that have pixels, but for the first `skip` of them."""
    height, width = int(facts["height"]), int(facts["width"])
    first = 0
    while first < file.num_row_groups and skip >= (here := _with_pixels(file, first)):
        skip -= here
        first += 1
    groups = range(first, file.num_row_groups)
    for group in file.iter_batches(batch_size=size, row_groups=groups, columns=["id", "pixels"]):
        group = group.filter(group["pixels"].is_valid())
        skipped, skip = min(skip, len(group)), max(0, skip - len(group))
        group = group.slice(skipped)
        if len(group):
            data = group["pixels"]
            bytes_a_row = height * width * 3
            pixels = np.frombuffer(data.buffers()[1], np.uint8, len(data) * bytes_a_row, data.offset * bytes_a_row)
            yield group["id"], torch.from_numpy(pixels.reshape(-1, height, width, 3).copy())


def _with_pixels(file: pq.ParquetFile, group: int) -> int:
    """How many rows of a row group have pixels, without reading them."""
    return int(file.read_row_group(group, columns=["reason"])["reason"].null_count)


def _read_ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The same batches; the next one is fetched and unpacked while the caller works on this one."""
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = reader.submit(next, batches, None)
            yield batch


def usable(vectors: Vectors) -> Usable:
    """Which of the vectors (images, dimensions) are finite and of length 1."""
    good: Usable = np.isfinite(vectors).all(axis=1) & (np.abs(np.linalg.norm(vectors, axis=1) - 1) < 1e-3)
    return good


def _table(ids: pa.Array, vectors: Vectors, schema: pa.Schema) -> pa.Table:
    """Rows of the embeddings file; a vector that is not finite or has no length becomes a reason."""
    good = usable(vectors)
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1], mask=pa.array(~good))
    reasons = pa.array([None if row else str(Reason.NOT_FINITE) for row in good], pa.string())
    return pa.table([ids, column, reasons], schema=schema)
