import re
import time
from pathlib import Path, PurePosixPath

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from image_retrieval.collection import Collection, find_collection, load_collections
from image_retrieval.errors import UserError

SHIPPED = Path(__file__).parents[2] / "include" / "collections.yaml"
ENTRY = {"source": "s3://images/demo/", "model": {"name": "tiny", "source": "models/tiny"}}
KEYS = ["source", "glob", "model", "resample", "schedule", "id_pattern", "deletion_limit", "shard_size", "max_shards"]
RESAMPLE_KEYS = ["target_size", "target_dpi", "method", "suffix", "fit", "keep"]
MODEL_KEYS = ["name", "source", "revision", "dtype", "batch_size", "use_cls_token"]
METHODS = ["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]


def collection(**options) -> Collection:
    return Collection(name="demo", **ENTRY | options)


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as refused:
        load_collections(path)
    message = str(refused.value)
    assert message.startswith(str(path))
    assert not re.search("[\r\n]", message)
    return message


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "collections.yaml"


def test_the_file_that_is_shipped_is_valid():
    assert set(load_collections(SHIPPED)) == {"demo", "photos"}


def test_the_smallest_entry_gets_every_default(file):
    file.write_text(yaml.safe_dump({"collections": {"demo": ENTRY}}))
    found = find_collection(file, "demo")
    assert found == collection()
    assert found.resample.target_size is None
    assert found.schedule == "@daily"
    assert found.vector_table == "vector_demo_tiny"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"sauce": 1}, ["demo.sauce: unknown key", *KEYS]),
        ({"resample": {"colour": 1}}, ["demo.resample.colour: unknown key", *RESAMPLE_KEYS]),
        ({"model": {**ENTRY["model"], "kind": 1}}, ["demo.model.kind: unknown key", *MODEL_KEYS]),
        ({"resample": {"method": "cubic"}}, ["demo.resample.method: ", "'cubic'", *METHODS]),
        ({"resample": {"suffix": ".gif"}}, ["demo.resample.suffix: ", "'.gif'", "'.png'", "'.jpg'", "'.webp'"]),
        ({"resample": {"fit": "cover"}}, ["demo.resample.fit: ", "'cover'", "'stretch'", "'crop'", "'pad'"]),
        ({"resample": {"target_size": [0, 224]}}, ["demo.resample.target_size.0: ", "1", "found 0"]),
        ({"resample": {"target_size": [224, 5000]}}, ["demo.resample.target_size.1: ", "4096", "found 5000"]),
        ({"resample": {"target_size": [224]}}, ["demo.resample.target_size.1: ", "required"]),
        ({"resample": {"target_size": [1, 2, 3]}}, ["demo.resample.target_size: ", "at most 2", "[1, 2, 3]"]),
        ({"resample": {"target_dpi": "72"}}, ["demo.resample.target_dpi: ", "tuple", "'72'"]),
        ({"resample": None}, ["demo.resample: ", "dictionary", "None"]),
        ({"model": "facebook/dinov2-base"}, ["demo.model: ", "dictionary", "'facebook/dinov2-base'"]),
        ({"model": {"name": "tiny"}}, ["demo.model.source: ", "required"]),
        ({"model": {**ENTRY["model"], "name": "Tiny-1"}}, ["demo.model.name: 'Tiny-1'", "letters, digits and _"]),
        ({"model": {**ENTRY["model"], "dtype": "int8"}}, ["demo.model.dtype: ", "'float32'", "'int8'"]),
        ({"model": {**ENTRY["model"], "batch_size": 0}}, ["demo.model.batch_size: ", "1", "found 0"]),
        ({"source": "https://host/images/"}, ["demo.source: ", "'https://host/images/'", "s3://bucket/prefix/"]),
        ({"source": "s3://Bucket/"}, ["demo.source: ", "'s3://Bucket/'", "file:///folder/"]),
        ({"source": 5}, ["demo.source: ", "string", "found 5"]),
        ({"glob": 5}, ["demo.glob: ", "found 5"]),
        ({"glob": ["*.jpg", 5]}, ["demo.glob.1: ", "string", "found 5"]),
        ({"schedule": "@sometimes"}, ["demo.schedule: '@sometimes'", "null", "cron", "@daily", "@yearly"]),
        ({"schedule": "61 * * * *"}, ["demo.schedule: '61 * * * *'", "cron expression"]),
        ({"schedule": 5}, ["demo.schedule: ", "string", "found 5"]),
        ({"id_pattern": "(?P<group_id>["}, ["demo.id_pattern: '(?P<group_id>['", "not a regular expression of RE2"]),
        ({"id_pattern": "(?P<group_id>a{99999999999})"}, ["demo.id_pattern: ", "not a regular expression of RE2"]),
        ({"id_pattern": "([^/]+)/"}, ["demo.id_pattern: '([^/]+)/'", "(?P<group_id>…)", "(?P<intra_id>…)"]),
        ({"id_pattern": "(?P<product>[^/]+)/"}, ["demo.id_pattern: ", "(?P<group_id>…)", "no other"]),
        ({"deletion_limit": 1.5}, ["demo.deletion_limit: ", "less than or equal to 1", "found 1.5"]),
        ({"deletion_limit": -0.1}, ["demo.deletion_limit: ", "greater than or equal to 0", "found -0.1"]),
        ({"deletion_limit": float("nan")}, ["demo.deletion_limit: ", "found nan"]),
        ({"deletion_limit": "half"}, ["demo.deletion_limit: ", "number", "'half'"]),
        ({"shard_size": 0}, ["demo.shard_size: ", "greater than or equal to 1", "found 0"]),
        ({"shard_size": 2.5}, ["demo.shard_size: ", "integer", "found 2.5"]),
        ({"max_shards": 1001}, ["demo.max_shards: ", "1000", "found 1001"]),
        ({"columns": {"url": "photo"}}, ["demo.columns.url: unknown key", "uri", "id", "caption", "intra_id"]),
        ({"metadata": "exif"}, ["demo.metadata: ", "'sidecar'", "'exif'"]),
        ({"source": "s3://images/list.csv", "metadata": "sidecar"}, ["demo: ", "is for a prefix"]),
        ({"source": "s3://images/*.tar", "metadata": "sidecar"}, ["demo: ", "in a tar"]),
        ({"source": "file:///srv/", "metadata": ["sidecar", "tags"]}, ["demo: ", "a file has neither"]),
        ({"source": "gs://images/", "metadata": "tags"}, ["demo: ", "use headers"]),
        ({"metadata": ["tags", "tags"]}, ["demo.metadata: ", "'headers'", "'tags'"]),
        ({"metadata": {"tags": 1}}, ["demo.metadata: ", "a list of them"]),
        ({"metadata": ["tags"], "watch": {"poll": True}}, ["demo: ", "`watch` is for a prefix"]),
        ({"source": "s3://images/a.tar.gz"}, ["demo.source: ", "compressed"]),
        ({"attributes_from": " "}, ["demo.attributes_from: "]),
        ({"name": "other"}, ["demo: ", "without `name`"]),
    ],
)
def test_a_wrong_value_is_told_with_its_key_and_what_is_allowed(file, options, told):
    file.write_text(yaml.safe_dump({"collections": {"demo": ENTRY | options}}))
    message = refusal(file)
    assert [part for part in told if part not in message] == []


