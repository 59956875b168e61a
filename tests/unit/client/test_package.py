import subprocess
import sys

import pytest

import image_retrieval

HEAVY = {"torch", "transformers", "psycopg", "PIL", "numpy", "boto3", "pyarrow", "pydantic", "airflow", "pandas"}


def modules_after(statement: str) -> set[str]:
    script = f"import sys\n{statement}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_heavy():
    assert not modules_after("import image_retrieval") & HEAVY


def test_importing_the_client_loads_no_model_library():
    heavy = {"torch", "transformers", "boto3", "pyarrow", "airflow", "pandas", "fastapi"}
    assert not modules_after("from image_retrieval import Client") & heavy


def test_every_name_of_the_package_is_there():
    for name in image_retrieval.__all__:
        assert getattr(image_retrieval, name) is not None
        assert name in dir(image_retrieval)
    with pytest.raises(AttributeError, match="has no attribute 'client_'"):
        _ = image_retrieval.client_
