"""Connection strings and Airflow's connections on a real server: right ones connect, wrong ones tell no secret."""

import json
import subprocess
import traceback
from collections.abc import Iterator
from types import SimpleNamespace
from urllib.parse import quote, urlsplit

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from image_retrieval.errors import UserError
from image_retrieval.local.postgres import programs
from image_retrieval.settings import Settings
from image_retrieval.store.connection import connect, require_reachable
from image_retrieval.store.connection_string import psql_environment
from image_retrieval.store.migrate import migrate
from orchestration.connections import connection_string

ROLE = "odd@role/of:tests"
PASSWORD = "QXZ1@QXZ2/QXZ3%QXZ4#QXZ5?QXZ6:QXZ7 QXZ8'QXZ9\"QXZ0\\QXZA\nQXZB\tQXZé漢QXZD%zzQXZE%40&=+[]{}QXZF"
PARTS = {PASSWORD[at : at + 4] for at in range(len(PASSWORD) - 3)}


@pytest.fixture
def role(database_url: str) -> Iterator[str]:
    """A role whose password has every odd character."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        named = {"role": sql.Identifier(ROLE), "password": sql.Literal(PASSWORD)}
        connection.execute(sql.SQL("CREATE ROLE {role} LOGIN SUPERUSER PASSWORD {password}").format(**named))
        yield ROLE
        connection.execute(sql.SQL("DROP ROLE {role}").format(**named))


def settings_of(url: str) -> Settings:
    return Settings(database_url=SecretStr(url))


def test_an_encoded_password_opens_the_database(role, database_url):
    place = urlsplit(database_url)
    login = f"{quote(role, safe='')}:{quote(PASSWORD, safe='')}"
    settings = settings_of(f"postgresql://{login}@{place.hostname}:{place.port}{place.path}")
    migrate(settings)
    with connect(settings) as connection:
        assert connection.execute("SELECT session_user AS role").fetchone() == {"role": role}
    asked = [str(programs() / "psql"), "-Atc", "SELECT current_user"]
    told = subprocess.run(asked, env=psql_environment(settings), capture_output=True, text=True, check=True)
    assert told.stdout.strip() == role


@pytest.mark.parametrize(
    "shape",
    [
        "postgresql://me:{}@{}:{}/images",
        "postgresql://{}@{}:{}/images",
        "postgresql://me:5432/{}@{}:{}/images",
        "host={1} port={2} user=me password={0} dbname=images",
        "postgresql://{1}:{2}/images?user=me&password={0}",
        "postgresql+psycopg://me:{}@{}:{}/images",
    ],
)
@pytest.mark.parametrize("open_database", [require_reachable, migrate, lambda settings: connect(settings).__enter__()])
def test_a_password_as_it_is_tells_nothing_of_itself(database_url, shape, open_database, caplog, capsys):
    place = urlsplit(database_url)
    settings = settings_of(shape.format(PASSWORD, place.hostname, place.port))
    with pytest.raises(UserError) as refused:
        open_database(settings)
    told = [*traceback.format_exception(refused.value), caplog.text, *capsys.readouterr(), repr(settings)]
    assert refused.value.__context__ is None
    assert "IMAGE_RETRIEVAL_DATABASE_URL" in str(refused.value)
    assert [part for part in PARTS if part in "".join(told)] == []


def airflow_connection(database_url: str, **extra: object) -> SimpleNamespace:
    """What Airflow tells of a connection."""
    place = urlsplit(database_url)
    login = {"login": place.username, "password": place.password, "host": place.hostname, "port": place.port}
    return SimpleNamespace(conn_type="postgres", schema=place.path[1:], extra=json.dumps(extra), **login)


def test_an_extra_reaches_the_server(database_url):
    extra = {
        "options": "-c statement_timeout=5000 -c work_mem=7MB",
        "connect_timeout": 10,
        "keepalives": True,
        "keepalives_idle": 30.0,
        "keepalives_interval": "5",
        "sslmode": "prefer",
        "target_session_attrs": "read-write",
        "application_name": "of airflow",
        "cursor": "dictcursor",
        "iam": False,
        "aws_conn_id": "aws_default",
        "sslrootcert": None,
    }
    settings = Settings(database_url=connection_string(airflow_connection(database_url, **extra)))
    with connect(settings) as connection:
        shown = connection.execute("SELECT current_setting('work_mem') AS memory").fetchone()
        assert shown == {"memory": "7MB"}
        parameters = connection.info.get_parameters()
    assert (
        parameters.items()
        >= {
            "application_name": "of airflow",
            "connect_timeout": "10",
            "keepalives": "1",
            "keepalives_idle": "30",
            "options": extra["options"],
        }.items()
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sslmode", "requier"),
        ("connect_timeout", "soon"),
        ("keepalives_idle", "long"),
        ("target_session_attrs", "any-old"),
        ("channel_binding", True),
        ("options", "-c nothing_of_this_name=1"),
    ],
)
def test_a_wrong_value_of_an_extra_is_told_by_its_name(database_url, name, value):
    settings = Settings(database_url=connection_string(airflow_connection(database_url, **{name: value})))
    named = "nothing_of_this_name" if name == "options" else name
    with pytest.raises(UserError, match=rf"^[^\n]*{named}[^\n]*image_retrieval_postgres[^\n]*$"):
        require_reachable(settings)
