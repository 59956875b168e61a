"""A training set holds each usable picture once, in a form that other readers take, and is the same each time."""

import io
import json
import tarfile

import numpy as np
import pyarrow.parquet as pq
import pytest
import webdataset
from PIL import Image

from image_retrieval.errors import UserError
from image_retrieval.objects import ObjectStore
from image_retrieval.pipeline import candidates, packing
from image_retrieval.pipeline.packing import PackOptions, pack
from image_retrieval.pipeline.running import run_collection
from integration.pictures import BAD, SCENES, put

SIDE = 96
OPTIONS = PackOptions(longest_side=SIDE, held_out_share=0.3)


def photo(seed: int, size: tuple[int, int] = (200, 120)) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (6, 10, 3), np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def file_of(image: Image.Image, form: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


@pytest.fixture
def photos(project, store, collection):
    """Photos in pairs of one group, copies of the first one, a small one, and files that are no pictures."""
    pictures = {f"g{number // 2}/{number}.png": file_of(photo(number)) for number in range(24)}
    pictures |= {"copy/again.png": pictures["g0/0.png"], "copy/small.jpg": file_of(photo(0, (150, 90)), "JPEG")}
    pictures |= {"small.png": file_of(photo(100, (40, 60)))}
    put(store, collection.source, pictures | {key: bad for key, (bad, _) in BAD.items()})
    return pictures


@pytest.fixture
def packed(project, collection, tmp_path, photos):
    """Run the collection, and pack it into a folder."""
    run_collection(collection, "run", project)

    def into(name, options=OPTIONS, **more):
        folder = f"file://{tmp_path}/{name}/"

        def read():
            return candidates.shuffled(candidates.of_collection(collection, folder, project), options.seed, None)

        return folder, pack("things", folder, options, more.get("read", read), project)

    return into


def contents(store: ObjectStore, folder: str) -> dict[str, bytes]:
    return {entry.key: store.read(entry.uri) for page in store.pages(folder) for entry in page}


def test_each_picture_is_there_once_with_its_facts_and_at_its_place(packed, photos, project, collection):
    folder, manifest = packed("set")
    store = ObjectStore(project)
    files = contents(store, folder)
    assert sorted(files) == ["00000.tar", "_manifest.json", "index.parquet"]
    assert json.loads(files["_manifest.json"]) == manifest
    assert (manifest["images"], manifest["duplicates"], manifest["rejected"]) == (25, 2, {})
    index = pq.read_table(io.BytesIO(files["index.parquet"])).to_pylist()
    for row in index:
        data = files[row["shard"]][row["offset"] : row["offset"] + row["size"]]
        with Image.open(io.BytesIO(data)) as image:
            assert image.size == (row["width"], row["height"])
        longest = 60 if row["image_id"] == "small" else SIDE
        assert max(row["width"], row["height"]) == longest
        assert row["group_id"] == (row["image_id"].partition("/")[0] if "/" in row["image_id"] else None)
    assert len({row["image_id"] for row in index}) == len(index) == 25
    assert manifest["held_out"] == sum(row["held_out"] for row in index) > 0


def test_a_group_and_what_looks_alike_is_held_out_as_a_whole(packed, project):
    folder, _ = packed("set")
    with ObjectStore(project).open(folder + "index.parquet") as stream:
        index = pq.read_table(stream).to_pylist()
    sides = {}
    for row in index:
        sides.setdefault(row["group_id"] or row["image_id"], set()).add((row["held_out"], row["cluster"]))
    assert all(len(found) == 1 for found in sides.values())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # its reader leaves the file open
def test_other_readers_take_the_tars(packed, project, tmp_path):
    packed("set")
    samples = list(webdataset.WebDataset(f"{tmp_path}/set/00000.tar", shardshuffle=False).decode("pil"))
    assert len(samples) == 25
    assert all(sample["jpg"].size[0] <= SIDE and "uri" in sample["json"] for sample in samples)
    with tarfile.open(tmp_path / "set" / "00000.tar") as tar:
        assert tar.getnames()[:2] == ["000000000.jpg", "000000000.json"]


@pytest.mark.parametrize("killed_at", [1, 7, 26])
def test_a_killed_packing_goes_on_to_the_same_bytes(packed, project, monkeypatch, killed_at):
    monkeypatch.setattr(packing, "PER_FILE", 4)
    store = ObjectStore(project)
    whole = contents(store, packed("whole")[0])
    make, count = packing._picture, iter(range(1000))

    def dies(*given):
        if next(count) == killed_at:
            raise KeyboardInterrupt
        return make(*given)

    monkeypatch.setattr(packing, "_picture", dies)
    with pytest.raises(KeyboardInterrupt):
        packed("set")
    monkeypatch.setattr(packing, "_picture", make)
    folder, _ = packed("set", read=pytest.fail)
    assert contents(store, folder) == whole
    assert len([name for name in whole if name.endswith(".tar")]) == 7


def test_a_complete_set_stays_and_another_one_is_refused(packed, project, tmp_path):
    folder, manifest = packed("set")
    assert packed("set", read=pytest.fail)[1] == manifest
    with pytest.raises(UserError, match="longest_side 96, not 128: choose another folder"):
        packed("set", PackOptions(longest_side=128, held_out_share=0.3))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="holds files that are not of a training set"):
        packed("full")
    assert folder.endswith("/set/")


