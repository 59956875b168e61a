import shutil

import pytest

from image_retrieval.errors import UserError
from image_retrieval.models.digest import digest_of, require_digest
from image_retrieval.models.towers import load_image_tower


@pytest.fixture
def model(random_model, tmp_path):
    return shutil.copytree(random_model, tmp_path / "model")


def test_a_copy_has_the_same_digest_wherever_it_lies(model, random_model):
    assert digest_of(model) == digest_of(random_model)
    assert len(digest_of(model)) == 64


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_each_file_that_decides_a_vector_changes_it(model, random_model, name):
    with (model / name).open("ab") as file:
        file.write(b" ")
    assert digest_of(model) != digest_of(random_model)


def test_weights_of_another_name_change_it(model, random_model):
    (model / "model.safetensors").rename(model / "other.safetensors")
    assert digest_of(model) != digest_of(random_model)


@pytest.mark.parametrize("name", ["tokenizer.json", "vocab.txt", "README.md", "pytorch_model.bin"])
def test_other_files_do_not(model, random_model, name):
    (model / name).write_text("{}")
    assert digest_of(model) == digest_of(random_model)


def test_a_tower_tells_the_digest_of_its_files(model):
    assert load_image_tower(model, dtype="float32", device="cpu", use_cls_token=True).digest == digest_of(model)


def test_another_digest_is_refused_in_one_line():
    require_digest("a", None, "source")
    require_digest("a", "a", "source")
    with pytest.raises(UserError) as refused:
        require_digest("b" * 64, "a" * 64, "models/tiny")
    told = ["the files of model 'models/tiny' have changed", "aaaaaaaaaaaa…", "bbbbbbbbbbbb…", "new `name` in"]
    assert [part for part in told if part not in str(refused.value)] == []
    assert "\n" not in str(refused.value)
