"""Vectors of captions are kept in step with the captions that are shown, and searched as those of images are."""

import signal

import numpy as np
import psycopg
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from text_encoders import probes_of, save_text_encoder

from image_retrieval import Client
from image_retrieval.cli import main
from image_retrieval.errors import UserError
from image_retrieval.models.probes import write_probes
from image_retrieval.models.towers import load_text_tower
from image_retrieval.pipeline import caption_vectors as pipeline
from image_retrieval.pipeline.caption_vectors import embed_captions, keep_captions_embedded
from image_retrieval.pipeline.models_in_use import drop_expired_vectors, list_models
from image_retrieval.pipeline.upkeep import keep_index, kept_collections
from image_retrieval.service.standalone import app_alone
from image_retrieval.shards import probes_uri
from image_retrieval.store import caption_vectors as table
from image_retrieval.store.connection import connect
from integration.filter_language import FILTERS, holds
from integration.gates import a_gate, command_at
from integration.random_vectors import START, fill
from integration.tables import rows

WORDS = ["two", "red", "blue", "circles", "ring", "star", "one", "a", *"两个红色的圆环"]
CAPTIONS = [None, "two red circles", "a red ring", "两个红色的圆", "one blue star", " "]
IMAGES = 60
STORED = "SELECT id, etag, embedding::text FROM retrieval.vector_things_texts ORDER BY id"
WRITTEN = "SELECT id, xmin::text FROM retrieval.vector_things_texts ORDER BY id"
FOUND = "SELECT image_id, similarity FROM images.search_captions('things', %s::text::halfvec, %s)"


def facts(number):
    return {"caption": CAPTIONS[number % len(CAPTIONS)], "width": number % 10, "group_id": f"g{number % 7}"}


@pytest.fixture(scope="session")
def encoders(tmp_path_factory):
    """Two text embedding models, by the names that collections give them."""
    folder = tmp_path_factory.mktemp("encoders")
    sizes = {"texts": 16, "others": 24}
    return {name: save_text_encoder(folder / name, WORDS, seed=size, width=size) for name, size in sizes.items()}


@pytest.fixture
def entry(project, collection, change_collection, encoders, store):
    """A collection of images with captions, under a text embedding model that has been probed."""
    fill(project, collection, IMAGES, facts)
    for name, folder in encoders.items():
        write_probes(store, probes_uri(project.work_uri, "things", name), probes_of(folder))
    return change_collection(text_model={"name": "texts", "source": str(encoders["texts"]), "batch_size": 7})


def vector(encoders, text, name="texts"):
    return load_text_tower(encoders[name], dtype="float32", device="cpu").embed([text])[0].numpy()


def spoken(number):
    caption = CAPTIONS[number % len(CAPTIONS)]
    return caption if caption and caption.strip() else None


SPOKEN = sum(spoken(number) is not None for number in range(IMAGES))


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=40, deadline=None
)
@given(filter=FILTERS, k=st.integers(1, IMAGES + 5), grouped=st.booleans(), text=st.sampled_from(["red", "圆 one"]))
def test_every_filter_finds_as_many_captions_as_match(searched, encoders, filter, k, grouped, text):
    connection, told = searched
    query = vector(encoders, text)
    matching = {number: told[number] for number in told if holds(filter, row_of(number))}
    order = sorted(matching, key=lambda number: -float(matching[number] @ query))
    if grouped:
        order = list({facts(number)["group_id"]: number for number in reversed(order)}.values())
        order.sort(key=lambda number: -float(matching[number] @ query))
    asked = "SELECT image_id, similarity FROM images.search_captions('things', %s::text::halfvec, %s, %s, NULL, %s)"
    found = connection.execute(asked, [as_text(query), k, psycopg.types.json.Jsonb(filter), grouped]).fetchall()
    assert len(found) == min(k, len(order))
    wanted = [float(matching[number] @ query) for number in order[:k]]
    assert [row["similarity"] for row in found] == pytest.approx(wanted, abs=3e-3)


