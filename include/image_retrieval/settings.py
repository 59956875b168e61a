"""The settings: every IMAGE_RETRIEVAL_… variable with its default and meaning."""

import json
import os
import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from image_retrieval.errors import UserError
from image_retrieval.schemes import is_bucket
from image_retrieval.stores import Key, Store, with_known_names

PREFIX = "IMAGE_RETRIEVAL_"
NO_DATABASE = "no database is configured: run `make up`, or set IMAGE_RETRIEVAL_DATABASE_URL"


def _without_secret(uri: str) -> str:
    if "@" in uri.partition("://")[2].partition("/")[0]:
        raise ValueError("contains keys before an @: put them into the settings of the store")
    return uri


def _json_or(empty: Any) -> BeforeValidator:
    """Reads a variable that holds JSON; an empty one counts as unset."""

    def read(given: Any) -> Any:
        try:
            return given if not isinstance(given, str) else json.loads(given) if given else empty
        except ValueError:
            raise ValueError("is not JSON of the form that docs/settings.md gives") from None

    return BeforeValidator(read)


def _of_sources(prefixes: tuple[str, ...]) -> tuple[str, ...]:
    if any(not (is_bucket(uri) or re.match(r"file:///|https?://[^@/]+(/|$)", uri)) for uri in prefixes):
        raise ValueError("each prefix has the form s3://bucket/, s3://bucket/prefix/, file:///folder/ or https://host/")
    return prefixes


