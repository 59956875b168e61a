"""Reads packed pixels as full batches, while the model works on earlier ones."""

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from threading import local

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from image_retrieval.batches import in_order
from image_retrieval.objects import ObjectStore
from image_retrieval.shards import facts_of

READERS = 4  # row groups fetched and unpacked at once; each has 10 MB at 224×224
BATCHES_AHEAD = 2


@dataclass(frozen=True, slots=True)
class Sample:
    """What can be told of a packed shard before its model runs.

    `images` is the number of pictures that are left to embed; `read` returns up to so many of its first pictures: uint8
    (count, height, width, 3).
    """

    images: int
    width: int
    height: int
    read: Callable[[int], torch.Tensor]


@dataclass(frozen=True, slots=True)
class Batch:
    """Ids of images, and their pixels: uint8 (images, height, width, 3)."""

    ids: pa.Array
    pixels: torch.Tensor


def batches(
    store: ObjectStore, resampled: str, file: pq.ParquetFile, size: int, skip: int, *, pinned: bool
) -> Generator[Batch]:
    """The rows of an open packed shard that have pixels, without the first `skip`, in batches of `size`.

    Only the last batch may be smaller. `pinned`: in pinned memory, from which a GPU can copy asynchronously.
    """
    facts = facts_of(file)
    shape = (int(facts["height"]), int(facts["width"]), 3)
    first = 0
    while first < file.num_row_groups and skip >= (here := _with_pixels(file, first)):
        skip -= here
        first += 1
    with closing(_row_groups(store, resampled, file.metadata, first)) as groups:
        yield from _ahead(_rebatched(groups, size, skip, shape, pinned))


def sample_of(file: pq.ParquetFile, skip: int = 0) -> Sample:
    """The size and the first pictures of an open packed shard, of which so many rows are embedded already."""
    facts = facts_of(file)
    width, height = int(facts["width"]), int(facts["height"])

    def read(count: int) -> torch.Tensor:
        parts, missing = [_empty(0, (height, width, 3), pinned=False)], count
        for group in range(file.num_row_groups):
            if not missing:
                break
            there = file.read_row_group(group, columns=["pixels"])["pixels"].drop_null().slice(0, missing)
            parts += [_pixels(part, (height, width, 3)) for part in there.chunks if len(part)]
            missing -= len(there)
        return torch.cat(parts)

    pictures = sum(_with_pixels(file, group) for group in range(file.num_row_groups))
    return Sample(pictures - skip, width, height, read)


def _with_pixels(file: pq.ParquetFile, group: int) -> int:
    """The number of rows of a row group that have pixels, without reading them."""
    return int(file.read_row_group(group, columns=["reason"])["reason"].null_count)


def _row_groups(store: ObjectStore, uri: str, metadata: pq.FileMetaData, first: int) -> Generator[pa.Table]:
    """The ids and pixels of each row group, in order; the next ones are read ahead, each thread on its own stream."""
    own = local()
    with ExitStack() as opened:

        def read(group: int) -> pa.Table:
            if not hasattr(own, "file"):
                stream = opened.enter_context(store.open(uri))
                own.file = opened.enter_context(pq.ParquetFile(stream, metadata=metadata))
            table = own.file.read_row_group(group, columns=["id", "pixels"], use_threads=False)
            return table.filter(table["pixels"].is_valid()) if table["pixels"].null_count else table  # it would copy

        yield from in_order(read, range(first, metadata.num_row_groups), READERS)


def _rebatched(
    tables: Iterator[pa.Table], size: int, skip: int, shape: tuple[int, ...], pinned: bool
) -> Iterator[Batch]:
    """The rows of the tables, without the first `skip`, as batches of another size."""
    ids: list[pa.Array] = []
    pixels, filled = _empty(size, shape, pinned), 0
    for table in tables:
        for part in table.to_batches():
            start, skip = min(skip, len(part)), max(0, skip - len(part))
            while start < len(part):
                taken = min(size - filled, len(part) - start)
                ids.append(part["id"][start : start + taken])
                pixels[filled : filled + taken] = _pixels(part["pixels"][start : start + taken], shape)
                start, filled = start + taken, filled + taken
                if filled == size:
                    yield Batch(pa.concat_arrays(ids), pixels)
                    ids, pixels, filled = [], _empty(size, shape, pinned), 0
    if filled:
        yield Batch(pa.concat_arrays(ids), pixels[:filled])


def _empty(size: int, shape: tuple[int, ...], pinned: bool) -> torch.Tensor:
    return torch.empty((size, *shape), dtype=torch.uint8, pin_memory=pinned)


def _pixels(column: pa.FixedSizeBinaryArray, shape: tuple[int, ...]) -> torch.Tensor:
    """A view of the bytes of a column as uint8 (rows, height, width, 3)."""
    bytes_a_row = int(np.prod(shape))
    data = np.frombuffer(column.buffers()[1], np.uint8, len(column) * bytes_a_row, column.offset * bytes_a_row)
    return torch.frombuffer(data, dtype=torch.uint8).view(-1, *shape)


def _ahead(source: Iterator[Batch]) -> Iterator[Batch]:
    """The same batches; the next ones are assembled while the caller works on this one."""
    with ThreadPoolExecutor(1) as pool:
        coming = deque(pool.submit(next, source, None) for _ in range(BATCHES_AHEAD))
        try:
            while (batch := coming.popleft().result()) is not None:
                coming.append(pool.submit(next, source, None))
                yield batch
        finally:
            for future in coming:
                future.cancel()