@pytest.mark.parametrize(
    ("source", "form"),
    [
        ("s3://images/list.txt", "txt"),
        ("s3://images/a.b/list.CSV", "csv"),
        ("file:///srv/list.jsonl", "jsonl"),
        ("file:///srv/list.parquet", "parquet"),
        ("s3://images/list.txt/", None),
        ("s3://images/txt", None),
        ("file:///srv/photos", None),
    ],
)
def test_a_source_is_an_index_file_by_its_suffix_and_else_a_folder(source, form):
    found = collection(source=source)
    assert found.index_format == form
    assert found.source == (source if form or source.endswith("/") else f"{source}/")


@pytest.mark.parametrize("missing", ["source", "model"])
def test_a_missing_key_is_told(file, missing):
    file.write_text(yaml.safe_dump({"collections": {"demo": {key: ENTRY[key] for key in ENTRY if key != missing}}}))
    assert f"demo.{missing}: Field required" in refusal(file)


def test_all_mistakes_of_an_entry_are_told_at_once(file):
    file.write_text(yaml.safe_dump({"collections": {"demo": {"sauce": 1, "shard_size": 0, "model": ENTRY["model"]}}}))
    message = refusal(file)
    assert [key for key in ("demo.source", "demo.shard_size", "demo.sauce") if key not in message] == []


