import json
from pathlib import Path
from typing import Any

import pytest

from image_retrieval.errors import UserError
from image_retrieval.models.description import FAMILIES, IMAGENET_MEAN, IMAGENET_STD, describe


def write(folder: Path, config: Any, preprocessor: dict[str, Any] | None = None) -> Path:
    (folder / "config.json").write_text(json.dumps(config))
    if preprocessor is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    return folder


@pytest.mark.parametrize("model_type", ["vit", "dinov2", "dinov2_with_registers"])
def test_a_vision_transformer_makes_vectors_of_its_hidden_size(tmp_path, model_type):
    found = describe(write(tmp_path, {"model_type": model_type, "hidden_size": 384, "projection_dim": 7}))
    assert (found.family, found.model_type, found.dimensions) == ("vision_transformer", model_type, 384)


@pytest.mark.parametrize("model_type", ["clip", "chinese_clip"])
@pytest.mark.parametrize(("config", "dimensions"), [({"projection_dim": 768}, 768), ({}, 512)])
def test_a_dual_encoder_makes_vectors_of_its_projection(tmp_path, model_type, config, dimensions):
    found = describe(write(tmp_path, {"model_type": model_type, "hidden_size": 7, **config}))
    assert (found.family, found.dimensions) == ("dual_encoder", dimensions)


def test_mean_and_deviation_come_from_the_models_own_file(tmp_path):
    own = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]}
    found = describe(write(tmp_path, {"model_type": "vit", "hidden_size": 8}, own))
    assert (found.mean, found.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))


def test_without_a_file_of_its_own_a_dinov2_is_normalised_as_imagenet(tmp_path):
    found = describe(write(tmp_path, {"model_type": "dinov2", "hidden_size": 8}))
    assert (found.mean, found.std) == (IMAGENET_MEAN, IMAGENET_STD)


@pytest.mark.parametrize("config", [{"model_type": "gpt2"}, {"hidden_size": 8}, {}])
def test_an_unknown_family_is_told_with_those_there_are(tmp_path, config):
    with pytest.raises(UserError) as refused:
        describe(write(tmp_path, config))
    told = [str(tmp_path), repr(str(config.get("model_type"))), *FAMILIES]
    assert [part for part in told if part not in str(refused.value)] == []


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"model_type": "vit"}', "\xff"], ids=["cut", "list", "no size", "not UTF-8"]
)
def test_a_broken_config_is_told(tmp_path, text):
    (tmp_path / "config.json").write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=str(tmp_path)):
        describe(tmp_path)


def test_newer_versions_of_transformers_put_the_preprocessor_elsewhere(tmp_path):
    folder = write(tmp_path, {"model_type": "siglip", "vision_config": {"hidden_size": 8}})
    own = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6], "size": {"height": 40, "width": 48}}
    (folder / "processor_config.json").write_text(json.dumps({"image_processor": own, "processor_class": "x"}))
    found = describe(folder)
    assert (found.mean, found.size) == ((0.1, 0.2, 0.3), (48, 40))


@pytest.mark.parametrize(
    "preprocessor", [{"size": "large"}, {"size": [1, 2, 3]}, {"image_mean": 5}, {"rescale_factor": "x"}]
)
def test_a_preprocessor_file_that_makes_no_sense_is_told(tmp_path, preprocessor):
    with pytest.raises(UserError, match=r"the config or preprocessor file of model [^\n]* is not as expected"):
        describe(write(tmp_path, {"model_type": "vit", "hidden_size": 8}, preprocessor))
