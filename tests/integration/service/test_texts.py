"""Texts that SQL searches by."""

import json
import time

import psycopg
import pytest
import structlog

from image_retrieval import Client, UserError
from image_retrieval.cli import main
from image_retrieval.values import BLANK
from integration.pictures import SCENES, half_size_copy

SEARCH = "SELECT image_id, similarity FROM images.search_text('things', %s, 5)"


@pytest.fixture
def sql(served):
    """A connection as psql's: each statement on its own."""
    with psycopg.connect(served.database(), autocommit=True) as connection:
        yield connection


def test_a_text_that_was_searched_for_is_there_for_sql(ask, sql):
    found = ask("search", texts=[{"text": "a green ring"}], k=5)["results"]
    rows = sql.execute(SEARCH, ["a green ring"]).fetchall()
    assert [row[0] for row in rows] == [row["image_id"] for row in found]
    assert [row[1] for row in rows] == pytest.approx([row["similarity"] for row in found], abs=1e-3)


def test_a_text_finds_the_best_of_each_group(ask, sql):
    found = ask("search", texts=[{"text": "a green ring"}], k=5, grouped=True)["results"]
    rows = sql.execute(
        "SELECT image_id, group_id FROM images.search_text('things', 'a green ring', 5, grouped => true)"
    ).fetchall()
    assert rows == [(row["image_id"], row["group_id"]) for row in found]
    assert len({group for _, group in rows}) == 5


def test_a_text_that_is_not_there_is_told_with_the_way_to_have_it(sql):
    with pytest.raises(psycopg.errors.RaiseException) as told:
        sql.execute(SEARCH, ["it's never been asked for"])
    hint = told.value.diag.message_hint
    assert "CALL images.embed_text('things', 'it''s never been asked for')" in hint
    assert "image-retrieval embed-text things" in hint


def test_the_service_embeds_what_sql_asks_for(address, ask, sql):
    ask("search", texts=[{"text": "warm"}])  # the model is loaded
    started = time.monotonic()
    sql.execute("CALL images.embed_text('things', '三个绿色星形', 60)")
    print(f"embedded in {time.monotonic() - started:.3f} s")
    assert len(sql.execute(SEARCH, ["三个绿色星形"]).fetchall()) == 5
    sql.execute("CALL images.embed_text('things', '三个绿色星形', 0)")  # is there already


def test_a_text_that_nobody_embeds_is_told(sql):
    for view in ("images.lonely", "retrieval.images_lonely_no"):
        sql.execute(f"CREATE OR REPLACE VIEW {view} AS SELECT * FROM images.things".encode())
    sql.execute(
        "INSERT INTO retrieval.model (name, source, family, dimensions, use_cls_token) "
        "VALUES ('no', 'no/', 'x', 128, true)"
    )
    sql.execute("INSERT INTO retrieval.collection (name, source, model, dimensions) VALUES ('lonely', 'x', 'no', 128)")
    try:
        with pytest.raises(psycopg.errors.RaiseException, match="not embedded within"):
            sql.execute("CALL images.embed_text('lonely', 'a star', 0.3)")
    finally:
        sql.execute("DELETE FROM retrieval.collection WHERE name = 'lonely'")
        sql.execute("DELETE FROM retrieval.model WHERE name = 'no'")
        sql.execute("DROP VIEW images.lonely, retrieval.images_lonely_no")


@pytest.fixture
def command(served, monkeypatch, capsys):
    """Run image-retrieval with the service's settings; returns the JSON that it prints."""

    def run(*arguments):
        for name, value in served.environment().items():
            monkeypatch.setenv(name, value)
        assert main(list(arguments)) == 0
        out = capsys.readouterr().out
        return json.loads(out) if out else None

    yield run
    structlog.reset_defaults()


def test_the_command_line_searches_by_words_and_compares(command, sql, tmp_path):
    assert command("embed-text", "things", "five blue stars") is None
    rows = sql.execute(SEARCH, ["five blue stars"]).fetchall()
    found = command("search", "things", "--text", "five blue stars", "-k", "5", "--json")["results"]
    assert [row["image_id"] for row in found] == [row[0] for row in rows]
    first, *_, last = SCENES.values()
    paths = [tmp_path / name for name in ("first", "copy", "last")]
    for path, data in zip(paths, (first, half_size_copy(first), last), strict=True):
        path.write_bytes(data)
    copy, other = (command("match", str(paths[0]), str(path), "--json") for path in paths[1:])
    assert copy["similarity"] > 0.95 > other["similarity"]
    assert not copy["calibrated"]


