"""Sources with odd names, odd stores and odd ends: whose fault it is, and what is left of the others."""

import os
import signal
from pathlib import Path

import psycopg
import pytest
from odd_s3 import odd_store

from image_retrieval.collection import Collection
from image_retrieval.errors import Unavailable
from image_retrieval.objects import ListingIncomplete, ObjectStore, StoreUnavailable, retrying
from image_retrieval.pipeline.owning import WORK_MARK
from image_retrieval.pipeline.removing import find_orphans
from image_retrieval.pipeline.running import run_collection
from integration.pictures import SCENES, put
from integration.tables import rows

DATA = list(SCENES.values())[:10]
KEYS = [f"in/{number:02}.png" for number in range(len(DATA))]
REJECTED = "SELECT uri, stage, reason, attempts, final FROM retrieval.rejected ORDER BY uri"
STATE = "SELECT state FROM retrieval.run ORDER BY started_at"
SEARCHABLE = "SELECT count(*) FROM images.things"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.png").write_bytes(DATA[number])
    return folder


@pytest.fixture
def local(project, folder, change_collection, tmp_path):
    """The collection over a folder, with its work files in another one; a function that runs it."""
    settings = project.model_copy(update={"work_uri": f"file://{tmp_path}/work/", "processes": 1})
    number = iter(range(100))

    def run(**options):
        changed = change_collection(source=f"file://{folder}/", id_pattern=None, deletion_limit=1.0, **options)
        return run_collection(changed, f"run {next(number)}", settings)

    return run


@pytest.fixture
def odd(monkeypatch):
    monkeypatch.setattr(retrying, "PAUSE", 0.001)
    with odd_store() as store:
        store.objects = dict(zip(KEYS, DATA, strict=True))
        yield store


@pytest.fixture
def remote(odd, project, change_collection, tmp_path):
    """The same over an odd store."""
    names = ("s3_endpoint_url", "s3_access_key_id", "s3_secret_access_key", "work_uri", "processes")
    chosen = odd.settings(work_uri=f"file://{tmp_path}/work/", processes=1)
    settings = project.model_copy(update={name: getattr(chosen, name) for name in names})
    number = iter(range(100))

    def run(**options) -> dict:
        changed: Collection = change_collection(source="s3://bucket/in/", id_pattern=None, **options)
        return run_collection(changed, f"run {next(number)}", settings)

    return run


def counts(report, *names):
    return tuple(report[name] for name in names)


def test_an_empty_source_and_an_absent_work_folder_are_no_error(local, folder, tmp_path):
    for path in folder.iterdir():
        path.unlink()
    assert counts(local(), "state", "listed", "shards") == ("success", 0, 0)
    assert [path.name for path in (tmp_path / "work").iterdir()] == [WORK_MARK]


def test_odd_names_cost_one_image_each(local, folder, database_url):
    (folder / os.fsdecode(b"caf\xe9.png")).write_bytes(DATA[3])
    (folder / r"caf\xe9.png").write_bytes(b"no picture")  # the same name once that one is escaped
    (folder / "line\nbreak\x1b[0m.png").write_bytes(DATA[4])
    (folder / ("n" * 251 + ".png")).write_bytes(DATA[5])
    deep = folder / "/".join(["d" * 200] * 14)
    deep.mkdir(parents=True)
    (deep / "6.png").write_bytes(DATA[6])
    (folder / "0_resample.png").mkdir()  # where the picture of 0.png is kept, a folder is to be for that of the other
    (folder / "0_resample.png" / "7.png").write_bytes(DATA[7])
    report = local()
    assert counts(report, "state", "listed", "new", "embedded") == ("success", 9, 7, 5)
    assert report["rejected"] == 4
    found = rows(database_url, REJECTED)
    assert {row[1:] for row in found if row[0] != f"file://{folder}/caf\\xe9.png"} == {
        (stage, "unsupported_name", 1, True) for stage in ("list", "resample")
    }
    escaped = [row[0].removeprefix(f"file://{folder}/") for row in found if "caf" in row[0]]
    assert [name.partition("#sha256:")[0] for name in escaped] == [r"caf\xe9.png"] * 2
    assert len(set(escaped)) == 2
    assert rows(database_url, SEARCHABLE) == [(5,)]
    pictures = rows(database_url, "SELECT resampled_image_path FROM images.things")
    assert all(Path(path.removeprefix("file://")).is_file() for (path,) in pictures)


