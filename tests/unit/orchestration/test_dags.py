"""What one part of a DAG knows of another is so: ids of tasks and DAGs, pools, params, connections, pages."""

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from image_retrieval.caption_options import CaptionOptions
from image_retrieval.cli import _parser
from image_retrieval.collection import ModelOptions, find_collection
from image_retrieval.local.airflow import POOLS
from orchestration import connections
from orchestration.arguments import (
    MAX_MAPPED,
    batch_size_of,
    caption_arguments,
    embed_arguments,
    map_label,
    share_out,
    span,
    text_arguments,
    what_of,
    with_batch_size,
)
from orchestration.orphans import was_marked
from orchestration.processes import EMBED_DEFAULTS, EmbeddingProcessOperator

ROOT = Path(__file__).parents[3]
ORCHESTRATION = ROOT / "include" / "orchestration"
DAG_OF = {
    "tasks": "image_embedding_demo",
    "switching": "model_switch",
    "training": "model_training",
}  # the modules that read params, and of what
TASK_IDS = re.compile(r"task_ids=\\?'([^'\\]+)")


@pytest.fixture(scope="module")
def dags(tmp_path_factory):
    """The DAGs as Airflow reads them where shards are embedded in pods."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("IMAGE_RETRIEVAL_")},
        "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow")),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "IMAGE_RETRIEVAL_HOME": str(ROOT),
        "IMAGE_RETRIEVAL_RUNNER": "kubernetes",
        "PYTHONPATH": str(ROOT / "include"),
    }
    script = ROOT / "tests" / "integration" / "describe_dags.py"
    done = subprocess.run(
        [sys.executable, script, ROOT / "dags"], env=environment, capture_output=True, text=True, check=True
    )
    described = json.loads(done.stdout.splitlines()[-1])
    assert described["errors"] == {}
    return described["dags"]


def params_read(module: str) -> Iterator[str]:
    """Names that a module looks up in the params of a run, in code or in a template."""
    text = (ORCHESTRATION / f"{module}.py").read_text()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith(("params", "['params']")):
            yield from (part.value for part in ast.walk(node.slice) if isinstance(part, ast.Constant))
    yield from re.findall(r"\bparams\.(\w+)", text)


def test_a_dag_is_found_by_the_name_that_the_library_gives_it(dags):
    names = {"demo", "photos"}
    found = {find_collection(ROOT / "include" / "collections.yaml", name).dag_id for name in names}
    assert found == {name for name in dags if name.startswith("image_embedding_")}


def test_the_last_look_knows_the_last_task_and_the_one_that_asks(dags):
    with_pods = {name: dag["tasks"] for name, dag in dags.items() if "remove_orphans" in dag["tasks"]}
    known = {name: tasks["remove_orphans"]["arguments"][1:] for name, tasks in with_pods.items()}
    assert known == {
        "image_embedding_demo": ["report", None],
        "image_embedding_photos": ["report", None],
        "model_switch": ["switch", "approve"],
        "model_training": ["report", None],
    }
    for name, (last, asked) in known.items():
        tasks = dags[name]["tasks"]
        assert tasks[last]["downstream"] == []
        assert asked is None or tasks[asked]["type"] == "Approval"
        assert {name for name, task in tasks.items() if not task["downstream"]} == {last, "remove_orphans"}


def test_templates_ask_for_what_tasks_of_the_dag_return(dags):
    asked = {name: TASK_IDS.findall(json.dumps(dag["tasks"])) for name, dag in dags.items()}
    assert asked["model_switch"] == ["check"]
    assert asked["model_training"] == ["register"]
    assert all(set(found) <= dags[name]["tasks"].keys() for name, found in asked.items())


def test_no_code_spells_out_the_id_of_another_task():
    for path in ORCHESTRATION.glob("*.py"):
        for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
            for word in call.keywords:
                if word.arg in ("task_ids", "dag_id", "dag_ids"):
                    spelled = [part for part in ast.walk(word.value) if isinstance(part, ast.Constant)]
                    assert not spelled, f"{path.name}: {ast.unparse(call)}"


@pytest.mark.parametrize("module", DAG_OF)
def test_params_that_tasks_read_are_in_the_form(module, dags):
    read = set(params_read(module))
    assert len(read) >= 4
    assert read <= dags[DAG_OF[module]]["params"].keys()


def test_tasks_run_in_pools_that_are_made(dags):
    pools = {task["pool"] for dag in dags.values() for task in dag["tasks"].values()}
    assert pools == {*POOLS, "default_pool"}


def test_pages_tell_of_tasks_that_are_there(dags):
    for name, dag in dags.items():
        groups = {task.partition(".")[0] for task in dag["tasks"] if "." in task}
        steps = {task.rpartition(".")[2] for task in dag["tasks"]}
        told = set(re.findall(r"\*\*(\w+)\*\*", dag["page"]))
        assert told
        assert told <= groups | steps, name


def test_connections_of_the_manifests_are_those_that_tasks_look_for():
    values = yaml.safe_load((ROOT / "include" / "kubernetes" / "values.yaml").read_text())
    assert values["config"]["logging"]["remote_log_conn_id"] == connections.S3_CONNECTION
    docs = (ROOT / "docs" / "settings.md").read_text() + (ROOT / "README.md").read_text()
    assert connections.POSTGRES_CONNECTION in docs
    assert connections.S3_CONNECTION in docs


def test_what_a_task_embeds_is_read_from_its_arguments(home):
    entry = find_collection(ROOT / "include" / "collections.yaml", "demo")
    files = [(f"s3://in/0000{shard}.parquet", f"s3://out/0000{shard}.parquet") for shard in (7, 8)]
    arguments = embed_arguments(entry, files)
    assert what_of(arguments) == ["embed", *files[0], *files[1]]
    assert what_of(with_batch_size(arguments, 1)) == what_of(arguments)


def test_what_a_task_captions_is_read_from_its_arguments(home):
    options = find_collection(ROOT / "include" / "collections.yaml", "demo").captions
    files = [(f"s3://in/0000{shard}.parquet", f"s3://out/0000{shard}.parquet") for shard in (7, 8)]
    arguments = caption_arguments(options, files)
    assert what_of(arguments) == ["caption-shards", *files[0], *files[1]]
    assert (batch_size_of(arguments), batch_size_of(with_batch_size(arguments, 3))) == (16, 3)
    parsed = _parser().parse_args(with_batch_size(arguments, 3))
    assert CaptionOptions.model_validate_json(parsed.captions) == options
    assert (parsed.batch_size, parsed.in_pods) == (3, True)
    endpoint = CaptionOptions(endpoint={"name": "far", "url": "http://far/v1", "model": "m"})
    assert batch_size_of(caption_arguments(endpoint, files)) == 1


def test_which_captions_a_task_embeds_is_read_from_its_arguments(home):
    model = ModelOptions(name="texts", source="s3://models/texts/", revision="abc", dtype="float32", batch_size=48)
    files = [(f"s3://in/0000{shard}.parquet", f"s3://out/0000{shard}.parquet") for shard in (7, 8)]
    arguments = text_arguments(model, files)
    assert what_of(arguments) == ["embed-texts", *files[0], *files[1]]
    assert (batch_size_of(arguments), batch_size_of(with_batch_size(arguments, 3))) == (48, 3)
    parsed = _parser().parse_args(with_batch_size(arguments, 3))
    assert (parsed.model, parsed.revision, parsed.dtype) == (model.source, "abc", "float32")
    assert (parsed.batch_size, parsed.in_pods) == (3, True)


@pytest.mark.parametrize(
    ("shards", "name", "label"), [([7], "shard 00007", "7"), ([7, 8, 9], "shards 00007-00009", "7-9")]
)
def test_a_tasks_name_has_the_numbers_of_its_shards(shards, name, label):
    from jinja2 import Environment

    template = Environment(autoescape=True).from_string(EMBED_DEFAULTS["map_index_template"])
    operator = EmbeddingProcessOperator(shards=shards, arguments=["embed"])
    assert template.render(task=operator) == map_label(shards) == name
    assert span(shards) == label


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 700)), min_size=0, max_size=3))
def test_shards_are_shared_out_among_few_tasks_of_one_model_each(runs):
    models = [model for model, shards in runs for _ in range(shards)]
    tasks = share_out(models)
    assert [shard for task in tasks for shard in task] == list(range(len(models)))
    assert all(len({models[shard] for shard in task}) == 1 for task in tasks)
    assert len(tasks) == len(models) if len(models) <= MAX_MAPPED else MAX_MAPPED // 2 < len(tasks) <= MAX_MAPPED


@pytest.mark.parametrize(
    ("state", "answer", "dry_run", "marked"),
    [
        ("skipped", None, False, True),
        ("skipped", ["Approve"], False, True),
        ("skipped", ["Reject"], False, False),
        ("skipped", None, True, False),
        ("success", None, False, False),
        ("upstream_failed", None, False, False),
        (None, None, False, False),
    ],
)
def test_a_run_is_marked_where_its_last_task_is_skipped_and_nobody_said_no(state, answer, dry_run, marked):
    ti = SimpleNamespace(
        dag_id="model_switch",
        get_task_states=lambda dag_id, task_ids, run_ids: {run_ids[0]: {task_ids[0]: state}},
        xcom_pull=lambda task_ids: {"chosen_options": answer} if answer else None,
    )
    context = {"ti": ti, "run_id": "r", "params": {"dry_run": dry_run}}
    assert was_marked(context, "switch", "approve") is marked
