"""Names that tables can hold, and names of kept pictures that every store takes."""

import hashlib
import posixpath
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from image_retrieval.collection import Collection
from image_retrieval.pipeline import names
from image_retrieval.pipeline.names import MARK, as_text, fault_of, hash_of, ids_of, resampled_uri
from image_retrieval.settings import Settings

WORK = [Settings(work_uri="s3://work/"), Settings(work_uri="file:///work/")]
IDS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=40)
IDS |= st.text("ab./~%2E", min_size=1, max_size=12)
IDS |= st.builds(lambda part, times: part * times, IDS, st.integers(1, 120))


def collection(suffix=".webp"):
    return Collection(
        name="things", source="s3://images/", model={"name": "m", "source": "m"}, resample={"suffix": suffix}
    )


def name_of(uri):
    return re.fullmatch(r"\w+://.*?/resampled/things/(.+)_resample\.(webp|png)", uri, re.DOTALL)[1]


@pytest.mark.parametrize("settings", WORK)
@pytest.mark.parametrize(
    ("image_id", "name"),
    [
        ("2026/11/cat_01", "2026/11/cat_01"),
        ("狗/雪地 1", "狗/雪地 1"),
        ("../a", "%2E%2E/a"),
        ("a..b/c.", "a..b/c."),
        ("n" * 241, "n" * 241),
        ("n" * 242, "n" * 100 + "~" + hash_of("n" * 242)),
        ("é" * 200, "é" * 50 + "~" + hash_of("é" * 200)),
        ("a//b", "a__b~" + hash_of("a//b")),
        ("/", "_~" + hash_of("/")),
        ("%2E%2E/a", "%2E%2E_a~" + hash_of("%2E%2E/a")),
    ],
)
def test_a_kept_picture_has_its_images_name_where_that_fits(settings, image_id, name):
    assert name_of(resampled_uri(collection(), image_id, settings)) == name


@given(IDS, st.sampled_from([".png", ".jpg", ".webp"]), st.sampled_from(WORK))
@example("x" * 1024, ".png", WORK[0])
@example("/".join(["y" * 200] * 20), ".png", WORK[1])
def test_the_name_of_a_picture_is_within_what_any_store_takes(image_id, suffix, settings):
    uri = resampled_uri(collection(suffix), image_id, settings)
    place, _, path = uri.partition("://")
    assert len(path.partition("/")[2].encode()) <= 1024 if place == "s3" else len(path.encode()) <= 4095
    assert max(len(part.encode()) for part in path.split("/")) <= 255
    if place == "file":
        assert posixpath.normpath(path) == path  # no file system changes it


@given(IDS, IDS, st.sampled_from(WORK))
@example("../a", "%2E%2E/a", WORK[0])
@example("n" * 242, "n" * 100 + "~" + hash_of("n" * 242), WORK[1])
@example("a//b", "a/b", WORK[1])
def test_no_two_images_share_a_picture(one, other, settings):
    pictures = {resampled_uri(collection(), image_id, settings) for image_id in (one, other)}
    assert len(pictures) == len({one, other})


@given(IDS, st.sampled_from(WORK))
def test_a_picture_tells_whose_it_is(image_id, settings):
    written, unescaped, hashed = ids_of(name_of(resampled_uri(collection(), image_id, settings)))
    assert image_id in (written, unescaped) or hashed == hash_of(image_id)


RAW = st.binary(max_size=60) | st.builds(lambda part: part * 60, st.binary(max_size=60))


@given(RAW)
@example(b"caf\xe9.jpg")
@example(b"\0" * 3000)
@example("é".encode() * 1300)
def test_any_name_is_told_as_text_that_tables_can_hold(raw):
    uri = "file:///in/" + raw.decode("utf-8", "surrogateescape")
    if fault_of(uri) is None:
        assert MARK not in uri
    else:
        text = as_text(uri)
        assert len(text.encode()) <= names.LONGEST
        assert "\0" not in text
        assert fault_of(text) is not None  # so no image of a good name has this one


@given(st.lists(RAW, min_size=2, max_size=2, unique=True))
@example([b"\xff.jpg", rb"\xff.jpg"])
@example([b"a\0.jpg", rb"a\x00.jpg"])
@example([b"\xff", rb"\xff#sha256:" + hashlib.sha256(b"file:///in/\xff").hexdigest()[:32].encode()])
def test_no_two_names_share_a_text(raw):
    uris = ["file:///in/" + name.decode("utf-8", "surrogateescape") for name in raw]
    texts = {as_text(uri) if fault_of(uri) else uri for uri in uris}
    assert len(texts) == 2


@pytest.mark.parametrize(
    ("uri", "fault", "text"),
    [
        ("s3://b/a.jpg", None, None),
        ("s3://b/a\nb\x01.jpg", None, None),
        ("s3://b/a#sha256:.jpg", None, None),
        ("s3://b/caf\udce9.jpg", "its name is not UTF-8", r"s3://b/caf\xe9.jpg"),
        ("s3://b/a\0.jpg", "its name holds a NUL character", r"s3://b/a\x00.jpg"),
        (
            f"s3://b/a#sha256:{'0' * 32}",
            "its name ends in #sha256: and 32 digits, which is reserved for names that no table can hold",
            f"s3://b/a#sha256:{'0' * 32}",
        ),
    ],
)
def test_what_is_wrong_with_a_name_is_told(uri, fault, text):
    assert fault_of(uri) == fault
    assert fault is None or re.fullmatch(re.escape(text) + "#sha256:[0-9a-f]{32}", as_text(uri))


def test_a_long_uri_is_shortened_and_keeps_apart_from_others():
    long = [f"file:///{'d/' * 1500}{name}.jpg" for name in "ab"]
    assert {fault_of(uri) for uri in long} == {"its URI has 3013 bytes, over the limit of 2500"}
    assert len({as_text(uri) for uri in long}) == 2
    assert names.LONGEST - 40 < len(as_text(long[0]).encode()) <= names.LONGEST