def test_what_the_listing_rejects_stays_until_it_is_gone_and_is_tried_again_when_queued(local, folder, database_url):
    odd = folder / os.fsdecode(b"\xff.png")
    odd.write_bytes(DATA[3])
    assert local()["rejected"] == 1
    assert counts(local(), "listed", "new", "rejected") == (4, 0, 1)
    assert [row[2:] for row in rows(database_url, REJECTED)] == [("unsupported_name", 1, True)]
    odd.rename(folder / "right.png")
    assert counts(local(), "listed", "new", "rejected", "gone") == (4, 1, 0, 0)
    assert rows(database_url, REJECTED) == []


def test_long_names_keep_their_pictures_through_the_upkeep(local, folder, project, tmp_path, database_url):
    for length in (225, 241, 251):
        (folder / ("n" * length + ".png")).write_bytes(DATA[length % 10])
    report = local()
    assert counts(report, "embedded", "rejected") == (6, 0)
    settings = project.model_copy(update={"work_uri": f"file://{tmp_path}/work/"})
    store = ObjectStore(settings)
    collection = Collection(name="things", source=f"file://{folder}/", model={"name": "random", "source": "m"})
    store.write(f"file://{tmp_path}/work/resampled/things/{'n' * 100}~{'0' * 32}_resample.png", b"nobody's")
    found = find_orphans(collection, settings)
    assert (found.pictures, found.images_without_picture) == (1, 0)
    with psycopg.connect(database_url) as connection:  # as it is before a run's vectors are in the tables
        connection.execute("UPDATE retrieval.image SET resampled_uri = NULL")
    assert find_orphans(collection, settings, remove=True).pictures == 1
    assert len([entry for page in store.pages(f"file://{tmp_path}/work/resampled/things/") for entry in page]) == 6


def test_linked_folders_are_followed_as_the_collection_says(local, folder, tmp_path, database_url):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "4.png").write_bytes(DATA[4])
    (folder / "album").symlink_to(tmp_path / "elsewhere")
    assert counts(local(), "listed", "embedded") == (4, 4)
    assert rows(database_url, "SELECT image_id FROM images.things WHERE image_id LIKE 'album%%'") == [("album/4",)]
    assert counts(local(follow_links=False), "listed", "gone") == (3, 1)


def test_keys_that_end_in_the_middle_of_a_run_blame_no_image(odd, remote, database_url):
    for code in [(400, "ExpiredToken"), (403, "AccessDenied")]:
        odd.reads = 0
        odd.refuse = lambda key, number, code=code: code if number > 4 else None
        with pytest.raises(StoreUnavailable):
            remote()
    assert rows(database_url, REJECTED) == []
    assert rows(database_url, STATE) == [("failed",)] * 2
    odd.refuse = lambda key, number: None
    assert counts(remote(), "state", "new", "embedded") == ("success", len(KEYS), len(KEYS))


def test_objects_that_are_refused_while_others_are_not_are_rejected(odd, remote, database_url):
    private = KEYS[2:5]
    odd.refuse = lambda key, number: (403, "AccessDenied") if key in private else None
    for attempt in (1, 2):  # from the second run on, nothing else is in the shard
        assert counts(remote(), "state", "rejected") == ("success", 3)
        found = [(f"s3://bucket/{key}", "resample", "access_denied", attempt, False) for key in private]
        assert rows(database_url, REJECTED) == found


