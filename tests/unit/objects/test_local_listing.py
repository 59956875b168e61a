"""A folder is listed completely, or not at all; odd names and links are no obstacle."""

import os
import socket
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from image_retrieval.errors import Unavailable, UserError
from image_retrieval.objects import AccessRefused, NameUnsupported, NotDeleted, ObjectStore
from image_retrieval.settings import Settings

FILES = ObjectStore(Settings())


def keys(folder, **options):
    return [entry.key for page in FILES.pages(f"file://{folder}/", **options) for entry in page]


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


@pytest.mark.parametrize("mode", [0o000, 0o444, 0o111])
@pytest.mark.parametrize("place", ["", "a", "a/b"])
def test_a_folder_that_cannot_be_looked_into_ends_the_listing(open_folder, unprivileged, mode, place):
    fill(open_folder / "in", "a/b/1.jpg", "c/2.jpg")
    locked = open_folder / "in" / place
    locked.chmod(mode)
    with unprivileged(), pytest.raises(AccessRefused, match=r"cannot be listed .*: nothing was changed") as told:
        keys(open_folder / "in")
    locked.chmod(0o755)
    assert str(locked) in str(told.value)
    with unprivileged():
        assert keys(open_folder / "in") == ["a/b/1.jpg", "c/2.jpg"]


def test_a_link_whose_end_cannot_be_looked_at_ends_the_listing(open_folder, unprivileged):
    fill(open_folder, "in/1.jpg", "locked/2.jpg")
    (open_folder / "in/2.jpg").symlink_to(open_folder / "locked/2.jpg")
    (open_folder / "locked").chmod(0o000)
    with unprivileged(), pytest.raises(AccessRefused, match=r"in/2\.jpg cannot be listed"):
        keys(open_folder / "in")
    (open_folder / "locked").chmod(0o755)


def test_a_file_that_cannot_be_read_is_listed_and_refused_by_itself(open_folder, unprivileged):
    fill(open_folder, "1.jpg", "2.jpg")
    (open_folder / "1.jpg").chmod(0o000)
    with unprivileged():
        assert keys(open_folder) == ["1.jpg", "2.jpg"]
        with pytest.raises(AccessRefused, match=r"no permission to read .*1\.jpg"):
            FILES.read(f"file://{open_folder}/1.jpg")
        assert FILES.read(f"file://{open_folder}/2.jpg") == b"2.jpg"


def test_what_a_file_system_keeps_for_root_is_passed_over(open_folder, unprivileged):
    fill(open_folder, "1.jpg", "lost+found/2.jpg")
    (open_folder / "lost+found").chmod(0o000)
    with unprivileged():
        assert keys(open_folder) == ["1.jpg"]
    (open_folder / "lost+found").chmod(0o755)
    assert keys(open_folder) == ["1.jpg", "lost+found/2.jpg"]


def test_links_to_files_are_followed_and_those_to_nothing_left_out(tmp_path):
    fill(tmp_path, "in/1.jpg", "elsewhere/2.jpg")
    for name, end in [("2.jpg", "../elsewhere/2.jpg"), ("3.jpg", "gone.jpg"), ("4.jpg", "4.jpg"), ("5.jpg", "x" * 300)]:
        (tmp_path / "in" / name).symlink_to(end)
    assert keys(tmp_path / "in") == ["1.jpg", "2.jpg"]


def test_linked_folders_are_followed_where_that_is_wanted_and_else_told(tmp_path, capsys):
    fill(tmp_path, "in/1.jpg", "elsewhere/2.jpg", "elsewhere/deep/3.jpg")
    (tmp_path / "in/album").symlink_to(tmp_path / "elsewhere")
    assert keys(tmp_path / "in", follow_links=True) == ["1.jpg", "album/2.jpg", "album/deep/3.jpg"]
    assert keys(tmp_path / "in") == ["1.jpg"]
    told = capsys.readouterr().out
    assert "linked folder is not followed" in told
    assert "in/album" in told


def test_a_source_that_is_a_link_is_a_folder(tmp_path):
    fill(tmp_path, "elsewhere/2.jpg")
    (tmp_path / "in").symlink_to(tmp_path / "elsewhere")
    assert keys(tmp_path / "in") == ["2.jpg"]


def test_links_in_a_circle_end(tmp_path):
    folder = fill(tmp_path / "in", "1.jpg", "a/2.jpg", "b/3.jpg")
    for name, end in [("a/to_b", "../b"), ("b/to_a", "../a"), ("a/itself", "."), ("a/up", ".."), ("out", "..")]:
        (folder / name).symlink_to(end)
    found = keys(folder, follow_links=True)
    assert found[:3] == ["1.jpg", "a/2.jpg", "b/3.jpg"]
    assert not [key for key in found[3:] if key.endswith(("1.jpg", "2.jpg", "3.jpg"))]


def test_folders_that_all_link_to_each_other_are_listed_once_each(tmp_path):
    names = [f"f{number}" for number in range(12)]
    fill(tmp_path / "in", "0.jpg")
    fill(tmp_path / "elsewhere", *(f"{name}/1.jpg" for name in names))
    (tmp_path / "in/first").symlink_to(tmp_path / "elsewhere/f0")
    for name in names:
        for other in names:
            (tmp_path / f"elsewhere/{name}/to_{other}").symlink_to(f"../{other}")
    assert len(keys(tmp_path / "in", follow_links=True)) == 13