# limited to what Python's and PostgreSQL's intervals can hold
Days = Annotated[float, Field(ge=0, le=36_500)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Backend = Literal["auto", "torch", "compile", "openvino", "onnx"]
Uri = Annotated[str, AfterValidator(_without_secret)]
Prefixes = Annotated[tuple[str, ...], NoDecode, _json_or(()), AfterValidator(_of_sources)]
Stores = Annotated[dict[str, Store], NoDecode, _json_or({}), AfterValidator(with_known_names)]


class Settings(BaseSettings):
    """Values from the environment, then from the embedded services' own file, then the defaults here."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True, allow_inf_nan=False)

    home: Path = Field(Path(), description="the project's folder; relative paths start here")
    collections_file: Path = Field(Path("include/collections.yaml"), description="file that defines the collections")
    local_dir: Path = Field(Path(".local"), description="embedded services, model cache, Airflow's home")

    database_url: SecretStr = Field(SecretStr(""), description="postgresql://user:password@host:port/database")

    s3_endpoint_url: str | None = Field(None, description="an S3 store that is not AWS, such as http://host:8333")
    s3_access_key_id: Key | None = Field(None, description="unset: boto3's own chain (profile, role, …)")
    s3_secret_access_key: Key | None = None
    s3_region: str | None = Field(None, description="unset: boto3's own chain")
    stores: Stores = Field({}, description="endpoints, regions and keys of other clouds and of buckets, as JSON")
    s3_timeout_seconds: Seconds = Field(30, description="for connecting and for each read")
    work_uri: Uri = Field(
        "s3://image-retrieval/",
        description="where tasks pass files to each other; kept pictures, added models and probes",
    )

    runner: Literal["local", "kubernetes"] = Field("local", description="embed in a process here, or in a GPU pod")
    device: str = Field("cpu", description="where models run in processes here: cpu, cuda, or the rank of a GPU")
    backend: Backend = Field(
        "auto", description="what runs the model: auto, torch, compile, or with packages of their own openvino, onnx"
    )
    pod_namespace: str = Field("image-retrieval", description="namespace of the embedding pods")
    pod_image: str = Field("image-retrieval-embedding:0.1.0", description="image of the embedding pods")
    pod_secret: str = Field("image-retrieval", description="Secret whose keys become the pods' environment")
    pod_service_account: str = Field("image-retrieval-embedding", description="has no rights and mounts no token")
    pod_gpus: int = Field(1, ge=0, description="nvidia.com/gpu of each pod; 0: it embeds on the CPU")
    pod_cpus: str = Field("4", description="CPUs that a pod requests, as Kubernetes writes them")
    pod_memory: str = Field("16Gi", description="memory that a pod requests and may not exceed")
    pod_shared_memory: str = Field("2Gi", description="/dev/shm of a pod, part of its memory")
    pod_node_selector: dict[str, str] = Field({}, description="labels of the nodes that may take a pod, as JSON")
    pod_tolerations: list[dict[str, Any]] = Field(
        [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        description="taints that a pod tolerates, as a JSON list of tolerations",
    )
    pod_priority_class: str | None = Field(None, description="priority class of the pods")
    pod_cache_claim: str | None = Field(None, description="volume claim for fetched models; unset: fetched by each pod")
    pod_template: Annotated[Path | None, BeforeValidator(lambda given: given or None)] = Field(
        None, description="pod manifest with whatever else the cluster needs in its pods"
    )
    pod_deferrable: bool = Field(True, description="the triggerer watches the pods; else each takes a worker's slot")
    pod_schedule_seconds: int = Field(1800, gt=0, description="a node must take a pod within this time")
    pod_start_seconds: int = Field(900, gt=0, description="a pod on a node must run within this time")
    pod_run_seconds: int = Field(6 * 3600, gt=0, description="Kubernetes ends a pod that takes longer")
    pod_disruptions: int = Field(20, ge=0, description="how often one try replaces a pod that the cluster took away")
    embedding_hour_price: float = Field(
        0, ge=0, description="price of an hour in which one process or pod embeds, for the costs of runs; 0: unknown"
    )

    processes: int = Field(0, ge=0, description="processes that decode images; 0: one per core")
    max_image_bytes: int = Field(256 * 2**20, gt=0, description="larger objects are rejected unread")
    max_image_pixels: int = Field(200_000_000, gt=0, description="larger pictures are rejected undecoded")
    max_image_frames: int = Field(1000, gt=0, description="animations and documents with more frames are rejected")
    max_image_seconds: Seconds = Field(60, description="images that take longer to decode are rejected")
    decoder_memory_mb: int = Field(4096, ge=256, description="address space of each process that decodes")
    read_ahead_mb: int = Field(256, gt=0, description="images that wait for a decoder; a larger one waits alone")
    url_seconds: Seconds = Field(30, description="a picture behind an http(s) URL must arrive within this time")
    url_rate: float = Field(
        10, gt=0, le=10_000, description="requests a second to one host for the http(s) URLs of an index file"
    )
    allow_private_urls: bool = Field(False, description="http(s) URLs may reach addresses that are not public")
    allowed_sources: Prefixes = Field((), description="prefixes of URIs that may be read, as a JSON list; empty: all")
    attributes_role: str | None = Field(None, description="role of the database that runs queries of attributes_from")
    max_attempts: int = Field(3, ge=1, description="runs that try an image that fails for a transient reason")
    keep_vectors_days: Days = Field(7, description="days for which vectors that a switch replaced are kept")
    deleted_grace_days: Days = Field(
        30, description="days after which the upkeep removes what is left of a deleted image"
    )
    index_from_rows: int = Field(10_000, ge=0, description="smaller vector tables are scanned exactly, without index")
    index_memory_mb: Annotated[int | None, BeforeValidator(lambda given: given or None)] = Field(
        None,
        ge=64,
        description="most memory for building an index; unset: a quarter of the machine's where the database is local, "
        "else 1024 or the server's maintenance_work_mem",
    )

    token: Key = Field(SecretStr(""), description="what clients of `image-retrieval serve` must send")
    hints_token: Key = Field(
        SecretStr(""), description="what senders of events must send to /api/hints; it allows nothing else"
    )
    captions_key: Key = Field(SecretStr(""), description="what is sent to the endpoints that write captions")
    service_source_uri: Uri = Field(
        "s3://images/collections/", description="where pictures of collections made through the API are stored"
    )
    service_max_bytes: int = Field(32 * 2**20, ge=1024, description="larger requests to the service are refused")
    service_rate: float = Field(
        100, gt=0, allow_inf_nan=False, description="requests a second that one client may send to the service"
    )
    service_concurrency: int = Field(64, ge=1, description="requests that the service works on at once")
    service_connections: int = Field(
        512, ge=8, description="connections open at once; a further one replaces an old one"
    )
    service_queue: int = Field(256, ge=1, description="pictures and texts that may wait for a model of the service")
    service_batch: int = Field(32, ge=1, description="pictures or texts that a model of the service takes at once")
    service_seconds: Seconds = Field(30, description="a request must arrive, and then be answered, within this time")
    service_idle_seconds: Seconds = Field(900, description="models and decoders that nobody asks end after this time")

    log_format: Literal["text", "json"] = "text"

    def __hash__(self) -> int:  # some values have none
        return hash(repr(self))

    @cached_property
    def local_path(self) -> Path:
        """Absolute folder of everything that the embedded default keeps on this machine."""
        return (self.home / self.local_dir).resolve()

    @cached_property
    def collections_path(self) -> Path:
        """Absolute path of the collections file."""
        return (self.home / self.collections_file).resolve()

    @property
    def cores(self) -> int:
        """The number of processes that decode images."""
        return self.processes or len(os.sched_getaffinity(0))

    def database(self) -> str:
        """The database's URL. Raises UserError if none is set."""
        url = self.database_url.get_secret_value().strip()  # a Secret's file often ends in a line break
        if not url:
            raise UserError(NO_DATABASE)
        return url

    def environment(self) -> dict[str, str]:
        """These settings as variables, for a child process; an unset one is empty. Holds secrets: never log it."""
        values = {name: _as_text(value) for name, value in self if name in type(self).model_fields}  # no cached paths
        values |= {"home": str(self.home.resolve())}
        return {f"{PREFIX}{name.upper()}": value for name, value in values.items()}


def _as_text(value: Any) -> str:
    """A value as its variable holds it."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, default=_plain)
    return "" if value is None else str(value)


def _plain(value: SecretStr | Store) -> Any:
    """A value of an entry, or the entry, as JSON has it."""
    return value.get_secret_value() if isinstance(value, SecretStr) else value.given()


def services_file(home: Path, local_dir: Path) -> Path:
    """The file with the addresses of the running embedded services."""
    return home / local_dir / "services.env"


def load_settings(home: Path | None = None) -> Settings:
    """Read the settings again. Raises UserError that names the wrong variable or file.

    `home` is the project's folder, by default that of the environment.
    """
    given: dict[str, Any] = {} if home is None else {"home": home}
    home = home or Path(os.environ.get(f"{PREFIX}HOME", "."))
    local_dir = Path(os.environ.get(f"{PREFIX}LOCAL_DIR", ".local"))
    file = services_file(home, local_dir)
    try:
        settings = Settings(_env_file=file, **given)
        strange = next((name for name in Settings.model_fields if not _is_utf8(getattr(settings, name))), None)
        if strange is None:
            return settings
        message = f"setting {PREFIX}{strange.upper()}: is not UTF-8"
    except ValidationError as error:
        message = _in_words(error.errors()[0])
    except SettingsError as error:  # its text names the field, and its cause holds the value
        named = next((name for name in Settings.model_fields if f'"{name}"' in str(error)), "")
        message = f"setting {PREFIX}{named.upper()}: is not JSON of the form that docs/settings.md gives"
    except (OSError, UnicodeError):
        message = f"{ascii(str(file))[1:-1]} cannot be read: delete it, and `make up` writes it again"
    raise UserError(message)


def _is_utf8(value: Any) -> bool:
    """Whether a text can be encoded as UTF-8; a path may be any bytes."""
    try:
        (value.get_secret_value() if isinstance(value, SecretStr) else value if isinstance(value, str) else "").encode()
    except UnicodeError:
        return False
    return True


def _in_words(error: ErrorDetails) -> str:
    """What is wrong with a setting. The value, which may be a secret, is shown only if it is a number or a word."""
    variable = PREFIX + str(error["loc"][0]).upper().removeprefix(PREFIX)
    inner = [str(part) for part in error["loc"][1:]]
    where = f"{'.'.join(inner)}: " if inner and all(map(_may_be_shown, inner)) else ""
    given = error["input"]
    shown = f", not {given!r}" if re.fullmatch(r"[A-Za-z0-9_.+-]{0,20}", str(given)) and not _is_text(variable) else ""
    return f"setting {variable}: {where}{error['msg'].removeprefix('Value error, ')}{shown}"


def _may_be_shown(part: str) -> bool:
    """Whether a key of JSON is a word or a bucket, and so no secret."""
    return is_bucket(part) or re.fullmatch("[a-z_]{1,30}|[0-9]{1,4}", part) is not None


def _is_text(variable: str) -> bool:
    """Whether a variable holds free text or a secret, which is never repeated."""
    field = Settings.model_fields.get(variable.removeprefix(PREFIX).lower())
    return field is None or any(kind in str(field.annotation) for kind in ("str", "Secret", "Path"))
