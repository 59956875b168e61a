"""The client for Python answers as SQL, the command line and the API do."""

import dataclasses
import io
import json
import multiprocessing
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import psycopg
import pytest
import structlog
from PIL import Image
from pydantic import SecretStr
from pydantic_core import to_jsonable_python

from image_retrieval import Client, Settings, UserError
from image_retrieval.cli import main
from image_retrieval.client import ClientClosed, UnknownCollection, UnusableImage
from image_retrieval.pipeline.querying import embed_image, embed_text
from image_retrieval.service.state import SHOWN_SECONDS
from image_retrieval.store.connection import connect
from image_retrieval.store.search import search
from integration.pictures import SCENES
from integration.service.conftest import as_base64
from integration.tables import rows

FIRST, DATA = next((key, data) for key, data in SCENES.items() if key.endswith(".png"))
FIRST_ID = FIRST.rpartition(".")[0]


@pytest.fixture(scope="module")
def python(served):
    with Client(served) as client:
        yield client


@pytest.fixture
def sql(served):
    """What a function of the schema `images` answers: ids and similarities."""

    def ask(call, *values):
        return rows(served.database(), f"SELECT image_id, similarity FROM images.{call}", *values)

    return ask


def pairs(results):
    return [(hit.image_id, hit.similarity) for hit in results]


@pytest.mark.parametrize("text", ["two green squares", "两个绿色方形"])
def test_a_text_finds_what_sql_and_the_command_line_find(python, served, sql, text, monkeypatch, capsys):
    found = python.search("things", text, k=7)
    assert len(found) == 7
    assert pairs(found) == pairs(python.search("things", text, k=7)) == sql("search_text('things', %s, 7)", text)
    for name, value in served.environment().items():
        monkeypatch.setenv(name, value)
    assert main(["search", "things", "--text", text, "-k", "7", "--json"]) == 0
    structlog.reset_defaults()
    printed = json.loads(capsys.readouterr().out)["results"]
    assert all(
        row["found_by"] is None and row["scores"] is None for row in found.to_dicts()
    )  # those of a hybrid search
    own = {"score", "found_by", "scores"}
    assert printed == [{name: value for name, value in row.items() if name not in own} for row in found.to_dicts()]


def test_a_picture_given_in_any_way_finds_the_same(python, served, things, tmp_path):
    path = tmp_path / "query.png"
    path.write_bytes(DATA)
    with Image.open(path) as opened:
        ways = [path, str(path), DATA, opened, np.asarray(opened.convert("RGB")), things.source + FIRST]
        found = [pairs(python.search("things", image=given, k=5)) for given in ways]
    with connect(served) as connection:
        expected = search(connection, "things", embed_image(DATA, things, served), 5)
    assert found == [[(row["image_id"], row["similarity"]) for row in expected]] * len(ways)
    assert found[0][0] == (FIRST_ID, pytest.approx(1, abs=1e-3))


def test_a_picture_behind_a_url(served, tmp_path):
    (tmp_path / "query.png").write_bytes(DATA)
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://localhost:{server.server_port}/query.png"
        try:
            with Client(served.model_copy(update={"allow_private_urls": True})) as client:
                assert client.search("things", image=url, k=1)[0].image_id == FIRST_ID
            with Client(served) as client, pytest.raises(UserError, match="has no public address"):
                client.search("things", image=url)
        finally:
            server.shutdown()
            thread.join()


def test_an_image_and_a_vector_of_the_collection_find_what_sql_finds(python, served, sql):
    assert pairs(python.similar("things", FIRST_ID, k=6)) == sql("similar_to('things', %s, 6)", FIRST_ID)
    [(stored,)] = rows(served.database(), "SELECT embedding::text FROM images.things WHERE image_id = %s", FIRST_ID)
    expected = sql("search('things', %s::halfvec, 6)", stored)
    vector = np.array(json.loads(stored), np.float32)
    assert pairs(python.search("things", vector=vector, k=6)) == expected
    assert pairs(python.search("things", image_id=FIRST_ID, k=6)) == expected
    longer = python.search("things", vector=vector * 9, k=6)
    assert [hit.image_id for hit in longer] == [name for name, _ in expected]


