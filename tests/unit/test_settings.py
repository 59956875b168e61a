import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from image_retrieval.errors import UserError
from image_retrieval.settings import PREFIX, Settings, load_settings, services_file
from image_retrieval.stores import Store

SECRETS = ("database_url", "s3_access_key_id", "s3_secret_access_key", "token")
WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
# of one line: what neither breaks it nor is there unseen
KEYS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=20).map(SecretStr)
FULL_KEYS = KEYS.filter(lambda key: len(key) > 0)
SECONDS = st.floats(min_value=0, max_value=86_400, exclude_min=True)
PATHS = st.sampled_from(["somewhere", "../elsewhere", "/at/the/root", "with a space", "ünïcode"]).map(Path)


@pytest.fixture
def services(home):
    """Writes what the running embedded services say of themselves."""

    def write(text: str, local_dir: str = ".local") -> None:
        path = services_file(home, Path(local_dir))
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    return write


def test_without_any_setting_the_defaults_hold(home):
    assert load_settings() == Settings(home=home)
    assert load_settings().max_attempts == 3


def test_the_services_file_beats_the_default(services):
    services("IMAGE_RETRIEVAL_MAX_ATTEMPTS=5\n")
    assert load_settings().max_attempts == 5


def test_the_environment_beats_the_services_file(services, monkeypatch):
    services("IMAGE_RETRIEVAL_MAX_ATTEMPTS=5\n")
    monkeypatch.setenv("IMAGE_RETRIEVAL_MAX_ATTEMPTS", "7")
    assert load_settings().max_attempts == 7


def test_the_services_file_lies_in_the_local_folder(services, monkeypatch):
    services("IMAGE_RETRIEVAL_MAX_ATTEMPTS=5\n", "elsewhere")
    monkeypatch.setenv("IMAGE_RETRIEVAL_LOCAL_DIR", "elsewhere")
    assert load_settings().max_attempts == 5


def test_unknown_variables_do_not_matter(services, monkeypatch):
    services("IMAGE_RETRIEVAL_UNHEARD_OF=1\nOTHER=2\n")
    monkeypatch.setenv("IMAGE_RETRIEVAL_NEVER_HEARD_OF", "3")
    assert load_settings() == Settings()


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("MAX_ATTEMPTS", "0", "greater than or equal to 1, not '0'"),
        ("MAX_ATTEMPTS", "three", "valid integer, unable to parse string as an integer, not 'three'"),
        ("MAX_IMAGE_SECONDS", "0", "greater than 0, not '0'"),
        ("S3_TIMEOUT_SECONDS", "soon", "valid number, unable to parse string as a number, not 'soon'"),
        ("RUNNER", "docker", "'local' or 'kubernetes', not 'docker'"),
        ("LOG_FORMAT", "xml", "'text' or 'json', not 'xml'"),
        ("DECODER_MEMORY_MB", "1", "greater than or equal to 256, not '1'"),
        ("PROCESSES", "", "valid integer"),
    ],
)
@pytest.mark.parametrize("place", ["environment", "services file"])
def test_a_wrong_value_is_told_with_its_variable(services, monkeypatch, place, name, value, told):
    if place == "environment":
        monkeypatch.setenv(PREFIX + name, value)
    else:
        services(f"{PREFIX}{name}={value}\n")
    with pytest.raises(UserError, match=rf"^setting {PREFIX}{name}: [^\n]*{re.escape(told)}"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("POD_TOLERATIONS", "[hidden", "not JSON"),
        ("POD_NODE_SELECTOR", '"hidden"', "dictionary"),
        ("POD_NODE_SELECTOR", '{"a": ["hidden"]}', "string"),
        ("MAX_ATTEMPTS", "postgresql://me:hidden@host/database", "valid integer"),
        ("RUNNER", "hidden behind words", "'local' or 'kubernetes'"),
        ("S3_ACCESS_KEY_ID", "hidden\n", "line break"),
        ("S3_SECRET_ACCESS_KEY", "hid\rden", "line break"),
        ("TOKEN", "hidden\n", "line break"),
        ("WORK_URI", "s3://key:hidden@bucket/", "keys before an @"),
        ("SERVICE_SOURCE_URI", "s3://key:hidden@bucket/", "keys before an @"),
        ("S3_TIMEOUT_SECONDS", "nan", "finite number"),
        ("MAX_IMAGE_SECONDS", "inf", "finite number"),
        ("DELETED_GRACE_DAYS", "1e300", "less than or equal to 36500"),
        ("S3_REGION", "hidden\udcff", "not UTF-8"),
        ("DATABASE_URL", "postgresql://me:hidden\udcff@host/database", "not UTF-8"),
        ("PROCESSES", "\udcff", "unicode"),
    ],
)
def test_a_wrong_value_that_may_be_secret_is_told_without_it(monkeypatch, name, value, told):
    monkeypatch.setenv(PREFIX + name, value)
    with pytest.raises(UserError, match=rf"^setting {PREFIX}{name}: [^\n]*{re.escape(told)}") as refused:
        load_settings()
    assert "hid" not in str(refused.value)
    assert refused.value.__context__ is None  # what pydantic raises holds the value


