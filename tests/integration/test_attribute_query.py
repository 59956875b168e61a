"""A query against people's own tables describes images, and can do nothing else."""

import re

import psycopg
import pytest

from image_retrieval.pipeline import attribute_query
from image_retrieval.pipeline.listing import list_images
from image_retrieval.pipeline.running import run_collection
from image_retrieval.store import attributes
from integration.pictures import SCENES, put
from integration.tables import rows, versions

FEW = dict(list(SCENES.items())[:3])
STEMS = [key.rpartition(".")[0] for key in FEW]
SHOWN = "SELECT image_id, caption, attributes FROM images.things ORDER BY image_id"
REJECTED = "SELECT uri, stage, reason, detail FROM retrieval.rejected ORDER BY uri"
BY_IMAGE = "SELECT id AS image_id, title AS caption, price, stock FROM product -- 100 % of them"
BY_GROUP = "SELECT id AS group_id, title AS caption, price FROM product WHERE title NOT LIKE '%x';"

FAILING = {  # queries, and what is told of them
    "SELECT nothing FROM product": 'column "nothing" does not exist',
    "SELECT id FROM product": "must return a column image_id or group_id",
    "SELECT id AS image_id, id AS group_id FROM product": "must return a column",
    "DELETE FROM product RETURNING id AS image_id": "syntax error",
    "SELECT 'a' AS image_id; DROP TABLE product": "syntax error",
    "SELECT 'a' AS image_id) AS x; DROP TABLE product; SELECT (1": "syntax error|multiple commands",
    "SELECT nextval('retrieval.image_id_seq') AS image_id": "read-only",
    "SELECT id AS image_id, pg_sleep(20)::text FROM product": "statement timeout",
}


@pytest.fixture
def execute(database_url):
    def execute(*statements):
        with psycopg.connect(database_url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    return execute


@pytest.fixture
def run(project, store, collection, change_collection, execute):
    put(store, collection.source, FEW)
    execute("CREATE TABLE public.product (id text, title text, price numeric, stock integer[])")

    def run(query=BY_IMAGE, **options):
        changed = change_collection(**{"attributes_from": query, "id_pattern": None} | options)
        return run_collection(changed, "first", project)

    return run


@pytest.fixture
def compare(project, change_collection):
    """Compare the source with the table again, as a run begins; nothing is to be embedded."""
    number = iter(range(100))

    def compare(query=BY_IMAGE, settings=project):
        plan = list_images(change_collection(attributes_from=query), f"run {next(number)}", settings)
        assert (plan.shards, plan.new, plan.changed, plan.gone) == (0, 0, 0, 0)
        return plan

    return compare


def expected(told):
    return sorted((stem, *told.get(stem, (None, {}))) for stem in STEMS)


def test_a_changed_row_writes_one_image_and_embeds_nothing(run, compare, execute, database_url):
    first, second, _ = STEMS
    execute(f"INSERT INTO product VALUES ('{first}', 'a', 1.5, '{{1,2}}'), ('{second}', NULL, 2, NULL)")
    execute("INSERT INTO product VALUES ('of no image', 'x', 1)")
    report = run()
    assert (report["embedded"], report["rejected"]) == (3, 0)
    told = {first: ("a", {"price": 1.5, "stock": [1, 2]}), second: (None, {"price": 2})}
    assert rows(database_url, SHOWN) == expected(told)
    before = versions(database_url)
    compare()
    assert versions(database_url) == before

    execute(f"UPDATE product SET price = 3, title = 'b' WHERE id = '{second}'")
    compare()
    written = [key for key, version in versions(database_url).items() if before[key] != version]
    assert [(table, uri.rpartition(".")[0].endswith(second)) for table, uri in written] == [("image", True)]
    execute("DELETE FROM product")
    compare()
    assert rows(database_url, SHOWN) == expected({})


def test_groups_are_described_and_the_query_comes_before_other_kinds(run, execute, store, collection, database_url):
    groups = {stem: stem.partition("/")[0] for stem in STEMS}
    execute(*(f"INSERT INTO product VALUES ('{name}', 'of {name}', 1)" for name in sorted(set(groups.values()))))
    put(store, collection.source, {f"{STEMS[0]}.json": b'{"caption": "of json", "attributes": {"price": 7, "n": 1}}'})
    run(BY_GROUP, id_pattern="^(?P<group_id>[^/]+)/", metadata="sidecar")
    told = {stem: (f"of {name}", {"price": 1}) for stem, name in groups.items()}
    told[STEMS[0]] = (told[STEMS[0]][0], {"price": 1, "n": 1})
    assert rows(database_url, SHOWN) == expected(told)


def test_a_query_that_fails_is_one_line_and_the_run_goes_on(
    run, compare, execute, collection, database_url, monkeypatch
):
    execute(f"INSERT INTO product VALUES ('{STEMS[0]}', 'a', 1)")
    run()
    before = rows(database_url, SHOWN)
    monkeypatch.setattr(attributes, "SECONDS", 1)
    for query, told in FAILING.items():
        assert compare(query).rejected == 1
        [(uri, stage, reason, detail)] = rows(database_url, REJECTED)
        assert (uri, stage, reason) == (f"{collection.source}#attributes_from", "list", "invalid_line")
        assert re.fullmatch(f".*({told}).*", detail)  # on one line
        assert rows(database_url, SHOWN) == before
        assert rows(database_url, "SELECT count(*) FROM product") == [(1,)]
    compare()
    assert rows(database_url, REJECTED) == []


def test_a_row_that_cannot_be_used_is_told_and_its_image_stays(
    run, compare, execute, collection, database_url, monkeypatch
):
    execute(f"INSERT INTO product VALUES ('{STEMS[0]}', 'a', 1), ('{STEMS[1]}', 'b', 2)")
    run()
    execute(f"UPDATE product SET title = repeat('x', 5001) WHERE id = '{STEMS[0]}'", "UPDATE product SET price = 3")
    assert compare().rejected == 1
    assert [(uri, reason) for uri, _, reason, _ in rows(database_url, REJECTED)] == [
        (f"{collection.source}#attributes_from={STEMS[0]}", "invalid_line")
    ]
    assert rows(database_url, SHOWN) == expected({STEMS[0]: ("a", {"price": 1}), STEMS[1]: ("b", {"price": 3})})
    monkeypatch.setattr(attribute_query, "MOST_FAULTY", 0)
    compare()
    assert "over 0 rows cannot be used" in rows(database_url, REJECTED)[0][3]


def test_a_role_of_its_own_reads_what_it_may(run, compare, execute, project, database_url):
    execute(f"INSERT INTO product VALUES ('{STEMS[0]}', 'a', 1)")
    role = f"reader_{abs(hash(database_url)):x}"
    execute(f"CREATE ROLE {role}")
    try:
        limited = project.model_copy(update={"attributes_role": role})
        run()
        assert compare(settings=limited).rejected == 1
        assert "permission denied for table product" in rows(database_url, REJECTED)[0][3]
        execute(f"GRANT SELECT ON product TO {role}")
        assert compare(settings=limited).rejected == 0
        assert rows(database_url, SHOWN) == expected({STEMS[0]: ("a", {"price": 1})})
    finally:
        execute(f"DROP OWNED BY {role}", f"DROP ROLE {role}")
