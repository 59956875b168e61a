"""Embed one shard: read packed pixels, infer, write vectors."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import structlog
import torch

from image_retrieval.errors import Reason
from image_retrieval.models.towers import ImageTower
from image_retrieval.objectstore import ObjectStore
from image_retrieval.settings import Settings
from image_retrieval.shards import embeddings_schema, reading, writing

log = structlog.get_logger()
Batch = tuple[pa.Array, torch.Tensor]


def embed_shard(
    resampled: str,
    embeddings: str,
    load_tower: Callable[[], ImageTower],
    settings: Settings,
    *,
    batch_size: int,
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Write a vector of length 1 for each picture of a packed shard, in its order.

    Does nothing where that file is there; `load_tower` is called only where there is something to do.
    Raises UserError where the packed shard is not there.
    """
    store = ObjectStore(settings)
    if store.exists(embeddings):
        log.info("already embedded", output=embeddings)
        return
    with reading(store, resampled) as file:
        facts = {key.decode(): value.decode() for key, value in file.metadata.metadata.items()}
        tower = load_tower()
        started = time.monotonic()
        done = rejected = 0
        schema = embeddings_schema(tower.dimensions)
        with writing(store, embeddings, schema, compression="none", use_dictionary=False) as out:
            for ids, pixels in _read_ahead(_batches(file, int(facts["height"]), int(facts["width"]), batch_size)):
                table = _table(ids, tower.embed(pixels).numpy(), schema)
                out.write_table(table)
                done += len(ids)
                rejected += len(ids) - table["reason"].null_count
                progress(len(ids))
            seconds = time.monotonic() - started
            out.add_key_value_metadata({"seconds": f"{seconds:.3f}"})
    log.info(
        "embedded",
        **{key: facts[key] for key in ("collection", "run", "shard") if key in facts},
        images=done - rejected,
        rejected=rejected,
        seconds=round(seconds, 2),
        images_per_second=round(done / seconds, 1) if seconds else None,
    )


def _batches(file: pq.ParquetFile, height: int, width: int, size: int) -> Iterator[Batch]:
    """Ids and pixels (batch, height, width, 3) of the rows that have pixels."""
    for group in file.iter_batches(batch_size=size, columns=["id", "pixels"]):
        group = group.filter(group["pixels"].is_valid())
        if len(group):
            pixels = np.frombuffer(group["pixels"].buffers()[1], np.uint8, len(group) * height * width * 3)
            yield group["id"], torch.from_numpy(pixels.reshape(-1, height, width, 3).copy())


def _read_ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The same batches; the next one is fetched and unpacked while the caller works on this one."""
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = reader.submit(next, batches, None)
            yield batch


def _table(ids: pa.Array, vectors: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]", schema: pa.Schema) -> pa.Table:
    """Rows of the embeddings file; a vector that is not finite or has no length becomes a reason."""
    usable = np.isfinite(vectors).all(axis=1) & (np.abs(np.linalg.norm(vectors, axis=1) - 1) < 1e-3)
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1], mask=pa.array(~usable))
    reasons = pa.array([None if good else str(Reason.NOT_FINITE) for good in usable], pa.string())
    return pa.table([ids, column, reasons], schema=schema)
