"""Collections whose pictures lie in tars: what is listed, read, described and told, and what is not read again."""

import json
from dataclasses import asdict

import pytest

from image_retrieval.client.pictures import read_stored
from image_retrieval.collection import find_collection
from image_retrieval.errors import UserError
from image_retrieval.objects import ObjectChanged, ObjectStore, ObjectUnreadable, StoreUnavailable
from image_retrieval.pipeline.listing import list_images
from image_retrieval.pipeline.registering import delete_image
from image_retrieval.pipeline.running import run_collection
from image_retrieval.service.state import Service
from image_retrieval.sources import tar_samples
from image_retrieval.store import rejections
from image_retrieval.store.connection import connect
from integration.pictures import SCENES
from integration.tables import rows, versions
from integration.tar_files import samples_of, tar_of

PICTURES = [data for key, data in SCENES.items() if key.endswith(".jpg")][:6]
SHOWN = "SELECT image_id, caption, attributes FROM images.things ORDER BY image_id"
REJECTED = "SELECT uri, stage, reason, detail FROM retrieval.rejected ORDER BY uri"


def told(caption, **attributes):
    return {"caption": caption, "attributes": attributes}


@pytest.fixture
def run(project, collection, change_collection):
    number = iter(range(100))

    def run(source="*.tar", *, embed=True, **options):
        wanted = {"source": collection.source + source, "id_pattern": None, "deletion_limit": 1.0}
        changed = change_collection(**wanted | options)
        if embed:
            return run_collection(changed, f"run {next(number)}", project)
        plan = list_images(changed, f"run {next(number)}", project)  # as a run begins
        assert plan.shards == 0
        return asdict(plan)

    return run


@pytest.fixture
def reads(monkeypatch):
    """The ranges of objects that are read."""
    found = []
    read_range = ObjectStore.read_range

    def counted(self, uri, span, **options):
        found.append((uri.rpartition("/")[2], span))
        return read_range(self, uri, span, **options)

    monkeypatch.setattr(ObjectStore, "read_range", counted)
    return found


def test_members_of_tars_are_images_and_tars_that_stay_are_not_read_again(
    run, store, collection, database_url, reads, project
):
    first = samples_of({"cat": {"jpg": PICTURES[0], "json": told("a cat", n=1)}, "dog": {"jpg": PICTURES[1]}})
    second = samples_of({"cat": {"jpg": PICTURES[2], "txt": "another"}, "notes": {"cls": 3}})
    store.write(f"{collection.source}a.tar", first)
    store.write(f"{collection.source}in/b.tar", second)
    report = run(id_pattern="^(?P<group_id>.+)/")
    assert (report["state"], report["listed"], report["embedded"], report["rejected"]) == ("success", 3, 3, 0)
    expected = [("a/cat", "a cat", {"n": 1}), ("a/dog", None, {}), ("in/b/cat", "another", {})]
    assert rows(database_url, SHOWN) == expected
    assert rows(database_url, "SELECT DISTINCT group_id FROM images.things ORDER BY 1") == [("a",), ("in/b",)]
    uri = f"{collection.source}a.tar#cat.jpg"
    assert rows(database_url, "SELECT uri FROM retrieval.image WHERE image_id = 'a/cat'") == [(uri,)]
    picture_reads = [span for _, span in reads if span[0]]
    assert sorted(stop - start for start, stop in picture_reads) == sorted(map(len, PICTURES[:3]))
    service = Service(project)
    try:
        assert service.stored(uri) == PICTURES[0]
    finally:
        service.close()
    assert read_stored(uri, project) == PICTURES[0]  # as the client for Python opens it
    with connect(project) as connection, pytest.raises(UserError, match=r"images of .*/a\.tar cannot be changed here"):
        delete_image(connection, find_collection(project.collections_path, "things"), "a/cat", project)

    reads.clear()
    before = versions(database_url)
    run(embed=False, id_pattern="^(?P<group_id>.+)/")
    assert (reads, versions(database_url)) == ([], before)

    changed = {"cat": {"jpg": PICTURES[3]}, "dog": {"jpg": PICTURES[1]}, "owl": {"jpg": PICTURES[4]}}
    store.write(f"{collection.source}a.tar", samples_of(changed))
    store.delete([f"{collection.source}in/b.tar"])
    report = run()
    assert (report["new"], report["changed"], report["gone"], report["embedded"]) == (1, 2, 1, 3)
    assert rows(database_url, SHOWN) == [("a/cat", None, {}), ("a/dog", None, {}), ("a/owl", None, {})]
    assert rows(database_url, "SELECT uri FROM retrieval.tar") == [(f"{collection.source}a.tar",)]


