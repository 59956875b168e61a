"""Whatever stands where a password may stand, no part of it is told, and what libpq understands is understood."""

import re
from urllib.parse import quote

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from image_retrieval.errors import UserError
from image_retrieval.settings import Settings
from image_retrieval.store.connection_string import (
    address,
    connection_string,
    failure,
    psql_environment,
    where,
)

PART = 4  # letters of a password that tell something of it
SHAPES = (
    "postgresql://me:{}@127.0.0.1:9/images",
    "postgres://me:{}@127.0.0.1/images",
    "postgresql://me:{}@127.0.0.1",
    "postgresql://me:{}@/images",
    "postgresql://me:{}@[::1]:9/images?sslmode=disable",
    "postgresql://me:{}@127.0.0.1:9,127.0.0.2:9/images",
    "postgresql://:{}@127.0.0.1:9/images",
    "postgresql://me@corp:{}@127.0.0.1:9/images",
    "postgresql://127.0.0.1:9/images?user=me&password={}",
    "postgresql://127.0.0.1:9/images?password={}&user=me",
    "postgresql://127.0.0.1?password={}",
    "postgresql+psycopg://me:{}@127.0.0.1:9/images",
    "jdbc:postgresql://127.0.0.1:9/images?user=me&password={}",
    "mysql://me:{}@127.0.0.1:9/images",
    "s3://me:{}@127.0.0.1:9",
    "me:{}@127.0.0.1:9/images",
    "'postgresql://me:{}@127.0.0.1:9/images'",
    '"postgresql://me:{}@127.0.0.1:9/images"',
    "host=127.0.0.1 port=9 user=me password={} dbname=images",
    "host=127.0.0.1 port=9 user=me dbname=images password={}",
    "host=127.0.0.1 password='{}' dbname=images",
    "password = {} host=127.0.0.1",
    "dbname='postgresql://me:{}@127.0.0.1:9/images'",
    "postgresql://me:x@127.0.0.1:9/images?sslpassword={}",
)
# letters that no message has in a row, and all that means something in some kind of connection string
PASSWORDS = st.lists(
    st.one_of(
        st.text("QXZJKWV9", min_size=4, max_size=8),
        st.sampled_from(
            [*"@/%#?:;&=,+ '\"\\\n\t[](){}<>|$!`~^*é漢\U0001f511\x7f\0\udcff", "%zz", "%de", "://", "@[", "]:9"]
        ),
    ),
    min_size=1,
    max_size=7,
).map("".join)


def told(text: str) -> str:
    """All that is said about a connection string, of whose host, port and names a driver's error repeats each."""
    chosen = Settings(database_url=SecretStr(text))
    try:
        parts = conninfo_to_dict(text)
    except (psycopg.Error, UnicodeError):
        parts = {}
    error = psycopg.OperationalError(f"connection to server failed: {' '.join(map(repr, parts.values()))} {text}")
    said = [repr(chosen), str(chosen)]
    try:
        found = address(chosen)
    except UserError as refusal:
        said.append(str(refusal))
        context = refusal.__context__
    else:
        context = None
        clear = psycopg.OperationalError(f"connection to {found.shown} failed") if found.is_clear else error
        said += [where(chosen), failure(clear, chosen), repr(found)]
    assert context is None  # what libpq raises holds parts of the string
    assert all(line.isprintable() for line in said)
    return " ".join(said)


@given(st.sampled_from(SHAPES), PASSWORDS)
def test_no_part_of_a_password_is_told(shape, password):
    said = told(shape.format(password))
    parts = {password[at : at + PART] for at in range(len(password) - PART + 1)}
    parts = {part for part in parts if re.search("[A-Z9]{3}|[é漢\U0001f511]", part)}
    assert [part for part in parts if part in said] == []


# no name that could itself be a connection string, since messages leave those out
NAMES = st.text("abc@/%?#: é", min_size=1, max_size=5).filter(lambda name: "://" not in name)


@given(PASSWORDS.filter(lambda text: not set(text) & {"\0", "\udcff"}), NAMES)
@settings(max_examples=30)
def test_an_encoded_password_reaches_the_driver_whole(password, name):
    user, database = quote(name, safe=""), quote(name, safe="")
    chosen = Settings(database_url=SecretStr(f"postgresql://{user}:{quote(password, safe='')}@host:7/{database}"))
    parts = conninfo_to_dict(connection_string(chosen))
    assert (parts["password"], parts["user"], parts["dbname"]) == (password, name, name)
    assert address(chosen).is_clear
    assert "host:7" in where(chosen)
    assert psql_environment(chosen)["PGPASSWORD"] == password


