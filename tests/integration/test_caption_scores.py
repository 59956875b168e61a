"""Scores of searches by what captions mean: fitted on the captions' vectors, kept, and fitted again as they change."""

import sys

import psycopg
import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from pydantic_core import to_jsonable_python
from structlog.testing import capture_logs
from text_encoders import save_text_encoder

from image_retrieval.cli import main
from image_retrieval.client import Client
from image_retrieval.models.calibration import TEXTS, Calibration
from image_retrieval.pipeline.calibrating import keep_calibrated
from image_retrieval.pipeline.caption_vectors import embed_captions
from image_retrieval.service.standalone import app_alone
from image_retrieval.shards import probes_uri
from image_retrieval.store.models import for_captions
from integration.random_vectors import fill
from integration.tables import rows

WORDS = ["two", "red", "blue", "circles", "ring", "star", "one", "a", *"两个红色的圆环"]
CAPTIONS = ["two red circles", "a red ring", "两个红色的圆", "one blue star"]
IMAGES = 40
NOTHING = "subject to change without notice"
FITS = "SELECT model, direction, vectors, probes FROM retrieval.calibration WHERE slope IS NOT NULL ORDER BY direction"
FITTED = "SELECT slope, middle FROM retrieval.calibration WHERE direction = 'text_image_en'"


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return save_text_encoder(tmp_path_factory.mktemp("encoder") / "texts", WORDS)


@pytest.fixture
def entry(project, collection, change_collection, encoder):
    """A collection of images with captions, of which a text embedding model has made vectors."""
    fill(project, collection, IMAGES, lambda number: {"caption": CAPTIONS[number % len(CAPTIONS)]})
    entry = change_collection(text_model={"name": "texts", "source": str(encoder)})
    embed_captions(entry, project)
    return entry


def test_searches_by_captions_show_what_reaches_the_cutoff(entry, project, database_url, report, capsys):
    assert rows(database_url, FITS) == [("texts", direction, IMAGES, 100) for direction in TEXTS]
    calibration = Calibration(*rows(database_url, FITTED)[0])
    listed = {each["model"]: each["scores"] for each in report("models", "list", "--json")["models"]}
    assert listed == {"random": "none", "texts": "fitted"}
    assert main(["weights", "show", "things"]) == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()[1:]] == [
        ["vector", "0.5"], ["words", "0.25"], ["caption", "0.25"]
    ]  # fmt: skip
    with Client(project) as client:
        [told] = client.collections()
        assert (told.modes, told.scores) == (("caption", "words", "hybrid"), ())
        assert [(each.direction, each.origin, each.vectors) for each in told.caption_scores] == [
            (direction, "fitted", IMAGES) for direction in TEXTS
        ]
        found = client.search("things", "a red ring", k=IMAGES, mode="caption")
        assert (found.calibration, found[0].score, len(found)) == ("text_image_en", 1, IMAGES)
        scores = [calibration.score(hit.similarity) for hit in found]
        assert [hit.score for hit in found] == pytest.approx(scores)
        over = sum(score >= 0.5 for score in scores)
        assert IMAGES / len(CAPTIONS) <= over < IMAGES
        assert len(client.search("things", "a red ring", k=IMAGES, mode="caption", min_score=0.5)) == over
        assert client.search("things", "红色", mode="caption").calibration == "text_image_zh"
        assert client.search("things", ["red", "红色"], mode="caption").calibration is None
        mixed = client.search("things", "a red ring", k=IMAGES, mode="hybrid")
    by_id = {hit.image_id: hit.score for hit in found}
    assert {hit.image_id: hit.scores["caption"] for hit in mixed} == pytest.approx(by_id, abs=1e-3)

    app = app_alone(project.model_copy(update={"token": SecretStr("token"), "service_seconds": 300}))
    form = {"collection": "things", "mode": "caption", "texts": [{"text": "a red ring"}], "k": IMAGES}
    try:
        asked = TestClient(app, headers={"Authorization": "Bearer token"})
        shown = asked.post("/api/search", json=form).json()
        everything = asked.post("/api/search", json={**form, "min_score": -1}).json()
        nothing = asked.post("/api/search", json={**form, "texts": [{"text": NOTHING}]}).json()
        hybrid = asked.post("/api/search", json={**form, "mode": "hybrid"}).json()
        [listed] = asked.get("/api/collections").json()
    finally:
        app.state.service.close()
    assert (shown["calibration"], shown["min_score"], len(shown["results"])) == ("text_image_en", 0.5, over)
    assert (len(everything["results"]), nothing["results"]) == (IMAGES, [])
    assert listed["caption_scores"] == to_jsonable_python(told.caption_scores)
    assert [row["similarity"] for row in hybrid["results"]] == pytest.approx([hit.similarity for hit in mixed])
    in_sql = "SELECT similarity FROM images.search_hybrid('things', 'a red ring', %s)"
    assert [each for (each,) in rows(database_url, in_sql, IMAGES)] == pytest.approx([hit.similarity for hit in mixed])


def test_they_are_fitted_again_when_many_captions_are_others(entry, project, database_url, store, monkeypatch):
    captions = for_captions(entry)
    assert keep_calibrated(captions, project) == {}
    fitted = rows(database_url, FITTED)
    told = "INSERT INTO retrieval.caption (image, model, language, etag, digest, text) "
    told += "SELECT id, 'writer', 'en', 'e', 'd', 'a star' FROM retrieval.image LIMIT %s ON CONFLICT DO NOTHING"
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO retrieval.shown_captions VALUES ('things', 'writer', '{en}')")
        connection.execute(told, [IMAGES // 2])
    assert keep_calibrated(captions, project) == {}  # half of them are others
    with psycopg.connect(database_url) as connection:
        connection.execute(told, [IMAGES])
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "torch", None)
        assert {*keep_calibrated(captions, project)} == {*TEXTS}  # with the probes that are kept
    assert rows(database_url, FITTED) == fitted

    store.delete([probes_uri(project.work_uri, "things", "texts")])
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM retrieval.calibration")
    on_a_cluster = project.model_copy(update={"runner": "kubernetes"})
    with capture_logs() as logs:
        assert keep_calibrated(captions, on_a_cluster) == {}
    assert "it is not probed yet" in logs[0]["event"]
    with Client(project) as client:
        assert client.search("things", "a red ring", mode="caption").calibration is None


def test_a_few_captions_have_plain_similarities(project, collection, change_collection, encoder, database_url):
    fill(project, collection, IMAGES, lambda number: {"caption": "a red ring" if number < 20 else None})
    embed_captions(change_collection(text_model={"name": "texts", "source": str(encoder)}), project)
    assert rows(database_url, FITS) == []
    with Client(project) as client:
        found = client.search("things", NOTHING, mode="caption")
    assert (found.calibration, len(found)) == (None, 10)
