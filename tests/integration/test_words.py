"""Words in captions: what a search for them finds is what reading every caption finds, in every script."""

import random
import unicodedata

import psycopg
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from image_retrieval.errors import UserError
from image_retrieval.store.connection import connect
from image_retrieval.store.search import search, search_words
from integration.random_vectors import fill
from integration.tables import rows

SIMPLIFIED = dict(zip("紅環個兩藍", "红环个两蓝", strict=True))
CHINESE = "红环个两蓝的圆"
LETTERS = [*CHINESE, *"紅環個兩藍のテ사람😀", "ａ", "Ａ", "ﾃ", "é", "É", *"abAB1", "Σ", "ς", "й"]
MARKS = [" ", "  ", "\u3000", ",", "。", "_", "·", "-", "'", ":", "\\", "&|!", "(", "*", "\u200b", "\n"]
TEXT = st.lists(st.sampled_from(LETTERS * 3 + MARKS), max_size=14).map("".join)


def units(text):
    """What a reader tells apart: each a word, or one character of a script without spaces that may touch the next."""
    folded = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c) and c != "\u200b")
    folded = unicodedata.normalize("NFKC", folded).lower().replace("ς", "σ")
    found, before = [], "mark"
    for letter in (SIMPLIFIED.get(c, c) for c in folded):
        kind = "one" if letter in CHINESE or letter in "のテ사람😀" else "word" if letter.isalnum() else "mark"
        if kind == "word" and before == "word":
            found[-1] = (found[-1][0] + letter, False)
        elif kind != "mark":
            if kind == before == "one":
                found[-1] = (found[-1][0], True)
            found.append((letter, False))
        before = kind
    return found


def occurs(part, caption):
    """Whether the units of a part follow each other in a caption; those that touch must touch there."""
    wanted, there = units(part), units(caption)
    return any(
        all(a == b and (touches or not touch) for (a, touch), (b, touches) in zip(wanted, there[at:], strict=False))
        for at in range(len(there) - len(wanted) + 1)
    )


def scan(groups, caption):
    return any(all(occurs(part, caption) != negated for negated, part in group) for group in groups)


def written(groups):
    return " OR ".join(" ".join(f'{"-" * negated}"{part}"' for negated, part in group) for group in groups)


PARTS = st.lists(st.sampled_from(LETTERS * 4 + MARKS), min_size=1, max_size=4).map("".join).filter(units)
GROUPS = st.lists(st.lists(st.tuples(st.booleans(), PARTS), min_size=1, max_size=3), min_size=1, max_size=2)
PROPERTY = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)


def captions(count):
    drawn = random.Random(0)
    return ["".join(drawn.choices(LETTERS * 3 + MARKS, k=drawn.randint(1, 25))) for _ in range(count)]


@pytest.fixture
def things(project, collection):
    made = [None, *captions(199)]
    fill(project, collection, len(made), lambda number: {"caption": made[number]})
    with connect(project) as connection:
        yield connection, made


@PROPERTY
@given(groups=GROUPS, indexed=st.booleans())
@example(groups=[[(False, "红色")]], indexed=True)
@example(groups=[[(True, "a")], [(False, "两个"), (True, "个 b")]], indexed=True)
def test_an_index_finds_what_reading_every_caption_finds(things, groups, indexed):
    connection, made = things
    expected = {str(number) for number, caption in enumerate(made) if caption is not None and scan(groups, caption)}
    connection.execute(f"SET LOCAL enable_seqscan = {'off' if indexed else 'on'}".encode())
    found = search_words(connection, "things", written(groups), 1000)
    matching = search(connection, "things", [1.0] * 16, 1000, {"caption": {"match": written(groups)}})
    assert {row["image_id"] for row in found} == {row["image_id"] for row in matching} == expected
    assert [row["similarity"] for row in found] == sorted((row["similarity"] for row in found), reverse=True)
    assert all(0 <= row["similarity"] < 1 for row in found)


@pytest.fixture
def connection(project):
    with connect(project) as connection:
        yield connection


def holds(connection, caption, words):
    [row] = connection.execute(
        "SELECT retrieval.words(%s) @@ retrieval.words_query(%s) AS holds", (caption, words)
    ).fetchall()
    return row["holds"]


@PROPERTY
@given(caption=TEXT, ends=st.tuples(st.integers(0, 14), st.integers(0, 14)))
def test_a_caption_is_found_by_whatever_is_cut_out_of_it_between_words(connection, caption, ends):
    start, end = sorted(ends)
    cut = caption[start:end]
    assume(units(cut) and occurs(cut, caption))  # a cut through a word is another word
    assert holds(connection, caption, f'"{cut}"')


