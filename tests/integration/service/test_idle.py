"""After a switch the former model's process ends, and requests go on."""

import pytest
from random_weights import save_random_dinov2
from unit.service.left_over import children, nothing_left, until

from image_retrieval.collection import ModelOptions
from image_retrieval.pipeline.running import run_collection
from image_retrieval.pipeline.switching import roll_back, switch_collection
from image_retrieval.service.state import Service
from integration.pictures import SCENES, put

FEW = dict(list(SCENES.items())[:4])
PICTURE = next(iter(FEW.values()))


@pytest.fixture
def other(tmp_path):
    save_random_dinov2(tmp_path / "other", seed=1)
    return ModelOptions(name="other", source=str(tmp_path / "other"), batch_size=16)


def test_after_a_switch_the_former_models_process_ends(project, collection, store, other):
    put(store, collection.source, FEW)
    run_collection(collection, "first", project)
    service = Service(project.model_copy(update={"service_seconds": 300, "processes": 1}))
    service.encoder._look_seconds = 0.2

    def ask() -> tuple[str, int]:
        """The model that answers, and its process: the last one that was started."""
        service.forget(collection.name)
        shown = service.shown(collection.name)
        found = service.resampled(PICTURE, shown, keep=False)[0]
        assert service.pixels_vector(found, shown).shape == (shown.dimensions,)
        return shown.model.name, service.encoder.pids()[-1]

    with nothing_left():
        model, former = ask()
        assert model == "random"
        switch_collection(collection, other, "go", project)
        until(lambda: former not in children())
        model, current = ask()
        assert (model, service.encoder.pids()) == ("other", [current])
        assert roll_back(collection, project)
        until(lambda: current not in children())
        service.close()