def test_a_body_that_breaks_costs_nothing_and_one_that_always_does_one_image(odd, remote, database_url):
    def breaks(key, number):
        return "closed" if key == KEYS[4] else {3: "closed", 5: "reset"}.get(number)

    odd.breaks = breaks
    assert counts(remote(), "state", "embedded", "rejected") == ("success", len(KEYS) - 1, 1)
    assert [row[2] for row in rows(database_url, REJECTED)] == ["unreachable"]


def test_a_page_in_place_of_every_object_is_no_images_fault(odd, remote, database_url):
    odd.instead = lambda key: (b"<html>Please log in</html>", None)
    with pytest.raises(StoreUnavailable, match="no longer returns any object of this shard"):
        remote()
    assert rows(database_url, REJECTED) == []
    odd.instead = lambda key: None
    assert counts(remote(), "new", "rejected") == (10, 0)


def test_an_object_at_which_the_store_always_fails_costs_that_image_alone(odd, remote, database_url):
    odd.refuse = lambda key, number: (500, "InternalError") if key == KEYS[3] else None
    assert counts(remote(), "new", "embedded", "rejected") == (10, 9, 1)
    assert [row[2:] for row in rows(database_url, REJECTED)] == [("unreachable", 1, False)]


def test_a_key_told_twice_is_planned_once_and_an_incomplete_listing_deletes_nothing(odd, remote, database_url):
    odd.page = 5
    odd.spoil = lambda answer, number: setattr(answer, "keys", answer.keys + answer.keys[1:3])
    assert counts(remote(), "listed", "new", "embedded") == (len(KEYS), len(KEYS), len(KEYS))
    odd.spoil = lambda answer, number: setattr(answer, "cut", "")
    with pytest.raises(ListingIncomplete) as told:
        remote(deletion_limit=1.0)
    assert isinstance(told.value, Unavailable)
    assert rows(database_url, SEARCHABLE) == [(len(KEYS),)]


def test_markers_of_folders_are_no_images(odd, remote, database_url):
    odd.objects |= {"in/": b"", "in/sub/": b"", "in//": b"", "in/marker": b"", "in/sub.png/": b"", "in/.png": b""}
    report = remote(glob="*")
    assert counts(report, "state", "embedded", "rejected") == ("success", len(KEYS), 2)
    assert [(row[0], row[2]) for row in rows(database_url, REJECTED)] == [
        ("s3://bucket/in/.png", "empty_file"),
        ("s3://bucket/in/marker", "empty_file"),
    ]


def test_any_key_that_s3_allows_costs_one_image_at_most(odd, remote):
    keys = [
        "/",
        "//a.png",
        "a//b.png",
        "a/b.png",
        "../a.png",
        "./a.png",
        "..",
        "k" * 1000 + ".png",
        "a\0.png",
        "\x01.png",
    ]
    odd.objects |= {f"in/{key}": DATA[0] for key in keys}
    report = remote(glob="*")
    assert counts(report, "state", "listed") == ("success", len(KEYS) + len(keys))
    assert counts(report, "embedded", "rejected") == (len(KEYS) + len(keys) - 1, 1)


@pytest.mark.parametrize("ending", [KeyboardInterrupt, RuntimeError])
def test_a_run_is_closed_on_every_way_out(local, project, folder, change_collection, tmp_path, database_url, ending):
    def interrupt(stage, done):
        raise ending("away")

    changed = change_collection(source=f"file://{folder}/")
    with pytest.raises(ending):
        run_collection(changed, "broken", project, progress=interrupt)
    assert rows(database_url, STATE) == [("failed",)]


def test_a_run_that_is_asked_to_end_is_closed(collection, store, command, database_url):
    put(store, collection.source, dict(list(SCENES.items())[:2]))
    ended = []

    class Ends(ObjectStore):
        def write(self, uri, data):
            if not ended:
                ended.append(uri)
                os.kill(os.getpid(), signal.SIGTERM)
            super().write(uri, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("image_retrieval.pipeline.resampling.ObjectStore", Ends)
        with pytest.raises(SystemExit) as status:
            command("run", "things")
    assert status.value.code == 143
    assert rows(database_url, STATE) == [("failed",)]