@pytest.fixture
def captioned(sql):
    """Three images whose captions hold words, the more of them the later."""
    names = [name.rpartition(".")[0] for name in list(SCENES)[:3]]
    for number, name in enumerate(names, 1):
        sql.execute(
            "UPDATE retrieval.image SET caption = %s WHERE collection = 'things' AND image_id = %s",
            ("兩個紅色的圓 " * number, name),
        )
    yield names[::-1]
    sql.execute("UPDATE retrieval.image SET caption = NULL WHERE collection = 'things'")


def test_the_words_of_captions_are_found_by_every_way(ask, client, command, captioned):
    found = ask("search", mode="words", texts=[{"text": "红色 -blue"}], k=5)
    assert [row["image_id"] for row in found["results"]] == captioned
    assert (found["more"], found["calibration"], found["min_score"]) == (False, None, None)
    page = ask("search", mode="words", texts=[{"text": "红色"}], k=1, offset=1)
    assert ([row["image_id"] for row in page["results"]], page["more"]) == (captioned[1:2], True)
    best = found["results"][0]["score"]
    above = ask("search", mode="words", texts=[{"text": "红色"}], min_score=best)["results"]
    assert [row["image_id"] for row in above] == captioned[:1]
    told = command("search", "things", "--mode", "words", "--text", "红色", "--json")["results"]
    assert [row["image_id"] for row in told] == captioned
    refused = client.post(
        "/api/search", json={"collection": "things", "mode": "words", "texts": [{"text": "a"}, {"text": "b"}]}
    )
    assert refused.status_code == 422
    assert "takes one text, and no image" in refused.text


def test_words_and_vectors_are_mixed_by_every_way(ask, client, command, captioned, served, sql):
    texts = [{"text": "红色"}, {"text": "blue", "weight": -0.5}]
    found = ask("search", mode="hybrid", texts=texts, k=5)
    results = found["results"]
    assert (len(results), found["more"], found["calibration"]) == (5, True, None)
    assert {row["image_id"] for row in results if "words" in row["found_by"]} == set(captioned)
    assert all(0 <= row["scores"]["vector"] <= 1 and row["found_by"] for row in results)
    both = ask("search", mode="hybrid", texts=texts, images=[{"image_id": captioned[0]}], k=3)["results"]
    assert captioned[0] in {row["image_id"] for row in both}
    without = ask("search", mode="hybrid", texts=[{"text": "star"}, {"text": "红色", "weight": -1}], k=500)["results"]
    assert not {row["image_id"] for row in without} & set(captioned)
    assert ask("search", texts=[{"text": "红色"}], k=1)["results"][0]["found_by"] is None
    told = command("search", "things", "--mode", "hybrid", "--text", "红色 -blue", "-k", "5", "--json")["results"]
    assert {row["image_id"] for row in told if "words" in row["found_by"]} == set(captioned)
    in_sql = sql.execute("SELECT image_id FROM images.search_hybrid('things', '红色 -blue', 5)").fetchall()
    assert [row["image_id"] for row in told] == [row[0] for row in in_sql]
    with Client(served) as searcher:
        hits = searcher.search("things", [("红色", 1), ("blue", -0.5)], mode="hybrid", k=5)
        assert [hit.image_id for hit in hits] == [row["image_id"] for row in results]
        assert hits.to_arrow().column("found_by").to_pylist() == [json.dumps(hit.found_by) for hit in hits]
        for wrong in ({"mode": "words"}, {"mode": "hybrid", "text": None, "image_id": captioned[0]}):
            with pytest.raises(UserError):
                searcher.search("things", **{"text": "红色", **wrong})
    refused = client.post(
        "/api/search", json={"collection": "things", "mode": "hybrid", "images": [{"url": "https://x/"}]}
    )
    assert (refused.status_code, "at least one text" in refused.text) == (422, True)


