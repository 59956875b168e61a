import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from manifests import ROOT
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

LOCKS = sorted(ROOT.glob("requirements*.lock"))
OLDEST = ["3.11.0", "3.12.0", "3.13.0"]  # the first release of each version that is supported
DOCKERFILES = sorted((ROOT / "include" / "kubernetes").glob("Dockerfile*"))


def entries(path: Path) -> list[str]:
    """The entries of a lock file: each with its hashes, and what asks for it."""
    return re.findall(r"^[a-z0-9][^\n]*(?:\n +[^\n]*)*", path.read_text(), re.MULTILINE)


def requirement(entry: str) -> Requirement:
    return Requirement(entry.partition("\n")[0].removesuffix("\\"))


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_every_package_is_pinned_with_the_hashes_of_its_files(path):
    assert entries(path)
    for entry in entries(path):
        assert re.fullmatch(r"==[^,*]+", str(requirement(entry).specifier)), entry
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry), entry
    assert "://" not in path.read_text()  # the same wherever it is installed from


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
@pytest.mark.parametrize("version", OLDEST)
def test_what_is_locked_takes_each_python_that_is_supported(path, version):
    environment = {
        "python_version": version.rpartition(".")[0],
        "python_full_version": version,
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "platform_machine": "x86_64",
        "sys_platform": "linux",
    }
    if path.name in ("requirements-airflow.lock", "requirements-embedding.lock") and version != OLDEST[0]:
        return  # of the images, which have Python 3.11
    meant = [one for one in map(requirement, entries(path)) if not one.marker or one.marker.evaluate(environment)]
    assert len({one.name for one in meant}) == len(meant)
    for one in meant:
        try:
            package = distribution(one.name)
        except PackageNotFoundError:
            continue
        if package.version in one.specifier:  # else another Python's, of which nothing is known here
            assert SpecifierSet(package.metadata.get("Requires-Python") or "").contains(version), one


def test_the_supported_versions_are_told_alike():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=3.11,<3.14"
    assert "(3, 11) <= sys.version_info < (3, 14)" in (ROOT / "Makefile").read_text()
    for name in ("README.md", "CONTRIBUTING.md"):
        assert "Python 3.11, 3.12 or 3.13" in (ROOT / name).read_text()


@pytest.mark.parametrize("path", [ROOT / "Makefile", *DOCKERFILES], ids=lambda path: path.name)
def test_nothing_is_installed_without_hashes(path):
    text = path.read_text().replace("\\\n", " ")
    commands = re.findall(r"(?:pip install|\$\(INSTALL\)|\$\(LOCKED\))[^\n&]*", text)
    assert len(commands) >= 2
    for command in commands:
        hashed = "--require-hashes" in command or command.startswith("$(LOCKED)")
        this_project = re.search(r"--no-deps.* (-e )?\.$", command.strip())
        # another build of torch than PyPI's, from a place that its user names; and the definition of INSTALL itself
        own_build = "--no-verify-hashes" in command or command.endswith("--no-build-isolation")
        assert hashed or this_project or own_build, command
    assert "LOCKED = $(INSTALL) --require-hashes" in text or path.name != "Makefile"


def test_images_are_pinned_by_digests_and_renewed(tmp_path):
    for path in ("docker-compose.yaml", "include/kubernetes"):
        copy = shutil.copytree if (ROOT / path).is_dir() else shutil.copy
        (tmp_path / path).parent.mkdir(exist_ok=True)
        copy(ROOT / path, tmp_path / path)
    docker = tmp_path / "docker"
    docker.write_text('#!/bin/sh\nprintf "sha256:%s\\n" "$(echo "$4 $ROUND" | sha256sum | cut -c1-64)"\n')
    docker.chmod(0o755)
    changed = [tmp_path / "docker-compose.yaml", *(tmp_path / "include/kubernetes").glob("Dockerfile*")]

    def pin(number: str) -> dict[str, str]:
        path = f"{tmp_path}:/usr/bin:/bin"
        script = tmp_path / "include/kubernetes/pin_images.sh"
        subprocess.run([script], env={"PATH": path, "ROUND": number}, check=True, capture_output=True)
        text = "\n".join(one.read_text() for one in changed)
        found = re.findall(r"(?:_IMAGE=|image: )([^ @\n]+)(?:@(sha256:[0-9a-f]{64}))?$", text, re.MULTILINE)
        return dict(found)

    first, second = pin("1"), pin("2")
    ours = {name for name in first if name.startswith("image-retrieval-")}
    assert {name.partition(":")[0] for name in set(first) - ours} == {
        "apache/airflow",
        "chrislusf/seaweedfs",
        "pgvector/pgvector",
        "python",
    }
    assert all(first[name] and first[name] != second[name] for name in set(first) - ours)
    assert not any(first[name] for name in ours)


def test_the_audit_is_a_workflow():
    path = ROOT / ".github" / "workflows" / "audit.yaml"
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "pip-audit --disable-pip --require-hashes" in path.read_text()
