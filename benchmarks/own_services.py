"""The services that a benchmark has to itself."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from image_retrieval.local import services
from image_retrieval.settings import Settings


@contextmanager
def own_services(**options: Any) -> Iterator[Settings]:
    """Settings, with these options, of a PostgreSQL and an S3 store that end with the block, folder and all."""
    folder = Path(tempfile.mkdtemp(prefix="image-retrieval-benchmark-"))
    try:
        services.up(folder, lambda line: None)
        url = SecretStr(services.database_url(folder, services.DATABASE))  # not one of the environment
        yield Settings(_env_file=folder / "services.env", home=folder, database_url=url, **options)
    finally:
        services.down(folder, lambda line: None)
        shutil.rmtree(folder)
