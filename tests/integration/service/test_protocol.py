"""The older wire protocol, spoken as its client scripts do: a host, a token, JSON, and nothing else."""

import base64
import json

import httpx
import pytest

from integration.pictures import SCENES, half_size_copy
from integration.service.conftest import TOKEN

PICTURES = list(SCENES.values())


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode("utf-8")


@pytest.fixture
def call(address):
    """What a script does: post JSON to the service's URL with the bare token."""

    def post(function_name: str, service: str = "retrieval", **params):
        datas = json.dumps({"function_name": function_name, "function_params": params})
        head = {"Authorization": TOKEN, "Content-Type": "application/json"}
        answer = httpx.post(f"{address}/api/predict/{service}", content=datas, headers=head, timeout=400)
        assert answer.status_code == 200
        return answer.json()

    return post


@pytest.fixture
def database(call):
    added = call(
        "add",
        database_name="libai",
        feature_dim_dict={"feature": 128},
        feature_distance_dict={"feature": "Cosine"},
    )
    assert added["success"], added
    yield "libai"
    call("delete", database_name="libai")


def test_a_script_runs_from_init_to_delete(call, database):
    config = {"ak_id": "x", "ak_secret": "y", "hosts": "oss-cn-hangzhou.aliyuncs.com", "buckets": ["b"]}
    ready = call("init", backend="oss", root_path="oss://bucket/prefix/", oss_io_config=config)
    assert ready["success"]
    assert ready["info"]["message"] == "init db success."
    assert "y" not in json.dumps(ready["info"]).split('"')
    for number, data in enumerate(PICTURES[:3]):
        kept = call("db_set", database_name=database, image=encoded(data), group_id=str(number), intra_id="0")
        assert kept["success"], kept
    again = call("db_set", database_name=database, image=encoded(half_size_copy(PICTURES[0])), group_id=0)
    assert (again["info"]["group_id"], again["info"]["intra_id"]) == ("0", "1")
    found = call("db_search", database_name=database, image=encoded(PICTURES[1]), search_topk=2)
    assert found["info"]["results"][0]["group_id"] == "1"
    assert len(found["info"]["results"]) == 2
    assert found["info"]["results"][0]["similarity"] > 0.99
    group = call("db_get", database_name=database, group_id="0")
    assert [row["intra_id"] for row in group["info"]["images"]] == ["0", "1"]
    assert call("db_del", database_name=database, group_id="0", intra_id="1")["info"] == {"deleted": 1}
    assert len(call("db_list", database_name=database)["info"]["images"]) == 3
    assert database in [row["database_name"] for row in call("list")["info"]["databases"]]
    assert call("get", database_name=database)["info"]["feature_dim_dict"] == {"feature": 128}


def test_scripts_that_wrap_their_call_are_understood(address):
    datas = {"input": {"function_name": "list", "function_params": {}}}
    answer = httpx.post(f"{address}/api/predict/any", json=datas, headers={"Authorization": TOKEN}, timeout=400)
    assert answer.json()["success"]


def test_two_pictures_are_matched(address):
    def similarity(a: bytes, b: bytes) -> float:
        datas = json.dumps({"imagea": encoded(a), "imageb": encoded(b)})
        answer = httpx.post(
            f"{address}/api/predict/match",
            content=datas,
            headers={"Authorization": TOKEN, "Content-Type": "application/json"},
            timeout=400,
        )
        assert answer.json()["success"], answer.text
        return answer.json()["similarity"]

    assert 1 >= similarity(PICTURES[0], half_size_copy(PICTURES[0])) > 0.95
    assert 0 <= similarity(PICTURES[0], PICTURES[-1]) < 0.95


@pytest.mark.parametrize(
    ("function_name", "params", "code", "told"),
    [
        ("add", {"database_name": "other", "feature_dim_dict": {"feature": 384}}, 422, "wrong_dimension"),
        (
            "add",
            {
                "database_name": "other",
                "feature_dim_dict": {"feature": 128},
                "feature_distance_dict": {"feature": "Euclidean"},
            },
            422,
            "unknown_distance",
        ),
        ("add", {"database_name": "../../etc", "feature_dim_dict": {"feature": 128}}, 422, "invalid_name"),
        ("db_search", {"database_name": "nowhere", "image": "aaaa"}, 404, "unknown_database"),
        ("db_set", {"database_name": "things", "image": encoded(b"no picture"), "group_id": "1"}, 422, "unsupported"),
        ("db_set", {"database_name": "things", "image": "%%%", "group_id": "1"}, 422, "base64"),
        ("db_set", {"database_name": "things", "image": encoded(PICTURES[0])}, 400, "group_id"),
        ("db_set", {"database_name": "things", "image": "aaaa", "group_id": "../x"}, 422, "invalid_request"),
        ("init", {"root_path": "no uri"}, 400, "root_path"),
        ("delete", {"database_name": "things"}, 409, "not_made_here"),
        ("drop_everything", {}, 400, "unknown_function"),
    ],
)
def test_a_mistake_is_told_in_that_protocols_form(call, function_name, params, code, told):
    answer = call(function_name, **params)
    assert (answer["success"], answer["error_code"]) == (False, code), answer
    assert told in answer["error_msg"]
