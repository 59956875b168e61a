"""Which URIs a collection takes hints of: those under which its listing finds an image, and no others."""

from pathlib import Path

import pytest

from image_retrieval.collection import Collection, ModelOptions
from image_retrieval.pipeline import hints
from image_retrieval.pipeline.hints import Received, receive
from image_retrieval.settings import Settings

MODEL = ModelOptions(name="tiny", source="models/tiny")


@pytest.fixture
def taken(monkeypatch):
    """What `receive` records of given URIs, for one collection."""

    def taken(source: str, *uris: str) -> set[str]:
        entry = Collection.model_validate({"name": "things", "source": source, "model": MODEL, "watch": {}})
        written: list[tuple[str, str]] = []
        monkeypatch.setattr(hints, "load_collections", lambda path: {"things": entry})
        monkeypatch.setattr(hints, "connect", lambda settings: _Nothing())
        monkeypatch.setattr(hints.hints, "write_hints", lambda connection, found: written.extend(found))
        found = receive(uris, Settings())
        assert found == Received(len(written), len(uris) - len(written))
        return {uri for _, uri in written}

    return taken


class _Nothing:
    def __enter__(self):
        return None

    def __exit__(self, *raised):
        return None


def test_of_a_bucket_only_images_under_the_prefix_are_taken(taken):
    good = {"s3://images/a/b.jpg", "s3://images/a/c/./d.png", "s3://images/a//e.webp"}
    bad = ["s3://images/a/", "s3://images/a", "s3://images/b/c.jpg", "s3://images/a/../b/c.jpg", "s3://images/a/b.txt"]
    assert taken("s3://images/a/", *good, *bad, "s3://images/a/c/", "oss://images/a/b.jpg", "") == good


def test_of_a_folder_only_paths_that_the_listing_finds_are_taken(taken, tmp_path: Path):
    source, outside = tmp_path / "photos", tmp_path / "private"
    for folder in (source / "sub", outside):
        folder.mkdir(parents=True)
        (folder / "a.jpg").write_bytes(b"")
    (source / "linked").symlink_to(outside)
    good = f"file://{source}/sub/a.jpg"
    bad = [
        f"file://{source}/../private/a.jpg",
        f"file://{source}/sub/../sub/a.jpg",
        f"file://{source}/./sub/a.jpg",
        f"file://{source}//sub/a.jpg",
        f"file://{source}/linked/a.jpg",
    ]
    assert taken(f"file://{source}", good, *bad) == {good}
