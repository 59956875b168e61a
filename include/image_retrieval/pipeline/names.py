"""Names: which ones the tables can hold, and those of kept pictures."""

import hashlib
import re
from pathlib import PurePosixPath

from image_retrieval.collection import Collection
from image_retrieval.objects import local_path, split_s3
from image_retrieval.settings import Settings
from image_retrieval.shards import KEPT_FOLDER, folder_in

LONGEST = 2500  # bytes of a URI: a B-tree entry has at most 2,704, with the collection's name and overhead
LONGEST_NAME = 255  # bytes of a name in a folder
LONGEST_PATH = 4095  # bytes of a path
LONGEST_KEY = 1024  # bytes of an S3 key
MARK = "#sha256:"  # ends the text of a URI that no table can hold, with a hash of its bytes
HASH = 32  # hexadecimal digits
HEAD = 100  # bytes that a shortened name keeps
PLAIN_KEY = re.compile(r"((?:[^/.][^/]*/)*[^/.][^/]*)\.[^/.]+")  # no part begins with a dot or is empty
# names that a path would change, and names that look like escaped or shortened ones
ODD_ID = re.compile(r"(?:^|/)\.?(?:/|$)|%2E%2E/|~[0-9a-f]{32}$|\0")
MARKED = re.compile(rf"{MARK}[0-9a-f]{{{HASH}}}$")
SHORTENED = re.compile(r"[^/]*~([0-9a-f]{32})")


def fault_of(uri: str) -> str | None:
    """Why no table can hold this URI, or None if one can."""
    if uri.isascii() and len(uri) <= LONGEST and "\0" not in uri and MARK not in uri:
        return None
    try:
        size = len(uri.encode())
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    if "\0" in uri:
        return "its name holds a NUL character"
    if MARKED.search(uri):
        return f"its name ends in {MARK} and {HASH} digits, which is reserved for names that no table can hold"
    return f"its URI has {size} bytes, over the limit of {LONGEST}" if size > LONGEST else None


def without_suffix(key: str) -> str:
    """A key without its last extension."""
    plain = PLAIN_KEY.fullmatch(key)  # ten times as fast as a path
    if plain:
        return plain[1]
    path = PurePosixPath(key)
    if not path.name:  # `/` and `.`
        return key
    folder, slash, name = str(path).rpartition("/")
    stem, _, suffix = name.rpartition(".")  # with_suffix would refuse `..jpg`, on some versions of Python
    return folder + slash + (stem if stem and suffix else name)


def as_text(uri: str) -> str:
    """A faulty URI in a form that the tables can hold: its beginning with escapes, and a hash. It is unique.

    A valid URI never ends like this.
    """
    raw = uri.encode("utf-8", "surrogateescape")
    text = raw.decode("utf-8", "backslashreplace").replace("\0", r"\x00")
    ending = f"{MARK}{hashlib.sha256(raw).hexdigest()[:HASH]}"
    if len(text.encode()) > LONGEST - len(ending):
        ending = f"…{ending}"
    return f"{_cut(text, LONGEST - len(ending.encode()))}{ending}"


def pictures_folder(collection: str, settings: Settings) -> str:
    """The folder of a collection's resampled pictures, ending in `/`."""
    return folder_in(settings.work_uri, KEPT_FOLDER, collection)


def resampled_uri(collection: Collection, image_id: str, settings: Settings) -> str:
    """The URI of an image's resampled picture.

    If the store would refuse or change the id as a name, the name is the beginning of the id and a hash.
    """
    folder = pictures_folder(collection.name, settings)
    ending = f"_resample{collection.resample.suffix}"
    uri = f"{folder}{image_id.replace('../', '%2E%2E/')}{ending}"
    if ODD_ID.search(image_id) or not _fits(uri):
        head = _cut(re.sub(r"[/\0]", "_", image_id), HEAD)
        uri = f"{folder}{head}~{hash_of(image_id)}{ending}"
    return uri


def hash_of(image_id: str) -> str:
    """The hash that replaces an id in a shortened name."""
    return hashlib.sha256(image_id.encode()).hexdigest()[:32]


def ids_of(name: str) -> tuple[str, str, str | None]:
    """The possible ids for a picture's name without suffix: as written, unescaped, and the hash if it has one."""
    shortened = SHORTENED.fullmatch(name)
    return name, name.replace("%2E%2E/", "../"), shortened[1] if shortened else None


def _fits(uri: str) -> bool:
    path = local_path(uri)
    if path is None:
        return len(split_s3(uri)[1].encode()) <= LONGEST_KEY and _parts_fit(uri)
    return len(str(path).encode()) <= LONGEST_PATH and _parts_fit(uri)


def _parts_fit(uri: str) -> bool:
    return all(len(part.encode()) <= LONGEST_NAME for part in uri.split("/"))


def _cut(text: str, size: int) -> str:
    """The first characters of a text, at most `size` bytes."""
    return text.encode()[:size].decode(errors="ignore")
