"""What `make up` starts listens on what SECURITY.md states, and leaves nothing for others to read."""

import os
import stat
from pathlib import Path

from listening import listening, open_doors, stated

from image_retrieval.local import airflow, services


def test_what_listens_is_what_is_stated(airflow_settings):
    found = open_doors(airflow_settings.local_path, "postgres", "s3", "airflow")
    assert set(found) == stated("make up")
    assert len(found) == len(set(found))
    for facts in services._records(airflow_settings.local_path).values():
        assert {address for address, _ in listening(facts["pid"])} == {"127.0.0.1"}


def test_the_password_stands_in_no_log_and_nothing_can_be_read_by_others(airflow_settings):
    home = airflow_settings.local_path / "airflow"
    password = airflow.password(airflow_settings).encode()
    files = [Path(place, name) for place, _, names in os.walk(home) for name in names]
    assert any("logs" in path.parts for path in files)
    assert [path.name for path in files if password in path.read_bytes()] == [airflow.PASSWORDS]
    open_to_others = [path for path in (home, *files) if stat.S_IMODE(path.lstat().st_mode) & 0o077]
    assert [path for path in open_to_others if not path.is_symlink()] == []