@pytest.mark.parametrize("name", ["Demo", "1demo", "de-mo", "demo.", "d" * 25, "a\nb"])
def test_a_name_that_no_view_could_have_is_refused(file, name):
    file.write_text(yaml.safe_dump({"collections": {name: ENTRY}}))
    assert "a letter, then letters, digits and _" in refusal(file)


def test_an_unknown_key_of_several_lines_is_told_in_one(file):
    file.write_text(yaml.safe_dump({"collections": {"demo": {**ENTRY, "a\nb": 1}}}))
    assert "unknown key" in refusal(file)


@pytest.mark.parametrize("entry", ["s3://images/", None, 5, ["s3://images/"]])
def test_an_entry_that_is_no_mapping_is_refused(file, entry):
    file.write_text(yaml.safe_dump({"collections": {"demo": entry}}))
    assert "demo: an entry is a mapping of keys such as `source` and `model`" in refusal(file)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing",
        "demo: {}",
        "collections:",
        "collections: {}",
        "collections: [demo]",
        "collections: {a: 1}\nb: 1",
    ],
)
def test_a_file_of_another_shape_is_refused(file, text):
    file.write_text(text)
    assert "needs one key `collections` with one entry per collection" in refusal(file)


@pytest.mark.parametrize(
    "data",
    [
        b"collections: {demo: [",
        b"collections:\n\tdemo: 1",
        b"collections: {demo: {schedule: 2024-13-45}}",
        b"collections: {demo: {shard_size: !!int many}}",
        b"collections: {demo: !!python/object:os.system {}}",
        b"collections: \xff\xfe",
        b"\x00",
    ],
)
def test_a_file_that_is_not_yaml_is_refused(file, data):
    file.write_bytes(data)
    assert "not YAML" in refusal(file)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: {E}\n  b: {E}\n  a: {E}", "line 4: 'a' was already given in line 2"),
        (
            "a:\n    source: s3://images/\n    schedule: null\n    schedule: null",
            "line 5: 'schedule' was already given",
        ),
        (
            "a:\n    source: s3://images/a/\n    model: {name: m, name: n, source: s}",
            "line 4: 'name' was already given",
        ),
        ("no: {E}", "line 2: 'no' as a key is a truth value to YAML: write it in quotes, as 'no'"),
        ("a: {E}\n  1: {E}", "line 3: '1' as a key is a number"),
        ("a:\n    source: s3://images/a/\n    model:\n      source: s\n      name: no", "line 6: a.model.name: "),
        ("a: {E}\n  B: {E}", "line 3: B.name: 'B' is not allowed"),
        ("a: {E}\n  b:\n    source: s3://images/", "line 3: b.model: Field required"),
        ("a: {E}\n  b: {E}\n  c:", "line 4: c: an entry is a mapping"),
        ("shop: {SHOP}\n  shop_eu: {EU}", "line 3: shop_eu: its vector table vector_shop_eu_v2 would be that of shop"),
        ("a: {E}\n  b: {source: s3://i/, model: {name: m, source: s}, schedule: 0 0 30 2 *}", "line 3: b.schedule: "),
    ],
)
def test_a_mistake_is_told_with_its_line(file, text, told):
    space = "{{source: s3://images/, model: {{name: {}, source: s}}}}"
    entries = text.replace("{E}", space.format("m")).replace("{SHOP}", space.format("eu_v2"))
    file.write_text("collections:\n  " + entries.replace("{EU}", space.format("v2")) + "\n")
    assert told in refusal(file)


def test_a_number_in_place_of_a_text_is_to_be_put_in_quotes(file):
    file.write_text("collections: {demo: {source: s3://images/, model: {name: no, source: 5}}}")
    assert refusal(file).count("write it in quotes") == 2


def test_what_is_told_of_a_wrong_value_is_short(file):
    bomb = "".join(f"&a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n    - " for n in range(1, 5))
    file.write_text(f"collections:\n  demo:\n    source: s3://images/\n    model:\n    - &a0 x\n    - {bomb}y\n")
    assert len(refusal(file)) < 600


