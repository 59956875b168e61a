"""A collection whose images come through the service alone has its scores fitted, also where there is no torch."""

import sys
import time

import pytest

from image_retrieval.models.calibration import DIRECTIONS
from image_retrieval.models.chance import LEAST_VECTORS
from image_retrieval.models.probes import read_probes
from image_retrieval.objects import ObjectStore
from image_retrieval.pipeline.calibrating import keep_calibrated
from image_retrieval.pipeline.shown import find_shown
from image_retrieval.scenes import draw_scenes
from image_retrieval.shards import probes_uri
from image_retrieval.store.connection import connect
from integration.service.conftest import as_base64


@pytest.mark.slow
def test_the_service_probes_the_model_of_images_that_come_through_it(client, served, monkeypatch):
    assert client.post("/api/collections", json={"name": "scenes"}).status_code == 201
    store, uri = ObjectStore(served), probes_uri(served.work_uri, "scenes", "dual")
    for number, scene in enumerate(draw_scenes(LEAST_VECTORS)):
        assert read_probes(store, uri) is None
        given = {"base64": as_base64(scene.data), "image_id": str(number)}
        assert client.post("/api/collections/scenes/images", json=given).status_code == 201
    end = time.monotonic() + 120
    while (probes := read_probes(store, uri)) is None:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert (len(probes.copies), {*probes.texts}) == (LEAST_VECTORS, {"en", "zh"})

    monkeypatch.setitem(sys.modules, "torch", None)  # as where Airflow runs on a cluster
    with connect(served) as connection:
        scenes = find_shown(connection, served, "scenes").collection
    assert {*keep_calibrated(scenes, served.model_copy(update={"runner": "kubernetes"}))} == {*DIRECTIONS}
    search = {"collection": "scenes", "texts": [{"text": "subject to change without notice"}]}
    assert client.post("/api/search", json=search).json()["results"] == []
    assert client.delete("/api/collections/scenes").status_code == 204
    assert read_probes(store, uri) is None
