"""Prints the variables of docker-compose.yaml that are secret, each made at random: `make .env` keeps them."""

import base64
import secrets

NAMES = (
    "POSTGRES_PASSWORD",
    "S3_ACCESS_KEY_ID",
    "S3_SECRET_ACCESS_KEY",
    "AIRFLOW_PASSWORD",
    "AIRFLOW_JWT_SECRET",
    "AIRFLOW_API_SECRET_KEY",
)

for name in NAMES:
    print(f"{name}={secrets.token_hex(16)}")
print(f"AIRFLOW_FERNET_KEY={base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()}")