@pytest.mark.parametrize("end", ["..", "../work", "../work/resampled"])
def test_no_link_leads_into_the_work_folder(tmp_path, end):
    fill(tmp_path, "in/1.jpg", "work/resampled/1.png")
    (tmp_path / "in/album").symlink_to(end)
    files = ObjectStore(Settings(work_uri=f"file://{tmp_path}/work/"))
    with pytest.raises(UserError, match=r"in/album.* is the work folder .*/work, or in it"):
        list(files.pages(f"file://{tmp_path}/in/", follow_links=True))
    assert [len(page) for page in files.pages(f"file://{tmp_path}/in/")] == [1]


def test_pipes_and_sockets_are_no_files(tmp_path):
    fill(tmp_path, "1.jpg")
    os.mkfifo(tmp_path / "2.jpg")
    with socket.socket(socket.AF_UNIX) as heard:
        heard.bind(str(tmp_path / "3.jpg"))
        assert keys(tmp_path) == ["1.jpg"]
        for name in ("2.jpg", "3.jpg"):
            with pytest.raises(UserError, match=name):
                FILES.read(f"file://{tmp_path}/{name}")


def test_a_path_longer_than_the_system_takes_is_listed_and_its_file_is_refused_by_name(tmp_path):
    fill(tmp_path, "short.jpg")
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=here)
        former, here = here, os.open("d" * 250, os.O_RDONLY, dir_fd=here)
        os.close(former)
    os.close(os.open("deep.jpg", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    [short, deep] = keys(tmp_path)
    assert (short, len(deep)) == ("short.jpg", 20 * 251 + 8)
    with pytest.raises(NameUnsupported):
        FILES.read(f"file://{tmp_path}/{deep}")
    FILES.delete_under(f"file://{tmp_path}/")  # pytest itself cannot remove it
    assert not tmp_path.exists()


def test_times_that_no_calendar_has_are_no_obstacle(tmp_path):
    fill(tmp_path, "1.jpg", "2.jpg")
    for name, year in (("1.jpg", 2**33), ("2.jpg", -(2**31))):
        os.utime(tmp_path / name, (year * 60, year * 60))
    assert keys(tmp_path) == ["1.jpg", "2.jpg"]


NAMES = st.binary(min_size=1, max_size=40).filter(
    lambda name: name not in (b".", b"..") and not set(b"/\0") & set(name)
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(NAMES, min_size=1, max_size=4))
def test_whatever_bytes_a_name_has_its_file_is_listed_and_read(tmp_path_factory, names):
    folder = tmp_path_factory.mktemp("any")
    for name in names:
        (folder / os.fsdecode(name)).write_bytes(name)
    entries = [entry for page in FILES.pages(f"file://{folder}/") for entry in page]
    assert {os.fsencode(entry.key) for entry in entries} == names
    for entry in entries:
        assert FILES.read(entry.uri, etag=entry.etag) == os.fsencode(entry.key)


@pytest.mark.parametrize("size", [200, 230, 255])
def test_a_file_of_the_longest_name_is_written(tmp_path, size):
    uri = f"file://{tmp_path}/{'n' * size}"
    FILES.write(uri, b"data")
    assert (FILES.read(uri), len(list(tmp_path.iterdir()))) == (b"data", 1)


@pytest.mark.parametrize("name", ["n" * 256, "a\0b", "\ud800", "file/below", "d/" * 3000 + "x"])
def test_a_name_that_no_file_can_have_is_refused_as_such(tmp_path, name):
    fill(tmp_path, "file")
    with pytest.raises(NameUnsupported):
        FILES.write(f"file://{tmp_path}/{name}", b"data")
    assert [path.name for path in tmp_path.iterdir()] in (["file"], ["d", "file"], ["file", "d"])


def test_what_may_not_be_written_or_deleted_is_told(open_folder, unprivileged):
    fill(open_folder, "in/1.jpg")
    uri = f"file://{open_folder}/in/1.jpg"
    (open_folder / "in").chmod(0o555)
    with unprivileged():
        with pytest.raises(UserError, match="no permission to write") as told:
            FILES.write(uri, b"data")
        assert not isinstance(told.value, Unavailable)
        with pytest.raises(NotDeleted) as refused:
            FILES.delete([uri, f"file://{open_folder}/in/2.jpg"])
        assert refused.value.uris == [uri]
        with pytest.raises(NotDeleted, match=r"1 of 1 files were not deleted, such as .*1\.jpg: Permission denied"):
            FILES.delete_under(f"file://{open_folder}/in/")
    (open_folder / "in").chmod(0o755)
    assert keys(open_folder) == ["in/1.jpg"]


def test_what_links_lead_to_is_not_deleted(tmp_path):
    fill(tmp_path, "in/1.jpg", "elsewhere/2.jpg")
    (tmp_path / "in/album").symlink_to(tmp_path / "elsewhere")
    FILES.delete_under(f"file://{tmp_path}/in/")
    assert keys(tmp_path) == ["elsewhere/2.jpg"]
