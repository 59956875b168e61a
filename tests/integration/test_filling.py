from image_retrieval.local.filling import ensure_model
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


def test_a_model_of_ones_own_is_left_alone(project, store):
    source = f"{project.work_uri}models/mine/"
    assert not ensure_model(source, project)
    store.write(source + "config.json", b"{}")
    assert not ensure_model(source, project)
    assert [entry.key for page in store.pages(source) for entry in page] == ["config.json"]