EXPECTED = [
    ("两个红色的圆", "红色", True),
    ("两个红色的圆", "红色 圆", True),
    ("两个红色的圆", "红圆", False),
    ("两个红色的圆", "圆", True),
    ("两个红色的圆", "-红色", False),
    ("两个红色的圆", "蓝色 or 红色", True),
    ("兩個紅色的圓", "两个红色的圆", True),
    ("一只红、色", "红色", False),
    ("一只红、色", "“红、色”", True),
    ("ｉＰｈｏｎｅ手機", "iphone手机", True),
    ("iPhone 手机", "iphone手机", True),
    ("Two red circles", "RED two", True),
    ("Two red circles", '"red two"', False),
    ("Two red circles", "red -circles", False),
    ("Two red circles", "circle", False),
    ("a Café in Łódź", "cafe łodz", True),
    ("wool_hat, 3.5 mm", "wool_hat 3.5", True),
    ("wool_hat, 3.5 mm", '"hat 5"', False),
    ("テーブルのﾃﾞｻﾞｲﾝ", "デザイン", True),
    ("두 사람들은", "사람", True),
    ("แมวสองตัว", "สอง", True),
    ("a 👩\u200d🦰 and 👍🏽", "👍", True),
    ("x" * 3000, "x" * 3000, True),
    ("nothing", "%", None),
    ("", "a", False),
    (None, "a", None),
]


def test_words_are_found_as_a_reader_expects(connection):
    answers = [(caption, words, holds(connection, caption, words)) for caption, words, _ in EXPECTED]
    assert answers == EXPECTED


def test_a_caption_of_any_length_can_be_stored(project):
    rng = random.Random(1)
    chinese = "".join(chr(rng.randrange(0x4E00, 0x9FFF)) for _ in range(200_000))
    latin = " ".join(f"w{number}" for number in range(200_000))
    with connect(project) as connection:
        for caption, words in ((chinese, chinese[12_000:12_040]), (latin, "w2000"), ("ﷺ" * 20_000, "الله")):
            assert holds(connection, caption, words)
            connection.execute(
                "INSERT INTO retrieval.image (collection, image_id, uri, caption) VALUES ('x', %(i)s, %(i)s, %(c)s)",
                {"i": str(len(caption)), "c": caption},
            )


def described(project, collection, facts):
    fill(
        project, collection, len(facts), lambda number: dict(zip(("caption", "group_id"), facts[number], strict=False))
    )


def found(project, words, k=10, **more):
    with connect(project) as connection:
        return [int(row["image_id"]) for row in search_words(connection, "things", words, k, **more)]


def test_rare_words_repeated_words_and_short_captions_come_first(project, collection):
    common = [("a red ring on a table",)] * 30
    described(
        project,
        collection,
        [
            *common,
            ("a zebra on a table",),
            ("ring ring ring on a",),
            ("red ring",),
            ("a red ring among " + "many " * 9,),
        ],
    )
    assert found(project, "zebra or ring", 1) == [30]
    assert found(project, "ring", 2) == [31, 32]
    assert found(project, "red ring", 40)[0] == 32
    assert found(project, "zebra", 40) == [30]
    assert found(project, "-ring") == [30]
    assert found(project, "nothing") == []


def test_groups_filters_and_cutoffs_hold(project, collection):
    described(project, collection, [(f"圆 {'and ' * (number % 4)}", f"g{number // 4 % 3}") for number in range(24)])
    with connect(project) as connection:
        groups = [row["group_id"] for row in search_words(connection, "things", "圆", 10, grouped=True)]
        every = search_words(connection, "things", "圆", 100)
        cut = every[9]["similarity"]
        above = search_words(connection, "things", "圆", 100, min_similarity=cut)
    assert sorted(groups) == ["g0", "g1", "g2"]
    assert [row["similarity"] >= cut for row in every] == [True] * len(above) + [False] * (24 - len(above))
    assert set(found(project, "圆", 100, filter={"group_id": "g1", "caption": {"match": "-and"}})) == {4, 16}


def test_of_a_word_that_many_captions_hold_as_many_are_found_as_asked_for(project, collection):
    described(project, collection, [("红色 ring", f"g{number // 900}") for number in range(2700)])
    assert len(set(found(project, "红色", 10))) == 10
    assert len(set(found(project, "红色 or ring", 2699))) == 2699
    assert len(set(found(project, "ring", 3000))) == 2700
    assert len(found(project, "ring", 3, grouped=True)) == 3
    few = {"group_id": {"any": ["g1", "g2"]}}
    assert len(set(found(project, "ring", 2000, filter=few))) == 1800
    assert len(found(project, "红色 or ring", 3, filter=few, grouped=True)) == 2


