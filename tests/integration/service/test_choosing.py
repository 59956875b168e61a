"""Chosen images as a file, verdicts on several pairs, and when pictures were taken."""

import csv
import io
import json
from datetime import datetime
from itertools import pairwise

import psycopg
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from image_retrieval.collection import ModelOptions
from image_retrieval.models.shipped import VISION
from image_retrieval.pipeline.switching import roll_back, switch_collection
from image_retrieval.service import exports
from integration.pictures import SCENES
from integration.service.conftest import as_base64
from integration.tables import rows

IDS = [key.rpartition(".")[0] for key in SCENES]


@pytest.fixture
def exported(client):
    def get(**form):
        answer = client.post("/api/export", json={"collection": "things", **form})
        assert answer.status_code == 200, answer.text
        assert f'filename="things.{form["format"]}"' in answer.headers["content-disposition"]
        return answer.content

    return get


@pytest.mark.parametrize("page", [1, 3, 500])
def test_chosen_images_are_exported_in_their_order(exported, served, page, monkeypatch):
    monkeypatch.setattr(exports, "PAGE", page)
    chosen = [IDS[4], IDS[0], "no such image", IDS[9], IDS[0]]
    table = pq.read_table(io.BytesIO(exported(format="parquet", image_ids=chosen)))
    assert table.column("image_id").to_pylist() == [IDS[4], IDS[0], IDS[9]]
    assert "image_embedding" not in table.column_names
    text = exported(format="csv", image_ids=chosen).decode("utf-8-sig")
    lines = list(csv.DictReader(io.StringIO(text)))
    assert [line["image_id"] for line in lines] == [IDS[4], IDS[0], IDS[9]]
    assert [line["colours"] for line in lines] == [json.dumps(row) for row in table.column("colours").to_pylist()]
    assert set(lines[0]) == set(table.column_names)
    view = rows(
        served.database(),
        "SELECT attname FROM pg_attribute WHERE attrelid = 'images.things'::regclass AND attnum > 0",
    )
    assert {name for (name,) in view} - {"words", "embedding"} == set(table.column_names)


def test_vectors_come_on_request(exported, served):
    table = pq.read_table(io.BytesIO(exported(format="parquet", image_ids=IDS[:2], vectors=True)))
    query = "SELECT embedding::vector::real[] FROM images.things WHERE image_id = %s"
    for name, vector in zip(IDS, table.column("image_embedding").to_pylist(), strict=False):
        assert vector == pytest.approx(rows(served.database(), query, name)[0][0])
    [line] = csv.DictReader(io.StringIO(exported(format="csv", image_ids=IDS[:1], vectors=True).decode("utf-8-sig")))
    assert json.loads(line["image_embedding"]) == pytest.approx(table.column("image_embedding")[0].as_py())


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "＝1"])
def test_no_cell_is_a_formula(exported, served, text):
    update = "UPDATE retrieval.image SET caption = %s WHERE collection = 'things' AND image_id = %s"
    with psycopg.connect(served.database(), autocommit=True) as connection:
        connection.execute(update, [text, IDS[0]])
        try:
            [line] = csv.DictReader(io.StringIO(exported(format="csv", image_ids=IDS[:1]).decode("utf-8-sig")))
            assert line["caption"] == f"'{text}"
            assert line["width"].isdigit()
            table = pq.read_table(io.BytesIO(exported(format="parquet", image_ids=IDS[:1])))
            assert table.column("caption").to_pylist() == [text]
        finally:
            connection.execute(update, [None, IDS[0]])


def test_an_export_of_nothing_known_has_its_columns(exported):
    assert pq.read_table(io.BytesIO(exported(format="parquet", image_ids=["no"]))).num_rows == 0
    assert exported(format="csv", image_ids=["no"]).decode("utf-8-sig").startswith("image_id,image_path,")


@pytest.mark.parametrize("form", [{"format": "xls"}, {"image_ids": []}, {"collection": "none"}])
def test_an_export_that_cannot_be_is_refused(client, form):
    answer = client.post("/api/export", json={"collection": "things", "format": "csv", "image_ids": ["a"], **form})
    assert answer.status_code in (404, 422)


