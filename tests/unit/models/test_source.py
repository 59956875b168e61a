import os
import subprocess
import sys
from pathlib import Path

import pytest

from image_retrieval.errors import UserError
from image_retrieval.models.source import model_folder
from image_retrieval.settings import load_settings


@pytest.fixture
def model(home: Path) -> Path:
    folder = home / "models" / "tiny"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    return folder


def found(source: str | Path, *, weights: bool = True) -> Path:
    return model_folder(str(source), None, load_settings(), weights=weights)


def contents(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_is_taken_as_it_is(model):
    assert found(model) == model


def test_a_relative_folder_lies_in_the_project(model):
    assert found("models/tiny") == model


def test_a_file_uri_is_copied_without_what_is_not_loaded(model):
    folder = found(f"file://{model}")
    assert folder.parent == load_settings().local_path / "models"
    assert contents(folder) == ["config.json", "model.safetensors"]
    assert contents(folder.parent) == [folder.name]


def test_a_copy_is_made_once(model):
    first = found(f"file://{model}/")
    inode = (first / "config.json").stat().st_ino
    assert found(f"file://{model}") == first
    assert (first / "config.json").stat().st_ino == inode


def test_changed_weights_are_another_copy(model):
    first = found(f"file://{model}")
    (model / "model.safetensors").write_bytes(b"other weights")
    second = found(f"file://{model}")
    assert second != first
    assert (second / "model.safetensors").read_bytes() == b"other weights"


def test_a_listing_needs_no_weights(model):
    (model / "model.safetensors").unlink()
    assert found(model, weights=False) == model
    assert contents(found(f"file://{model}", weights=False)) == ["config.json"]


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_missing_file_is_told(model, missing, scheme):
    (model / missing).unlink()
    with pytest.raises(UserError, match=r"has no (config.json|\*.safetensors): only safetensors models are loaded"):
        found(f"{scheme}{model}")


@pytest.mark.parametrize("source", ["tiny", "./models/none", "/models/none", "owner/name/part"])
def test_a_source_that_is_nothing_is_told_with_what_it_may_be(source):
    with pytest.raises(UserError) as refused:
        found(source)
    told = [f"model {source!r} does not exist", "a folder", "a hub id (owner/name)", "s3://bucket/prefix/"]
    assert [part for part in told if part not in str(refused.value)] == []


def test_a_missing_folder_behind_a_uri_is_told(tmp_path):
    with pytest.raises(UserError, match=r"folder .*/none does not exist"):
        found(f"file://{tmp_path}/none")


def test_an_empty_folder_behind_a_uri_is_told(tmp_path):
    with pytest.raises(UserError, match="does not exist: there is nothing under"):
        found(f"file://{tmp_path}")


def test_a_hub_id_that_cannot_be_had_is_told_in_one_line(home):
    code = "from unit.models.test_source import found; found('owner/name')"
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    last = done.stderr.splitlines()[-1]
    assert last.startswith(
        "image_retrieval.errors.UserError: model 'owner/name' is not a folder here, and could not be fetched"
    )
    assert f"(HF_HUB_OFFLINE is set, and {home / 'hub'} lacks it): fetch it once with HF_HUB_OFFLINE=0" in last
    assert last.endswith("or copy the model to a folder or an s3:// prefix")