def test_the_weight_is_shown_set_and_learnt(command, captioned, tmp_path, sql):
    path = tmp_path / "queries.jsonl"
    told = [{"text": f"{'紅色的圓 ' * (1 + number % 3)}{number}", "images": captioned} for number in range(24)]
    path.write_text("".join(json.dumps(line) + "\n" for line in told))
    assert command("weights", "show", "things", "--json") == {"weight": 0.5}
    try:
        command("weights", "set", "things", "1")
        dry = command("weights", "fit", "things", str(path), "--dry-run", "--json")
        assert (dry["former"], dry["changed"], command("weights", "show", "things", "--json")) == (
            1,
            True,
            {"weight": 1},
        )
        learnt = command("weights", "fit", "things", str(path), "--json")
        assert learnt == dry
        assert (learnt["queries"], learnt["held_out"], learnt["after"]) == (24, 12, 1)
        assert command("weights", "show", "things", "--json") == {"weight": learnt["weight"]}
    finally:
        sql.execute("UPDATE retrieval.collection SET weight = 0.5 WHERE name = 'things'")


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("{}", "line 25 of"),
        ('{"text": " ", "images": ["a"]}', "line 25 of"),
        ('{"text": "x", "images": []}', "line 25 of"),
        ('{"text": "x", "images": ["none"]}', "no right answer to 'x' is an image of collection 'things'"),
    ],
)
def test_a_file_of_queries_that_cannot_be_used_is_told(served, monkeypatch, captioned, tmp_path, capsys, line, wrong):
    path = tmp_path / "queries.jsonl"
    told = [json.dumps({"text": str(number), "images": captioned}) for number in range(24)]
    path.write_text("\n".join([*told, line]))
    for name, value in served.environment().items():
        monkeypatch.setenv(name, value)
    assert main(["weights", "fit", "things", str(path)]) == 2
    assert wrong in capsys.readouterr().err


def test_a_collection_that_is_none_is_told(sql):
    with pytest.raises(psycopg.errors.RaiseException, match="unknown collection"):
        sql.execute("CALL images.embed_text('nothings', 'a star')")


def test_sql_and_the_api_call_the_same_texts_blank(sql):
    codes = [*range(1, 0xD800), *range(0xE000, 0x10000), *range(0x1F300, 0x1F700), *range(0xDFF00, 0xE1100)]
    letters = [chr(code) for code in codes]
    [found] = sql.execute(
        "SELECT array_agg(number ORDER BY number) FROM unnest(%s::text[]) WITH ORDINALITY AS t(letter, number) "
        "WHERE retrieval.is_blank(letter)",
        [letters],
    ).fetchone()
    assert [letters[number - 1] for number in found] == [letter for letter in letters if BLANK.fullmatch(letter)]


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("SELECT * FROM images.search_text('things', E'\\u3000')", "text is blank"),
        ("SELECT * FROM images.search_text('things', NULL)", "text is null"),
        ("SELECT * FROM images.search_text('things', repeat('x', 1001))", "text has 1001 characters"),
        ("CALL images.embed_text('things', ' ')", "text is blank"),
        ("SELECT * FROM images.similar_to('things', %s, min_similarity => 'NaN')", "min_similarity must be a number"),
        ("SELECT * FROM images.similar_to('things', %s, k => 0)", "k must be 1 or more"),
        ("SELECT * FROM images.similar_to('things', %s, k => NULL)", "k must be 1 or more"),
        ("""SELECT * FROM images.similar_to('things', %s, filter => '{"caption": {"match": " "}}')""", "takes words"),
    ],
)
def test_an_argument_that_is_out_of_range_is_told_by_its_name(sql, statement, told):
    known = [next(iter(SCENES)).rpartition(".")[0]] if "%s" in statement else []
    with pytest.raises(psycopg.errors.RaiseException, match=told):
        sql.execute(statement, known)


def test_the_largest_k_finds_all(sql):
    known = next(iter(SCENES)).rpartition(".")[0]
    found = sql.execute("SELECT count(*) FROM images.similar_to('things', %s, 2147483647)", [known]).fetchone()
    assert found[0] >= len(SCENES) - 1