def test_a_single_tar_is_a_source_and_a_missing_one_is_an_error(run, store, collection, database_url):
    store.write(f"{collection.source}one.tar", tar_of({"./deep/a.jpg": PICTURES[0], "b.png": b"no picture"}))
    report = run("one.tar")
    assert (report["embedded"], report["rejected"]) == (1, 1)
    assert rows(database_url, SHOWN) == [("one/deep/a", None, {})]
    assert rows(database_url, "SELECT uri, reason FROM retrieval.rejected") == [
        (f"{collection.source}one.tar#b.png", "unsupported_format")
    ]
    run("one.tar", embed=False, glob="b.*")
    assert rows(database_url, SHOWN) == []
    with pytest.raises(UserError, match=r"two\.tar does not exist"):
        run("two.tar")


def test_damaged_tars_and_members_are_told_and_what_was_known_stays(run, store, collection, database_url, reads):
    whole = tar_of({"a.jpg": PICTURES[0], "a.json": json.dumps(told("right")).encode(), "b.jpg": PICTURES[1]})
    store.write(f"{collection.source}a.tar", whole)
    run()
    before = rows(database_url, SHOWN)
    store.write(f"{collection.source}a.tar", whole[:-15_000])
    store.write(f"{collection.source}b.tar", b"\x1f\x8b and so on")
    for _ in range(2):
        report = run(embed=False)
        assert (report["rejected"], report["gone"]) == (2, 0)
        assert [(uri.rpartition("/")[2], *told[:2]) for uri, *told in rows(database_url, REJECTED)] == [
            ("a.tar", "list", "undecodable"),
            ("b.tar", "list", "undecodable"),
        ]
        assert rows(database_url, SHOWN) == before
    reads.clear()
    run(embed=False)
    assert reads == []

    faulty = {"a.jpg": PICTURES[2], "a.json": b"no JSON", "c.jpg": b""}
    store.write(f"{collection.source}a.tar", tar_of(faulty))
    store.delete([f"{collection.source}b.tar"])
    for _ in range(2):
        run()
        assert [(uri.rpartition("/")[2], *told[1:2]) for uri, *told in rows(database_url, REJECTED)] == [
            ("a.tar#a.json", "invalid_line"),
            ("a.tar#c.jpg", "empty_file"),
        ]
        assert rows(database_url, SHOWN) == [("a/a", "right", {})]


def test_an_index_file_lists_members_of_tars(run, store, collection, database_url, reads):
    tar = f"{collection.source}a.tar"
    store.write(tar, samples_of({"cat": {"jpg": PICTURES[0], "txt": "not read"}, "dog": {"jpg": PICTURES[1]}}))
    store.write(f"{collection.source}cut.tar", tar_of({"a.jpg": PICTURES[2]})[:1000])
    lines = [
        {"uri": f"{tar}#cat.jpg", "caption": "of the line"},
        {"uri": f"{tar}#none.jpg"},
        {"uri": f"{collection.source}cut.tar#a.jpg"},
        {"uri": f"{collection.source}gone.tar#a.jpg"},
        {"uri": "https://www.example.com/a.tar#a.jpg"},
    ]
    store.write(f"{collection.source}list.jsonl", "".join(json.dumps(line) + "\n" for line in lines).encode())
    report = run("list.jsonl")
    assert (report["embedded"], report["state"]) == (1, "success")
    prefix = collection.source.removeprefix("s3://images/")
    assert rows(database_url, SHOWN) == [(f"{prefix}a/cat", "of the line", {})]
    reasons = {uri.rpartition("/")[2]: reason for uri, _, reason, _ in rows(database_url, REJECTED)}
    assert reasons == {
        "a.tar#none.jpg": "not_found",
        "cut.tar": "undecodable",
        "cut.tar#a.jpg": "undecodable",
        "gone.tar#a.jpg": "not_found",
        "list.jsonl#line=5": "invalid_line",
    }
    reads.clear()
    report = run("list.jsonl", embed=False)
    assert (report["rejected"], reads) == (5, [])
    assert len(rows(database_url, REJECTED)) == 5
    store.write(f"{collection.source}list.jsonl", b'{"uri": "https://www.example.com/a.tar#a.jpg"}\n')
    run("list.jsonl", embed=False)
    assert rows(database_url, "SELECT uri FROM retrieval.tar") == []


