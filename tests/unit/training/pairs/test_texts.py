import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_retrieval.errors import UserError
from image_retrieval.training.pairs.texts import Pair, read_pairs, same, text_set

WORDS = st.sampled_from(["cat", "Cat ", "ｃａｔ", "dog", "猫", "red cat", "red  CAT"])


@given(st.lists(st.lists(WORDS, min_size=1, max_size=4), min_size=1, max_size=8))
def test_a_picture_has_the_texts_that_it_was_given_and_those_that_are_the_same(of_pictures):
    found = text_set([[(text, "en") for text in own] for own in of_pictures])
    assert len({same(text) for text in found.texts}) == len(found.texts)
    held = found.hold(np.arange(len(found.texts)), np.arange(len(of_pictures)))
    for text, row in zip(found.texts, held, strict=True):
        assert row.tolist() == [same(text) in {same(own) for own in texts} for texts in of_pictures]


def test_both_formats_say_the_same():
    tsv = "s3://b/a.jpg\ta cat\n/b.jpg\t一只猫\n/b.jpg\tun chat\tfr\n"
    lines = [{"uri": "s3://b/a.jpg", "text": "a cat"}, {"uri": "/b.jpg", "text": "一只猫"}]
    lines.append({"uri": "/b.jpg", "text": "un chat", "language": "fr"})
    wanted = [Pair("s3://b/a.jpg", "a cat", "en"), Pair("file:///b.jpg", "一只猫", "zh")]
    wanted.append(Pair("file:///b.jpg", "un chat", "fr"))
    assert read_pairs("p.tsv", tsv.encode()) == wanted
    assert read_pairs("p.jsonl", "\n".join(map(json.dumps, lines)).encode()) == wanted


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("p.tsv", b"/a.jpg\ta\n/b.jpg\n", "line 2 of p.tsv needs a URI, a text"),
        ("p.tsv", b"a.jpg\ta\n", "line 1 of p.tsv names 'a.jpg': give a URI or an absolute path"),
        ("p.tsv", b"/a.jpg\t" + b"a" * 2001, "line 1 of p.tsv has a text of 2,001 characters"),
        ("p.tsv", b"/a.jpg\t\xff", "p.tsv is not UTF-8"),
        ("p.tsv", b"", "p.tsv holds no pair"),
        ("p.jsonl", b'{"uri": "/a.jpg"', "line 1 of p.jsonl is not JSON"),
        ("p.jsonl", b'["/a.jpg"]', "line 1 of p.jsonl is no JSON object"),
        ("p.jsonl", b'{"uri": "/a.jpg", "text": 3}', "line 1 of p.jsonl needs a URI, a text"),
    ],
)
def test_what_cannot_be_used_is_told(name, content, told):
    with pytest.raises(UserError, match=told) as raised:
        read_pairs(name, content)
    assert "\n" not in str(raised.value)


@given(st.binary(max_size=60), st.sampled_from(["p.tsv", "p.jsonl"]))
def test_any_file_gives_pairs_or_one_line(content, name):
    try:
        told = str(len(read_pairs(name, content)))
    except UserError as error:
        told = str(error)
    assert len(told.splitlines()) == 1
