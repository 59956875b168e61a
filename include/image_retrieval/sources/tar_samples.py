"""What a tar holds: its pictures, and what the files beside them in the tar say of them, as WebDataset packs both."""

import json
from dataclasses import dataclass, field
from typing import IO, Any, NamedTuple

from image_retrieval.errors import Reason
from image_retrieval.sources.descriptions import LARGEST, SUFFIXES, of_json, of_text
from image_retrieval.sources.tar_headers import Entry, TarDamaged, read_entries
from image_retrieval.strict_json import is_text

MOST = 1_000_000  # files of a tar, which are in memory while it is read
MOST_TOLD = 2**27  # bytes of the files beside pictures, which are, too


class Fault(NamedTuple):
    """A member that cannot be used, by its name in the tar, and why."""

    name: str
    reason: Reason
    detail: str


@dataclass(slots=True)
class Samples:
    """The files of a tar by their names, what is said of each as JSON, and those that cannot be used."""

    names: list[str] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    abouts: list[str | None] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def read_samples(stream: IO[bytes], size: int) -> Samples:
    """The files of a tar of `size` bytes; of several with one name, the last counts, as for tar itself.

    Raises TarDamaged if it cannot be read to its end, or has too many files.
    """
    entries: dict[str, Entry] = {}
    told: dict[str, bytes] = {}  # the files beside pictures
    held = 0
    for entry in read_entries(stream, size):
        entries.pop(entry.name, None)
        entries[entry.name] = entry
        told.pop(entry.name, None)
        if len(entries) > MOST:
            raise TarDamaged(f"has more than {MOST} files: divide it")
        if _describes(entry.name) and entry.fault is None and entry.size <= LARGEST:
            stream.seek(entry.offset)
            told[entry.name] = stream.read(entry.size)
            held += entry.size
            if held > MOST_TOLD:
                raise TarDamaged(f"has more than {MOST_TOLD} bytes of .json and .txt files: divide it")
            if len(told[entry.name]) != entry.size:
                raise TarDamaged(f"ends in the middle of {entry.name[:200]!a}")
    return _described(entries, told)


def sample_of(name: str) -> str:
    """The key of the sample that a file belongs to: its name up to the first dot, as in WebDataset."""
    folder, slash, last = name.rpartition("/")
    return folder + slash + last.partition(".")[0]


def _describes(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)


def _described(entries: dict[str, Entry], told: dict[str, bytes]) -> Samples:
    found = Samples()
    abouts: dict[str, dict[str, Any]] = {}
    for suffix, of in ((".txt", of_text), (".json", of_json)):  # what a .json says comes before the text
        for name, data in told.items():
            if name.lower().endswith(suffix):
                try:
                    abouts.setdefault(sample_of(name), {}).update(of(data))
                except (ValueError, RecursionError) as error:
                    found.faults.append(Fault(name, Reason.INVALID_LINE, f"the file {error}"))
    for name, entry in entries.items():
        if entry.fault is not None:
            found.faults.append(Fault(name, Reason.UNSUPPORTED_FORMAT, f"{name[:200]!a} {entry.fault}"))
        elif not is_text(name):
            found.faults.append(Fault(name, Reason.UNSUPPORTED_NAME, "its name in the tar is not UTF-8"))
        elif not _describes(name):
            found.names.append(name)
            found.offsets.append(entry.offset)
            found.sizes.append(entry.size)
            about = abouts.get(sample_of(name))
            found.abouts.append(json.dumps(about) if about else None)
        elif entry.size > LARGEST:
            detail = f"{entry.size} bytes are over the limit of {LARGEST}"
            found.faults.append(Fault(name, Reason.TOO_LARGE, detail))
    return found
