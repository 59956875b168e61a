"""What an installation may read: nothing outside its list, however it is spelled."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_retrieval.allowed import refusal, require
from image_retrieval.errors import UserError
from image_retrieval.image_inputs import image_bytes
from image_retrieval.settings import Settings, load_settings

VARIABLE = "IMAGE_RETRIEVAL_ALLOWED_SOURCES"
LIST = ("s3://photos", "oss://shop/products/", "https://cdn.example.com", "http://10.0.0.7:8080/pictures/")
SETTINGS = Settings(allowed_sources=LIST)
PARTS = st.lists(st.sampled_from(["..", ".", "", "a", "products", "%2e%2e", "pictures", "\\", "b.jpg"]), max_size=5)


@pytest.mark.parametrize(
    "uri",
    [
        "s3://photos/",
        "s3://photos/a/b.jpg",
        "s3://photos/what?is=this#.jpg",
        "oss://shop/products/",
        "oss://shop/products/a..b.jpg",
        "https://cdn.example.com/a.jpg?size=1",
        "https://CDN.example.com:443/a.jpg",
        "http://10.0.0.7:8080/pictures/a.jpg",
        "s3://images/collections/shoes/a.jpg",  # where the service itself stores pictures
    ],
)
def test_what_lies_under_an_entry_may_be_read(uri):
    assert refusal(uri, SETTINGS) is None


@pytest.mark.parametrize(
    "uri",
    [
        "s3://photos2/a.jpg",
        "s3://photos.evil/a.jpg",
        "S3://photos/a.jpg",
        "oss://photos/a.jpg",
        "oss://shop/a.jpg",
        "oss://shop/products2/a.jpg",
        "oss://shop/products/../a.jpg",
        "file:///etc/passwd",
        "/etc/passwd",
        "file:///no\0name",
        "http://cdn.example.com/a.jpg",
        "https://cdn.example.com.evil/a.jpg",
        "https://cdn.example.com:8443/a.jpg",
        "https://cdn.example.com@evil.example/a.jpg",
        "https://cdn.example.com:port/a.jpg",
        "http://10.0.0.7:8080/pictures/%2e%2e/a.jpg",
        "http://10.0.0.7:8080/pictures\\..\\a.jpg",
        "ftp://cdn.example.com/a.jpg",
        "",
    ],
)
def test_all_else_is_refused_in_one_line(uri):
    told = refusal(uri, SETTINGS)
    assert told
    assert VARIABLE in told
    assert told.isprintable()
    with pytest.raises(UserError, match="outside what this installation may read"):
        require(uri, SETTINGS)


@pytest.mark.parametrize("uri", ["s3://any/a.jpg", "file:///etc/passwd", "http://anywhere/"])
def test_without_a_list_everything_may_be_read(uri):
    assert refusal(uri, Settings()) is None


def test_a_folder_is_what_its_links_lead_to(tmp_path):
    for name in ("open", "closed"):
        (tmp_path / name).mkdir()
    (tmp_path / "open" / "link").symlink_to(tmp_path / "closed")
    settings = Settings(allowed_sources=(f"file://{tmp_path}/open",))
    assert refusal(f"file://{tmp_path}/open/a.jpg", settings) is None
    assert refusal(f"file://{tmp_path}/open", settings) is None
    assert refusal(f"{tmp_path}/open/a.jpg", settings) is None
    assert refusal(f"file://{tmp_path}/open/link/a.jpg", settings)
    assert refusal(f"file://{tmp_path}/open/../closed/a.jpg", settings)


@given(PARTS)
def test_no_spelling_leads_out_of_an_allowed_folder(parts):
    for entry in ("oss://shop/products/", "http://10.0.0.7:8080/pictures/"):
        path = "/".join(parts)
        leads_out = ".." in path.replace("%2e", ".").replace("\\", "/").split("/")
        if entry.startswith("http") or ".." in parts:
            assert (refusal(entry + path, SETTINGS) is not None) is leads_out


def test_a_picture_of_a_query_comes_from_the_list_too():
    for url in ("s3://elsewhere/a.jpg", "http://elsewhere.example/a.jpg"):
        with pytest.raises(UserError, match=f"'{url}' is outside what this installation may read"):
            image_bytes(url, "image_url", SETTINGS)


def test_the_list_is_json(monkeypatch):
    monkeypatch.setenv(VARIABLE, '["s3://photos/", "https://cdn.example.com/"]')
    assert load_settings().allowed_sources == ("s3://photos/", "https://cdn.example.com/")
    monkeypatch.setenv(VARIABLE, "")
    assert load_settings().allowed_sources == ()


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("s3://photos/", "not JSON"),
        ('"s3://photos/"', "tuple"),
        ('["photos"]', "each prefix has the form"),
        ('["S3://photos/"]', "each prefix has the form"),
        ('["gopher://photos/"]', "each prefix has the form"),
        ('["https://me:hidden@host/"]', "each prefix has the form"),
        ('["file://folder/"]', "each prefix has the form"),
        ("[1]", "valid string"),
    ],
)
def test_a_wrong_list_is_told(monkeypatch, value, told):
    monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(UserError, match=f"^setting {VARIABLE}: [^\n]*{told}") as refused:
        load_settings()
    assert "hidden" not in str(refused.value)