def test_filters_groups_and_bounds_are_those_of_sql(python, sql):
    group = FIRST.partition("/")[0]
    call = "similar_to('things', %s, 24, %s::jsonb, %s, %s)"
    found = python.similar("things", FIRST_ID, k=24, filter={"group_id": {"any": [group]}})
    assert pairs(found) == sql(call, FIRST_ID, json.dumps({"group_id": group}), None, False)
    assert {hit.group_id for hit in found} <= {group}
    assert pairs(python.similar("things", FIRST_ID, k=24, grouped=True)) == sql(call, FIRST_ID, "{}", None, True)
    bound = python.similar("things", FIRST_ID, k=24)[4].similarity
    assert pairs(python.similar("things", FIRST_ID, k=24, min_similarity=bound)) == sql(
        call, FIRST_ID, "{}", bound, False
    )
    assert len(python.similar("things", FIRST_ID, k=24, min_score=bound)) == 5  # where nothing is calibrated
    assert len(python.similar("things", FIRST_ID, k=24, min_score=bound, min_similarity=1.1)) == 0


def test_several_terms_weigh_as_in_the_api(python, ask):
    found = python.search("things", text=["a star", ("red", -0.5)], image=(DATA, 2), image_id=FIRST_ID, k=24)
    texts = [{"text": "a star"}, {"text": "red", "weight": -0.5}]
    images = [{"base64": as_base64(DATA), "weight": 2}, {"image_id": FIRST_ID}]
    expected = ask("search", texts=texts, images=images, k=24)["results"]
    assert {hit.image_id: hit.similarity for hit in found} == pytest.approx(
        {row["image_id"]: row["similarity"] for row in expected}, abs=1e-3
    )
    assert found.calibration is None


def test_scores_are_calibrated_as_in_the_api(python, ask, served):
    def calibrate(value):
        with psycopg.connect(served.database()) as connection:
            connection.execute("UPDATE retrieval.model SET calibration = %s::jsonb WHERE name = 'dual'", [value])
        time.sleep(SHOWN_SECONDS)  # until then the service may take the model to be as it was

    middle = python.similar("things", FIRST_ID, k=5)[-1].similarity - 1e-6
    calibrate(json.dumps({name: {"slope": 50, "middle": middle} for name in ("image_image", "text_image_en")}))
    try:
        found = python.similar("things", FIRST_ID, k=24)
        assert (found.calibration, len(found)) == ("image_image", len(SCENES) - 1)  # nothing is hidden, as in SQL
        scores = {hit.image_id: hit.score for hit in found}
        shown = python.similar("things", FIRST_ID, k=24, min_score=0.5)
        assert [hit.image_id for hit in shown] == [hit.image_id for hit in found[:5]]
        assert {hit.image_id for hit in shown} == {name for name, score in scores.items() if score >= 0.5}
        expected = ask("similar", image_id=FIRST_ID, k=24, min_score=0)["results"]
        assert scores == pytest.approx({row["image_id"]: row["score"] for row in expected}, abs=1e-3)
        assert python.search("things", "a star").calibration == "text_image_en"
        assert python.search("things", "一颗星").calibration is None
        assert python.search("things", "a star", image_id=FIRST_ID).calibration is None
        assert python.match(DATA, DATA, collection="things") == python.match(DATA, DATA)
        assert python.match(DATA, DATA).score == 1
        assert python.match(DATA, DATA).calibrated
        assert "score" in repr(found).split("\n")[1]
    finally:
        calibrate(None)


def test_embed_gives_vectors_of_length_1_in_order(python, served, things):
    other = list(SCENES.values())[3]
    pixels = np.asarray(Image.open(io.BytesIO(DATA)).convert("RGB"))
    found = python.embed(["a star", DATA, "红色", pixels, other])
    assert (found.shape, found.dtype) == ((5, 128), np.float32)
    assert np.linalg.norm(found, axis=1) == pytest.approx(1, abs=1e-5)
    alone = [
        embed_text("a star", things, served),
        embed_image(DATA, things, served),
        embed_text("红色", things, served),
    ]
    assert found[:3] == pytest.approx(np.stack(alone), abs=1e-5)
    many = python.embed(DATA if number % 2 else "a star" for number in range(70))
    assert many[[0, 69]] == pytest.approx(found[:2], abs=1e-5)
    assert python.embed([]).shape == (0, 128)
    assert python.embed("a star").shape == (1, 128)
    with pytest.raises(UnusableImage, match="item 41, the picture, cannot be used: unsupported_format"):
        python.embed([DATA] * 41 + [b"this is no picture"])


def test_a_comparison_is_that_of_the_api(python, ask):
    other = list(SCENES.values())[3]
    expected = ask("match", a={"base64": as_base64(DATA)}, b={"base64": as_base64(other)})
    found = dataclasses.asdict(python.match(DATA, other))
    assert found == pytest.approx(expected, abs=1e-5)