NAMES = st.from_regex("[a-z][a-z0-9_]{0,6}", fullmatch=True)


@given(st.lists(st.tuples(NAMES, NAMES), min_size=1, max_size=4, unique_by=lambda pair: pair[0]))
@example([("shop", "eu_v2"), ("shop_eu", "v2")])
@example([("shop", "v2"), ("shop_v2", "hnsw")])
@example([("shop", "v2"), ("shop_v2", "pkey")])
def test_spaces_of_a_file_that_is_taken_share_no_name(tmp_path_factory, pairs):
    file = tmp_path_factory.getbasetemp() / "spaces.yaml"
    entries = {name: ENTRY | {"model": {"name": model, "source": "models/tiny"}} for name, model in pairs}
    file.write_text(yaml.safe_dump({"collections": entries}))
    try:
        collections = load_collections(file)
    except UserError:
        return
    names = [
        name
        for entry in collections.values()
        for name in (
            entry.space.vector_table,
            f"{entry.space.vector_table}_pkey",
            *(f"{entry.space.index}{part}" for part in ("", "1", "2")),
            entry.space.view,
        )
    ]
    assert len(set(names)) == len(names)
    assert max(map(len, names)) < 64


def test_a_missing_file_is_told(file):
    assert "does not exist" in refusal(file)


def test_a_folder_in_place_of_the_file_is_told(tmp_path):
    assert str(tmp_path) in refusal(tmp_path)


def test_an_unknown_collection_is_told_with_those_there_are():
    with pytest.raises(UserError, match=r"unknown collection 'demos': .*collections.yaml has demo, photos"):
        find_collection(SHIPPED, "demos")


def test_two_collections_never_share_a_vector_table(file):
    model = {"source": "models/tiny"}
    entries = {"a": ENTRY | {"model": {**model, "name": "b_c"}}, "a_b": ENTRY | {"model": {**model, "name": "c"}}}
    file.write_text(yaml.safe_dump({"collections": entries}))
    assert "vector_a_b_c" in refusal(file)


@pytest.mark.parametrize("source", ["s3://images", "file://photos/2026", "images/demo", ""])
def test_a_source_without_a_whole_path_is_refused(source):
    with pytest.raises(ValidationError, match="source"):
        collection(source=source)


@pytest.mark.parametrize("source", ["s3://images/demo", "file:///photos/2026"])
def test_a_source_ends_in_a_slash(source):
    assert collection(source=source).source == f"{source}/"


@pytest.mark.parametrize("schedule", [None, "@hourly", "30 4 * * 1-5", "*/15 * * * *"])
def test_a_schedule_is_a_preset_or_a_cron_expression_or_none(schedule):
    assert collection(schedule=schedule).schedule == schedule


@pytest.mark.parametrize(
    ("glob", "key", "taken"),
    [
        ("*.jpg", "a.jpg", True),
        ("*.jpg", "2026/11/A.JPG", True),
        ("*.JPG", "a.jpg", True),
        ("*.jpg", "a.jpeg", False),
        ("*.jpg", "a.jpg.txt", False),
        ("*.jpg", "jpg", False),
        ("front/*.png", "shop/front/a.png", True),
        ("front/*.png", "shop/back/a.png", False),
        ("img_[0-9]?.webp", "IMG_12.webp", True),
        (["*.jpg", "*.png"], "a.png", True),
        ([], "a.png", False),
        ("**/*.jpg", "a.jpg", True),
        ("**/*.jpg", "2026/11/a.jpg", True),
        ("photos/**/*.jpg", "photos/a.jpg", True),
        ("photos/**/*.jpg", "shop/photos/2026/11/a.JPG", True),
        ("photos/**/*.jpg", "shop/a.jpg", False),
        ("photos/**", "photos/2026/a.png", True),
        ("**", "a", True),
    ],
)
def test_globs_take_keys_in_any_case(glob, key, taken):
    assert collection(glob=glob).takes(key) is taken


@pytest.mark.parametrize("glob", ["**/" * 8 + "x.jpg", "**/*a/" * 8 + "b", "*a" * 30 + "b", "*[ab]?" * 20 + "c"])
@pytest.mark.parametrize("key", ["/".join("a" * 500), "a" * 1000])
def test_a_glob_looks_at_each_part_of_a_key_once(glob, key):
    started = time.monotonic()
    assert not collection(glob=glob).takes(key)
    assert time.monotonic() - started < 1


