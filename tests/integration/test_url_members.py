"""Index files of http(s) URLs, from a server that fails, redirects, stalls and lies."""

from collections import Counter
from urllib.parse import urlsplit

import pytest
from odd_web import BAD, GOOD, odd_web

from image_retrieval.collection import find_collection
from image_retrieval.errors import UserError
from image_retrieval.pipeline.registering import delete_image
from image_retrieval.pipeline.removing import find_orphans
from image_retrieval.pipeline.running import run_collection
from image_retrieval.store.connection import connect
from integration.pictures import SCENES
from integration.tables import rows, versions

REJECTED = "SELECT uri, reason, attempts, final FROM retrieval.rejected"
SHOWN = "SELECT image_path FROM images.things"


@pytest.fixture
def web():
    with odd_web(list(SCENES.values())) as started:
        yield started


@pytest.fixture
def run(project, change_collection, tmp_path):
    """Run a collection of URLs, as one that may reach loopback."""
    file = tmp_path / "list.txt"
    number = iter(range(100))

    def run(urls, **options):
        file.write_text("".join(f"{url}\n" for url in urls))
        given = {"allow_private_urls": True, "url_seconds": 0.5, "url_rate": 10_000.0} | options
        settings = project.model_copy(update=given)
        changed = change_collection(source=f"file://{file}", id_pattern=None, deletion_limit=1.0)
        return run_collection(changed, f"run {next(number)}", settings)

    return run


@pytest.mark.parametrize("count", [200, pytest.param(1000, marks=pytest.mark.slow)])
def test_every_url_is_an_image_or_has_a_reason_and_an_end(count, run, web, project, database_url):
    kinds = [*GOOD, *BAD]
    urls = {web.url(kinds[number % len(kinds)], number): kinds[number % len(kinds)] for number in range(count)}
    for _ in range(project.max_attempts):
        assert run(urls)["state"] == "success"
    shown = {path for (path,) in rows(database_url, SHOWN)}
    assert shown == {url for url, kind in urls.items() if kind in GOOD}
    found = {url: rest for url, *rest in rows(database_url, REJECTED)}
    expected = {url: BAD[kind] for url, kind in urls.items() if kind in BAD}
    assert {url: reason for url, (reason, *_) in found.items()} == expected
    assert {url for url, (_, _, final) in found.items() if not final} == set()
    gets = Counter({path: asked for (method, path), asked in web.asked.items() if method == "GET"})
    assert max(gets[urlsplit(url).path[1:]] for url in expected if "circle" not in url) <= project.max_attempts
    before = (gets, versions(database_url))
    assert run(urls)["shards"] == 0
    after = Counter({path: asked for (method, path), asked in web.asked.items() if method == "GET"})
    told_by_get = {path for path in after if path.startswith("get_only")}
    assert {path for path in after if after[path] != gets[path]} <= told_by_get
    assert versions(database_url) == before[1]
    heads = {path: asked for (method, path), asked in web.asked.items() if method == "HEAD"}
    given_up = [path for path in heads if path.partition("/")[0] in ("missing", "gone", "private", "broken", "stalls")]
    assert {heads[path] for path in given_up} == {project.max_attempts}


def test_the_upkeep_asks_no_server_for_versions(run, web, project, change_collection, tmp_path):
    urls = [web.url("etag", number) for number in range(4)]
    run(urls)
    asked = dict(web.asked)
    entry = change_collection(source=f"file://{tmp_path}/list.txt", id_pattern=None)
    found = find_orphans(entry, project)
    assert (found.images_without_object, found.objects_without_image) == (0, 0)
    assert web.asked == asked


def test_a_new_version_is_embedded_and_one_that_is_gone_is_deleted(run, web, database_url):
    urls = [web.url("etag", number) for number in range(4)]
    run(urls)
    web.versions["etag/1.png"] += 1
    report = run(urls)
    assert (report["changed"], report["new"], report["gone"]) == (1, 0, 0)
    report = run([*urls[:3], web.url("moved", 3)])
    assert (report["new"], report["gone"]) == (1, 1)
    assert rows(database_url, "SELECT image_id FROM images.things ORDER BY 1") == [
        ("etag/0",),
        ("etag/1",),
        ("etag/2",),
        ("moved/3",),
    ]


def test_the_image_of_a_url_is_deleted_in_the_index_file_alone(run, web, project, database_url, tmp_path):
    run([web.url("etag", 0)])
    message = r"images of file://.*/list\.txt cannot be changed here: add, replace or remove them there"
    entry = find_collection(project.collections_path, "things").model_copy(
        update={"source": f"file://{tmp_path}/list.txt"}
    )
    with connect(project) as connection, pytest.raises(UserError, match=message):
        delete_image(connection, entry, "etag/0", project)
    assert rows(database_url, "SELECT image_id FROM images.things") == [("etag/0",)]


def test_a_host_that_is_down_changes_no_known_image_and_queued_ones_are_asked_again(run, web, project, database_url):
    urls = [web.url("etag", number) for number in range(4)]
    run(urls)
    before = versions(database_url)
    port = web.server_port
    web.shutdown()
    web.server_close()
    new = f"http://127.0.0.1:{port}/etag/9.png"
    for _ in range(project.max_attempts):
        report = run([*urls, new])
        assert (report["gone"], report["changed"], report["rejected"]) == (0, 0, 1)
    assert {key: version for key, version in versions(database_url).items() if key in before} == before
    assert rows(database_url, REJECTED) == [(new, "unreachable", project.max_attempts, True)]
    assert run([*urls, new])["rejected"] == 1
    assert rows(database_url, REJECTED) == [(new, "unreachable", project.max_attempts, True)]


def test_private_addresses_are_refused_and_stop_nothing(run, web, database_url):
    report = run([web.url("etag", 0), "http://me:secret@127.0.0.1/1.png"], allow_private_urls=False)
    assert (report["state"], report["rejected"]) == ("success", 2)
    found = rows(database_url, "SELECT reason, detail FROM retrieval.rejected ORDER BY reason")
    assert [reason for reason, _ in found] == ["access_denied", "invalid_line"]
    assert "has no public address" in found[0][1]
    assert "secret" not in found[1][1]
    assert not web.asked
