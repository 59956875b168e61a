import json
from pathlib import Path

import pytest
import torch
from random_weights import save_random_dinov2
from safetensors.torch import load_file, save_file

from image_retrieval.cli import main
from image_retrieval.exit_codes import MISTAKE, OUTAGE
from image_retrieval.models.digest import digest_of

FOUND = {"model", "revision", "digest", "dtype", "device", "backend", "dimensions", "size", "load_seconds"}
FOUND |= {"first_embedding_seconds"}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder of the test's own, to spoil."""
    save_random_dinov2(tmp_path / "model")
    return tmp_path / "model"


def test_a_model_is_loaded_and_embeds_a_picture(random_model, capsys):
    assert main(["healthcheck", "--model", str(random_model), "--dtype=bfloat16"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == FOUND
    assert (found["model"], found["dtype"], found["device"], found["dimensions"]) == (
        str(random_model),
        "bfloat16",
        "cpu",
        192,
    )
    assert (found["digest"], found["size"]) == (digest_of(random_model), [224, 224])
    assert found["load_seconds"] > 0
    assert found["first_embedding_seconds"] > 0


def test_a_collection_says_which_model_and_the_command_line_comes_first(random_model, home, capsys):
    entry = f"{{source: s3://images/x/, model: {{name: m, source: {random_model}, dtype: float16}}}}"
    (home / "include").mkdir()
    (home / "include" / "collections.yaml").write_text(f"collections: {{things: {entry}}}")
    assert main(["healthcheck", "things"]) == 0
    assert json.loads(capsys.readouterr().out)["dtype"] == "float16"
    assert main(["healthcheck", "things", "--dtype", "float32"]) == 0
    assert json.loads(capsys.readouterr().out)["dtype"] == "float32"


def test_a_collection_may_say_which_size(random_model, home, capsys):
    options = f"model: {{name: m, source: {random_model}}}, resample: {{target_size: [96, 64]}}"
    (home / "include").mkdir()
    (home / "include" / "collections.yaml").write_text(
        f"collections: {{things: {{source: s3://images/x/, {options}}}}}"
    )
    assert main(["healthcheck", "things"]) == 0
    assert json.loads(capsys.readouterr().out)["size"] == [96, 64]


@pytest.mark.parametrize("value", [float("nan"), 0.0], ids=["not finite", "of no length"])
def test_a_model_whose_vectors_are_of_no_use_fails(model, capsys, value):
    weights = load_file(model / "model.safetensors")
    last = {name: torch.full_like(weights[name], value) for name in ("layernorm.weight", "layernorm.bias")}
    save_file(weights | last, model / "model.safetensors", metadata={"format": "pt"})
    assert main(["healthcheck", "--model", str(model)]) == MISTAKE
    assert "its vector of a test picture is not finite or not of length 1" in capsys.readouterr().err


def test_a_model_that_does_not_load_fails(model, capsys):
    (model / "model.safetensors").write_bytes(b"not weights")
    assert main(["healthcheck", "--model", str(model)]) == MISTAKE
    assert "does not load" in capsys.readouterr().err


def test_a_store_that_does_not_answer_is_worth_another_try(capsys, monkeypatch):
    monkeypatch.setenv("IMAGE_RETRIEVAL_S3_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("IMAGE_RETRIEVAL_S3_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("IMAGE_RETRIEVAL_S3_SECRET_ACCESS_KEY", "b")
    assert main(["healthcheck", "--model", "s3://models/tiny/"]) == OUTAGE
    assert capsys.readouterr().err.startswith("image-retrieval: ")
