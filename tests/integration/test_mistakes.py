"""A user's mistake is told in one line that names what is wrong and what to do, with exit status 2."""

import pytest
import yaml

from integration.pictures import SCENES, put


@pytest.fixture
def is_told(command):
    def check(*arguments: str, says: list[str], **environment: str) -> None:
        done = command(*arguments, **environment)
        last = done.stderr.strip().splitlines()[-1]
        assert done.returncode == 2
        assert last.startswith("image-retrieval: ")
        assert [word for word in says if word not in last] == []
        assert "Traceback" not in done.stderr

    return check


WORK = "lies inside the source"


@pytest.mark.parametrize(
    "words",
    [("run", "things"), ("list", "things"), ("list", "things", "--dry-run"), ("models", "switch", "things", "m")],
)
@pytest.mark.parametrize("spelling", ["{}work/", "{}", "{}/", "{}./work", "{}x/../work"])
def test_a_work_folder_inside_the_source(
    is_told, change_collection, collection, random_model, tmp_path, words, spelling
):
    words = (*words, "--source", str(random_model)) if "switch" in words else words
    for source in (collection.source, f"file://{tmp_path}/in/"):
        change_collection(source=source)
        inside = spelling.format(source)
        is_told(*words, says=[f"{inside} {WORK}"], IMAGE_RETRIEVAL_WORK_URI=inside)
        without = spelling.format(source).rstrip("/")
        is_told(*words, says=[f"{without} {WORK}"], IMAGE_RETRIEVAL_WORK_URI=without)


@pytest.mark.parametrize("words", [("run", "things"), ("list", "things", "--dry-run")])
def test_a_source_that_may_not_be_read(is_told, report, collection, words):
    told = f"'{collection.source}' is outside what this installation may read"
    is_told(*words, says=[told], IMAGE_RETRIEVAL_ALLOWED_SOURCES='["s3://elsewhere/", "https://cdn.example.com/"]')
    assert report("list", "things", "--dry-run", IMAGE_RETRIEVAL_ALLOWED_SOURCES=f'["{collection.source}"]')


def test_a_cloud_that_nothing_is_set_for(is_told, change_collection):
    change_collection(source="oss://photos/products/")
    entry = "entry 'oss' of IMAGE_RETRIEVAL_STORES"
    is_told("run", "things", says=["no region of Alibaba Cloud OSS is set", entry, "cn-hangzhou"])
    region = '{"oss": {"region": "cn-hangzhou"}}'
    is_told("run", "things", says=["no keys for https://s3.oss-cn-hangzhou", entry], IMAGE_RETRIEVAL_STORES=region)


def test_a_source_of_an_unknown_scheme(is_told, project):
    text = project.collections_path.read_text()
    project.collections_path.write_text(text.replace("s3://images", "hdfs://images"))
    is_told("run", "things", says=["'hdfs://images/", "schemes are s3://, tos://, oss://"])


def test_a_work_folder_that_links_into_the_source(is_told, change_collection, tmp_path):
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "work").symlink_to(tmp_path / "in" / "deep")
    change_collection(source=f"file://{tmp_path}/in/")
    is_told("run", "things", says=[WORK], IMAGE_RETRIEVAL_WORK_URI=f"file://{tmp_path}/work/")


def test_a_work_folder_inside_the_source_of_another_collection(is_told, project, collection):
    entries = yaml.safe_load(project.collections_path.read_text())["collections"]
    entries["others"] = {**entries["things"], "source": project.work_uri.rstrip("/")}
    project.collections_path.write_text(yaml.safe_dump({"collections": entries}))
    is_told("run", "things", says=[f"{WORK} {project.work_uri} of collection 'others'"])


@pytest.mark.parametrize("part", ["work/", "work/things/", "resampled//things/old/", "trainings/mine/pack/"])
def test_a_source_inside_the_work_folder_where_files_are_deleted(is_told, change_collection, project, part):
    change_collection(source=project.work_uri + part)
    is_told("run", "things", says=["lies inside", f"{project.work_uri}{part.partition('/')[0]}/, where"])