@pytest.mark.parametrize("content", [b"\xff\xfe=\0", b"IMAGE_RETRIEVAL_DATABASE_URL='never closed\n\xff"])
def test_a_services_file_that_is_no_text_is_told(home, content):
    path = services_file(home, Path(".local"))
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(
        UserError, match=r"^[^\n]*services.env cannot be read: delete it, and `make up` writes it again$"
    ):
        load_settings()


def test_a_folder_that_is_not_utf8_is_a_folder(tmp_path):
    assert hash(Settings(home=tmp_path / "\udcff")) != hash(Settings(home=tmp_path))


def test_no_secret_shows(monkeypatch):
    for name in SECRETS:
        monkeypatch.setenv(PREFIX + name.upper(), "never-shown")
    settings = load_settings()
    assert "never-shown" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"


def test_a_database_must_be_configured():
    with pytest.raises(UserError, match="set IMAGE_RETRIEVAL_DATABASE_URL"):
        Settings().database()
    assert Settings(database_url=SecretStr("postgresql://host/name")).database() == "postgresql://host/name"


def test_relative_paths_start_at_home(tmp_path):
    settings = Settings(home=tmp_path, collections_file=Path("a/b.yaml"), local_dir=Path("c"))
    assert settings.collections_path == tmp_path / "a" / "b.yaml"
    assert settings.local_path == tmp_path / "c"
    assert Settings(home=tmp_path, local_dir=Path("/c")).local_path == Path("/c")


def test_decoding_takes_all_cores_unless_told_otherwise():
    assert Settings().cores >= 1
    assert Settings(processes=3).cores == 3


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "home": PATHS,
            "collections_file": PATHS,
            "local_dir": PATHS,
            "database_url": WORDS.map(SecretStr),
            "s3_endpoint_url": WORDS,
            "s3_access_key_id": KEYS,
            "s3_secret_access_key": KEYS,
            "s3_region": WORDS,
            "s3_timeout_seconds": SECONDS,
            "stores": st.dictionaries(
                st.sampled_from(["s3", "oss", "tos://photos"]),
                st.builds(Store, region=st.none() | WORDS, access_key_id=FULL_KEYS, secret_access_key=FULL_KEYS),
            ),
            "allowed_sources": st.lists(st.sampled_from(["s3://photos/", "https://host/", "file:///folder/"])).map(
                tuple
            ),
            "work_uri": WORDS,
            "runner": st.sampled_from(["local", "kubernetes"]),
            "processes": st.integers(min_value=0),
            "max_image_bytes": st.integers(min_value=1),
            "max_image_seconds": SECONDS,
            "log_format": st.sampled_from(["text", "json"]),
        },
    )
)
def test_settings_survive_the_environment_of_a_child(values):
    given_settings = Settings(**values)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in given_settings.environment().items():
            patch.setenv(name, value)
        loaded = load_settings()
    assert loaded.environment() == given_settings.environment()
    assert loaded.home == given_settings.home.resolve()
    assert all(getattr(loaded, name) == value for name, value in values.items() if name != "home")


def test_only_settings_become_variables(tmp_path):
    settings = Settings(home=tmp_path)
    assert settings.local_path.parent == settings.collections_path.parents[1] == tmp_path
    names = {name.removeprefix(PREFIX).lower() for name in settings.environment()}
    assert names <= set(Settings.model_fields)