def row_of(number):
    empty = {"height": None, "format": None, "intra_id": None, "attributes": {}, "created_at": START}
    return {"image_id": str(number), **empty, **facts(number)}


def as_text(values):
    return str([float(value) for value in values])


@pytest.fixture
def searched(entry, project, encoders):
    embed_captions(entry, project)
    told = {number: vector(encoders, spoken(number)) for number in range(IMAGES) if spoken(number)}
    with connect(project) as connection:
        yield connection, told


def test_only_new_and_changed_captions_are_embedded_and_those_that_go_are_removed(entry, project, database_url):
    first = embed_captions(entry, project)
    assert first == {"due": SPOKEN, "embedded": SPOKEN, "removed": 0, "shown": "texts"}
    written = rows(database_url, WRITTEN)
    assert embed_captions(entry, project) == {"due": 0, "embedded": 0, "removed": 0, "shown": "texts"}
    assert rows(database_url, WRITTEN) == written
    with psycopg.connect(database_url) as connection:
        change = "UPDATE retrieval.image SET caption = %s WHERE image_id = %s"
        for caption, image in ((None, "1"), ("a blue ring", "2"), ("a star", "0"), ("two red circles", "7")):
            connection.execute(change, (caption, image))
        connection.execute("UPDATE retrieval.image SET width = 1000 WHERE image_id = '8'")
    assert len(rows(database_url, STORED)) == SPOKEN - 2  # not found by what they were called before
    assert embed_captions(entry, project)["embedded"] == 2
    kept = {row for row in written if row in set(rows(database_url, WRITTEN))}
    assert len(kept) == SPOKEN - 2
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "DELETE FROM retrieval.vector_things_random WHERE id = (SELECT min(id) FROM retrieval.image)"
        )
        connection.execute(
            "DELETE FROM retrieval.vector_things_random WHERE id = (SELECT max(id) FROM retrieval.image)"
        )
    assert keep_captions_embedded(entry, project)["removed"] == 1  # of an image that is not searchable; one had none


def test_what_a_captioner_wrote_is_embedded_until_a_person_says_something_else(entry, project, database_url, encoders):
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE retrieval.image SET etag = 'e'")
        connection.execute("INSERT INTO retrieval.shown_captions VALUES ('things', 'writer', '{en,zh}')")
        connection.execute(
            "INSERT INTO retrieval.caption (image, model, language, etag, digest, text) "
            "SELECT id, 'writer', language, 'e', 'd', text FROM retrieval.image, "
            "(VALUES ('en', 'a blue star'), ('zh', '圆环')) AS t (language, text) WHERE image_id IN ('0', '1')"
        )
    assert embed_captions(entry, project)["embedded"] == SPOKEN + 1
    query = as_text(vector(encoders, "a blue star"))
    assert rows(database_url, FOUND, query, 1)[0] == ("0", pytest.approx(1, abs=1e-3))
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE retrieval.image SET etag = 'f' WHERE image_id = '0'")
    assert len(rows(database_url, STORED)) == SPOKEN
    assert embed_captions(entry, project) == {"due": 0, "embedded": 0, "removed": 0, "shown": "texts"}


def test_another_model_is_searched_once_it_has_all_captions(
    entry, project, database_url, change_collection, encoders, monkeypatch
):
    embed_captions(entry, project)
    changed = change_collection(text_model={"name": "others", "source": str(encoders["others"])})

    def broken_off(*arguments):
        if written:
            raise KeyboardInterrupt
        written.append(arguments)
        return write(*arguments)

    written, write = [], table.write_vectors
    monkeypatch.setattr(pipeline, "PART", 10)
    with monkeypatch.context() as patch:
        patch.setattr(table, "write_vectors", broken_off)
        with pytest.raises(KeyboardInterrupt):
            embed_captions(changed, project)
    assert rows(database_url, "SELECT text_model FROM retrieval.collection") == [("texts",)]
    assert {each["model"]: each["state"] for each in list_models(project)} == {
        "random": "shown",
        "texts": "shown",
        "others": "incoming",
    }
    query = as_text(vector(encoders, "a red ring"))
    assert rows(database_url, FOUND, query, 1)[0][1] == pytest.approx(1, abs=1e-3)
    assert drop_expired_vectors(project, dry_run=True) == []
    done = embed_captions(changed, project)
    assert done == {"due": SPOKEN - 10, "embedded": SPOKEN - 10, "removed": 0, "shown": "others"}
    assert rows(database_url, "SELECT from_model, to_model, state FROM retrieval.switch") == [
        ("texts", "others", "switched")
    ]
    query = as_text(vector(encoders, "a red ring", "others"))
    assert rows(database_url, FOUND, query, 1)[0][1] == pytest.approx(1, abs=1e-3)
    assert drop_expired_vectors(project) == []
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE retrieval.switch SET ended_at = now() - interval '1000 days'")
    assert drop_expired_vectors(project) == ["vector_things_texts"]
    assert {each["model"] for each in list_models(project)} == {"random", "others"}