def test_a_search_that_cannot_be_is_told_in_one_line(project, collection):
    described(project, collection, [("a",)])
    for words, k, told in (
        ("\u3000 ", 10, "words are blank"),
        (None, 10, "words are null"),
        ("x" * 1001, 10, "words have 1001 characters"),
        ("red", 0, "k must be 1 or more, not 0"),
    ):
        with pytest.raises(UserError, match=told), connect(project) as connection:
            search_words(connection, "things", words, k)


def test_the_filter_of_a_caption_uses_the_index_and_other_changes_leave_it_alone(project, collection, database_url):
    described(project, collection, [("红色 ring",), (None,), ("blue",)])
    with psycopg.connect(database_url) as connection:
        connection.execute("SET enable_seqscan = off")
        query = "EXPLAIN SELECT image_id FROM images.things WHERE words @@ retrieval.words_query('红色')"
        assert "image_words" in str(connection.execute(query).fetchall())
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE retrieval.image SET width = 7")
        connection.execute("SELECT pg_stat_force_next_flush()")
    hot = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'image'"
    assert rows(database_url, hot) == [(3, 3)]


def test_a_role_that_may_read_a_collection_searches_its_words(project, collection, database_url):
    described(project, collection, [("红色 ring",), ("blue ring",)])
    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE ROLE reader; GRANT USAGE ON SCHEMA images, retrieval TO reader")
        connection.execute("GRANT SELECT ON images.things, retrieval.collection TO reader; SET ROLE reader")
        answer = connection.execute("SELECT image_id FROM images.search_words('things', '红色 or blue')").fetchall()
        connection.rollback()
    assert sorted(answer) == [("0",), ("1",)]


def test_words_of_captioners_are_found_as_long_as_their_captions_are_shown(project, collection, database_url):
    fill(project, collection, 3, lambda number: {"caption": "a blue ring" if number == 0 else None})
    found = "SELECT image_id FROM images.search_words('things', %s) ORDER BY 1"
    matched = "SELECT image_id FROM images.things WHERE words @@ retrieval.words_query(%s) ORDER BY 1"
    with psycopg.connect(database_url, autocommit=True) as connection:

        def finds(words):
            both = [[image for (image,) in connection.execute(query, (words,))] for query in (found, matched)]
            assert both[0] == both[1]
            return [first.index(image) for image in both[0]]

        first, ids = zip(*connection.execute("SELECT image_id, id FROM retrieval.image ORDER BY id"), strict=True)
        connection.execute("UPDATE retrieval.image SET etag = 'e' WHERE etag IS NULL")
        write = (
            "INSERT INTO retrieval.caption (image, model, language, etag, digest, text) "
            "SELECT i.id, %s, %s, i.etag, 'd', %s FROM retrieval.image AS i WHERE i.id = %s"
        )
        connection.execute(write, ("one", "en", "a red square", ids[0]))
        connection.execute(write, ("one", "zh", "红色的方块", ids[1]))
        connection.execute(write, ("two", "en", "a green star", ids[2]))
        assert finds("red") == []
        connection.execute("INSERT INTO retrieval.shown_captions VALUES ('things', 'one', '{en,zh}')")
        assert (finds("red"), finds("方块"), finds("star"), finds("blue red")) == ([0], [1], [], [0])
        connection.execute(write, ("one", "en", "a red star", ids[2]))
        assert (finds("red"), finds("star")) == ([0, 2], [2])
        connection.execute("UPDATE retrieval.caption SET text = 'a red cross' WHERE text = 'a red star'")
        assert (finds("star"), finds("cross")) == ([], [2])
        connection.execute("UPDATE retrieval.shown_captions SET model = 'two'")
        assert (finds("red"), finds("star"), finds("blue")) == ([], [2], [0])
        connection.execute("UPDATE retrieval.image SET etag = 'later' WHERE id = %s", (ids[2],))
        assert finds("star") == []
        connection.execute("UPDATE retrieval.shown_captions SET model = 'one', languages = '{zh}'")
        assert (finds("red"), finds("方块")) == ([], [1])
        connection.execute("DELETE FROM retrieval.caption")
        assert finds("方块") == []


@PROPERTY
@given(words=TEXT)
@example("it's \\ 'red ring' or -blue")
def test_a_filter_gives_its_words_as_a_query(connection, words):
    assume(words.strip(" \u3000\u200b\n"))
    asked = (
        "SELECT condition, given[cardinality(given)]::tsquery IS NOT DISTINCT FROM retrieval.words_query(%s) AS same "
    )
    for filter in ({"caption": {"match": words}}, {"attributes": {"a": {"match": words}}}):
        query = asked + "FROM retrieval.condition_of(%s, '{}')"
        [row] = connection.execute(query.encode(), (words, Jsonb(filter))).fetchall()
        assert row["same"]
        assert "words_query" not in row["condition"]
