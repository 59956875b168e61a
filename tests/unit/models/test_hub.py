"""What the real client of a hub fetches from one on loopback, and what is told where it cannot."""

import logging
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from huggingface_hub import close_session
from huggingface_hub.utils._http import default_client_factory
from stand_in_hub import SIGNED, StandInHub, ask, stand_in_hub

from image_retrieval.errors import UserError
from image_retrieval.models.fetching import fetch
from image_retrieval.models.source import model_folder
from image_retrieval.settings import load_settings

MODEL = {"config.json": b"{}", "model.safetensors": b"weights", "README.md": b"", "onnx/model.safetensors": b"other"}
PICKLED = {"config.json": b"{}", "pytorch_model.bin": b"pickle"}
LARGE = MODEL | {"model.safetensors": bytes(12 * 2**20)}  # more than the 10 MiB that the client keeps in memory

FIND = """
from image_retrieval.models.source import model_folder
from image_retrieval.settings import load_settings
print(model_folder("owner/tiny", None, load_settings()))
"""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[StandInHub]:
    """A hub that the client of this process asks, with an empty cache."""
    with stand_in_hub() as hub:
        ask(hub, monkeypatch, tmp_path / "huggingface")
        yield hub


def found(name: str = "owner/tiny", revision: str | None = None, *, weights: bool = True) -> Path:
    return model_folder(name, revision, load_settings(), weights=weights)


def refused(name: str = "owner/tiny", revision: str | None = None, *, weights: bool = True) -> str:
    """What is told, in one line; the cache has nothing half-written."""
    with pytest.raises(UserError) as error:
        found(name, revision, weights=weights)
    told = str(error.value)
    assert "\n" not in told
    assert SIGNED not in told
    assert left_over() == []
    return told


def left_over() -> list[str]:
    return [path.name for path in load_settings().home.rglob("*.incomplete")]


