"""The database's connection string: parsed by libpq, and shown without any part of a secret.

People paste passwords without encoding them. A password with `@` or `/` then ends up in the host, the port or the
database's name, and libpq's own messages repeat it. So a message shows only parts that cannot belong to a password.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from ipaddress import ip_address

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from image_retrieval.errors import UserError
from image_retrieval.schemes import BUCKETS
from image_retrieval.settings import Settings

VARIABLE = "IMAGE_RETRIEVAL_DATABASE_URL (in Airflow: connection image_retrieval_postgres)"
FORM = "postgresql://user:password@host:port/database"
ENCODE = "if its user or password has a special character, encode it (@ as %40, / as %2F, : as %3A, % as %25, …)"
SECRETS = ("password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key")
DEFAULTS = {"application_name": "image-retrieval", "connect_timeout": "10"}

# the form of a URI whose parts are unambiguous: at most one @, before any / and ?
_PLAIN_URI = re.compile(r"postgres(?:ql)?://(?:[^@/?]*@)?[\w.,:%\[\]-]*(?:/[^@/?]*)?(?:\?[^@?]*)?")
_SECRET_IN_URI = re.compile(rf"[?&](?:{'|'.join(SECRETS)})=")
_SECRET_IN_PAIRS = re.compile(rf"(?:{'|'.join(SECRETS)})\s*=")
_FOREIGN = {
    "postgresql+": "leave out everything between postgresql and ://",
    "postgres+": "leave out everything between postgres and ://",
    "jdbc:": "leave out jdbc:, and write user and password before the host",
    **{f"{scheme}://": f"{scheme}:// belongs into work_uri or a collection's source" for scheme in BUCKETS},
    "http://": "that is a web address",
    "https://": "that is a web address",
    "mysql": "the database must be PostgreSQL",
    "'": "leave out the quotes around it",
    '"': "leave out the quotes around it",
}
# phrases of libpq's and the server's messages that contain no part of the string
_KNOWN_FAILURES = (
    "Connection refused",
    "timeout expired",
    "password authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "failed to resolve host",
    "could not translate host name",
    "Network is unreachable",
    "No route to host",
    "does not support SSL",
    "certificate verify failed",
    "too many clients",
    "starting up",
    "shutting down",
)


@dataclass(frozen=True)
class Address:
    """A database's address. `shown` are the parameters that contain no part of a secret, however it was typed."""

    parameters: dict[str, str] = field(repr=False)
    shown: dict[str, str]

    @property
    def is_clear(self) -> bool:
        """Whether everything except the secrets themselves may be shown."""
        return self.shown == {name: value for name, value in self.parameters.items() if name not in SECRETS}


def address(settings: Settings) -> Address:
    """Parse the settings' connection string. Raises UserError, which shows no part of it, if it cannot be parsed."""
    text = settings.database()
    parameters = _taken_apart(text)
    if parameters is None or not (_are_hosts(parameters.get("host", "")) and _are_ports(parameters.get("port", ""))):
        known = next((hint for start, hint in _FOREIGN.items() if text.lower().startswith(start)), None)
        advice = f"{known}; it is {FORM}" if known else f"it is {FORM}; {ENCODE}"
        raise UserError(f"{VARIABLE} is not a connection string: {advice}")
    return Address(parameters, _shown(text))


def connection_string(settings: Settings, **defaults: str) -> str:
    """The string for libpq. Its own parameters override `defaults`, and these override DEFAULTS. Holds the password."""
    return make_conninfo(**{**DEFAULTS, **defaults, **address(settings).parameters})


def joined(parameters: Mapping[str, str]) -> str:
    """Parameters of libpq as one string. Secrets come last: anything after a secret could be part of it."""
    return make_conninfo(**dict(sorted(parameters.items(), key=lambda pair: pair[0] in SECRETS)))


def where(settings: Settings) -> str:
    """The database in words, without any possible part of its password."""
    found = address(settings)
    shown = found.shown
    name = f"database {shown.get('dbname', '')!r}" if found.is_clear or "dbname" in shown else "the database"
    if not found.is_clear and "host" not in shown:
        return f"{name} of IMAGE_RETRIEVAL_DATABASE_URL"
    host = shown.get("host") or shown.get("hostaddr") or "the local socket"
    port = f":{shown.get('port', 5432)}" if found.is_clear or "port" in shown else ""
    return _one_line(f"{name} on {host}{port}")


def failure(error: Exception, settings: Settings) -> str:
    """A driver's error on one line of up to 300 characters, without anything that may be a secret."""
    text = _one_line(str(error))
    if address(settings).is_clear:
        return text[:300]
    known = next((words for words in _KNOWN_FAILURES if words in text), type(error).__name__)
    return f"{known} ({ENCODE})"


def psql_environment(settings: Settings) -> dict[str, str]:
    """The database's address as PostgreSQL's own variables, which keep the password out of the process list."""
    known = _variables()
    return {known[name]: value for name, value in address(settings).parameters.items() if name in known}


@cache
def parameter_names() -> frozenset[str]:
    """The parameters that libpq knows."""
    return frozenset(option.keyword.decode() for option in pq.Conninfo.get_defaults())


@cache
def _variables() -> dict[str, str]:
    return {option.keyword.decode(): option.envvar.decode() for option in pq.Conninfo.get_defaults() if option.envvar}


def _taken_apart(text: str) -> dict[str, str] | None:
    if "\0" in text:  # libpq would read only the part before it
        return None
    try:
        return {name: str(value) for name, value in conninfo_to_dict(text).items()}
    except (psycopg.Error, UnicodeError):  # their messages repeat the password
        return None


def _shown(text: str) -> dict[str, str]:
    """The parameters before the first secret; none of an ambiguous URI."""
    is_uri = text.startswith(("postgresql://", "postgres://"))
    if is_uri and not _PLAIN_URI.fullmatch(text):
        return {}
    secret = (_SECRET_IN_URI if is_uri else _SECRET_IN_PAIRS).search(text)
    found = _taken_apart(text[: secret.start()] if secret else text) or {}
    return {
        name: value
        for name, value in found.items()
        if name not in SECRETS and not (name == "dbname" and "://" in value)  # a URI as the database's name
    }


def _are_hosts(names: str) -> bool:
    return all(name.startswith("/") or re.fullmatch(r"[\w.-]*", name) or _is_ip(name) for name in names.split(","))


def _is_ip(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _are_ports(numbers: str) -> bool:
    return all(re.fullmatch(r"\d{0,5}", number, re.ASCII) and int(number or 1) < 65536 for number in numbers.split(","))


def _one_line(text: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
