"""Databases as companies run them: whose extension and schemas they are, and what their roles and settings allow."""

import threading
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg
import pytest
from pydantic import SecretStr

from image_retrieval import Client
from image_retrieval.errors import Unavailable, UserError
from image_retrieval.local import services
from image_retrieval.store import preparing
from image_retrieval.store.connection import connect, session
from image_retrieval.store.failures import Locked
from image_retrieval.store.indexing import ensure_index
from image_retrieval.store.migrate import migrate
from image_retrieval.store.queries import find_query, keep_query
from image_retrieval.store.search import search, similar_to
from integration.pictures import SCENES, put
from integration.random_vectors import fill
from integration.tables import rows

PASSWORD = "pass"
ROLES = ("owner", "runner", "searcher", "stranger")


@pytest.fixture
def admin(services_folder):
    """Execute statements as a superuser, in a database of a name."""

    def execute(database, *statements):
        with psycopg.connect(services.database_url(services_folder, database), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    return execute


@pytest.fixture
def hosted(admin, project, services_folder, request):
    """Settings of an empty database, by role; its owner is no superuser."""
    name = f"hosted_{abs(hash(request.node.nodeid)):x}"
    admin("postgres", *(f"CREATE ROLE {name}_{role} LOGIN PASSWORD '{PASSWORD}'" for role in ROLES))
    made = []

    def settings(role, **more):
        parts = urlsplit(services.database_url(services_folder, name))
        url = f"postgresql://{name}_{role}:{PASSWORD}@{parts.hostname}:{parts.port}/{name}"
        return project.model_copy(update={"database_url": SecretStr(url), **more})

    def database(*statements, options=""):
        made.append(name)
        admin("postgres", f"CREATE DATABASE {name} OWNER {name}_owner {options}")
        admin(name, *statements)
        return settings

    yield database, name
    if made:
        admin("postgres", f"DROP DATABASE {name} WITH (FORCE)")
    admin(
        "postgres", *(f"DROP OWNED BY {name}_{role}" for role in ROLES), *(f"DROP ROLE {name}_{role}" for role in ROLES)
    )


@contextmanager
def refused(match, kind=UserError):
    with pytest.raises(kind, match=match) as told:
        yield
    assert "\n" not in str(told.value)
    assert PASSWORD not in str(told.value)


EXTENSIONS = {
    "in public": ("CREATE EXTENSION vector",),
    "in a schema of its own": (
        "CREATE SCHEMA extensions",
        "CREATE EXTENSION vector SCHEMA extensions",
        "GRANT USAGE ON SCHEMA extensions TO PUBLIC",
    ),
    "in a schema with an odd name": (
        'CREATE SCHEMA "Own, ""quoted"" one"',
        'CREATE EXTENSION vector SCHEMA "Own, ""quoted"" one"',
        'GRANT USAGE ON SCHEMA "Own, ""quoted"" one" TO PUBLIC',
    ),
}


@pytest.mark.parametrize(
    ("where", "path"),
    [
        ("in public", "''"),
        ("in a schema of its own", "app"),
        ("in a schema of its own", '"$user", public'),
        ("in a schema with an odd name", "pg_catalog"),
    ],
)
def test_an_owner_without_superuser_migrates_loads_indexes_and_searches(where, path, hosted, collection, admin):
    database, name = hosted
    settings = database(*EXTENSIONS[where], f"ALTER DATABASE {name} SET search_path = {path}")(
        "owner", index_from_rows=1
    )
    migrate(settings)
    migrate(settings)
    vectors = fill(settings, collection, 60)
    assert ensure_index(collection, settings).action == "build"
    with connect(settings, keep_limits=True) as connection:
        assert search(connection, "things", vectors[7], 1)[0]["image_id"] == "7"
        assert len(similar_to(connection, "things", "7", 5, {"width": {"gte": 0}})) == 5
    # as people do, who look nowhere but where their own search_path says
    assert len(rows(settings.database(), "SELECT * FROM images.similar_to('things', '7', 3)")) == 3


def test_the_extension_may_move(hosted, collection, admin):
    database, name = hosted
    settings = database("CREATE EXTENSION vector")("owner")
    migrate(settings)
    vectors = fill(settings, collection, 20)
    admin(
        name,
        "CREATE SCHEMA extensions",
        f"GRANT USAGE ON SCHEMA extensions TO {name}_owner",
        "ALTER EXTENSION vector SET SCHEMA extensions",
    )
    migrate(settings)
    with connect(settings) as connection:
        assert search(connection, "things", vectors[3], 1)[0]["image_id"] == "3"


def test_one_role_migrates_another_runs_and_a_third_searches(hosted, collection, admin):
    database, name = hosted
    settings = database("CREATE EXTENSION vector", f"GRANT {name}_owner TO {name}_runner")
    migrate(settings("owner"))
    runner = settings("runner", index_from_rows=1)
    vectors = fill(runner, collection, 40)
    ensure_index(collection, runner)
    owned = rows(
        runner.database(),
        "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE relnamespace IN "
        "('retrieval'::regnamespace, 'images'::regnamespace)",
    )
    assert owned == [(f"{name}_owner",)]
    admin(
        name,
        f"GRANT USAGE ON SCHEMA images, retrieval TO {name}_searcher",
        f"GRANT SELECT ON images.things, retrieval.collection, retrieval.alembic_version TO {name}_searcher",
    )
    with connect(runner) as connection:
        connection.execute("UPDATE retrieval.model SET family = 'dual_encoder'")
        keep_query(connection, "random", "a star", vectors[7])
    by_text = "SELECT image_id FROM images.{}('things', 'a star', 3)"
    for ask in ("search_text", "search_hybrid"):
        assert rows(settings("searcher").database(), by_text.format(ask))[0] == ("7",)
    with psycopg.connect(settings("searcher").database(), autocommit=True) as connection:
        connection.execute("CALL images.embed_text('things', 'a star')")
        with pytest.raises(psycopg.errors.RaiseException, match="was not embedded within"):
            connection.execute("CALL images.embed_text('things', 'a moon', 0.1)")
    with connect(settings("searcher"), keep_limits=True) as connection:
        assert len(similar_to(connection, "things", "7", 5)) == 5
    admin(name, f"GRANT SELECT ON retrieval.query, retrieval.model TO {name}_searcher")  # for searches by text
    with psycopg.connect(settings("searcher").database(), autocommit=True) as connection:
        for ask, told in (
            ("SELECT * FROM images.search_text('things', 'red')", "is not embedded yet"),
            ("CALL images.embed_text('things', 'red', 0)", "was not embedded within"),
        ):
            with pytest.raises(psycopg.errors.RaiseException, match=told):
                connection.execute(ask)
    with (
        refused("denies its role a right: permission denied for .*docs/databases.md"),
        connect(settings("searcher")) as c,
    ):
        c.execute("DELETE FROM retrieval.image")
    with refused("denies its role a right: permission denied for schema retrieval"), connect(settings("stranger")):
        pass
    more = "images.things, retrieval.collection, retrieval.model, retrieval.made_collection, retrieval.calibration"
    admin(name, f"GRANT SELECT ON {more} TO {name}_searcher")  # as docs/databases.md has it of the Python client
    with Client(settings("searcher")) as client:
        assert [(each.name, each.modes) for each in client.collections()] == [("things", ("vector",))]
        assert client.search("things", image_id="7", k=5)[0].image_id == "7"
        assert len(client.similar("things", "7", k=5)) == 5
    admin(name, f"GRANT USAGE ON SCHEMA images, retrieval TO {name}_stranger")
    admin(name, f"GRANT SELECT ON retrieval.collection, retrieval.alembic_version TO {name}_stranger")
    asks = (
        "search_words('things', 'red')",
        "search_text('things', 'a star')",
        "facets('things')",
        "similar_to('things', '7')",
    )
    asks += ("explain_search('things', NULL)", "search('things', (SELECT '[1,0]'::halfvec))")
    for role in ("stranger", "searcher"):
        with connect(settings(role), keep_limits=True) as connection:
            for ask in asks if role == "stranger" else ():
                with pytest.raises(
                    psycopg.errors.InsufficientPrivilege, match=r"^permission denied for view images\.things"
                ):
                    connection.execute(f"SELECT * FROM images.{ask}".encode())
                connection.rollback()
            for view in ("images", "matching", "vectors"):  # else the condition of an outer join would see their rows
                with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied for view"):
                    connection.execute(f"SELECT FROM retrieval.{view}_things_random".encode())
                connection.rollback()
    migrate(settings("runner"))
    with connect(settings("owner")) as connection:  # what the other has made is the owner's to drop
        connection.execute("DROP VIEW images.things; DELETE FROM retrieval.collection")


@pytest.mark.parametrize(
    ("statements", "options", "role", "told"),
    [
        ((), "", "owner", "has no pgvector yet, and its role may not create the extension: .* CREATE EXTENSION vector"),
        (
            ("CREATE EXTENSION vector",),
            "",
            "stranger",
            "lacks schema retrieval .* GRANT CREATE ON DATABASE",
        ),
        (
            ("CREATE SCHEMA extensions", "CREATE EXTENSION vector SCHEMA extensions"),
            "",
            "owner",
            'keeps pgvector in schema "extensions", .* GRANT USAGE ON SCHEMA',
        ),
        ((), "ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0", "owner", "is encoded in LATIN1, .* UTF8"),
        ((), "ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0", "owner", "is encoded in SQL_ASCII, .* UTF8"),
    ],
)
def test_what_migrate_lacks_is_told_in_one_line(statements, options, role, told, hosted):
    database, _ = hosted
    settings = database(*statements, options=options)(role)
    with refused(told):
        migrate(settings)


def test_schemas_that_an_administrator_made_are_enough(hosted, collection):
    database, name = hosted
    settings = database(
        "CREATE EXTENSION vector",
        *(f"CREATE SCHEMA {schema} AUTHORIZATION {name}_runner" for schema in ("retrieval", "images")),
    )("runner")
    migrate(settings)
    fill(settings, collection, 5)


def test_a_pgvector_that_corrupts_indexes_is_refused(project, admin):
    [(newest,)] = rows(project.database(), "SELECT default_version FROM pg_available_extensions WHERE name = 'vector'")
    rows(project.database(), "UPDATE pg_extension SET extversion = '0.8.2' WHERE extname = 'vector' RETURNING 1")
    told = (
        f"has pgvector 0.8.2, but 0.8.4 or newer is needed, .* the server has {newest}: .*ALTER EXTENSION vector UPDATE"
    )
    for attempt in (migrate, lambda settings: connect(settings).__enter__()):
        with refused(told):
            attempt(project)


def test_a_postgresql_that_is_too_old_is_refused(project, monkeypatch):
    monkeypatch.setattr(preparing, "POSTGRES", 99)
    for attempt in (migrate, lambda settings: connect(settings).__enter__()):
        with refused("is PostgreSQL 18, but 99 or newer is needed"):
            attempt(project)


LIMITS = {
    "statement_timeout": "'40ms'",
    "lock_timeout": "'40ms'",
    "idle_in_transaction_session_timeout": "'40ms'",
    "transaction_timeout": "'60ms'",
    "idle_session_timeout": "'40ms'",
}
TASTES = {
    "default_transaction_isolation": "serializable",
    "standard_conforming_strings": "off",
    "DateStyle": "'German'",
    "IntervalStyle": "sql_standard",
    "TimeZone": "'Asia/Kathmandu'",
    "bytea_output": "escape",
    "row_security": "off",
    "extra_float_digits": "-10",
    "client_encoding": "'LATIN1'",
    "quote_all_identifiers": "on",
    "search_path": "''",
}


def alter(admin, name, settings):
    admin("postgres", *(f"ALTER DATABASE {name} SET {setting} = {value}" for setting, value in settings.items()))


def test_no_limit_ends_the_work_of_a_run(project, collection, admin):
    name = urlsplit(project.database()).path[1:]
    alter(admin, name, LIMITS)
    with connect(project) as connection:
        connection.execute("SELECT pg_sleep(0.15)")
        threading.Event().wait(0.15)
        connection.execute("SELECT 1")
        connection.rollback()
        connection.execute("SELECT pg_sleep(0.1)")
    with session(project) as connection:
        threading.Event().wait(0.15)
        connection.execute("SELECT pg_sleep(0.15)")


@pytest.mark.parametrize(
    ("setting", "kind"),
    [
        ("statement_timeout", UserError),
        ("transaction_timeout", Unavailable),
        ("idle_in_transaction_session_timeout", Unavailable),
    ],
)
def test_a_limit_holds_for_what_people_ask_and_is_named(setting, kind, project, admin):
    alter(admin, urlsplit(project.database()).path[1:], {setting: "'250ms'"})
    with refused(setting, kind), connect(project, keep_limits=True) as connection:
        connection.execute("SELECT 1")
        if setting == "statement_timeout":
            connection.execute("SELECT pg_sleep(1)")
        threading.Event().wait(0.5)
        connection.execute("SELECT 1")


def test_tastes_of_a_database_change_nothing(project, collection, admin, monkeypatch, store, report):
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    alter(admin, urlsplit(project.database()).path[1:], TASTES)
    named = dict(zip(("红/圆.png", "a/1.png", "a/2.png"), SCENES.values(), strict=False))
    put(store, collection.source, named)
    found = report("run", "things", IMAGE_RETRIEVAL_INDEX_FROM_ROWS="1")
    assert (found["state"], found["upserted"]) == ("success", 3)
    found = report("search", "things", "--id", "红/圆", "--json", "--filter", '{"created_at": {"gte": "2020-01-31"}}')
    assert {row["image_id"] for row in found["results"]} == {"a/1", "a/2"}
    with connect(project, keep_limits=True) as connection:
        [row] = connection.execute(
            "SELECT retrieval.number_type('12') AS type, E'\\\\' = '\\' AS conforming"
        ).fetchall()
    assert row == {"type": "integer", "conforming": True}


def test_a_database_that_is_read_only_answers_and_refuses_runs(project, collection, admin, store, command, report):
    put(store, collection.source, dict(list(SCENES.items())[:3]))
    report("run", "things")
    name = urlsplit(project.database()).path[1:]
    alter(admin, name, {"default_transaction_read_only": "on", "default_transaction_isolation": "serializable"})
    assert report("stats", "--json")["things"]["vectors"] == 3
    assert report("models", "list", "--json")["models"]
    assert report("rejected", "things", "--json") == {"rejected": []}
    some = rows(project.database(), "SELECT image_id FROM images.things LIMIT 1")[0][0]
    assert len(report("search", "things", "--id", some, "--json")["results"]) == 2
    with connect(project, keep_limits=True) as connection:  # a text's vector is not kept, and no error
        keep_query(connection, "random", "a cat", [0.0] * 3)
        assert find_query(connection, "random", "a cat") is None
    for arguments in (("run", "things"), ("upkeep", "things"), ("rejected", "things", "--requeue"), ("migrate",)):
        done = command(*arguments)
        assert done.returncode == 2, arguments
        [line] = [line for line in done.stderr.splitlines() if line.startswith("image-retrieval:")]
        assert f"database '{name}'" in line
        assert "read-only" in line


TRAPS = (
    "jsonb_build_object(text, text) RETURNS jsonb",
    "format(text, name) RETURNS text",
    "vector_dims(halfvec) RETURNS integer",
    "apart(halfvec, halfvec) RETURNS double precision",
    "hashtextextended(text, integer) RETURNS bigint",
    "quote_ident(name) RETURNS text",
    "pg_has_role(oid, text) RETURNS boolean",
)


def test_what_a_caller_has_on_his_search_path_is_not_called(project, collection, database_url, admin):
    vectors = fill(project, collection, 20)
    name = urlsplit(database_url).path[1:]
    body = "LANGUAGE plpgsql AS $$ BEGIN RAISE 'caught'; END $$"
    admin(
        name,
        "CREATE SCHEMA trap",
        *(f"CREATE FUNCTION trap.{function} {body}" for function in TRAPS),
        "CREATE OPERATOR trap.<=> (LEFTARG = halfvec, RIGHTARG = halfvec, FUNCTION = trap.apart)",
        f"ALTER DATABASE {name} SET search_path = trap, pg_catalog, public",
    )
    query = "SELECT image_id FROM images.similar_to('things', '7', 3, filter => '{\"width\": {\"gte\": 0}}')"
    assert len(rows(database_url, query)) == 3
    with connect(project) as connection:
        assert search(connection, "things", vectors[7], 1)[0]["image_id"] == "7"
    assert ensure_index(collection, project.model_copy(update={"index_from_rows": 1})).action == "build"
    with connect(project) as connection:
        assert search(connection, "things", vectors[7], 1)[0]["image_id"] == "7"


def test_every_function_has_its_own_search_path_or_is_bound(project, collection, database_url):
    fill(project, collection, 20)
    ensure_index(collection, project.model_copy(update={"index_from_rows": 1}))
    loose = rows(
        database_url,
        """
        SELECT oid::regprocedure::text FROM pg_proc
        WHERE pronamespace IN ('retrieval'::regnamespace, 'images'::regnamespace) AND prosqlbody IS NULL
          AND NOT coalesce(proconfig, '{}') @> '{"search_path=pg_catalog, public, pg_temp"}'
        """,
    )
    assert loose == [("images.embed_text(text,text,double precision)",)]  # it commits, and so sets its own


def test_a_lock_that_is_not_to_be_had_is_told(project, collection, database_url):
    with psycopg.connect(database_url) as other:
        other.execute("LOCK TABLE retrieval.image")
        with refused("is busy: .*lock timeout", Locked), connect(project) as connection:
            connection.execute("SET LOCAL lock_timeout = '50ms'")
            connection.execute("SELECT FROM retrieval.image")


def test_a_server_that_goes_away_is_told_in_one_line(project, database_url):
    with refused("terminating connection due to administrator command", Unavailable), connect(project) as connection:
        pid = connection.execute("SELECT pg_backend_pid() AS pid").fetchone()["pid"]
        rows(database_url, "SELECT pg_terminate_backend(%s, 5000)", pid)
        connection.execute("SELECT 1")


def test_too_many_connections_are_told_in_one_line(hosted, admin):
    database, name = hosted
    settings = database("CREATE EXTENSION vector", f"ALTER ROLE {name}_owner CONNECTION LIMIT 0")("owner")
    for attempt in (migrate, lambda settings: connect(settings).__enter__()):
        with refused("too many connections", Unavailable):
            attempt(settings)
