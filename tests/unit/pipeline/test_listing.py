import re
from pathlib import PurePosixPath

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from image_retrieval.collection import Collection, ModelOptions
from image_retrieval.objects import StoredObject
from image_retrieval.pipeline.prefixes import listed_row

COLLECTION = Collection(name="things", source="s3://images/", model=ModelOptions(name="m", source="none"))


def short_id(key):
    return listed_row(StoredObject("s3://images/" + key, key, "e", 1, None), COLLECTION)[2]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("a.jpg", "a"),
        ("2026/11/a.b.jpg", "2026/11/a.b"),
        ("shop.v2/a.jpg", "shop.v2/a"),
        (".hidden.jpg", ".hidden"),
        ("a..jpg", "a."),
        ("a//b.jpg", "a/b"),
        ("狗/雪地 1.png", "狗/雪地 1"),
        ("a/..jpg", "a/."),
        ("..jpg", "."),
        ("a.", "a."),
        ("..", ".."),
        (".jpg", ".jpg"),
    ],
)
def test_an_id_is_the_key_without_its_extension(key, expected):
    assert short_id(key) == expected


@given(st.text("ab./ \n", max_size=10))
@example("a/.b")
@example("a.b/c")
@example("a.jpg\n")
def test_any_key_loses_its_suffix_in_the_same_way(key):
    path = PurePosixPath(key)
    assume(path.name)
    assert short_id(key) == re.sub(r"(?<=[^/])\.[^./]+\Z", "", str(path))