def test_hits_open_their_pictures(python):
    found = python.similar("things", FIRST_ID, k=2)
    assert found[0].open().size == (found[0].width, found[0].height)
    assert max(found[0].picture.size) <= 448
    html = found._repr_html_()
    assert html.count('<img src="data:image/jpeg;base64,') == 2
    gone = dataclasses.replace(found[0], image_path=found[0].image_path + ".gone")
    gone.__dict__["_origin"] = found[0].__dict__["_origin"]
    with pytest.raises(UnusableImage, match="not_found"):
        gone.open()


def test_collections_are_those_of_the_api(python, client):
    found = [dataclasses.asdict(each) for each in python.collections()]
    answered = client.get("/api/collections").json()
    models = [collection.pop("models") for collection in answered]  # the Client searches under the shown one
    assert to_jsonable_python(found) == answered
    assert [names[0] for names in models] == [collection["model"] for collection in answered]
    assert [each["modes"] for each in answered] == [["vector"]] * len(answered)


@pytest.mark.parametrize(
    ("search", "error", "told"),
    [
        ({"collection": "nothings"}, UnknownCollection, "unknown collection 'nothings': known are .*things"),
        ({"collection": "a\0\n"}, UnknownCollection, "unknown collection"),
        ({"image_id": "no\nwhere"}, UserError, r"has no image 'no\\nwhere'"),
        ({"filter": {"shade": "red"}}, UserError, '"shade" is not one of group_id'),
        ({"vector": [1, 2]}, UserError, "has 128 dimensions, not 2"),
        ({"image": b"nothing"}, UnusableImage, "unsupported_format"),
        ({"text": ["a", ("a", -1)]}, UserError, "cancel each other out"),
    ],
)
def test_a_mistake_is_told_in_one_line(python, search, error, told):
    with pytest.raises(error, match=told) as caught:
        python.search(**{"collection": "things", "text": "a star"} | search)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, UserError)


def test_threads_share_a_client(python):
    def ask(number):
        if number % 2:
            return pairs(python.search("things", image=DATA, k=3))
        return pairs(python.search("things", "a star", k=3))

    with ThreadPoolExecutor(24) as pool:
        found = list(pool.map(ask, range(48)))
    assert all(found[number] == found[number % 2] for number in range(48))


def test_connections_that_the_server_closed_are_replaced(served):
    with Client(served) as client, ExitStack() as together:
        taken = [together.enter_context(client._database.statements()) for _ in range(4)]
        pids = [connection.info.backend_pid for connection in taken]
        together.close()
        closed = rows(served.database(), "SELECT pg_terminate_backend(pid) FROM unnest(%s) AS pid", pids)
        assert closed == [(True,)] * 4
        began = time.monotonic()
        assert len(client.similar("things", FIRST_ID, k=2)) == 2
        assert time.monotonic() - began < 3


def test_a_database_that_is_away_is_told(served):
    away = served.model_copy(update={"database_url": SecretStr("postgresql://me:secret@127.0.0.1:9/nowhere")})
    with Client(away) as client, pytest.raises(UserError, match="cannot be reached") as caught:
        client.search("things", "a star")
    assert "secret" not in str(caught.value) + repr(client)


def test_no_collections_file_and_no_database_are_needed_where_the_other_is_there(served, tmp_path):
    elsewhere = {name: getattr(served, name) for name in Settings.model_fields} | {"home": tmp_path}
    with Client(Settings(_env_file=None, **elsewhere)) as client:
        assert not client.settings.collections_path.exists()
        assert len(client.search("things", "a star", k=3)) == 3
    alone = served.model_copy(update={"database_url": SecretStr("")})
    with Client(alone) as client:
        assert repr(client) == "Client(no database)"
        assert client.embed(["a star", DATA]).shape == (2, 128)
        assert client.match(DATA, DATA).score == 1
        with pytest.raises(UserError, match="no database is configured"):
            client.search("things", "a star")


def test_closing_frees_models_and_connections(served):
    client = Client(served)
    client.search("things", image=DATA, k=1)
    client.embed("a star")
    towers = [weakref.ref(tower.network) for tower in client._vectors._models._towers.values()]
    assert len(towers) == 2
    client.close()
    client.close()
    assert [tower() for tower in towers] == [None, None]
    for ask in (lambda: client.search("things", "a star"), client.collections):
        with pytest.raises(ClientClosed, match="is closed"):
            ask()


def test_another_process_is_refused(python):
    python.collections()

    def ask(answers):
        try:
            python.collections()
        except ClientClosed as error:
            answers.put(str(error))

    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    process = context.Process(target=ask, args=(answers,))
    process.start()
    assert "create one in each process" in answers.get(timeout=20)
    process.join()
    assert python.collections()