def test_an_index_file_is_packed_without_a_table(project, store, collection, tmp_path, photos):
    uri = f"s3://images/indexes/{tmp_path.name}/list.jsonl"
    lines = [{"uri": collection.source + key, "caption": f"about {key}"} for key in [*photos, *BAD, "missing.png"]]
    store.write(uri, "\n".join(json.dumps(line) for line in lines).encode())
    found = candidates.of_index_file(uri, f"file://{tmp_path}/set/", project)
    manifest = pack(uri, f"file://{tmp_path}/set/", OPTIONS, lambda: found, project)
    assert (manifest["images"], manifest["duplicates"]) == (25, 2)
    assert manifest["rejected"] == {"not_found": 1} | {
        reason: sum(other == reason for _, other in BAD.values()) for _, reason in BAD.values()
    }
    with ObjectStore(project).open(f"file://{tmp_path}/set/index.parquet") as stream:
        index = pq.read_table(stream).to_pylist()
    assert all(row["caption"] == f"about {row['uri'].removeprefix(collection.source)}" and row["etag"] for row in index)
    assert SCENES


@pytest.mark.parametrize(
    ("line", "changes", "folder", "message"),
    [
        (
            "s3://images/a.jpg",
            {"allowed_sources": ("s3://elsewhere/",)},
            "set",
            "outside what this installation may read",
        ),
        ("s3://images/a.jpg", {}, "work/work/set", "whose files are deleted after runs"),
    ],
)
def test_an_index_file_that_cannot_be_packed_is_told_why(project, tmp_path, line, changes, folder, message):
    (tmp_path / "list.txt").write_text(line)
    settings = project.model_copy(update={"work_uri": f"file://{tmp_path}/work/", **changes})
    with pytest.raises(UserError, match=message):
        candidates.of_index_file(f"file://{tmp_path}/list.txt", f"file://{tmp_path}/{folder}/", settings)


def test_images_in_a_table_and_folders_among_tars_are_refused(project, change_collection, tmp_path):
    entry = change_collection(source="s3://images/list.parquet", columns={"image": "jpg"}, id_pattern=None)
    with pytest.raises(UserError, match="are in a table"):
        candidates.of_collection(entry, f"file://{tmp_path}/set/", project)
    entry = change_collection(source="s3://images/shards/*.tar", columns={}, id_pattern=None)
    with pytest.raises(UserError, match="lies inside the source"):
        candidates.of_collection(entry, "s3://images/shards/packs/set/", project)


def test_a_packing_that_was_killed_before_its_manifest_begins_again(packed, project, monkeypatch):
    def dies(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(packing, "write_pack", dies)
        with pytest.raises(KeyboardInterrupt):
            packed("set")
    folder = packed("whole")[0].replace("/whole/", "/set/")
    assert list(contents(ObjectStore(project), folder)) == ["_candidates.parquet"]
    assert packed("set")[1]["complete"]