def test_one_verdict_for_several_pairs_is_set_for_all_or_none(client, served):
    def decided():
        return rows(served.database(), "SELECT a, b, verdict FROM retrieval.verdict WHERE collection = 'things'")

    path, pairs = "/api/collections/things/duplicates/verdicts", [{"a": IDS[0], "b": other} for other in IDS[1:4]]
    assert client.post(path, json={"pairs": pairs, "verdict": "different"}).status_code == 204
    assert {tuple(sorted(row[:2])) for row in decided()} == {tuple(sorted((IDS[0], other))) for other in IDS[1:4]}
    assert {row[2] for row in decided()} == {"different"}
    wrong = client.post(path, json={"pairs": [*pairs, {"a": IDS[0], "b": "no"}], "verdict": "duplicate"})
    assert (wrong.status_code, "no two images" in wrong.json()["detail"]) == (422, True)
    assert {row[2] for row in decided()} == {"different"}
    assert client.post(path, json={"pairs": pairs, "verdict": None}).status_code == 204
    assert decided() == []


@pytest.fixture
def taken(served):
    """The first images were taken at these times."""
    times = ["2024-01-31 10:00", "2024-02-01 23:59:59", "2024-02-10", "2024-05-01", "infinity"]

    def put(values):
        with psycopg.connect(served.database()) as connection:
            for image_id, time in zip(IDS, values, strict=False):
                connection.execute(
                    "UPDATE retrieval.image SET captured_at = %s WHERE collection = 'things' AND image_id = %s",
                    [time, image_id],
                )

    put(times)
    yield
    put([None] * len(times))


def test_a_timeline_has_bars_from_the_first_picture_to_the_last(ask, taken):
    found = ask("timeline", most=12)
    assert found["unit"] == "month"
    counted = [(bar["since"][:10], bar["until"][:10], bar["images"]) for bar in found["bars"]]
    assert counted == [
        ("2024-01-01", "2024-02-01", 1),
        ("2024-02-01", "2024-03-01", 2),
        ("2024-03-01", "2024-04-01", 0),
        ("2024-04-01", "2024-05-01", 0),
        ("2024-05-01", "2024-06-01", 1),
    ]
    assert ask("timeline", most=1)["unit"] == "year"
    assert ask("timeline", most=500)["unit"] == "day"
    for bar in found["bars"]:  # a bar is a filter
        filter = {"captured_at": {"gte": bar["since"], "lt": bar["until"]}}
        shown = ask("search", texts=[{"text": "a"}], filter=filter, k=24, min_score=-1)["results"]
        assert len(shown) == bar["images"]
    of_group = ask("timeline", filter={"group_id": IDS[0].partition("/")[0]})
    assert sum(bar["images"] for bar in of_group["bars"]) <= 4


TIMES = st.datetimes() | st.datetimes(datetime(2024, 2, 1), datetime(2024, 3, 1))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(times=st.lists(TIMES, min_size=1, max_size=8), most=st.integers(10, 80))
@example(times=[datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59)], most=10)
@example(times=[datetime(5, 1, 1), datetime(90, 1, 1)], most=10)
def test_bars_follow_one_another_and_hold_every_time(served, times, most):
    with psycopg.connect(served.database()) as connection:
        for image_id, time in zip(IDS, times, strict=False):
            connection.execute(
                "UPDATE retrieval.image SET captured_at = %s WHERE collection = 'things' AND image_id = %s",
                [time, image_id],
            )
        bars = connection.execute("SELECT * FROM images.timeline('things', most => %s)", [most]).fetchall()
        connection.rollback()
    assert len(bars) <= most
    assert all(before[2] == after[1] for before, after in pairwise(bars))
    assert [bar[3] for bar in bars] == [sum(bar[1] <= time < bar[2] for time in times) for bar in bars]
    assert sum(bar[3] for bar in bars) == len(times)
    assert bars[0][3]
    assert bars[-1][3]