def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client wait half a second for an answer."""
    for name in ("HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT"):
        monkeypatch.setattr(f"huggingface_hub.constants.{name}", 0.5)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_model_is_found_at_a_branch_a_tag_a_commit_and_by_default(hub):
    first = hub.push("owner/tiny", MODEL, revision="v1")
    second = hub.push("owner/tiny", MODEL | {"model.safetensors": b"better"})
    assert contents(found()) == {"config.json": b"{}", "model.safetensors": b"better"}
    assert found().name == found(revision="main").name == found(revision=second).name == second
    assert contents(found(revision="v1")) == {"config.json": b"{}", "model.safetensors": b"weights"}
    assert found(revision="v1").name == found(revision=first).name == first


def test_a_listing_fetches_no_weights(hub):
    hub.push("owner/tiny", MODEL)
    assert contents(found(weights=False)) == {"config.json": b"{}"}


def test_a_commit_that_is_here_asks_the_hub_nothing(hub):
    commit = hub.push("owner/tiny", MODEL)
    found(revision=commit)
    hub.asked.clear()
    found(revision=commit)
    assert hub.asked == []


def test_a_moved_repository_is_followed(hub):
    hub.push("owner/tiny", MODEL)
    hub.renamed["former/tiny"] = "owner/tiny"
    assert contents(found("former/tiny")) == contents(found())


def test_the_token_reaches_the_hub_and_never_its_cdn(hub, monkeypatch):
    hub.push("owner/tiny", MODEL)
    hub.repositories["owner/tiny"].gated = True
    monkeypatch.setenv("HF_TOKEN", "admitted")
    assert (found() / "model.safetensors").read_bytes() == b"weights"
    assert hub.told_to_cdn == []


@pytest.mark.parametrize(
    "answer", ["stopped", "offline", "status 503", "silent", "hangs up", "no hub", "refuses", "long wait"]
)
def test_what_is_here_is_used_where_the_hub_cannot_be(hub, monkeypatch, answer):
    hub.push("owner/tiny", MODEL)
    folder = found()
    match answer:
        case "stopped":
            hub.stop()
        case "offline":
            monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        case "status 503":
            hub.status = 503
        case "silent":
            silent(hub, monkeypatch)
        case "hangs up":
            hub.hangs_up = True
        case "no hub":
            hub.status = 200
        case "long wait":
            hub.status, hub.wait = 429, "3600"
        case "refuses":
            del hub.repositories["owner/tiny"]
    assert found() == folder
    assert found(weights=False) == folder


def test_a_listing_alone_leaves_no_weights_for_later(hub):
    commit = hub.push("owner/tiny", MODEL)
    found(weights=False)
    hub.stop()
    assert "cannot be asked: ConnectError): check the network, HF_ENDPOINT" in refused(revision=commit)


def gated(hub: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.repositories["owner/tiny"].gated = True


def gated_with_token(hub: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.repositories["owner/tiny"].gated = True
    monkeypatch.setenv("HF_TOKEN", "known")


def private(hub: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.repositories["owner/tiny"].private = True


def missing(hub: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.repositories.clear()


def missing_with_token(hub: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.repositories.clear()
    monkeypatch.setenv("HF_TOKEN", "known")


def wrong_token(hub: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "planted-token")


def odd_token(hub: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "planted-tok\u00e9n")


def overloaded(hub: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.status = 429


def no_hub(hub: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.status = 200


def stopped(hub: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.stop()


def offline(hub: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def breaking(hub: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.breaks_at, hub.breaks = 3, 99


def breaking_from_the_start(hub: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.push("owner/tiny", LARGE)
    hub.breaks_at, hub.breaks, hub.ranges = 11 * 2**20, 99, False


def shorter_than_told(hub: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.cut = 3


def no_folder(hub: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", "/dev/null/hub")


def silent(hub: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    impatient(monkeypatch)
    hub.silent = ("/api/models",)


def asking_for_a_long_wait(hub: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.status, hub.wait = 429, "86400"


def hanging_up(hub: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.hangs_up = True


def trickling(hub: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("image_retrieval.models.hub_client.SECONDS", 0.3)
    hub.push("owner/tiny", LARGE)
    hub.trickles = True


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (gated, "access to it is restricted): accept its terms at {hub}/owner/tiny, and set HF_TOKEN"),
        (gated_with_token, "access to it is restricted): accept its terms at {hub}/owner/tiny, and set HF_TOKEN"),
        (private, "{hub} knows no such model, or it is private): check the name; a private one needs HF_TOKEN"),
        (missing, "{hub} knows no such model, or it is private): check the name"),
        (missing_with_token, "{hub} knows no such model, or it is private): check the name"),
        (wrong_token, "the hub refuses the token): set HF_TOKEN to a valid token, or unset it"),
        (odd_token, "the token is not in ASCII): set HF_TOKEN to a valid token"),
        (overloaded, "{hub} answers with status 429): try again later"),
        (no_hub, "{hub} answers as no hub does: JSONDecodeError): check HF_ENDPOINT"),
        (stopped, "{hub} cannot be asked: ConnectError): check the network, HF_ENDPOINT"),
        (offline, "HF_HUB_OFFLINE is set, and {cache} lacks it): fetch it once with HF_HUB_OFFLINE=0"),
        (breaking, "{hub} breaks off): try again later"),
        (breaking_from_the_start, "breaks off again and again, and the hub does not continue it): try again later"),
        (shorter_than_told, "{hub} sends a file of another size than it states): try again later"),
        (no_folder, "(/dev/null/hub"),
        (asking_for_a_long_wait, "{hub}: it answers with status 429, and asks for a wait of 86400 s): try again later"),
        (hanging_up, "{hub} breaks off): try again later"),
        (silent, "{hub} does not answer in time): check the network and HF_ENDPOINT"),
        (trickling, "fewer than 64 KiB of a file arrived): try again later, set HF_ENDPOINT to a nearer mirror"),
    ],
)
def test_what_cannot_be_fetched_is_told_in_one_line_and_leaves_nothing(
    hub, monkeypatch, tmp_path, spoil: Callable[..., None], told
):
    hub.push("owner/tiny", MODEL)
    spoil(hub, monkeypatch)
    line = refused()
    assert line.startswith("model 'owner/tiny' is not a folder here, and could not be fetched from the hub (")
    assert told.format(hub=hub.url, cache=tmp_path / "huggingface" / "hub") in line
    assert "planted" not in line
    assert len(hub.asked) < 40
    assert not list(tmp_path.rglob("model.safetensors"))


@pytest.mark.parametrize("then", ["silent", "asks for a long wait"])
def test_a_hub_that_refused_a_connection_is_held_to_the_same_limits(hub, monkeypatch, then):
    commit = hub.push("owner/tiny", MODEL)
    found(weights=False)  # its list of files is known, so weights are asked for at once
    refusals = iter([httpx2.ConnectError("refused")])

    def refuse_once(request: httpx2.Request) -> None:
        for refusal in refusals:
            raise refusal

    def client() -> httpx2.Client:
        made = default_client_factory()
        made.event_hooks = {"request": [*made.event_hooks["request"], refuse_once], "response": []}
        return made

    monkeypatch.setattr("image_retrieval.models.hub_client.default_client_factory", client)
    close_session()
    impatient(monkeypatch)
    if then == "silent":
        hub.silent = (commit,)
        assert "does not answer in time" in refused(revision=commit)
    else:
        hub.status, hub.wait = 429, "86400"
        assert "asks for a wait of 86400 s" in refused(revision=commit)
    assert next(refusals, None) is None
    close_session()


def test_a_revision_that_is_none_is_told(hub):
    hub.push("owner/tiny", MODEL)
    assert "(it has no revision 'v9'): name a branch, a tag or a whole commit of it" in refused(revision="v9")
    assert "(it has no revision" in refused(revision="0" * 40)


@pytest.mark.parametrize("weights", [True, False])
def test_pickled_weights_are_named_before_a_run_begins(hub, weights):
    hub.push("owner/tiny", PICKLED)
    told = "has no *.safetensors: only safetensors models are loaded: `image-retrieval models add NAME owner/tiny"
    assert f"{told}` converts pytorch_model.bin" in refused(weights=weights)
    assert f"{told} --revision main` converts pytorch_model.bin" in refused(revision="main", weights=weights)
    assert list(load_settings().home.rglob("*.bin")) == []


def test_a_file_that_breaks_off_once_is_continued(hub, capfd, caplog):
    caplog.set_level(logging.INFO)
    hub.push("owner/tiny", LARGE)
    hub.breaks_at, hub.breaks = 11 * 2**20, 1
    assert (found() / "model.safetensors").read_bytes() == LARGE["model.safetensors"]
    assert f"RANGE {10 * 2**20}-" in hub.asked
    assert capfd.readouterr() == ("", "")  # neither a signed URL nor a bar
    assert caplog.records == []


@pytest.mark.parametrize("known", [False, True])
def test_a_mirror_need_not_have_the_hubs_storage_service(hub, known):
    hub.push("owner/tiny", MODEL)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        hub.xet = f"http://127.0.0.1:{closed.getsockname()[1]}" if known else ""  # one that cannot be reached, and none
    assert (found() / "model.safetensors").read_bytes() == b"weights"
    assert [asked for asked in hub.asked if "xet-read-token" in asked]


def test_a_file_that_was_altered_on_its_way_is_not_kept(hub, tmp_path):
    hub.push("owner/tiny", MODEL)
    hub.alters = True
    assert "model.safetensors was altered on its way, by a mirror or a proxy): try again" in refused()
    assert b"WEIGHTS" not in [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    hub.alters = False
    assert (found() / "model.safetensors").read_bytes() == b"weights"


def test_a_cache_without_a_list_of_files_is_used_offline(hub, tmp_path, monkeypatch):
    hub.push("owner/tiny", MODEL)
    folder = found()
    for listed in tmp_path.rglob("trees"):
        shutil.rmtree(listed)
    monkeypatch.setattr("huggingface_hub._tree_cache._IN_MEMORY_TREE_CACHE", {})
    hub.stop()
    assert found() == found(weights=False) == folder


def test_a_checkpoint_to_add_is_resolved_to_its_commit_and_its_file_may_be_named(hub, tmp_path):
    first = hub.push("owner/tiny", PICKLED | {"other[1].pt": b"other"}, revision="v1")
    hub.push("owner/tiny", MODEL)
    whole = fetch("owner/tiny", "v1", load_settings(), tmp_path)
    assert (whole.commit, [path.name for path in whole.weights]) == (first, ["pytorch_model.bin"])
    one = fetch("owner/tiny/other[1].pt", "v1", load_settings(), tmp_path)
    assert [path.read_bytes() for path in one.weights] == [b"other"]
    hub.stop()
    assert fetch("owner/tiny", "v1", load_settings(), tmp_path) == whole


def test_a_revision_of_what_has_none_is_told(tmp_path):
    with pytest.raises(UserError, match=r"revision 'v1' has no meaning for '[^']+', which is no hub id: leave it out"):
        fetch(str(tmp_path), "v1", load_settings(), tmp_path)


def as_a_pod(hub: StandInHub, cache: Path, **more: str) -> str:
    """What a process with the variables of a pod finds, or its last line."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment |= {"HF_ENDPOINT": hub.url, "HF_TOKEN": "admitted", "HF_HOME": str(cache / "huggingface"), **more}
    done = subprocess.run([sys.executable, "-c", FIND], env=environment, capture_output=True, text=True, timeout=300)
    return (done.stdout or done.stderr).splitlines()[-1]


def test_a_pod_finds_a_mirror_and_its_token_in_its_environment_and_needs_neither_later(tmp_path):
    with stand_in_hub() as hub:
        hub.push("owner/tiny", MODEL)
        hub.repositories["owner/tiny"].gated = True
        folder = Path(as_a_pod(hub, tmp_path))
        assert contents(folder) == {"config.json": b"{}", "model.safetensors": b"weights"}
        assert folder.is_relative_to(tmp_path / "huggingface")
    assert as_a_pod(hub, tmp_path, HF_HUB_OFFLINE="1", HF_TOKEN="") == str(folder)
