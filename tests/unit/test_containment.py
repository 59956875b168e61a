import os
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from image_retrieval.containment import lies_inside

PARTS = st.lists(st.text("abAB 图.-", min_size=1, max_size=4).filter(lambda part: part not in (".", "..")), max_size=4)
ROOTS = st.sampled_from(["s3://bucket/", "file:///srv/", "/srv/"])


@st.composite
def spellings(draw, root, parts):
    """Another way to write the same folder."""
    scheme, found, rest = root.partition("://")
    spelled = (scheme.upper() if found and draw(st.booleans()) else scheme) + found + rest
    if scheme == "file" and draw(st.booleans()):
        spelled = spelled.replace("///", "//localhost/")
    for part in parts:
        spelled += draw(st.sampled_from(["", "/", "./", "x/../", ".//"]))
        whole = draw(st.booleans())
        spelled += (part if whole else "".join(f"%{byte:02X}" for byte in part.encode())) + "/"
    return spelled if draw(st.booleans()) else spelled.rstrip("/")


@given(ROOTS, PARTS, PARTS, st.data())
def test_a_folder_is_inside_those_above_it_in_any_spelling(root, above, below, data):
    inner = data.draw(spellings(root, above + below))
    assert lies_inside(inner, data.draw(spellings(root, above)))


@given(ROOTS, PARTS, PARTS, PARTS)
@example("s3://bucket/", [], ["in"], ["in-work"])
def test_folders_beside_each_other_are_apart(root, above, left, right):
    assume(left[: len(right)] != right)
    assume(not any("%" in part for part in above + left + right))
    inner, outer = (root + "/".join(above + parts) for parts in (left, right))
    assert not lies_inside(inner, outer)


@given(st.text(max_size=20), st.text(max_size=20))
@example("s3://", "s3://")
@example("file://a\0b", "file:///")
@example("\ud800", "file:///\udfff")
def test_any_two_texts_are_compared(inner, outer):
    assert lies_inside(inner, outer) in (True, False)
    assert lies_inside(inner, inner)


@pytest.mark.parametrize(
    ("inner", "outer"),
    [
        ("s3://bucket", "s3://bucket/"),
        ("s3://bucket/", "s3://bucket"),
        ("S3://Bucket/in/work", "s3://bucket/in/"),
        ("s3://bucket//in/work/", "s3://bucket/in/"),
        ("s3://bucket/in/../in/work/", "s3://bucket/in/"),
        ("s3://bucket/in/../work/", "s3://bucket/in/"),  # a key that begins as the source does
        ("s3://bucket/%69n/work/", "s3://bucket/in/"),
        ("file:///in/work", "file:///"),
        ("file://localhost/in/work", "file:///in/"),
        ("/in/work", "file:///in/"),
        ("file:////in/work", "file:///in/"),
        ("file:///////in//work", "file:///in/"),
        ("file:///other/../in/work", "file:///in"),
    ],
)
def test_what_is_inside(inner, outer):
    assert lies_inside(inner, outer)


@pytest.mark.parametrize(
    ("inner", "outer"),
    [
        ("s3://bucket/in", "s3://bucket/in/work/"),
        ("s3://bucket/in-work/", "s3://bucket/in/"),
        ("s3://bucket-2/in/", "s3://bucket/"),
        ("s3://srv/in/", "file:///srv/"),
        ("file:///in/../work", "file:///in/"),
    ],
)
def test_what_is_apart(inner, outer):
    assert not lies_inside(inner, outer)


def test_links_are_followed(tmp_path: Path):
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "in" / "deep")
    (tmp_path / "alias").symlink_to(tmp_path / "in")
    assert lies_inside(f"file://{tmp_path}/link/work", f"file://{tmp_path}/in/")
    assert lies_inside(f"file://{tmp_path}/in/work", f"file://{tmp_path}/alias/")
    assert not lies_inside(f"file://{tmp_path}/link/../work", f"file://{tmp_path}/link/")
    (tmp_path / "round").symlink_to(tmp_path / "round")
    assert not lies_inside(f"file://{tmp_path}/round/work", f"file://{tmp_path}/in/")


def test_a_folder_under_another_name_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As a bind mount makes it, which only root could make here."""
    (tmp_path / "in").mkdir()
    (tmp_path / "mount").mkdir()
    real = os.stat
    mounted = {str(tmp_path / "mount"): str(tmp_path / "in")}
    monkeypatch.setattr(os, "stat", lambda path, **options: real(mounted.get(str(path), path), **options))
    assert lies_inside(f"file://{tmp_path}/mount/work", f"file://{tmp_path}/in/")
    assert lies_inside(f"file://{tmp_path}/in/work", f"file://{tmp_path}/mount/")
    assert not lies_inside(f"file://{tmp_path}/work", f"file://{tmp_path}/in/")
