"""What a hostile checkpoint asks for is told in a line: it takes no memory and no time, and leaves nothing."""

import io
import json
import os
import resource
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from image_retrieval.cli import main
from image_retrieval.exit_codes import MISTAKE
from image_retrieval.models.loading import load_model
from image_retrieval.settings import load_settings
from unit.models.families import save
from unit.models.vocabularies import VOCABULARIES

NAMES = ("vit", "chinese_clip", "swin", "resnet", "dinov2_with_registers", "siglip2")
SHARE = 2**29  # bytes by which a refusal may raise what the process holds at most
Spoil = Callable[[Path], None]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    for name in NAMES:
        save(name, root / name)
    VOCABULARIES["chinese_clip"](root / "chinese_clip")
    return root


@pytest.fixture
def work(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IMAGE_RETRIEVAL_WORK_URI", f"file://{home}/work/")
    monkeypatch.setattr("image_retrieval.models.trying.SECONDS", 0.0)
    (home / "work").mkdir()
    return home / "work"


def refused(source: Path, work: Path, capsys: pytest.CaptureFixture[str]) -> str:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert main(["models", "add", "tiny", str(source)]) == MISTAKE
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before < SHARE
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert line.isprintable()
    assert len(line) < 700
    assert captured.out == ""
    assert list(work.rglob("*")) == []
    assert list(load_settings().local_path.glob("*")) == []
    return line


def stated(model: str, told: str, file: str = "config.json", **changes: Any) -> Any:
    """A model whose file states something else, at names such as text_config__vocab_size."""

    def spoil(folder: Path) -> None:
        found = json.loads((folder / file).read_text())
        for name, value in changes.items():
            *path, last = name.split("__")
            inner = found
            for part in path:
                inner = inner[part]
            inner[last] = value
        (folder / file).write_text(json.dumps(found))

    return pytest.param(model, spoil, told, id=f"{model} {' '.join(changes)} {str(list(changes.values()))[:12]}")


def written(model: str, file: str, content: str | int, told: str) -> Any:
    """A model with another file: its text, or its size."""

    def spoil(folder: Path) -> None:
        if isinstance(content, int):
            (folder / file).touch()
            os.truncate(folder / file, content)
        else:
            (folder / file).write_text(content)

    return pytest.param(model, spoil, told, id=f"{model} {file} {str(content)[:12]}")


PREPARED = "preprocessor_config.json"
DEEP = "[" * 100_000
CONFIGS = [
    stated("vit", "'num_hidden_layers' of 1e+06", num_hidden_layers=10**6),
    stated("vit", "'num_hidden_layers' of -1", num_hidden_layers=-1),
    stated("vit", "a layer that config.json has not", num_hidden_layers=1),
    stated("vit", "'intermediate_size' of 1e+09", intermediate_size=10**9),
    stated("vit", "a network of ", hidden_size=10**6),
    stated("vit", "'image_size' of 1e+09", image_size=10**9),
    stated("vit", "other shapes than config.json states", image_size=96),
    stated("vit", "quantized", quantization_config={"quant_method": "gptq"}),
    stated("vit", "of type \"['vit']\"", model_type=["vit"]),
    stated("vit", "of type 'xxx", model_type="x" * 10**6),
    stated("vit", "of type 'v\\nt'", model_type="v\nt"),
    stated("swin", "'depths' of 1e+06", depths=[10**6, 1]),
    stated("swin", "a network of ", window_size=300),
    stated("resnet", "'depths' of 1e+07", depths=[10**7, 1]),
    stated("dinov2_with_registers", "'num_register_tokens' of 1e+09", num_register_tokens=10**9),
    stated("chinese_clip", "'vocab_size' of 1e+12", text_config__vocab_size=10**12),
    stated("chinese_clip", "a network of ", text_config__max_position_embeddings=10**6),
    stated("chinese_clip", "text_config", text_config=[1]),
    stated("vit", "pictures of 1000000000 ", PREPARED, size={"height": 10**9, "width": 10**9}),
    stated("vit", "pictures of -5 ", PREPARED, size={"height": -5, "width": -5}),
    stated("vit", "250,000 patches", PREPARED, size={"height": 4000, "width": 4000}),
    stated("vit", "not as expected", PREPARED, image_mean=["a", "b", "c"]),
    stated("vit", "5 values for the channels", PREPARED, image_mean=[0.5] * 5),
    stated("siglip2", "1 to 4096", PREPARED, max_num_patches=10**12),
    written("vit", "config.json", DEEP, "is not JSON"),
    written("vit", "config.json", 2**32, "config.json has 4,294,967,296 bytes"),
    written("vit", "README.md", 2**32, "README.md has 4,294,967,296 bytes"),
    written("vit", "calibration.json", DEEP, "is not a calibration"),
    written("chinese_clip", "tokenizer.json", 2**29, "tokenizer.json has 536,870,912 bytes"),
    written("chinese_clip", "tokenizer.json", DEEP, "cannot be loaded"),
]


@pytest.mark.parametrize(("model", "spoil", "told"), CONFIGS)
def test_files_that_ask_for_too_much_are_told(models, work, tmp_path, capsys, model, spoil: Spoil, told):
    folder = shutil.copytree(models / model, tmp_path / "hostile")
    spoil(folder)
    assert told in refused(folder, work, capsys)


def test_another_kind_of_tokenizer_which_transformers_takes_for_an_empty_one_is_told(models, work, tmp_path, capsys):
    folder = shutil.copytree(models / "chinese_clip", tmp_path / "hostile")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    (folder / "spiece.model").write_bytes(bytes(100))
    assert "knows no word" in refused(folder, work, capsys)


def test_a_large_file_of_a_store_is_not_fetched(models, work, tmp_path, capsys):
    folder = shutil.copytree(models / "vit", tmp_path / "hostile")
    os.truncate(folder / "config.json", 2**40)
    assert main(["models", "add", "tiny", f"file://{folder}/"]) == MISTAKE
    assert "config.json has 1,099,511,627,776 bytes" in capsys.readouterr().err


def head(path: Path, size: int, content: bytes = b"{}") -> None:
    path.write_bytes(struct.pack("<Q", size) + content)


def many(path: Path) -> None:
    entry = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    content = json.dumps({f"t{number}": entry for number in range(100_001)}).encode()
    head(path, len(content), content)


def sparse(path: Path) -> None:
    head(path, 2)
    os.truncate(path, 2**33)


@pytest.mark.parametrize(
    ("write", "told"),
    [
        (lambda path: path.write_bytes(b""), "cannot be read"),
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), "cannot be read"),
        (lambda path: head(path, 2**60), "header too large"),
        pytest.param(
            lambda path: head(path, 100 * 2**20 + 2, b"{" + b" " * 100 * 2**20 + b"}"),
            "header too large",
            marks=pytest.mark.slow,
        ),
        (sparse, "cannot be read"),
        pytest.param(many, "holds 100,001 tensors", marks=pytest.mark.slow),
        (lambda path: save_file({"a\nb": torch.ones(1)}, path), r"the name 'a\nb'"),
        (lambda path: save_file({"a" * 10**6: torch.ones(1)}, path), "the name 'aaa"),
    ],
)
def test_heads_of_safetensors_are_read_before_anything_is_copied(models, work, tmp_path, capsys, write, told):
    folder = shutil.copytree(models / "vit", tmp_path / "hostile")
    write(folder / "model.safetensors")
    assert told in refused(folder, work, capsys)