def test_vectors_of_captions_that_an_entry_names_again_stay(entry, project, database_url, change_collection, encoders):
    embed_captions(entry, project)
    others = change_collection(text_model={"name": "others", "source": str(encoders["others"])})
    embed_captions(others, project)
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE retrieval.switch SET ended_at = now() - interval '1000 days'")
    assert drop_expired_vectors(project, dry_run=True) == ["vector_things_texts"]
    with connect(project) as filling:
        assert table.try_lock(filling, "things")
        assert drop_expired_vectors(project) == []
    change_collection(text_model={"name": "texts", "source": str(encoders["texts"])})
    assert drop_expired_vectors(project) == []
    assert len(rows(database_url, "SELECT FROM retrieval.vector_things_texts")) == SPOKEN


def test_a_model_of_captions_that_was_given_up_expires(
    entry, project, database_url, change_collection, encoders, monkeypatch
):
    embed_captions(entry, project)
    monkeypatch.setattr(pipeline, "PART", 10)
    others = change_collection(text_model={"name": "others", "source": str(encoders["others"])})
    assert embed_captions(others, project, seconds=0)["shown"] == "texts"
    aged = "UPDATE retrieval.vector_space SET created_at = now() - interval '1000 days' WHERE model = 'others'"
    with psycopg.connect(database_url) as connection:
        connection.execute(aged)
    assert drop_expired_vectors(project) == []
    change_collection(text_model={"name": "texts", "source": str(encoders["texts"])})
    assert drop_expired_vectors(project) == ["vector_things_others"]


def test_a_killed_command_ends_in_the_same_state(entry, project, database_url):
    embed_captions(entry, project)
    expected = rows(database_url, STORED)
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM retrieval.vector_things_texts WHERE id % 2 = 0")
    with (
        a_gate(database_url, "INSERT ON retrieval.vector_things_texts") as is_reached,
        command_at(is_reached, "caption", "things") as process,
    ):
        with pytest.raises(UserError, match="are being embedded by another process"):
            embed_captions(entry, project)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert len(rows(database_url, STORED)) < len(expected)
    embed_captions(entry, project)
    assert rows(database_url, STORED) == expected


def test_a_run_goes_on_where_the_time_of_the_former_one_was_over(entry, project, database_url, monkeypatch):
    monkeypatch.setattr(pipeline, "PART", 10)
    monkeypatch.setattr(pipeline, "SECONDS_BESIDE", 0.0)
    assert keep_captions_embedded(entry, project) == {"due": SPOKEN, "embedded": 10, "removed": 0, "shown": "texts"}
    assert keep_captions_embedded(entry, project)["due"] == SPOKEN - 10
    on_a_cluster = project.model_copy(update={"runner": "kubernetes"})
    assert keep_captions_embedded(entry, on_a_cluster) is None
    broken = entry.model_copy(update={"text_model": entry.text_model.model_copy(update={"source": "none"})})
    assert keep_captions_embedded(broken, project) is None
    assert len(rows(database_url, STORED)) == 20