@given(
    st.text("ab/.", min_size=1, max_size=8).filter(lambda key: not key.endswith(("/", "/."))),
    st.text("ab/*?.", min_size=1, max_size=6).filter(lambda glob: PurePosixPath(glob).parts and "**" not in glob),
)
def test_a_glob_without_any_folders_takes_what_a_path_matches(key, glob):
    assert collection(glob=glob).takes(key) is PurePosixPath(key).match(glob)


@given(st.text())
@example("")
@example(".")
@example("/")
@example("a//b.jpg")
def test_any_key_is_taken_or_not(key):
    assert collection().takes(key) in (True, False)


@given(st.text(), st.sampled_from(collection().glob))
def test_the_suffix_decides_in_any_case(stem, glob):
    suffix = glob.removeprefix("*")
    key = stem.replace("/", "_") + suffix
    assert collection().takes(key)
    assert collection().takes(key.removesuffix(suffix) + suffix.upper())


@given(st.text("*?[]!-./ab", max_size=8), st.text("ab./", max_size=8))
@example("", "a.jpg")
@example(".", "a.jpg")
@example("[b-a]", "a")
def test_a_glob_is_refused_at_once_or_works_with_any_key(glob, key):
    try:
        checked = collection(glob=glob)
    except ValidationError:
        return
    assert checked.takes(key) in (True, False)


@given(
    st.lists(
        st.sampled_from(["*.jpg", "*.PNG", "*.a?", "*.[jb]*", "b/*.jpg", "./*.jpg", "**.jpg", ".jpg"]), max_size=4
    ),
    st.text("abAB./jpgJPGpn", max_size=10),
)
@example(["*.jpg"], "a.jpg/")
@example(["*.jpg"], "a.jpg/.")
@example(["*.jpg"], "/.jpg")
def test_a_key_is_taken_as_the_globs_match_its_path(globs, key):
    expected = any(PurePosixPath(key.lower()).match(glob.lower()) for glob in globs)
    assert collection(glob=globs).takes(key) is expected


def test_a_name_that_is_another_view_is_refused(tmp_path):
    file = tmp_path / "collections.yaml"
    file.write_text(yaml.safe_dump({"collections": {"duplicates": ENTRY}}))
    with pytest.raises(
        UserError, match=r"duplicates.name: 'duplicates' is not allowed: images.duplicates is the name of"
    ):
        load_collections(file)


@pytest.mark.parametrize(
    ("pattern", "key", "groups"),
    [
        (None, "shoes/1.jpg", (None, None)),
        ("^(?P<group_id>[^/]+)/(?P<intra_id>[^/.]+)", "shoes/1.jpg", ("shoes", "1")),
        ("^(?P<group_id>[^/]+)/(?P<intra_id>[^/.]+)", "1.jpg", (None, None)),
        ("(?P<intra_id>[0-9]+)", "shoes/img_17.jpg", (None, "17")),
        ("(?P<group_id>[a-z]+)(-(?P<intra_id>[0-9]+))?", "shoes.jpg", ("shoes", None)),
    ],
)
def test_the_pattern_finds_the_groups_of_a_key(pattern, key, groups):
    assert collection(id_pattern=pattern).groups(key) == groups


@given(st.text())
def test_any_key_has_groups_or_none(key):
    group, intra = collection(id_pattern="^(?P<group_id>[^/]+)/(?P<intra_id>[^/.]+)").groups(key)
    assert (group is None) == (intra is None)
    assert group is None or key.startswith(f"{group}/{intra}")


@pytest.mark.parametrize("part", [None, "resample", "model"])
def test_nothing_changes_after_loading(part):
    checked = collection() if part is None else getattr(collection(), part)
    with pytest.raises(ValidationError, match="frozen"):
        checked.source = "s3://other/"


@pytest.mark.parametrize("suffix", ["jpg", "JPEG", "png", "webp", "avif", "heic", "gif", "bmp", "tif", "jp2", "mpo"])
def test_every_accepted_format_is_listed_by_default(suffix):
    assert collection().takes(f"2026/photo.{suffix}")
    assert not collection().takes("2026/photo.xml")
