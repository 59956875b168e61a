"""A run that is killed at any stage and started again ends in the same tables as one that was not."""

import signal
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import psycopg
import pytest

from image_retrieval.collection import find_collection
from image_retrieval.pipeline.running import run_collection
from image_retrieval.settings import Settings
from integration.gates import GATES, a_gate, command_at
from integration.pictures import BAD, SCENES, put
from integration.tables import contents


@pytest.fixture
def filled(store, collection, change_collection):
    put(store, collection.source, SCENES | {key: bad for key, (bad, _) in BAD.items()})
    change_collection(shard_size=14)


@pytest.fixture
def kill_at(database_url, store, project):
    """Start a run and kill it in the middle of a stage."""

    def count(stage: str) -> int:
        folder = {"resample": "resampled/things/", "embed": "work/things/broken/resampled/"}[stage]
        return sum(len(page) for page in store.pages(project.work_uri + folder))

    def kill(stage: str) -> None:
        reached = a_gate(database_url, GATES[stage]) if stage in GATES else nullcontext(lambda: count(stage) > 0)
        with reached as is_reached, command_at(is_reached, "run", "things", "--run", "broken") as process:
            process.kill()
            assert process.wait() == -signal.SIGKILL

    return kill


@pytest.fixture(scope="module")
def known() -> dict[str, Any]:
    """What an unbroken run leaves, once a test has asked for it."""
    return {}


@pytest.fixture
def left(database_url):
    """Reads the tables, without the part of URIs that differs from test to test."""
    own = Path(database_url).name

    def read() -> dict[str, Any]:
        return {
            table: [
                tuple(value.replace(own, "") if isinstance(value, str) else value for value in row) for row in found
            ]
            for table, found in contents(database_url).items()
        }

    return read


@pytest.fixture
def unbroken(known, left, filled, project, database_url):
    """What an unbroken run of the same pictures leaves; the tables are empty."""
    if not known:
        assert run(project, "unbroken")["state"] == "success"
        known.update(left())
        with psycopg.connect(database_url) as connection:
            connection.execute(
                "TRUNCATE retrieval.image, retrieval.rejected, retrieval.run, retrieval.collection CASCADE"
            )
    return known


def run(project: Settings, run_id: str) -> dict[str, Any]:
    return run_collection(find_collection(project.collections_path, "things"), run_id, project)


@pytest.fixture
def is_made_good(unbroken, left, kill_at, store, project):
    def check(stage: str, next_run: str) -> None:
        store.delete_under(f"{project.work_uri}resampled/")
        kill_at(stage)
        assert run(project, next_run)["state"] == "success"
        assert left() == unbroken

    return check


STAGES = ["list", "resample", "embed", "upsert", "index", "report"]


@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_run_goes_on_where_it_was(stage, is_made_good):
    is_made_good(stage, next_run="broken")


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_the_next_run_makes_a_killed_one_good(stage, is_made_good):
    is_made_good(stage, next_run="other")