def test_an_export_or_an_upkeep_inside_a_source(is_told, command, collection, store, project):
    put(store, collection.source, dict(list(SCENES.items())[:1]))
    assert command("run", "things").returncode == 0
    for uri in (f"{collection.source}export", collection.source.rstrip("/") + "//a/../b"):
        is_told("export", "things", uri, says=[f"inside the source {collection.source}"])
    is_told("export", "things", f"{project.work_uri}work/things/x", says=["whose files are deleted after runs"])
    is_told("upkeep", "things", says=[WORK], IMAGE_RETRIEVAL_WORK_URI=collection.source)
    is_told("upkeep", "things", "--dry-run", says=[WORK], IMAGE_RETRIEVAL_WORK_URI=f"{collection.source}a")


def test_unknown_collection(is_told):
    is_told("run", "nothing", says=["unknown collection 'nothing'", "collections.yaml has things"])


def test_missing_bucket(is_told, change_collection):
    change_collection(source="s3://no-such-bucket/")
    is_told("run", "things", says=["bucket 'no-such-bucket' does not exist", "create it"])


def test_wrong_credentials(is_told):
    is_told(
        "run",
        "things",
        says=["refuses access", "IMAGE_RETRIEVAL_S3_ENDPOINT_URL"],
        IMAGE_RETRIEVAL_S3_SECRET_ACCESS_KEY="wrong",
    )


def test_unreachable_store(is_told):
    is_told(
        "run",
        "things",
        says=["does not answer", "http://127.0.0.1:9", "is it running?"],
        IMAGE_RETRIEVAL_S3_ENDPOINT_URL="http://127.0.0.1:9",
        IMAGE_RETRIEVAL_S3_TIMEOUT_SECONDS="1",
    )


@pytest.mark.parametrize("words", [("run", "things"), ("stats",), ("rejected", "things"), ("migrate",)])
def test_unreachable_database(is_told, words):
    url = "postgresql://me:hidden@127.0.0.1:9/nothing"
    is_told(*words, says=["127.0.0.1:9", "refused"], IMAGE_RETRIEVAL_DATABASE_URL=url)


def test_a_password_is_never_told(command):
    done = command("stats", IMAGE_RETRIEVAL_DATABASE_URL="postgresql://me:hidden@127.0.0.1:9/nothing")
    assert "hidden" not in done.stdout + done.stderr


def test_no_database(is_told):
    is_told("stats", says=["no database is configured", "make up"], IMAGE_RETRIEVAL_DATABASE_URL="")


def test_a_database_without_tables(is_told, database_url):
    empty = database_url.rpartition("/")[0] + "/template1"
    is_told(
        "stats", says=["no tables of image-retrieval", "image-retrieval migrate"], IMAGE_RETRIEVAL_DATABASE_URL=empty
    )


@pytest.mark.parametrize("source", ["/no/such/folder", "s3://image-retrieval/no/such/model/", "no-owner"])
def test_a_model_that_does_not_exist(is_told, change_collection, source):
    change_collection(model={"name": "random", "source": source})
    is_told("run", "things", says=[f"model '{source}'", "does not exist"])


def test_an_embedding_without_its_packed_shard(is_told, random_model, tmp_path):
    is_told("embed", str(tmp_path / "none.parquet"), "out.parquet", f"--model={random_model}", says=["none.parquet"])


def test_a_device_that_is_not_there(is_told, collection, store):
    put(store, collection.source, dict(list(SCENES.items())[:2]))
    is_told("run", "things", "--device", "cuda", says=["device 'cuda' cannot be used"])


def test_a_search_file_that_does_not_exist(is_told):
    is_told("search", "things", "--image", "/no/such.jpg", says=["/no/such.jpg cannot be read"])


def test_a_search_before_the_first_run(is_told):
    is_told("search", "things", "--id", "x", says=["unknown collection 'things'", "first run makes its view"])


def test_a_run_that_was_never_listed(is_told):
    is_told("resample", "things", "--run", "nothing", says=["has no run 'nothing'"])