def rewritten(path: Path, part: str, content: bytes, times: int) -> None:
    """A file of torch in which the content, so many times and compressed, replaces a part."""
    plain = io.BytesIO()
    torch.save({"w": torch.zeros(4)}, plain)
    with zipfile.ZipFile(plain) as before, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as after:
        for name in before.namelist():
            with after.open(name, "w", force_zip64=True) as file:
                for _ in range(times if name.endswith(part) else 1):
                    file.write(content if name.endswith(part) else before.read(name))


def holds_itself(path: Path) -> None:
    found: dict[str, Any] = {}
    found["model"] = found
    torch.save(found, path)


def few_of_many_layers() -> dict[str, torch.Tensor]:
    """Of a Swin."""
    block = "layers.0.blocks.0."
    found = {"patch_embed.proj.weight": torch.zeros(8, 3, 4, 4), f"{block}mlp.fc1.weight": torch.zeros(32, 8)}
    found[f"{block}attn.relative_position_bias_table"] = torch.zeros(49, 2)
    return found | {"layers.99999999.blocks.0.norm1.weight": torch.ones(8)}


@pytest.mark.parametrize(
    ("write", "told"),
    [
        (lambda path: rewritten(path, "data/0", bytes(2**20), 2**6), "would become 67,"),
        pytest.param(
            lambda path: rewritten(path, "data.pkl", bytes(2**20), 2**8), "would become 268,", marks=pytest.mark.slow
        ),
        (holds_itself, "holds 'model', which is no tensor"),
        (lambda path: path.symlink_to("/etc/passwd"), "cannot be read"),
        (lambda path: torch.save({"module." * 10_000 + "x": torch.ones(1)}, path), "the name 'module."),
        (lambda path: torch.save(few_of_many_layers(), path), "the numbers of layers have gaps up to 99999999"),
        (lambda path: torch.save({"a\nb": torch.ones(1)}, path), r"the name 'a\nb'"),
    ],
)
def test_pickles_that_would_grow_or_never_end_are_told(work, tmp_path, capsys, write, told):
    write(tmp_path / "weights.pth")
    assert told in refused(tmp_path / "weights.pth", work, capsys)


def test_a_file_whose_name_breaks_a_line_is_no_weights(models, work, tmp_path, capsys):
    folder = shutil.copytree(models / "vit", tmp_path / "hostile")
    (folder / "model.safetensors").rename(folder / "a\nb.safetensors")
    assert "holds no weights" in refused(folder, work, capsys)


def test_what_a_config_says_of_code_is_left_out(models, tmp_path):
    folder = shutil.copytree(models / "vit", tmp_path / "hostile")
    found = json.loads((folder / "config.json").read_text())
    found |= {"auto_map": {"AutoModel": "evil.Model"}, "attn_implementation": "evil/kernel"}
    (folder / "config.json").write_text(json.dumps(found))
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Model: pass\n")
    config: Any = load_model(folder, torch.float32).config
    assert "evil" not in json.dumps(config.to_dict())
    assert not (tmp_path / "ran").exists()


def test_an_index_of_files_elsewhere_is_written_anew_and_not_followed(models, work, tmp_path, capsys):
    folder = shutil.copytree(models / "vit", tmp_path / "hostile")
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    for number, part in enumerate((dict(list(weights.items())[:9]), dict(list(weights.items())[9:])), 1):
        save_file(part, folder / f"model-0000{number}-of-00002.safetensors", {"format": "pt"})
    index = {"metadata": {}, "weight_map": dict.fromkeys(weights, f"../{models.name}/vit/model.safetensors")}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(Exception, match="names files that are not in its folder"):
        load_model(folder, torch.float32)
    assert main(["models", "add", "tiny", str(folder)]) == 0
    made = json.loads((work / "models" / "tiny" / "model.safetensors.index.json").read_text())["weight_map"]
    assert set(made.values()) == {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"}
    assert made.keys() == weights.keys()
