"""Names of pictures in tars, and of sources that are tars."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_retrieval.source_kinds import source_uri
from image_retrieval.tar_uris import Place, matches, member_key, member_uri, place_of, split_member, version_of

names = st.text(min_size=1, max_size=30)


@given(name=names, etag=st.text(max_size=40), offset=st.integers(0, 2**50), size=st.integers(0, 2**50))
def test_a_member_is_found_by_its_uri_and_version(name, etag, offset, size):
    uri = member_uri("s3://bucket/a/b.tar", name)
    assert split_member(uri) == ("s3://bucket/a/b.tar", name)
    assert place_of(uri, version_of(etag, offset, size)) == Place("s3://bucket/a/b.tar", etag, offset, size)
    assert member_key("a/b.tar#" + name) == "a/b/" + name


@pytest.mark.parametrize(
    ("uri", "version"),
    [
        ("s3://bucket/a.jpg", "etag:1+2"),
        ("s3://bucket/a.tar#b.jpg", "5d41402abc4b2a76b9719d911017c592"),  # an object with such a name
        ("s3://bucket/a.tar#b.jpg", "5d41402abc4b2a76b9719d911017c592-12"),
        ("s3://bucket/a.tar", "etag:1+2"),
        ("s3://bucket/a.tar#", "etag:1+2"),
    ],
)
def test_other_objects_are_no_members(uri, version):
    assert place_of(uri, version) is None


@pytest.mark.parametrize(
    "source", ["s3://bucket/a.tar", "s3://bucket/a/*.tar", "file:///srv/train-??.TAR", "s3://bucket/a.tar.gz/"]
)
def test_a_tar_a_pattern_of_tars_and_any_folder_are_sources(source):
    assert source_uri(source) == source


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("s3://bucket/a.tar.gz", "compressed"),
        ("s3://bucket/a.tgz", "compressed"),
        ("s3://bucket/train-{0000..0099}.tar", "braces"),
        ("s3://bucket/*/a.tar", "folder"),
    ],
)
def test_other_sources_are_refused_with_what_to_do(source, told):
    with pytest.raises(ValueError, match=told):
        source_uri(source)


@pytest.mark.parametrize(
    ("key", "source", "taken"),
    [
        ("a.tar", "s3://bucket/x/*.tar", True),
        ("in/a.tar", "s3://bucket/x/*.tar", True),
        ("a.tar.gz", "s3://bucket/x/*.tar", False),
        ("b.tar", "s3://bucket/x/a*.tar", False),
    ],
)
def test_a_pattern_takes_tars_in_any_folder(key, source, taken):
    assert matches(key, source) == taken
