"""What `models add` writes, and that nothing is left where it refuses."""

import json
import os
import pickle
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_captioners import WORDS, save_captioner

from image_retrieval.caption_options import CaptionOptions
from image_retrieval.cli import main
from image_retrieval.errors import UserError
from image_retrieval.models.adding import Added, add_model
from image_retrieval.models.captioners.description import captioner_folder
from image_retrieval.models.captioners.loading import load_captioner
from image_retrieval.models.digest import digest_of
from image_retrieval.models.presets import PRESETS
from image_retrieval.models.publishing import alone_here
from image_retrieval.models.shipped import CAPTIONER
from image_retrieval.models.weight_files import read_weights
from image_retrieval.objects import ObjectStore
from image_retrieval.scenes import draw_scenes
from image_retrieval.settings import Settings, load_settings
from unit.models.families import save
from unit.models.vocabularies import VOCABULARIES


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    for name in ("vit", "chinese_clip", "swin"):
        save(name, root / name)
    return root


@pytest.fixture
def work(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The work store, a folder."""
    monkeypatch.setenv("IMAGE_RETRIEVAL_WORK_URI", f"file://{home}/work/")
    monkeypatch.setattr("image_retrieval.models.trying.SECONDS", 0.0)
    (home / "work").mkdir()
    return home / "work"


@pytest.fixture
def pickled(models: Path, tmp_path: Path) -> Path:
    """A folder as transformers wrote it before safetensors."""
    folder = tmp_path / "pickled"
    folder.mkdir()
    for name in ("config.json", "preprocessor_config.json"):
        (folder / name).write_bytes((models / "vit" / name).read_bytes())
    torch.save(load_file(models / "vit" / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "README.md").write_text("---\nlicense: apache-2.0\nlanguage: [en, zh]\n---\n# A model\n")
    return folder


def added(source: Path | str, **options: Any) -> Added:
    return add_model("tiny", str(source), load_settings(), **options)


def refused(source: Path | str, work: Path, **options: Any) -> str:
    """The one line that is told; nothing is written, and nothing is left behind."""
    with pytest.raises(UserError) as error:
        added(source, **options)
    assert list(work.rglob("*")) == []
    local = load_settings().local_path
    assert [path.name for path in local.glob("*")] == []
    assert "\n" not in str(error.value)
    return str(error.value)


def test_pickled_weights_become_safetensors_under_the_work_store(pickled, models, work):
    found = added(pickled)
    folder = work / "models" / "tiny"
    assert found.source == f"file://{folder}/"
    assert (found.layout, found.model_type, found.dimensions, found.texts) == ("transformers", "vit", 32, False)
    assert (found.licence, found.languages, found.commit) == ("apache-2.0", ("en", "zh"), None)
    assert found.images_per_second > 0
    wanted, kept = load_file(models / "vit" / "model.safetensors"), load_file(folder / "model.safetensors")
    assert {name: values.tolist() for name, values in kept.items()} == {
        name: values.tolist() for name, values in wanted.items()
    }
    origin = json.loads((folder / "source.json").read_text())
    assert origin == {"source": str(pickled), "revision": None, "layout": "transformers"}
    assert list(folder.glob("*.bin")) == []


def test_a_captioner_is_tried_by_a_caption(work, capsys):
    found = added(CAPTIONER)
    assert (found.layout, found.model_type, found.dimensions) == ("transformers", "vision-encoder-decoder", None)
    assert (found.languages, found.texts, found.licence) == (("en", "zh"), False, "apache-2.0")
    [scene] = draw_scenes(1)
    hue, shape = scene.layout.main.hue, scene.layout.main.shape
    assert f"{hue} {shape}" in found.caption
    assert found.images_per_second > 0
    options = CaptionOptions(model={"name": "m", "source": found.source}, languages=["zh"])
    assert load_captioner(captioner_folder(options, load_settings()), options, "cpu").digest
    assert main(["models", "add", "again", str(CAPTIONER)]) == 0
    told = capsys.readouterr().out
    assert "none: it writes captions" in told
    assert found.caption in told


def test_a_captioner_that_says_nothing_is_refused(work, tmp_path):
    save_captioner(tmp_path / "silent", "git")
    (tmp_path / "silent" / "generation_config.json").write_text(json.dumps({"eos_token_id": list(range(WORDS))}))
    assert "the model says nothing of a test picture" in refused(tmp_path / "silent", work)


def test_a_file_of_a_uri_is_taken_with_what_lies_beside_it(pickled, work):
    assert added(f"file://{pickled}/pytorch_model.bin").dimensions == 32


def test_a_name_is_given_once(pickled, work):
    added(pickled)
    before = {path: path.stat().st_mtime_ns for path in work.rglob("*")}
    with pytest.raises(UserError, match=r"there is a model 'tiny' in [^\n]*: give another name"):
        added(pickled)
    assert {path: path.stat().st_mtime_ns for path in work.rglob("*")} == before


def test_what_a_killed_attempt_left_does_not_matter(pickled, work):
    (work / "models" / "tiny").mkdir(parents=True)
    (work / "models" / "tiny" / "model.safetensors").write_bytes(b"half")
    assert added(pickled).dimensions == 32


def claim(work: Path, settings: Settings, **other: str) -> Path:
    """What a process holds while it writes the model, of this machine and project unless others are named."""
    path = work / "models" / "tiny.lock"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"machine": socket.gethostname(), "folder": str(settings.local_path), **other}))
    return path


def test_of_two_that_add_one_name_at_once_one_is_refused_and_their_files_do_not_mix(pickled, models, work, monkeypatch):
    upload, results = ObjectStore.upload, dict[Path, Added | UserError]()

    def slowly(store: ObjectStore, source: Path, uri: str) -> None:
        time.sleep(0.05)
        upload(store, source, uri)

    def add(source: Path) -> None:
        try:
            results[source] = added(source)
        except UserError as error:
            results[source] = error

    monkeypatch.setattr(ObjectStore, "upload", slowly)
    threads = [threading.Thread(target=add, args=[source]) for source in (pickled, models / "swin")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (won,) = [result for result in results.values() if isinstance(result, Added)]
    (lost,) = [result for result in results.values() if isinstance(result, UserError)]
    assert str(lost).startswith("there is a model 'tiny' in ")
    assert digest_of(work / "models" / "tiny") == won.digest
    assert [path.name for path in (work / "models").iterdir()] == ["tiny"]
    assert list(load_settings().local_path.iterdir()) == []


def test_what_another_machine_is_writing_is_left_to_it(pickled, work):
    path = claim(work, load_settings(), machine="other")
    told = (
        f"another process is writing this model (other {load_settings().local_path}): wait until it is done, or remove"
    )
    with pytest.raises(UserError, match=re.escape(f"{told} file://{path} if it was stopped")):
        added(pickled)
    assert [found for found in work.rglob("*") if found.is_file()] == [path]


def test_what_a_killed_process_of_this_machine_was_writing_is_written_again(pickled, work):
    path = claim(work, load_settings())
    (work / "models" / "tiny").mkdir()
    (work / "models" / "tiny" / "vocab.txt").write_text("of another")
    assert added(pickled).dimensions == 32
    assert not path.exists()
    assert not (work / "models" / "tiny" / "vocab.txt").exists()


HOLD = """
import sys, time
from image_retrieval.models.publishing import alone_here
from image_retrieval.models.shipped import CAPTIONER
from image_retrieval.objects import ObjectStore
from image_retrieval.scenes import draw_scenes
from image_retrieval.settings import Settings, load_settings
with alone_here(sys.argv[1], load_settings()):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_process_that_is_killed_keeps_nobody_waiting(work):
    target, settings = f"file://{work}/models/tiny/", load_settings()
    with subprocess.Popen([sys.executable, "-c", HOLD, target], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        entered = threading.Event()

        def enter() -> None:
            with alone_here(target, settings):
                entered.set()

        thread = threading.Thread(target=enter)
        thread.start()
        assert not entered.wait(0.2)
        holder.kill()
        assert entered.wait(20)
        thread.join()
    assert list(settings.local_path.iterdir()) == []


class Runs:
    """Unpickling this writes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("write", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_a_pickle_that_would_run_code_is_refused_and_not_run(pickled, work, tmp_path, write):
    mark = tmp_path / "ran"
    write({"state_dict": {"a": torch.ones(2), "b": Runs(mark)}}, pickled / "pytorch_model.bin")
    assert "pytorch_model.bin cannot be read" in refused(pickled, work)
    assert not mark.exists()


def test_the_object_that_would_run_is_named(pickled, work, tmp_path):
    torch.save({"b": Runs(tmp_path / "ran")}, pickled / "pytorch_model.bin")
    assert "pickled objects beyond tensors (posix.system)" in refused(pickled, work)


def half(folder: Path) -> None:
    path = folder / "pytorch_model.bin"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def other_shape(folder: Path) -> None:
    weights = torch.load(folder / "pytorch_model.bin", weights_only=True)
    weights["layernorm.weight"] = torch.ones(7)
    torch.save(weights, folder / "pytorch_model.bin")


def other_family(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "gpt2"}')


def no_tensor(folder: Path) -> None:
    torch.save({"layernorm.weight": [1.0, 2.0]}, folder / "pytorch_model.bin")


def odd(values: torch.Tensor) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        torch.save({"layernorm.weight": values}, folder / "pytorch_model.bin")

    return spoil


def too_large(folder: Path) -> None:
    torch.save({"layernorm.weight": torch.ones(1).expand(2**40)}, folder / "pytorch_model.bin")


def several(folder: Path) -> None:
    for name in ("a.pt", "b.pth"):
        (folder / "pytorch_model.bin").rename(folder / name) if name == "a.pt" else (folder / name).touch()


def nothing(folder: Path) -> None:
    (folder / "pytorch_model.bin").unlink()


def no_numbers(folder: Path) -> None:
    weights = torch.load(folder / "pytorch_model.bin", weights_only=True)
    torch.save({name: values * float("nan") for name, values in weights.items()}, folder / "pytorch_model.bin")


def no_heads(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_attention_heads": 0}))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (half, "is broken, or no file of tensors"),
        (other_shape, "does not load"),
        (other_family, "is of type 'gpt2': supported are vit"),
        (no_tensor, "only tensors are read"),
        (odd(torch.empty(3, device="meta")), "only plain tensors are read"),
        (odd(torch.zeros(3, dtype=torch.complex128)), "only plain tensors are read"),
        (odd(torch.empty(3, dtype=torch.bits8)), "only plain tensors are read"),
        (odd(torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])), "only plain tensors are read"),
        (odd(torch.ones(3).to_sparse()), "only plain tensors are read"),
        (too_large, "more than it can hold"),
        (several, "name one, as "),
        (nothing, "holds no weights"),
        (no_numbers, "no usable vector"),
        (no_heads, "does not load"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line_and_leaves_nothing(pickled, work, spoil: Callable[[Path], None], told):
    spoil(pickled)
    assert told in refused(pickled, work)


@pytest.mark.parametrize("source", ["/none", "none", "owner/name/part/x", "./none.pt"])
def test_a_source_that_is_nothing_is_told(work, source):
    assert "does not exist" in refused(source, work)


def test_a_hub_that_does_not_answer_is_told(work, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    assert "could not be fetched from the hub" in refused("owner/name", work)
    assert "could not be fetched from the hub" in refused("owner/name/weights.pt", work)


def test_a_dual_encoder_without_its_tokenizer_is_told_and_one_may_be_named(models, work, tmp_path):
    assert "has no tokenizer" in refused(models / "chinese_clip", work)
    VOCABULARIES["chinese_clip"](tmp_path)
    found = added(models / "chinese_clip", tokenizer=str(tmp_path))
    assert (found.texts, found.dimensions) == (True, 16)


def test_tied_tensors_are_read(tmp_path):
    whole = torch.arange(6.0)
    torch.save({"a": whole, "b": whole[:3], "c": whole.view(2, 3).T}, tmp_path / "tied.bin")
    found = read_weights([tmp_path / "tied.bin"])
    assert [values.tolist() for values in found.values()] == [[0, 1, 2, 3, 4, 5], [0, 1, 2], [[0, 3], [1, 4], [2, 5]]]


def test_the_command_prints_what_was_added(pickled, work, capsys):
    assert main(["models", "add", "tiny", str(pickled)]) == 0
    told = capsys.readouterr().out
    words = ("transformers", "32", "32 × 32", "apache-2.0", "images/s", f"file://{work}/models/tiny/")
    assert [word for word in words if word not in told] == []


@pytest.mark.parametrize("name", ["Tiny", "../tiny", "", "a" * 25])
def test_a_name_that_no_model_may_have_is_told(name, capsys):
    assert main(["models", "add", "--", name, "x"]) == 2
    assert "is no name" in capsys.readouterr().err


def test_presets_are_hub_ids_with_all_that_is_told_of_them(capsys):
    assert main(["models", "presets", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["presets"]
    assert len(listed) == len(PRESETS) == len({entry["source"] for entry in listed})
    assert all(entry["source"].count("/") == 1 and entry["dimensions"] and entry["licence"] for entry in listed)
