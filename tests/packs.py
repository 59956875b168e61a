"""Writes packed training sets as `training pack` does, of pictures in memory."""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from image_retrieval.objects import ObjectStore
from image_retrieval.settings import load_settings
from image_retrieval.training.packs import INDEX, PACKED, Packed, PackManifest, tar_of, write_pack

A_SHARD = 1_000


def write_pictures(
    folder: Path, pictures: Sequence[NDArray[np.uint8]], held_out: int = 0, clusters: Sequence[int] | None = None
) -> str:
    """Pack pictures (height, width, 3), of which the last ones are held out; returns the folder, with a `/`."""
    folder.mkdir(parents=True)
    rows: list[Packed] = []
    for first in range(0, len(pictures), A_SHARD):
        part = []
        for number in range(first, min(first + A_SHARD, len(pictures))):
            data, (height, width) = encoded(pictures[number]), pictures[number].shape[:2]
            kept, cluster = number >= len(pictures) - held_out, clusters[number] if clusters else number
            about = (str(number), f"s3://images/{number}", "", hashlib.sha256(data).hexdigest(), width, height)
            shard = f"{first // A_SHARD:05}.tar"
            part.append((Packed(shard, 0, 0, *about, None, None, kept, cluster, number, bytes(192)), data))
        (folder / f"{first // A_SHARD:05}.tar").write_bytes(tar_of(part, first))
        rows += [row for row, _ in part]
    table = pa.table({name: [getattr(row, name) for row in rows] for name in PACKED.names}, PACKED)
    pq.write_table(table, folder / INDEX)
    manifest = PackManifest(
        source="", longest_side=320, held_out_share=0.0, most=None, seed=0, complete=True, images=len(rows),
        held_out=held_out, duplicates=0, rejected={},
    )  # fmt: skip
    write_pack(ObjectStore(load_settings()), f"{folder}/", manifest)
    return f"{folder}/"


def encoded(pixels: NDArray[np.uint8]) -> bytes:
    """A JPEG of good quality."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=95)
    return file.getvalue()
