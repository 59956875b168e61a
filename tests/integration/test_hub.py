"""A hub's models from `models add` to a search, and afterwards without the hub."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from stand_in_hub import StandInHub, ask, stand_in_hub

from image_retrieval.collection import ModelOptions
from image_retrieval.embedding.backends import load_engine
from image_retrieval.errors import UserError
from image_retrieval.models.digest import digest_of
from image_retrieval.models.towers import image_tower
from image_retrieval.pipeline.running import run_collection
from image_retrieval.service.model_process import ModelProcess
from integration.pictures import SCENES, put
from integration.tables import rows

FIRST, LATER = dict(list(SCENES.items())[:4]), dict(list(SCENES.items())[4:6])


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[StandInHub]:
    with stand_in_hub() as hub:
        ask(hub, monkeypatch, tmp_path / "huggingface")
        monkeypatch.setattr("image_retrieval.models.trying.SECONDS", 0.0)
        yield hub


def forget_loaded() -> None:
    """What another process would load again."""
    image_tower.cache_clear()
    load_engine.cache_clear()


def pickled(folder: Path, **more: object) -> dict[str, bytes]:
    """A model's files as they were before safetensors."""
    weights = folder.parent / "pytorch_model.bin"
    torch.save(load_file(folder / "model.safetensors") | more, weights)
    stated = {name: (folder / name).read_bytes() for name in ("config.json", "preprocessor_config.json")}
    return {**stated, weights.name: weights.read_bytes()}


def test_a_collection_runs_and_is_searched_with_a_commit_of_a_hub_and_later_without_the_hub(
    hub, project, change_collection, store, database_url, random_model, command, tmp_path
):
    commit = hub.push("owner/random", random_model)
    hub.push("owner/random", {"config.json": b"of another model"})
    model = {"name": "random", "source": "owner/random", "revision": commit, "batch_size": 16}
    entry = change_collection(model=model)
    put(store, entry.source, FIRST)
    assert run_collection(entry, "first", project)["upserted"] == len(FIRST)
    assert rows(database_url, "SELECT source, digest FROM retrieval.model") == [
        ("owner/random", digest_of(random_model))
    ]
    hub.stop()
    forget_loaded()
    put(store, entry.source, LATER)
    assert run_collection(entry, "second", project)["upserted"] == len(LATER)
    (tmp_path / "query").write_bytes(next(iter(FIRST.values())))
    assert command("search", "things", "--image", str(tmp_path / "query")).returncode == 0


def test_pickled_weights_stop_a_run_before_it_begins_and_may_be_added_at_the_commit_of_a_tag(
    hub, project, change_collection, store, database_url, random_model, report
):
    commit = hub.push("owner/random", pickled(random_model), revision="v1")
    hub.push("owner/random", {"config.json": b"of another model"})
    entry = change_collection(model={"name": "random", "source": "owner/random", "revision": "v1"})
    put(store, entry.source, FIRST)
    with pytest.raises(
        UserError, match=r"`[^`]+ models add NAME owner/random --revision v1` converts pytorch_model.bin"
    ):
        run_collection(entry, "first", project)
    assert rows(database_url, "SELECT * FROM retrieval.image") == []
    added = report("models", "add", "converted", "owner/random", "--revision", "v1", "--json")
    assert (added["commit"], added["dimensions"]) == (commit, 192)
    origin = json.loads(store.read(f"{added['source']}source.json"))
    assert origin == {"source": "owner/random", "revision": commit, "layout": "transformers"}


class Runs:
    """Unpickling this writes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.mark}",)


def test_what_cannot_be_added_is_told_in_a_line_with_nothing_run_and_nothing_written(
    hub, project, store, random_model, command, tmp_path
):
    hub.push("owner/open", random_model)
    hub.push("owner/gated", random_model)
    hub.repositories["owner/gated"].gated = True
    hub.push("owner/evil", pickled(random_model, more=Runs(tmp_path / "ran")))
    refusals = {
        ("owner/none",): "knows no such model, or it is private",
        ("owner/gated",): "access to it is restricted",
        ("owner/open", "--revision", "v9"): "it has no revision 'v9'",
        ("owner/evil",): "pytorch_model.bin cannot be read: it holds pickled objects beyond tensors (posix.system)",
        ("owner/open", "--tokenizer", "owner/none"): "knows no such model, or it is private",
    }
    for given, told in refusals.items():
        done = command("models", "add", "tiny", *given)
        assert done.returncode == 2
        assert done.stdout == ""
        (line,) = done.stderr.splitlines()
        assert told in line
    hub.push("owner/other", random_model)
    hub.breaks_at, hub.breaks = 1000, 99
    done = command("models", "add", "tiny", "owner/other")
    assert (done.returncode, "breaks off): try again later" in done.stderr) == (2, True)
    assert not (tmp_path / "ran").exists()
    assert [entry for page in store.pages(project.work_uri, missing_ok=True) for entry in page] == []
    assert list(tmp_path.rglob("*.incomplete")) == []
    assert list(project.local_path.glob(".adding-*")) == []


@pytest.mark.slow
def test_a_pods_program_and_the_services_model_load_from_a_mirror_and_later_from_the_cache(
    project, random_model, monkeypatch, tmp_path
):
    for name, value in {"HF_HOME": str(tmp_path / "huggingface"), "HF_TOKEN": "admitted"}.items():
        monkeypatch.setenv(name, value)
    model = ModelOptions(name="random", source="owner/random", revision="v1")
    check = [str(Path(sys.executable).with_name("image-retrieval")), "healthcheck", "--model", model.source]
    check += ["--revision", "v1", "--device", "cpu"]

    def loaded() -> set[str]:
        done = subprocess.run(check, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        process = ModelProcess(model, project)
        try:
            return {json.loads(done.stdout)["digest"], process.facts()["digest"]}
        finally:
            process.close()

    with stand_in_hub() as hub:
        hub.push("owner/random", random_model, revision="v1")
        hub.repositories["owner/random"].gated = True
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        assert loaded() == {digest_of(random_model)}
    monkeypatch.setenv("HF_TOKEN", "")
    assert loaded() == {digest_of(random_model)}