def test_members_of_a_tar_in_a_folder_are_read_at_the_version_that_was_listed(
    project, change_collection, tmp_path, database_url
):
    tar = tmp_path / "shards" / "a.tar"
    tar.parent.mkdir()
    tar.write_bytes(tar_of({"a.jpg": PICTURES[0]}, "gnu"))
    changed = change_collection(source=f"file://{tar.parent}/*.tar", id_pattern=None)
    assert run_collection(changed, "first", project)["embedded"] == 1
    store = ObjectStore(project)
    [(etag,)] = rows(database_url, "SELECT etag FROM retrieval.tar")
    tar.write_bytes(tar_of({"a.jpg": PICTURES[1]}, "gnu"))
    with pytest.raises(ObjectChanged):
        store.read_range(f"file://{tar}", (0, 512), etag=etag)
    assert run_collection(changed, "second", project)["changed"] == 1


def test_a_tar_that_changes_while_it_is_read_is_read_by_the_next_run(run, store, collection, database_url, monkeypatch):
    tar = f"{collection.source}a.tar"
    store.write(tar, tar_of({"a.jpg": PICTURES[0]}))
    assert run()["embedded"] == 1
    store.write(tar, tar_of({"a.jpg": PICTURES[1], "b.jpg": PICTURES[2]}))
    with monkeypatch.context() as patch:

        def changed(self, uri, span, **options):
            raise ObjectChanged(f"{uri} is not the version that was listed")

        patch.setattr(ObjectStore, "read_range", changed)
        report = run(embed=False)
    assert (report["rejected"], report["gone"]) == (1, 0)
    assert [(uri, reason) for uri, _, reason, _ in rows(database_url, REJECTED)] == [(tar, "changed_while_reading")]
    assert run()["embedded"] == 2
    assert rows(database_url, REJECTED) == []


@pytest.mark.parametrize("source", ["*.tar", "list.txt"])
def test_a_member_that_breaks_off_costs_that_image_alone_at_each_run(
    source, run, store, collection, database_url, monkeypatch
):
    tar, read_range, opened = f"{collection.source}a.tar", ObjectStore.read_range, ObjectStore.open
    store.write(tar, tar_of({"a.jpg": PICTURES[0], "b.jpg": PICTURES[1]}))
    store.write(f"{collection.source}list.txt", f"{tar}#a.jpg\n{tar}#b.jpg\n".encode())

    def breaks(self, uri, span, **options):
        if span[0] and span[1] - span[0] == len(PICTURES[1]):
            raise ObjectUnreadable(f"{uri} breaks off")
        return read_range(self, uri, span, **options)

    monkeypatch.setattr(ObjectStore, "read_range", breaks)
    for embedded in (1, 0):  # at the second run, nothing else is in the shard, nor in the source
        report = run(source)
        assert (report["state"], report["embedded"], report["rejected"]) == ("success", embedded, 1)
        [(uri, _, reason, _)] = rows(database_url, REJECTED)
        assert (uri, reason) == (f"{tar}#b.jpg", "unreachable")

    def refused(self, uri):
        if uri == tar:
            raise ObjectUnreadable(f"{uri} breaks off")
        return opened(self, uri)

    monkeypatch.setattr(ObjectStore, "open", refused)
    with pytest.raises(StoreUnavailable, match="no longer returns any object of this shard"):
        run(source)


@pytest.mark.parametrize("queued", [None, "a.tar", "a.tar#a.jpg"])
def test_a_tar_that_could_not_be_read_is_read_again_when_it_or_a_member_is_queued(
    queued, run, store, collection, database_url, project, monkeypatch
):
    source = "list.txt" if queued == "a.tar#a.jpg" else "*.tar"
    store.write(f"{collection.source}a.tar", tar_of({"a.jpg": PICTURES[0], "b.jpg": PICTURES[1]}))
    store.write(f"{collection.source}list.txt", f"{collection.source}a.tar#a.jpg\n".encode())
    with monkeypatch.context() as patch:
        patch.setattr(tar_samples, "MOST", 1)
        assert run(source, embed=False)["rejected"] > 0
    count = len(rows(database_url, REJECTED))
    assert run(source, embed=False)["rejected"] == count  # with a larger limit, nobody asks for it
    which = rejections.Rejected("things", uri=queued and collection.source + queued)
    with connect(project) as connection:
        assert rejections.requeue(connection, which) == (1 if queued else count)
    report = run(source)
    assert (report["embedded"], report["rejected"]) == (1 if source == "list.txt" else 2, 0)
    assert rows(database_url, REJECTED) == []


def test_a_collection_that_moves_to_a_prefix_forgets_its_tars(run, store, collection, database_url):
    store.write(f"{collection.source}a.tar", b"no tar")
    assert run(embed=False)["rejected"] == 1
    assert rows(database_url, "SELECT reason FROM retrieval.tar") == [("undecodable",)]
    assert run("", embed=False)["rejected"] == 0
    assert rows(database_url, "SELECT uri FROM retrieval.tar") == []
