"""What torch compiles is kept where no other user puts programs."""

import os
import stat
import tempfile
from pathlib import Path

import pytest

from image_retrieval.embedding.backends import COMPILED, keep_compiled_private
from image_retrieval.errors import UserError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv(COMPILED, "")  # put back afterwards
    monkeypatch.delenv(COMPILED)
    return tmp_path / f"image-retrieval-compiled-{os.geteuid()}"


@pytest.mark.parametrize("chosen", [None, "torchinductor_somebody"])
def test_compiled_programs_are_their_users(folder, monkeypatch, chosen):
    if chosen:
        monkeypatch.setenv(COMPILED, str(folder.with_name(chosen)))
    keep_compiled_private()
    keep_compiled_private()
    assert (os.environ[COMPILED], stat.S_IMODE(folder.stat().st_mode)) == (str(folder), 0o700)


def test_compiled_programs_of_others_are_not_run(folder, tmp_path):
    folder.symlink_to(tmp_path)
    with pytest.raises(UserError, match=rf"^{folder} is not your own folder: [^\n]*$"):
        keep_compiled_private()
    assert COMPILED not in os.environ


def test_a_place_of_ones_own_is_kept(folder, monkeypatch):
    monkeypatch.setenv(COMPILED, "/some/where")
    keep_compiled_private()
    assert (os.environ[COMPILED], folder.exists()) == ("/some/where", False)
