"""The embedded store's parts know each other by a certificate that nobody else can have."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from image_retrieval.local.certificates import AUTHORITY, CERTIFICATE, KEY, make_certificate, variables


def loaded(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_the_certificate_is_the_only_one_of_its_authority(tmp_path):
    make_certificate(tmp_path)
    certificate, authority = loaded(tmp_path / CERTIFICATE), loaded(tmp_path / AUTHORITY)
    certificate.verify_directly_issued_by(authority)
    key = load_pem_private_key((tmp_path / KEY).read_bytes(), None).public_key()
    assert key == certificate.public_key() != authority.public_key()  # that one's key is nowhere
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == dict.fromkeys(
        (AUTHORITY, CERTIFICATE, KEY), 0o600
    )


def test_another_store_has_another_one(tmp_path):
    for name in ("one", "two"):
        make_certificate(tmp_path / name)
    with pytest.raises(InvalidSignature):
        loaded(tmp_path / "one" / CERTIFICATE).verify_directly_issued_by(loaded(tmp_path / "two" / AUTHORITY))


def test_a_running_store_keeps_the_certificate_that_it_read(tmp_path):
    command = [sys.executable, "-m", "image_retrieval.local.certificates", tmp_path / "volume"]
    subprocess.run(command, check=True)
    made = {path.name: path.read_bytes() for path in (tmp_path / "volume").iterdir()}
    subprocess.run(command, check=True)
    assert {path.name: path.read_bytes() for path in (tmp_path / "volume").iterdir()} == made
    assert set(made) == {AUTHORITY, CERTIFICATE, KEY}


def test_every_setting_names_a_file_that_is_there(tmp_path):
    make_certificate(tmp_path)
    files = {value for name, value in variables(tmp_path).items() if name != "WEED_HTTPS_CLIENT_ENABLED"}
    assert files == {str(tmp_path / name) for name in (AUTHORITY, CERTIFICATE, KEY)}
