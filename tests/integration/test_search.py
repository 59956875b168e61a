"""Searches answer in SQL as they do by brute force, and copies find their originals."""

import json
import os
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import psycopg
import pytest
from pgvector.psycopg import register_vector

from image_retrieval.local.postgres import programs
from image_retrieval.pipeline.querying import embed_image
from image_retrieval.pipeline.running import run_collection
from image_retrieval.store.connection import connect, psql_environment
from image_retrieval.store.search import search
from integration.pictures import SCENES, half_size_copy, put
from integration.tables import rows


@pytest.fixture
def searchable(project, collection, store):
    put(store, collection.source, SCENES)
    run_collection(collection, "run", project)
    return collection


@pytest.fixture
def vectors(searchable, database_url):
    with psycopg.connect(database_url) as connection:
        register_vector(connection)
        found = connection.execute("SELECT image_id, embedding FROM images.things").fetchall()
    return {image_id: np.array(embedding.to_list()) for image_id, embedding in found}


def by_brute_force(vectors, query, k):
    """In order of the cosine; in half precision the vectors' lengths are not quite 1."""
    cosines = cosines_to(query, vectors)
    return sorted(cosines, key=lambda image_id: -cosines[image_id])[:k]


def cosines_to(query, vectors):
    return {
        image_id: vector @ query / np.linalg.norm(vector) / np.linalg.norm(query)
        for image_id, vector in vectors.items()
    }


def test_search_and_similar_to_agree_with_brute_force(vectors, database_url):
    for image_id, vector in list(vectors.items())[:5]:
        found = rows(
            database_url, "SELECT image_id FROM images.search('things', %s::halfvec, 10)", str(vector.tolist())
        )
        assert [row[0] for row in found] == by_brute_force(vectors, vector, 10)
        similar = rows(database_url, "SELECT image_id FROM images.similar_to('things', %s, 5)", image_id)
        assert [row[0] for row in similar] == by_brute_force(vectors, vector, 6)[1:]


def test_match_is_the_cosine_of_two_images(vectors, database_url):
    (a, first), (b, second) = list(vectors.items())[:2]
    [(similarity,)] = rows(database_url, "SELECT images.match('things', %s, %s)", a, b)
    assert similarity == pytest.approx(first @ second / np.linalg.norm(first) / np.linalg.norm(second), abs=1e-3)


def test_filters_and_cutoff_hold(searchable, database_url):
    [(image_id, group)] = rows(database_url, "SELECT image_id, group_id FROM images.things ORDER BY image_id LIMIT 1")
    query = "SELECT group_id, similarity FROM images.similar_to('things', %s, 24, %s::jsonb, %s)"
    same_group = rows(database_url, query, image_id, json.dumps({"group_id": group}), None)
    [(in_group,)] = rows(database_url, "SELECT count(*) - 1 FROM images.things WHERE group_id = %s", group)
    assert [row[0] for row in same_group] == [group] * in_group
    everything = rows(database_url, query, image_id, "{}", None)
    cutoff = everything[4][1]
    assert rows(database_url, query, image_id, "{}", cutoff) == [row for row in everything if row[1] >= cutoff]


def test_an_index_gives_the_same_answers(searchable, vectors, project, database_url):
    indexed = project.model_copy(update={"index_from_rows": 1})
    run_collection(searchable, "with index", indexed)
    with psycopg.connect(database_url) as connection:
        connection.execute("SET enable_seqscan = off")
        vector = next(iter(vectors.values()))
        query = str(vector.tolist())
        statement = "SELECT image_id FROM images.things ORDER BY embedding <=> %s::halfvec LIMIT 10"
        plan = connection.execute(f"EXPLAIN {statement}".encode(), (query,)).fetchall()
        assert any("vector_things_random_hnsw" in line for (line,) in plan)
        found = [image_id for (image_id,) in connection.execute(statement.encode(), (query,))]
    cosines = cosines_to(vector, vectors)
    best = [cosines[image_id] for image_id in by_brute_force(vectors, vector, 10)]
    # the index holds vectors that it has normalised and rounded again, so those that are nearly as like may swap
    assert len(set(found)) == 10
    assert [cosines[image_id] for image_id in found] == pytest.approx(best, abs=2**-10)


def test_a_half_size_copy_finds_its_original_first(searchable, project, tmp_path):
    for key, data in SCENES.items():
        copy = tmp_path / "copy.jpg"
        copy.write_bytes(half_size_copy(data))
        with connect(project) as connection:
            [best] = search(connection, "things", embed_image(copy.read_bytes(), searchable, project), 1)
        assert best["image_path"] == searchable.source + key


