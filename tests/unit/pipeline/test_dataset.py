import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_retrieval.errors import UserError
from image_retrieval.objects import ObjectStore
from image_retrieval.pipeline.dataset import NAME, folder_of, read_manifest, write_manifest
from image_retrieval.settings import Settings

MANIFEST = {
    "collection": "things",
    "model": {"name": "random", "revision": None, "digest": None},
    "dimensions": 3,
    "complete": False,
    "parts": [{"file": "part-00000.parquet", "first": 1, "last": 9}],
}


@pytest.fixture
def files():
    return ObjectStore(Settings())


def test_a_manifest_is_read_as_it_was_written(files, tmp_path):
    folder = folder_of(str(tmp_path))
    assert folder == folder_of(folder) == f"{tmp_path}/"
    assert read_manifest(files, folder) is None
    write_manifest(files, folder, MANIFEST)
    assert read_manifest(files, folder) == MANIFEST


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        json.dumps(MANIFEST | {"dimensions": "many"}),
        json.dumps(MANIFEST | {"complete": "yes"}),
        json.dumps(MANIFEST | {"model": "random"}),
        json.dumps(MANIFEST | {"parts": [{"file": "../elsewhere.parquet"}]}),
        json.dumps(MANIFEST | {"parts": ["a.parquet"]}),
    ],
)
def test_what_is_no_manifest_is_told(files, tmp_path, text):
    files.write(f"{tmp_path}/{NAME}", text.encode())
    with pytest.raises(UserError, match="is not the manifest of a data set: delete it") as told:
        read_manifest(files, f"{tmp_path}/")
    assert "\n" not in str(told.value)


@given(st.text(max_size=20).filter(lambda text: not text.endswith("/")))
def test_a_folder_ends_in_one_slash(uri):
    assert folder_of(uri) == folder_of(uri + "/") == uri + "/"
