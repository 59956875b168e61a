"""What holds secrets is its owner's from its first byte, and is never reached through a link."""

import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from image_retrieval.errors import UserError
from image_retrieval.local import processes, services
from image_retrieval.private import close_to_others, open_private, open_private_folder, write_private

NOBODY = 65534


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    """The least careful umask there is."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary directory that everybody may write in."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o1777)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setattr(processes, "_claims", {})
    return folder


@pytest.fixture
def ports(shared: Path) -> Path:
    """Where the folder of ports belongs."""
    return shared / f"image-retrieval-ports-{os.geteuid()}"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_a_private_file_is_its_owners_whatever_the_umask(tmp_path):
    write_private(tmp_path / "secret", "a")
    assert mode(tmp_path / "secret") == 0o600


def test_a_private_file_replaces_what_others_could_read(tmp_path):
    (tmp_path / "secret").write_text("old")
    (tmp_path / f".secret.{os.getpid()}.partial").write_text("left by a killed process")
    write_private(tmp_path / "secret", "new")
    assert (mode(tmp_path / "secret"), (tmp_path / "secret").read_text()) == (0o600, "new")
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("there", [True, False])
def test_a_log_is_its_owners_from_its_first_byte(tmp_path, there):
    log = tmp_path / "logs" / "log"
    if there:
        log.parent.mkdir()
        log.write_text("older\n")
    stat_log = [sys.executable, "-c", f"import os; print(oct(os.stat({str(log)!r}).st_mode & 0o777), flush=True)"]
    pid = processes.start(stat_log, log, {}, tmp_path)
    processes.wait_until(lambda: "0o" in log.read_text(), "the program", 20, log)
    processes.stop({"pid": pid, "started": None})
    assert log.read_text().split() == [*(["older"] if there else []), "0o600"]


def test_no_log_is_written_through_a_link(tmp_path):
    (tmp_path / "target").write_text("")
    (tmp_path / "log").symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match="symbolic links"):
        open_private(tmp_path / "log")
    assert not (tmp_path / "target").read_text()


def test_the_folder_of_ports_is_its_owners(ports):
    processes.free_port(21_000)
    assert (mode(ports), {mode(file) for file in ports.iterdir()}) == (0o700, {0o600})


def test_a_link_is_not_taken_for_the_folder_of_ports(ports, tmp_path):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    ports.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=rf"^{ports} is not your own folder: [^\n]*TMPDIR[^\n]*$"):
        processes.free_port(21_000)
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize("rights", [0o770, 0o701, 0o777])
def test_a_folder_of_ports_that_others_enter_is_refused(ports, rights):
    ports.mkdir()
    ports.chmod(rights)
    with pytest.raises(UserError, match=rf"^{ports} is open to other users: [^\n]*$"):
        processes.free_port(21_000)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_another_users_folder_of_ports_is_refused(ports):
    ports.mkdir(mode=0o700)
    os.chown(ports, NOBODY, NOBODY)
    with pytest.raises(UserError, match=r"is open to other users"):
        processes.free_port(21_000)


def test_no_file_of_a_port_is_opened_through_a_link(ports, tmp_path):
    ports.mkdir(mode=0o700)
    (ports / "21000").symlink_to(tmp_path / "made")
    with pytest.raises(OSError, match="symbolic links"):
        processes.free_port(21_000)
    assert not (tmp_path / "made").exists()


def test_a_file_is_no_private_folder(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is not your own folder"):
        open_private_folder(tmp_path / "file")


def test_others_lose_their_rights_on_all_that_lies_in_a_folder(tmp_path):
    deep = tmp_path / "private" / "logs" / "task"
    deep.mkdir(parents=True)
    (deep / "log").write_text("a password")
    (deep / "program").touch(mode=0o755)
    (tmp_path / "outside").write_text("")
    (deep / "link").symlink_to(tmp_path / "outside")
    (deep / "folder").symlink_to(tmp_path)
    close_to_others(tmp_path / "private", tmp_path / "missing")
    assert all(mode(path) & 0o077 == 0 for path in (deep, *deep.parents[:2], deep / "log"))
    assert mode(deep / "program") == 0o700
    assert (mode(tmp_path / "outside"), (tmp_path / "outside").exists()) == (0o666, True)


def test_what_an_older_version_left_open_is_closed_by_the_next_command(tmp_path):
    folder = tmp_path / "local"
    for name in ("airflow/logs/task.log", "airflow/log", "s3/log", "secrets.env", "services.env", "airflow.env"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("a password")
    services.down(folder, lambda line: None)
    assert {str(path): mode(path) & 0o077 for path in folder.rglob("*") if mode(path) & 0o077} == {}
    assert mode(folder) & 0o022 == 0  # nobody else puts a file in another's place


def test_what_a_program_that_is_started_writes_is_its_owners(tmp_path):
    touch = [sys.executable, "-c", "open('file', 'w').write('a'); import os; os.mkdir('folder')"]
    processes.start(touch, tmp_path / "logs" / "log", {}, tmp_path)
    processes.wait_until((tmp_path / "folder").exists, "the program", 20, tmp_path / "logs" / "log")
    assert (mode(tmp_path / "file"), mode(tmp_path / "folder")) == (0o600, 0o700)
