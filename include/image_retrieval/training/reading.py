"""Reads batches of a pack by ranges of its tars, ahead of the training, in an order that only the seed decides."""

import io
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from threading import Lock, local
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from image_retrieval.errors import UserError
from image_retrieval.objects import ObjectStore
from image_retrieval.training.sampled import Sampled

AHEAD = 4  # batches that are read before they are asked for
MOST_OPEN = 32  # tars that a thread keeps open
MOST_PIXELS = 4096**2
Pixels = NDArray[np.uint8]


class Batch(NamedTuple):
    """Pixels (n, height, width, 3), padded on the right and below; each picture's own height and width (n, 2)."""

    pixels: Pixels
    sizes: NDArray[np.int64]


def order(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """The order in which an epoch takes so many pictures: the same for a seed and an epoch, at any time."""
    return np.random.default_rng([seed, epoch]).permutation(count)


def batches(
    pack: Sampled, store: ObjectStore, wanted: Iterable[NDArray[np.int64]], *, readers: int, enough: int = 0
) -> Iterator[Batch]:
    """The pictures at the wanted positions of the pack, batch by batch, read and decoded by so many threads.

    JPEGs are decoded at 1/2, 1/4 or 1/8 where that leaves both sides at least `enough` pixels; 0: never. Raises
    UserError for a picture that does not decode, and the errors of the store.
    """
    waiting: deque[list[Future[Pixels]]] = deque()
    with closing(_Tars(pack, store)) as tars, ThreadPoolExecutor(readers, thread_name_prefix="reader") as pool:
        try:
            for positions in wanted:
                waiting.append([pool.submit(tars.picture, int(at), enough) for at in positions])
                if len(waiting) > AHEAD:
                    yield _stacked(waiting.popleft())
            while waiting:
                yield _stacked(waiting.popleft())
        finally:
            for futures in waiting:
                for future in futures:
                    future.cancel()


def _stacked(futures: list[Future[Pixels]]) -> Batch:
    pictures = [future.result() for future in futures]
    sizes = np.array([picture.shape[:2] for picture in pictures], np.int64)
    pixels = np.zeros((len(pictures), *sizes.max(axis=0), 3), np.uint8)
    for at, picture in enumerate(pictures):
        pixels[at, : picture.shape[0], : picture.shape[1]] = picture
    return Batch(pixels, sizes)


class _Tars:
    """The tars of a pack. Each thread has streams of its own, since a stream has one place at a time."""

    def __init__(self, pack: Sampled, store: ObjectStore) -> None:
        self._pack, self._store = pack, store
        self._own, self._lock = local(), Lock()
        self._open: list[OrderedDict[int, IO[bytes]]] = []

    def picture(self, at: int, enough: int) -> Pixels:
        pack = self._pack
        stream = self._stream(int(pack.shard[at]))
        stream.seek(int(pack.offset[at]))
        data = stream.read(int(pack.size[at]))
        try:
            return decoded(data, enough)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            told = " ".join(str(error).split())[:200]
            place = f"{pack.uri}{pack.shards[pack.shard[at]]} at byte {pack.offset[at]}"
            raise UserError(f"{place} holds no JPEG that decodes ({told}): pack the training set again") from None

    def _stream(self, shard: int) -> IO[bytes]:
        if not hasattr(self._own, "streams"):
            self._own.streams = OrderedDict()
            with self._lock:
                self._open.append(self._own.streams)
        streams: OrderedDict[int, IO[bytes]] = self._own.streams
        if shard not in streams:
            if len(streams) >= MOST_OPEN:
                streams.popitem(last=False)[1].close()
            streams[shard] = self._store.open(self._pack.uri + self._pack.shards[shard])
        streams.move_to_end(shard)
        return streams[shard]

    def close(self) -> None:
        for streams in self._open:
            for stream in streams.values():
                stream.close()


def decoded(data: bytes, enough: int = 0) -> Pixels:
    """The pixels (height, width, 3) of a JPEG of a pack, whose pictures are upright and in sRGB."""
    with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
        if image.width * image.height > MOST_PIXELS:
            raise ValueError(f"{image.width} × {image.height} pixels are more than a packed picture has")
        if enough:
            image.draft("RGB", (enough, enough))
        return np.asarray(image.convert("RGB"))
