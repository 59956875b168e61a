"""What a source may hold besides images, as an entry of collections.yaml says it."""

import pytest
from pydantic import ValidationError

from image_retrieval.collection import Collection

MODEL = {"name": "m", "source": "m/"}


def entry(**options):
    return Collection(name="things", model=MODEL, **options)


def test_a_manifest_is_a_file_and_anything_else_a_folder():
    assert entry(source="s3://inventories/daily", format="inventory").source == "s3://inventories/daily/"
    manifest = "s3://inventories/daily/2026-11-26T01-00Z/manifest.json"
    assert entry(source=manifest, format="inventory").source == manifest
    assert entry(source="s3://inventories/a.csv/", format="inventory").index_format is None


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"source": "file:///srv/inventories/", "format": "inventory"}, "is for a bucket"),
        ({"source": "s3://inventories/", "format": "inventory", "metadata": "sidecar"}, "the source is an inventory"),
        ({"source": "s3://inventories/", "format": "inventory", "watch": {"poll": True}}, "`watch` is for a prefix"),
        ({"source": "s3://lists/a.csv", "metadata": "sidecar"}, "the source is an index file"),
    ],
)
def test_what_does_not_fit_is_told(options, why):
    with pytest.raises(ValidationError, match=why):
        entry(**options)
