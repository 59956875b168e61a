import io
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_retrieval.collection import Collection
from image_retrieval.objects import ObjectStore
from image_retrieval.objects.local import file_etag
from image_retrieval.pipeline.resampling import Budget, resample_shard
from image_retrieval.settings import Settings
from image_retrieval.shards import MANIFEST, Shard, writing
from unit.imaging.bombs import gif_of_frames, png_of_zeros
from unit.imaging.pictures import encoded, photo


@given(st.integers(1, 100), st.lists(st.integers(0, 300), max_size=30))
def test_no_more_is_taken_than_there_is(size, wanted):
    budget = Budget(size)
    lock = threading.Lock()
    held: list[int] = []
    peaks: list[int] = []

    def work(amount: int) -> None:
        with budget.taken(amount):
            with lock:
                held.append(min(amount, size))
                peaks.append(sum(held))
            time.sleep(0)
            with lock:
                held.remove(min(amount, size))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, wanted))
    assert max(peaks, default=0) <= size
    assert len(peaks) == len(wanted)


def test_a_failure_gives_back_what_it_took():
    budget = Budget(10)
    with pytest.raises(KeyError), budget.taken(10):
        raise KeyError
    with budget.taken(10):
        pass


def resampled(folder: Path, **settings) -> list[dict]:
    """The packed shard of the images in a folder, without their pixels."""
    chosen = Settings(work_uri=f"file://{folder}/work/", processes=1, **settings)
    collection = Collection(
        name="things", source=f"file://{folder}/", model={"name": "m", "source": "m"}, resample={"keep": False}
    )
    rows = [
        {
            "id": number,
            "image_id": path.name,
            "uri": f"file://{path}",
            "etag": file_etag(path),
            "size": path.stat().st_size,
            "last_modified": datetime(2026, 1, 2, tzinfo=UTC),
        }
        for number, path in enumerate(sorted(folder.glob("*.*")))
    ]
    files = Shard("things", "run", 0).files(chosen.work_uri)
    with writing(ObjectStore(chosen), files.manifest, MANIFEST) as out:
        out.write_table(pa.Table.from_pylist(rows, MANIFEST))
        out.add_key_value_metadata({"width": "224", "height": "224"})
    resample_shard(collection, "run", 0, chosen)
    data = ObjectStore(chosen).read(files.resampled)
    return pq.read_table(io.BytesIO(data)).drop_columns("pixels").to_pylist()


def test_bombs_cost_only_themselves(tmp_path):
    (tmp_path / "a.jpg").write_bytes(encoded(photo(64, 48), "JPEG"))
    with (tmp_path / "b.tif").open("wb") as sparse:
        sparse.write(b"II*\0\x08\0\0\0")
        sparse.truncate(2 * 2**30)
    (tmp_path / "c.png").write_bytes(png_of_zeros(50_000, 50_000))
    (tmp_path / "d.gif").write_bytes(gif_of_frames(10_000))
    (tmp_path / "e.svg").write_bytes(b"<svg xmlns='http://www.w3.org/2000/svg'/>")
    (tmp_path / "f.png").write_bytes(encoded(photo(64, 48), "PNG"))
    rows = resampled(tmp_path, read_ahead_mb=1)
    reasons = [row["reason"] for row in rows]
    assert reasons == [None, "too_large", "too_large", "too_large", "unsupported_format", None]


def test_what_is_known_of_an_image_lies_beside_its_pixels(tmp_path):
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x1a\0\0\0\0\0\0\0"
    exif += b"\x01\0\x03\x90\x02\0\x14\0\0\0\x2c\0\0\0\0\0\0\x002026:11:21 08:09:10\0"
    (tmp_path / "a.jpg").write_bytes(encoded(photo(64, 48).convert("L"), "JPEG", exif=exif))
    (tmp_path / "b.png").write_bytes(encoded(photo(64, 48), "PNG"))
    (tmp_path / "c.png").write_bytes(b"")
    first, second, third = resampled(tmp_path)
    assert (first["format"], first["mode"], first["captured_at"]) == ("JPEG", "L", datetime(2026, 11, 21, 8, 9, 10))
    assert (second["format"], second["mode"], second["captured_at"]) == ("PNG", "RGB", None)
    assert (first["phash"] ^ second["phash"]).bit_count() < 4
    assert (third["reason"], third["phash"], third["mode"]) == ("empty_file", None, None)
