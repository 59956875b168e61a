import base64
import dataclasses
import pickle
import re
from html.parser import HTMLParser

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rich.cells import cell_len

from image_retrieval.client import showing
from image_retrieval.client.results import Hit, Results, hit_of
from image_retrieval.collection import ResampleChoice
from image_retrieval.settings import Settings

TEXTS = st.text(max_size=80) | st.sampled_from(
    ["<script>alert(1)</script>", "\"'><img src=x onerror=y>", "红色圆形" * 30]
)


def hit(image_id="a/b", image_path="file:///nowhere/a/b.jpg", similarity=0.5, score=0.5, **more) -> Hit:
    unknown = dict.fromkeys(
        ("resampled_image_path", "group_id", "intra_id", "caption", "width", "height", "attributes")
    )
    row = {"image_id": image_id, "image_path": image_path, "similarity": similarity, **unknown, **more}
    return hit_of(row, score, Settings(_env_file=None, token="very secret"), ResampleChoice())


class Tags(HTMLParser):
    """The tags and attributes that a browser sees."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))


@given(TEXTS, TEXTS, st.none() | TEXTS)
def test_no_text_of_an_image_becomes_html(image_id, path, caption):
    found = Results("things", [hit(image_id, f"file:///nowhere/{path}", caption=caption)], None)
    tags = Tags(found._repr_html_()).seen
    assert [tag for tag, _ in tags] == ["div", "figure", "div", "figcaption", "br"]
    assert {name for _, attributes in tags for name in attributes} <= {"style", "title"}


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=5), st.booleans())
def test_a_table_has_a_line_a_hit_and_its_columns_begin_below_each_other(given, calibrated):
    found = [hit(image_id, path) for image_id, path in given]
    head, *lines = showing.table("things", found, calibrated=calibrated).split("\n")
    assert head == f"{len(found)} image{'s' * (len(found) != 1)} of things"
    assert len(lines) == (len(found) + 1 if found else 0)
    if found:
        begins = cell_len(lines[0][: lines[0].index("image_id")])
        assert all(cell_len(line) <= begins + 2 * showing.CELLS + 2 for line in lines)
        assert all(line.startswith("0.5000") for line in lines[1:])


def test_long_results_are_counted_and_not_shown():
    found = Results("things", [hit(f"id-{number}") for number in range(100)], None)
    assert repr(found).endswith("… and 80 more")
    assert repr(found).count("id-") == showing.ROWS
    html = found._repr_html_()
    assert html.count("<figure") == showing.PICTURES
    assert "… and 52 more" in html


def test_pictures_are_small_and_in_the_page(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (1200, 1600, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    html = Results("things", [hit(image_path=(tmp_path / "noise.png").as_uri())], "image_image")._repr_html_()
    [source] = [attributes["src"] for tag, attributes in Tags(html).seen if tag == "img"]
    data = base64.b64decode(re.fullmatch("data:image/jpeg;base64,(.*)", source)[1])
    assert len(data) <= showing.MOST_BYTES
    assert "score 0.500" in html


def test_a_picture_that_is_gone_leaves_its_reason():
    html = hit()._repr_html_()
    assert "not_found" in html
    assert "<img" not in html
    assert Results("things", [], None)._repr_html_() == "<p>no image</p>"


def test_a_store_that_is_away_is_not_asked_for_every_picture(monkeypatch):
    asked, read = [], Hit._thumbnail
    monkeypatch.setattr(Hit, "_thumbnail", lambda self: asked.append(self) or read(self))
    away = Settings(
        _env_file=None, s3_endpoint_url="http://127.0.0.1:9", s3_access_key_id="me", s3_secret_access_key="very secret"
    )
    row = {name: value for name, value in hit(image_path="s3://images/a.jpg").__getstate__().items() if name != "score"}
    html = Results("things", [hit_of(row, 0.5, away, ResampleChoice()) for _ in range(48)], None)._repr_html_()
    assert html.count("http://127.0.0.1:9 does not answer") == 48
    assert len(asked) <= showing.READERS
    assert "very secret" not in html


def test_hits_are_records_and_hold_no_secret():
    one = hit(attributes={"colour": "red"})
    again = pickle.loads(pickle.dumps(one))
    assert again == one
    assert len({one, again, dataclasses.replace(one, image_id="other")}) == 2
    for shown in (repr(one), repr(dataclasses.asdict(one)), repr(pickle.dumps(one)), one._repr_html_()):
        assert "very secret" not in shown
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.score = 1


def test_results_are_a_sequence():
    found = Results("things", [hit("a"), hit("b"), hit("c")], None)
    assert [each.image_id for each in found] == ["a", "b", "c"]
    assert (len(found), found[-1].image_id, found[1] in found) == (3, "c", True)
    assert found[1:] == Results("things", [hit("b"), hit("c")], None)
    assert isinstance(found[:1], Results)
    assert not Results("things", [], None)


@pytest.mark.parametrize("count", [0, 2])
def test_results_become_columns(count):
    attributes = {"colour": "红色"}
    found = Results("things", [hit(width=3, attributes=attributes) for _ in range(count)], None)
    frame, table = found.to_pandas(), found.to_arrow()
    assert list(frame.columns) == table.column_names == [each.name for each in dataclasses.fields(Hit)]
    assert len(frame) == table.num_rows == len(found.to_dicts()) == count
    assert table.schema.field("width").type == pa.int32()
    if count:
        assert frame["attributes"][0] == attributes
        assert table["attributes"][0].as_py() == '{"colour": "红色"}'