@pytest.mark.parametrize("most", [None, 0, -1, 10_001, 2**31 - 1])
def test_bars_have_a_bound(served, most):
    with (
        psycopg.connect(served.database()) as connection,
        pytest.raises(psycopg.Error, match="most must be 1 to 10000"),
    ):
        connection.execute("SELECT * FROM images.timeline('things', most => %s)", [most])


def test_pages_of_what_matches_a_filter_follow_each_other(client, taken):
    def page(**asked):
        answer = client.get("/api/collections/things/images", params=asked)
        assert answer.status_code == 200, answer.text
        return [image["image_id"] for image in answer.json()["images"]], answer.json()["after"]

    filter = json.dumps({"captured_at": {"gte": "2024-02-01T00:00:00", "lt": "2025-01-01T00:00:00"}})
    whole, none = page(filter=filter)
    assert (whole, none) == (sorted(IDS[1:4]), None)
    first, after = page(filter=filter, limit=2)
    rest, end = page(filter=filter, limit=2, after=after)
    assert (first + rest, end) == (whole, None)
    group = IDS[1].partition("/")[0]
    assert page(filter=filter, group_id=group)[0] == [name for name in whole if name.startswith(f"{group}/")]
    for wrong in ("{", "[]", '{"no_column": 1}'):
        answer = client.get("/api/collections/things/images", params={"filter": wrong})
        assert answer.status_code == 422


def test_without_times_there_is_no_timeline(ask, client):
    assert ask("timeline") == {"unit": None, "bars": []}
    answer = client.post("/api/timeline", json={"collection": "things", "filter": {"no_column": 1}})
    assert answer.status_code == 422


@pytest.mark.slow
def test_a_search_under_a_model_that_is_not_shown_uses_its_vectors(ask, client, served, things):
    switch_collection(things, ModelOptions(name="vision", source=str(VISION)), "second", served)
    roll_back(things, served)
    assert client.get("/api/collections/things").json()["models"] == ["dual", "vision"]
    query = "SELECT embedding FROM retrieval.images_things_vision"
    nearest = rows(
        served.database(), f"SELECT image_id FROM retrieval.images_things_vision ORDER BY embedding <=> ({query} "
        "WHERE image_id = %s), image_id LIMIT 6", IDS[0],
    )  # fmt: skip
    wanted = [name for (name,) in nearest]
    data = as_base64(SCENES[next(key for key in SCENES if key.startswith(IDS[0]))])
    for image in ({"image_id": IDS[0]}, {"base64": data}):
        found = ask("search", images=[image], model="vision", k=6, min_score=-1)
        assert [row["image_id"] for row in found["results"]] == wanted
    found = ask("similar", image_id=IDS[0], model="vision", k=5, min_score=-1)
    assert [row["image_id"] for row in found["results"]] == wanted[1:]
    answer = client.post("/api/search", json={"collection": "things", "texts": [{"text": "a"}], "model": "vision"})
    assert (answer.status_code, answer.json()["code"]) == (422, "no_text_side")


def test_a_collection_names_the_modes_of_its_texts(client, served):
    def modes():
        return client.get("/api/collections/things").json()["modes"]

    change = "UPDATE retrieval.image SET caption = %s WHERE collection = 'things' AND image_id = %s"
    with psycopg.connect(served.database(), autocommit=True) as connection:
        assert modes() == ["vector"]
        connection.execute(change, ("a sign", IDS[-1]))
        try:
            assert modes() == ["vector", "words", "hybrid"]
        finally:
            connection.execute(change, (None, IDS[-1]))


def test_a_collection_names_the_models_under_which_it_can_be_searched(client, ask):
    assert client.get("/api/collections/things").json()["models"][0] == "dual"
    found = ask("search", texts=[{"text": "a star"}], k=3)
    assert ask("search", texts=[{"text": "a star"}], k=3, model="dual") == found
    answer = client.post("/api/search", json={"collection": "things", "texts": [{"text": "a"}], "model": "no"})
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_model")
    answer = client.post("/api/search", json={"collection": "none", "texts": [{"text": "a"}], "model": "dual"})
    assert answer.json()["code"] == "unknown_collection"
