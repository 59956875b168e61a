"""Collections whose source is an index file: what is listed, at which version, and what comes along."""

import json

import psycopg
import pytest

from image_retrieval.errors import UserError
from image_retrieval.pipeline import index_files
from image_retrieval.pipeline.running import run_collection
from integration.index_files import WRITERS
from integration.pictures import SCENES, put
from integration.tables import rows, versions

FEW = dict(list(SCENES.items())[:6])
SHOWN = "SELECT image_id, caption, attributes, group_id, intra_id FROM images.things ORDER BY image_id"
REJECTED = "SELECT uri, stage, reason, detail, attempts, final FROM retrieval.rejected ORDER BY uri"


@pytest.fixture
def bucket(project, store, collection):
    """Pictures in a bucket, half of them with metadata: the lines of an index file."""
    put(store, collection.source, FEW)
    return [
        {"uri": collection.source + key}
        | ({"id": f"thing {number}", "caption": f"Bild, „{number}“"} if number % 2 else {})
        | ({"attributes": {"number": number, "in": ["stock"]}, "group_id": "g"} if number > 2 else {})
        for number, key in enumerate(FEW)
    ]


@pytest.fixture
def run(project, store, collection, change_collection, tmp_path):
    """Write lines into an index file, and run the collection that lists it."""
    number = iter(range(100))

    def run(lines, form="jsonl", data=None, **options):
        uri = f"s3://images/indexes/{tmp_path.name}/list.{form}"
        store.write(uri, WRITERS[form](lines) if data is None else data)
        changed = change_collection(**{"source": uri, "id_pattern": None, "deletion_limit": 1.0} | options)
        return run_collection(changed, f"run {next(number)}", project)

    return run


def expected(lines, collection):
    def id_of(line):
        return line.get("id") or line["uri"].removeprefix("s3://images/").rpartition(".")[0]

    return sorted(
        (id_of(line), line.get("caption"), line.get("attributes", {}), line.get("group_id"), line.get("intra_id"))
        for line in lines
    )


@pytest.mark.parametrize("form", WRITERS)
def test_each_format_lists_the_same_images_with_what_it_says_of_them(form, run, bucket, collection, database_url):
    lines = [{"uri": line["uri"]} for line in bucket] if form == "txt" else bucket
    report = run(lines, form)
    assert (report["state"], report["listed"], report["embedded"]) == ("success", len(FEW), len(FEW))
    assert rows(database_url, SHOWN) == expected(lines, collection)
    before = versions(database_url)
    report = run(lines, form)
    assert (report["listed"], report["new"], report["changed"], report["shards"]) == (len(FEW), 0, 0, 0)
    assert versions(database_url) == before


def test_a_changed_caption_writes_one_row_and_embeds_nothing(run, bucket, database_url):
    run(bucket)
    before = versions(database_url)
    report = run([line | ({"caption": "other"} if number == 1 else {}) for number, line in enumerate(bucket)])
    assert (report["new"], report["changed"], report["shards"]) == (0, 0, 0)
    written = {key for key, version in versions(database_url).items() if before[key] != version}
    assert written == {("image", bucket[1]["uri"])}
    assert rows(database_url, "SELECT image_id FROM images.things WHERE caption = 'other'") == [("thing 1",)]


def test_what_people_set_stays_until_the_source_changes_it(run, bucket, database_url):
    lines = [{**bucket[0], "caption": "first", "attributes": {"a": 1, "b": 2}}, *bucket[1:]]
    run(lines)
    uri = lines[0]["uri"]
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "UPDATE retrieval.image SET caption = 'ours', attributes = attributes || '{\"b\": 7, \"ours\": true}' "
            "WHERE uri = %s",
            (uri,),
        )
    told = "SELECT caption, attributes FROM retrieval.image WHERE uri = %s"
    run(lines)
    assert rows(database_url, told, uri) == [("ours", {"a": 1, "b": 7, "ours": True})]
    run([{**lines[0], "attributes": {"b": 2, "c": 3}}, *lines[1:]])
    assert rows(database_url, told, uri) == [("ours", {"b": 7, "c": 3, "ours": True})]
    run([{**lines[0], "attributes": {"b": 4}, "caption": "second"}, *lines[1:]])
    assert rows(database_url, told, uri) == [("second", {"b": 4, "ours": True})]
    run([{"uri": uri}, *lines[1:]])
    assert rows(database_url, told, uri) == [(None, {"ours": True})]


