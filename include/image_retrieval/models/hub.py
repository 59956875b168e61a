"""Repositories of models on a hub: which files they hold, and these files in the hub's own cache."""

import glob
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from image_retrieval.errors import UserError
from image_retrieval.models.description import TEXT_SIDE
from image_retrieval.redaction import redacted

CONFIG_FILES = ("config.json", "preprocessor_config.json", "processor_config.json", "calibration.json", TEXT_SIDE)
ELSEWHERE = "or copy the model to a folder or an s3:// prefix"


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository at one commit, and the names of its files that lie in no folder."""

    name: str
    folder: Path
    files: tuple[str, ...]

    @property
    def commit(self) -> str:
        """The id of the commit, by which the hub's cache calls its folder."""
        return self.folder.name

    def download(self, names: Sequence[str]) -> Path:
        """A folder with at least these of its files, in the hub's cache. Raises UserError."""
        if missing := [name for name in names if not (self.folder / name).is_file()]:
            _snapshot(self.name, self.commit, missing)
        _require_whole([self.folder / name for name in names], self.name)  # another process may have fetched them
        return self.folder


def is_hub_id(source: str) -> bool:
    """Whether a source has the form of a hub id, `owner/name`."""
    return "://" not in source and source.count("/") == 1 and not source.startswith((".", "/", "~"))


def find_repository(name: str, revision: str | None) -> Repository:
    """A repository at the commit of a branch, tag or commit; None is the default branch. Fetches its configuration.

    If the hub cannot be reached, what its cache knows counts. Raises UserError, whose line says why and what to do.
    """
    from huggingface_hub import get_cached_repo_tree
    from huggingface_hub.errors import CachedRepoTreeNotFoundError

    folder = _snapshot(name, revision, CONFIG_FILES)
    try:
        files = [file.path for file in get_cached_repo_tree(name, revision=folder.name)]
    except CachedRepoTreeNotFoundError:  # an older client filled the cache, and there is no hub to ask
        files = [path.name for path in folder.glob("*")]
    return Repository(name, folder, tuple(file for file in files if "/" not in file))


def _snapshot(name: str, revision: str | None, names: Sequence[str]) -> Path:
    from image_retrieval.models.hub_client import fetch_snapshot  # takes a second, which not every command has

    try:
        return fetch_snapshot(name, revision, map(glob.escape, names))
    except Exception as error:  # the hub's errors, and those of the client that asks it
        reason, advice = _told(_cause(error), name, revision)
        raise UserError(
            f"model {name!r} is not a folder here, and could not be fetched from the hub ({reason}): {advice}"
        ) from None


def _require_whole(paths: Sequence[Path], name: str) -> None:
    """Raise UserError if a file's bytes are not those that its hub stated; the file is then removed.

    The client compares sizes alone. A hub's ETag of a large file is its SHA-256, by which the cache calls the file.
    """
    for path in paths:
        stated = path.readlink().name if path.is_symlink() else ""
        if not re.fullmatch(r"[0-9a-f]{64}", stated):
            continue
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != stated:
            (path.parent / path.readlink()).unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            raise UserError(
                f"model {name!r} could not be fetched from the hub ({path.name} was altered on its way, by a mirror or "
                f"a proxy): try again, set HF_ENDPOINT to another mirror, {ELSEWHERE}"
            )


def _cause(error: Exception) -> BaseException:
    """What is behind the error for a cache that lacks files: the hub's answer, or that it could not be asked."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    return error.__cause__ or error if isinstance(error, LocalEntryNotFoundError) else error


def _told(error: BaseException, name: str, revision: str | None) -> tuple[str, str]:
    """An error's reason, and what to do."""
    import httpx2
    from huggingface_hub import constants, errors, get_token

    from image_retrieval.models.hub_client import TransferGivenUp

    hub, status = redacted(constants.ENDPOINT), getattr(getattr(error, "response", None), "status_code", None)
    match error:
        case errors.GatedRepoError():
            return "access to it is restricted", f"accept its terms at {hub}/{name}, and set HF_TOKEN to your token"
        case errors.RevisionNotFoundError():
            return f"it has no revision {revision!r}", "name a branch, a tag or a whole commit of it"
        case errors.HfHubHTTPError() if status == 401 and get_token() is not None:
            return "the hub refuses the token", "set HF_TOKEN to a valid token, or unset it"
        case errors.HfHubHTTPError() if status in (401, 404):
            return f"{hub} knows no such model, or it is private", "check the name; a private one needs HF_TOKEN"
        case errors.HfHubHTTPError():
            return f"{hub} answers with status {status}", f"try again later, {ELSEWHERE}"
        case errors.OfflineModeIsEnabled():
            cache = constants.HF_HUB_CACHE
            return f"HF_HUB_OFFLINE is set, and {cache} lacks it", f"fetch it once with HF_HUB_OFFLINE=0, {ELSEWHERE}"
        case TransferGivenUp():
            return f"{hub}: {error}", f"try again later, set HF_ENDPOINT to a nearer mirror, {ELSEWHERE}"
        case httpx2.RemoteProtocolError() | httpx2.ReadError():
            return f"{hub} breaks off", f"try again later, {ELSEWHERE}"
        case httpx2.TimeoutException():
            return f"{hub} does not answer in time", f"check the network and HF_ENDPOINT, {ELSEWHERE}"
        case httpx2.TransportError():  # its text may show headers, and so the token
            kind = type(error).__name__
            return f"{hub} cannot be asked: {kind}", f"check the network, HF_ENDPOINT and HF_TOKEN, {ELSEWHERE}"
        case errors.HFValidationError():
            return _first_line(error), "check the name and the revision"
        case UnicodeError():
            return "the token is not in ASCII", "set HF_TOKEN to a valid token, or unset it"
        case OSError(errno=int(), strerror=str()):
            place = error.filename or constants.HF_HUB_CACHE
            return f"{place}: {error.strerror}", f"free space there, or allow writing, or set HF_HOME, {ELSEWHERE}"
        case errors.FileMetadataError():
            return f"{hub} answers as no hub does", f"check HF_ENDPOINT, {ELSEWHERE}"
        case OSError():  # its text may show a signed URL
            return f"{hub} sends a file of another size than it states", f"try again later, {ELSEWHERE}"
    return f"{hub} answers as no hub does: {type(error).__name__}", f"check HF_ENDPOINT, {ELSEWHERE}"


def _first_line(error: BaseException) -> str:
    return redacted((str(error).strip() or type(error).__name__).splitlines()[0])[:200]
