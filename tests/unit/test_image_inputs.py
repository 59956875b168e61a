import base64
import io
import sys
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from image_retrieval import image_inputs
from image_retrieval.errors import ImageRejected, Reason, UserError
from image_retrieval.image_inputs import image_bytes, named_image
from image_retrieval.settings import Settings

SETTINGS = Settings(max_image_bytes=100)
TOO_MUCH = b"x" * 101


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


@given(st.binary(min_size=1, max_size=100))
def test_every_way_gives_the_same_bytes(data):
    assert image_bytes(data, "image_binary", SETTINGS) == data
    assert image_bytes(encoded(data), "image_base64", SETTINGS) == data
    assert image_bytes(encoded(data).encode(), "image_base64", SETTINGS) == data
    assert image_bytes(f"data:image/png;base64,{encoded(data)}", "image_base64", SETTINGS) == data
    assert image_bytes(base64.encodebytes(data).decode(), "image_base64", SETTINGS) == data


@pytest.mark.parametrize("text", ["%", "YQ", "é" * 8, "data:image/png,abc", "data:image/png;base64,%%%"])
def test_what_is_not_base64_is_told(text):
    with pytest.raises(UserError, match="base64"):
        image_bytes(text, "image_base64", SETTINGS)


@pytest.mark.parametrize("kind", ["image_binary", "image_base64"])
@pytest.mark.parametrize("size", [101, 10_000])
def test_too_many_bytes_are_rejected(kind, size):
    data = b"x" * size
    with pytest.raises(ImageRejected) as rejected:
        image_bytes(data if kind == "image_binary" else encoded(data), kind, SETTINGS)
    assert rejected.value.reason is Reason.TOO_LARGE


@pytest.mark.parametrize("kind", ["image_binary", "image_base64"])
def test_no_bytes_are_rejected(kind):
    with pytest.raises(ImageRejected) as rejected:
        image_bytes(b"", kind, SETTINGS)
    assert rejected.value.reason is Reason.EMPTY_FILE


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "/etc/passwd",
        "gopher://host/",
        "",
        "s3://bucket",
        "s3://Bad Bucket/a.jpg",
        "data:image/png;base64,YQ==",
    ],
)
def test_a_url_never_names_a_file_of_this_machine(url):
    with pytest.raises(UserError, match="is not a supported URL: use http://…, https://… or s3://bucket/key"):
        image_bytes(url, "image_url", SETTINGS)


def test_a_url_reaches_no_private_address():
    with pytest.raises(UserError, match="has no public address"):
        image_bytes("http://169.254.169.254/latest/meta-data/", "image_url", SETTINGS)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"picture")
    return path


def test_a_command_line_names_files_urls_and_standard_input(file, monkeypatch):
    assert named_image(str(file), SETTINGS) == b"picture"
    assert named_image(f"file://{file}", SETTINGS) == b"picture"
    assert named_image(f"data:;base64,{encoded(b'picture')}", SETTINGS) == b"picture"
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"picture")))
    assert named_image("-", SETTINGS) == b"picture"
    with pytest.raises(UserError, match="has no public address"):
        named_image("http://127.0.0.1/", SETTINGS)


def test_a_file_that_is_too_large_missing_or_empty_is_told(file):
    file.write_bytes(TOO_MUCH)
    with pytest.raises(ImageRejected, match="too_large"):
        named_image(str(file), SETTINGS)
    file.write_bytes(b"")
    with pytest.raises(ImageRejected, match="empty_file"):
        named_image(str(file), SETTINGS)
    file.unlink()
    with pytest.raises(UserError, match=r"a\.png cannot be read: No such file"):
        named_image(str(file), SETTINGS)


@pytest.mark.parametrize("text", ["0000=", "0000==", "0000====", "00=", "000"])
def test_padding_of_another_length_is_refused_by_every_python(text):
    with pytest.raises(UserError, match="the picture is not base64: "):
        image_bytes(text, "image_base64", SETTINGS)


@given(st.text("ABab01+/=\n%", max_size=60), st.sampled_from([4, 8, 12]))
@example("0000=", 4)
@example("0000====", 8)
def test_a_long_base64_reads_in_pieces_as_it_does_whole(text, piece):
    def read():
        try:
            return image_bytes(text, "image_base64", SETTINGS)
        except (UserError, ImageRejected) as error:
            return type(error)

    whole = read()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image_inputs, "BASE64_PIECE", piece)
        assert read() == whole