def test_new_bytes_are_embedded_and_lines_and_objects_that_go_are_gone(run, bucket, store, database_url):
    run(bucket)
    store.write(bucket[0]["uri"], next(reversed(SCENES.values())))
    store.delete([bucket[2]["uri"]])
    report = run(bucket[:5])
    assert (report["listed"], report["changed"], report["gone"], report["rejected"]) == (5, 1, 2, 1)
    [(uri, stage, reason, _, attempts, final)] = rows(database_url, REJECTED)
    assert (uri, stage, reason, attempts, final) == (bucket[2]["uri"], "list", "not_found", 1, False)
    for _ in range(3):
        run(bucket[:5])
    assert [row[5] for row in rows(database_url, REJECTED)] == [True]
    put(store, "", {bucket[2]["uri"]: next(iter(FEW.values()))})
    assert run(bucket)["restored"] == 2
    assert rows(database_url, REJECTED) == []


def test_a_faulty_line_is_told_with_its_number_and_stops_nothing(run, bucket, database_url):
    lines = [json.dumps(line) for line in bucket]
    faulty = {
        2: "not json",
        3: '["a", "list"]',
        4: '{"caption": "no uri"}',
        5: '{"uri": 7}',
        6: '{"uri": "cat.jpg"}',
        7: '{"uri": "ftp://host/cat.jpg"}',
        8: '{"uri": "s3://images/a.jpg", "attributes": "[1]"}',
        9: '{"uri": "s3://images/b.jpg", "caption": "\\u0000"}',
        10: '{"uri": "s3://no-such-bucket-here/c.jpg"}',
    }
    data = "\n".join([lines[0], *faulty.values(), "", *lines[1:]]).encode() + b"\n\xff\xfe\n"
    report = run([], data=data)
    assert (report["state"], report["embedded"], report["rejected"]) == ("success", len(bucket), 10)
    found = {row[0].rpartition("#line=")[2]: row[1:] for row in rows(database_url, REJECTED)}
    told = found.pop("s3://no-such-bucket-here/c.jpg")
    assert told[:2] == ("list", "not_found")
    assert set(found) == {*map(str, range(2, 10)), "17"}
    for number, (stage, reason, detail, attempts, final) in found.items():
        assert (stage, reason, attempts, final) == ("list", "invalid_line", 1, True)
        assert detail.startswith(f"line {number} ")
    before = versions(database_url)
    run([], data=data)
    changed = {uri for (_, uri), version in versions(database_url).items() if before[_, uri] != version}
    assert changed == {"s3://no-such-bucket-here/c.jpg"}
    run(bucket)
    assert rows(database_url, REJECTED) == []


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_missing_column_is_told_with_what_to_do(form, run, bucket, database_url):
    named = [{"uri": line["uri"], "caption": "c"} for line in bucket]
    with pytest.raises(UserError, match=r"list\.\w+ has no column 'place'.*`columns`"):
        run(named, form, columns={"uri": "place"})
    assert rows(database_url, "SELECT count(*) FROM retrieval.image") == [(0,)]
    if form != "jsonl":
        with pytest.raises(UserError, match=r"has no column 'title'; it has 'uri', 'caption'"):
            run(named, form, columns={"caption": "title"})


def test_columns_of_other_names_and_a_version_that_the_file_tells(run, bucket, store, database_url):
    etags = {line["uri"]: store.stat(line["uri"]).etag for line in bucket}
    lines = [{"place": uri, "version": etag, "title": "t"} for uri, etag in etags.items()]
    columns = {"uri": "place", "etag": "version", "caption": "title"}
    data = "".join(json.dumps(line) + "\n" for line in lines).encode()
    report = run([], data=data, columns=columns)
    assert (report["embedded"], report["rejected"]) == (len(bucket), 0)
    assert rows(database_url, "SELECT DISTINCT caption, size > 0 FROM retrieval.image") == [("t", True)]
    stale = data.replace(next(iter(etags.values())).encode(), b"stale")
    report = run([], data=stale, columns=columns)
    assert (report["changed"], report["rejected"]) == (1, 1)
    assert [row[2] for row in rows(database_url, REJECTED)] == ["changed_while_reading"]


def test_a_listing_of_the_folder_and_a_request_for_each_member_tell_the_same(
    run, bucket, store, collection, database_url, monkeypatch
):
    put(store, collection.source, {f"others/{number}.png": b"x" for number in range(1200)})
    monkeypatch.setattr(index_files, "FEW", 3)
    for per_page in (50, 3):  # the first listing ends after one page, before the members
        monkeypatch.setattr(index_files, "PER_PAGE", per_page)
        report = run([*bucket, bucket[0], {"uri": f"{collection.source}nothing.jpg"}])
        assert (report["listed"], report["rejected"]) == (len(bucket) + 1, 1)
    assert (report["new"], report["changed"], report["gone"]) == (0, 0, 0)