def test_the_command_line_searches_with_a_file_and_with_an_id(searchable, report, tmp_path):
    key, data = next(iter(SCENES.items()))
    (tmp_path / "query.jpg").write_bytes(data)
    by_file = report("search", "things", "--image", str(tmp_path / "query.jpg"), "-k", "3", "--json")["results"]
    assert by_file[0]["image_path"] == searchable.source + key
    assert len(by_file) == 3
    assert by_file[0]["similarity"] >= by_file[1]["similarity"] >= by_file[2]["similarity"]
    by_id = report("search", "things", "--id", by_file[0]["image_id"], "-k", "2", "--json")["results"]
    assert [row["image_id"] for row in by_id] == [row["image_id"] for row in by_file[1:]]


def test_the_command_line_searches_with_a_url_or_with_standard_input(searchable, report, command, tmp_path, store):
    key, data = next(iter(SCENES.items()))
    answers = [report("search", "things", "--image", searchable.source + key, "--json")]
    (tmp_path / "query").write_bytes(data)
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://localhost:{server.server_port}/query"
        answers.append(report("search", "things", "--image", url, "--json", IMAGE_RETRIEVAL_ALLOW_PRIVATE_URLS="true"))
        refused = command("search", "things", "--image", url)
        server.shutdown()
        thread.join()
    assert [answer["results"][0]["image_path"] for answer in answers] == [searchable.source + key] * 2
    assert refused.returncode == 2
    assert "has no public address" in refused.stderr
    assert "empty_file" in command("search", "things", "--image", "-").stderr
    too_large = command("search", "things", "--image", searchable.source + key, IMAGE_RETRIEVAL_MAX_IMAGE_BYTES="10")
    assert "too_large" in too_large.stderr


def test_plain_psql_answers_the_query_of_the_readme(searchable, vectors, project):
    image_id, vector = next(iter(vectors.items()))
    script = (
        f"SELECT embedding AS query FROM images.things WHERE image_id = '{image_id}' \\gset\n"
        "SELECT image_id, 1 - (embedding <=> :'query') FROM images.things ORDER BY embedding <=> :'query' LIMIT 10;\n"
        "SELECT image_id, 1 - (embedding <=> $1) FROM images.things ORDER BY embedding <=> $1 LIMIT 10 "
        "\\bind :query \\g\n"
    )
    done = subprocess.run(
        [programs() / "psql", "-At", "-v", "ON_ERROR_STOP=1"],
        input=script,
        env={**os.environ, **psql_environment(project)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    answers = [line.split("|")[0] for line in done.stdout.splitlines()]
    assert answers == by_brute_force(vectors, vector, 10) * 2


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT images.search('nothing', '[1,2]')", "unknown collection 'nothing'"),
        ("SELECT images.search('things', '[1,2]')", "needs 192 dimensions, not 2"),
        ("SELECT images.similar_to('things', 'nothing')", "has no image 'nothing'"),
        ("SELECT images.match('things', 'nothing', 'x')", "has no image 'nothing'"),
        ("""SELECT images.similar_to('things', 'x', 5, '{"colour": "red"}')""", "has no image 'x'"),
        ("SELECT images.search('things''; DROP TABLE retrieval.image; --', '[1]')", "unknown collection"),
    ],
)
def test_mistakes_are_named(searchable, database_url, query, message):
    with pytest.raises(psycopg.errors.RaiseException, match=message):
        rows(database_url, query)


def test_an_unknown_filter_key_lists_the_known_ones(searchable, database_url):
    query = "SELECT images.similar_to('things', (SELECT min(image_id) FROM images.things), 5, %s::jsonb)"
    with pytest.raises(psycopg.errors.RaiseException, match="not one of group_id, intra_id, image_id, caption"):
        rows(database_url, query, '{"shade": "red"}')


def test_everything_explains_itself(searchable, database_url):
    silent = rows(
        database_url,
        """
        SELECT c.oid::regclass::text, a.attname
        FROM pg_class AS c
        JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relnamespace IN ('retrieval'::regnamespace, 'images'::regnamespace) AND c.relkind IN ('r', 'v')
          AND c.relname <> 'alembic_version'
          AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid, 'pg_class') IS NULL)
        UNION ALL
        SELECT p.oid::regprocedure::text, '' FROM pg_proc AS p
        WHERE p.pronamespace IN ('retrieval'::regnamespace, 'images'::regnamespace)
          AND obj_description(p.oid, 'pg_proc') IS NULL
        """,
    )
    assert silent == []
