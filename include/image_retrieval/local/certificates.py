"""The certificate with which the parts of the embedded store recognise each other, and nobody else.

An authority signs it once, and the authority's key is then discarded, so no second certificate exists that the parts
would accept. Its dates do not depend on the machine's clock, which may be wrong.

`python -m image_retrieval.local.certificates FOLDER` creates it in FOLDER if it is missing, for docker-compose.yaml.
"""

import ipaddress
import sys
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from image_retrieval.local.processes import HOST
from image_retrieval.private import make_private_folder, write_private

AUTHORITY, CERTIFICATE, KEY = "authority.pem", "store.pem", "store.key"
BEGIN, END = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
GRPC_PARTS = ("master", "volume", "filer", "s3", "admin", "worker", "client")
HTTP_PARTS = ("master", "volume", "filer", "admin", "client")


def make_certificate(folder: Path) -> None:
    """Write authority, certificate and key, readable by their owner only. Existing files are replaced."""
    authority, ours = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = _name("the embedded store's authority")
    root = (
        _builder(issuer, issuer, authority)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(authority, hashes.SHA256())
    )
    both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    leaf = (
        _builder(_name("the embedded store"), issuer, ours)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False)
        .add_extension(x509.ExtendedKeyUsage(both), critical=False)
        .sign(authority, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    key = ours.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    make_private_folder(folder)
    for name, content in ((AUTHORITY, root.public_bytes(pem)), (CERTIFICATE, leaf.public_bytes(pem)), (KEY, key)):
        write_private(folder / name, content.decode())


def variables(folder: Path) -> dict[str, str]:
    """SeaweedFS's settings that make each internal port ask for the certificate, and present it."""
    pair = {"CERT": folder / CERTIFICATE, "KEY": folder / KEY}
    values = {f"GRPC_{part}_{name}": path for part in GRPC_PARTS for name, path in pair.items()}
    values |= {f"HTTPS_{part}_{name}": path for part in HTTP_PARTS for name, path in pair.items()}
    values |= {f"HTTPS_{part}_CA": folder / AUTHORITY for part in HTTP_PARTS} | {"GRPC_CA": folder / AUTHORITY}
    return {f"WEED_{name.upper()}": str(path) for name, path in values.items()} | {"WEED_HTTPS_CLIENT_ENABLED": "true"}


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    return builder.serial_number(x509.random_serial_number()).not_valid_before(BEGIN).not_valid_after(END)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    if not (target / KEY).exists():  # the key is written last; running parts have read the existing one
        make_certificate(target)
    target.chmod(0o755)  # the store runs as another user, and only its container mounts this volume
    for file in target.iterdir():
        file.chmod(0o644)