def test_the_upkeep_embeds_indexes_and_measures(entry, project, database_url):
    indexed = project.model_copy(update={"index_from_rows": 10})
    report = keep_index(kept_collections(indexed)["things"], indexed)
    assert report["captions"] == {"due": SPOKEN, "embedded": SPOKEN, "removed": 0, "shown": "texts"}
    made = "SELECT indexname FROM pg_indexes WHERE tablename = 'vector_things_texts' AND indexdef LIKE '%%hnsw%%'"
    assert rows(database_url, made) == [("vector_things_texts_hnsw",)]
    assert rows(database_url, "SELECT DISTINCT model FROM retrieval.recall") == [("texts",)]


def test_every_way_of_searching_finds_the_same(entry, project, database_url, encoders, report):
    embed_captions(entry, project)
    wanted = rows(database_url, FOUND, as_text(vector(encoders, "red circles")), 5)
    told = report("search", "things", "--mode", "caption", "--text", "red circles", "-k", "5", "--json")["results"]
    fused = report("search", "things", "--mode", "hybrid", "--text", "red circles", "-k", "5", "--json")["results"]
    assert main(["embed-text", "things", "red circles"]) == 0
    with Client(project) as client:
        found = client.search("things", "red circles", k=5, mode="caption")
        less = client.search("things", ["red circles", ("ring", -0.5)], k=5, mode="caption")
        mixed = client.search("things", "red circles", k=5, mode="hybrid")
        for mistake in ({"image_id": "1"}, {"mode": "words"}):
            with pytest.raises(UserError, match="mode"):
                client.search("things", "red", **{"mode": "caption"} | mistake)
    app = app_alone(project.model_copy(update={"token": SecretStr("token"), "service_seconds": 300}))
    form = {"collection": "things", "mode": "caption", "texts": [{"text": "one blue star"}], "k": 5}  # not embedded yet
    try:
        client = TestClient(app, headers={"Authorization": "Bearer token"})
        answer = client.post("/api/search", json=form).json()
        refused = client.post("/api/search", json={**form, "images": [{"image_id": "1"}]})
        hybrid = client.post("/api/search", json={**form, "mode": "hybrid", "texts": [{"text": "red circles"}]}).json()
    finally:
        app.state.service.close()
    similarities = pytest.approx([similarity for _, similarity in wanted], abs=1e-3)
    for results in (told, [hit.__getstate__() for hit in found]):
        assert [row["similarity"] for row in results] == similarities
    wanted = rows(database_url, FOUND, as_text(vector(encoders, "one blue star")), 5)
    similarities = pytest.approx([similarity for _, similarity in wanted], abs=1e-3)
    assert [row["similarity"] for row in answer["results"]] == similarities
    assert (answer["calibration"], answer["min_score"]) == ("text_image_en", 0.5)
    assert [hit.similarity for hit in less] != [hit.similarity for hit in found]
    in_sql = rows(database_url, "SELECT image_id, found_by FROM images.search_hybrid('things', 'red circles', 5)")
    for results in (fused, [hit.__getstate__() for hit in mixed], hybrid["results"]):
        assert [(row["image_id"], row["found_by"]) for row in results] == in_sql
    assert in_sql[0][1] == ["words", "caption"]
    assert refused.status_code == 422
    assert "takes texts, and no image" in refused.text


def test_a_mistake_is_told_in_a_line(entry, project, change_collection, random_model, encoders, database_url, capsys):
    def told(*arguments):
        assert main(list(arguments)) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1, error
        return error

    assert "have no vectors: name a text_model" in told("search", "things", "--mode", "caption", "--text", "red")
    assert "searches by a text: give --text" in told("search", "things", "--mode", "caption", "--id", "1")
    with pytest.raises(psycopg.errors.RaiseException, match="captions of collection 'things' have no vectors"):
        rows(database_url, FOUND, as_text(np.zeros(16)), 1)
    change_collection(text_model={"name": "texts", "source": str(random_model)})
    assert "is no text embedding model" in told("caption", "things")
    change_collection(text_model={"name": "random", "source": str(encoders["texts"])})
    assert "has the name of its model" in told("caption", "things")
    assert rows(database_url, "SELECT to_regclass('retrieval.vector_things_texts')") == [(None,)]