@pytest.mark.parametrize(
    ("text", "password"),
    [
        ("postgresql://me:hid#den@host/images", "hid#den"),
        ("postgresql://me:hid?den@host/images", "hid?den"),
        ("postgresql://me:hid:den@host/images", "hid:den"),
        ("postgresql://host/images?password=hid@den/x?y", "hid@den/x?y"),
        ("host=host password='hid den' dbname=images", "hid den"),
        ("postgresql://me:hidden@host/images\n", "hidden"),
    ],
)
def test_what_libpq_understands_is_understood(text, password):
    parts = conninfo_to_dict(connection_string(Settings(database_url=SecretStr(text))))
    assert (parts["password"], parts["host"], parts["dbname"]) == (password, "host", "images")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:hidden@host:7/images", "database 'images' on host:7"),
        ("postgresql://me:hidden@one:1,two:2/images", "database 'images' on one,two:1,2"),
        ("postgresql://me:hidden@[::1]/images", "database 'images' on ::1:5432"),
        ("postgresql://host/images?password=hidden", "database 'images' on host:5432"),
        ("host=host dbname=images password=hidden", "database 'images' on host:5432"),
        ("host=host password=hidden dbname=images", "the database on host"),
        ("password=hidden host=host dbname=images", "the database of IMAGE_RETRIEVAL_DATABASE_URL"),
        ("postgresql://me:5432/hidden@host/images", "the database of IMAGE_RETRIEVAL_DATABASE_URL"),
        ("postgresql:///images?host=/run/postgresql", "database 'images' on /run/postgresql:5432"),
    ],
)
def test_only_what_stands_clear_of_the_password_is_shown(text, shown):
    assert where(Settings(database_url=SecretStr(text))) == shown


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("postgresql://me:hid@den@host/images", "encode it (@ as %40"),
        ("postgresql://me:hid/den@host/images", "encode it (@ as %40"),
        ("postgresql://me:hid%den@host/images", "encode it (@ as %40"),
        ("postgresql://me:hid den@host/images", "encode it (@ as %40"),
        ("postgresql+psycopg://me:hidden@host/images", "leave out everything between postgresql and ://"),
        ("jdbc:postgresql://host/images", "leave out jdbc:"),
        ("'postgresql://host/images'", "leave out the quotes"),
        ("mysql://host/images", "must be PostgreSQL"),
        ("s3://bucket/key", "collection's source"),
        ("postgresql://host:70000/images", "encode it"),
    ],
)
def test_a_string_that_cannot_be_taken_apart_is_told_with_what_to_do(text, advice):
    with pytest.raises(UserError, match=f"^IMAGE_RETRIEVAL_DATABASE_URL [^\n]*{re.escape(advice)}[^\n]*$") as refused:
        connection_string(Settings(database_url=SecretStr(text)))
    assert "image_retrieval_postgres" in str(refused.value)
    assert "den" not in str(refused.value)


def test_a_string_may_say_more_than_the_defaults():
    url = SecretStr("postgresql://host/images?connect_timeout=77&application_name=mine&options=-c%20jit%3Doff")
    parts = conninfo_to_dict(connection_string(Settings(database_url=url), connect_timeout="5"))
    assert (parts["connect_timeout"], parts["application_name"], parts["options"]) == ("77", "mine", "-c jit=off")
    plain = conninfo_to_dict(connection_string(Settings(database_url=SecretStr("host=host")), connect_timeout="5"))
    assert (plain["connect_timeout"], plain["application_name"]) == ("5", "image-retrieval")


def test_psql_is_told_by_its_own_variables():
    url = SecretStr("postgresql://me@host/images?target_session_attrs=any&channel_binding=prefer&sslmode=require")
    assert psql_environment(Settings(database_url=url)) == {
        "PGUSER": "me",
        "PGHOST": "host",
        "PGDATABASE": "images",
        "PGTARGETSESSIONATTRS": "any",
        "PGCHANNELBINDING": "prefer",
        "PGSSLMODE": "require",
    }
