"""The OpenAPI document against the service: whatever fits or does not fit it, the service does not fail."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error

from integration.service.conftest import TOKEN


@pytest.fixture(scope="session")
def api(address):
    """The document as the running service gives it."""
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json", headers={"Authorization": TOKEN})
    return schema.exclude(path_regex="/api/health")  # a picture each, and nothing that a client decides


schema = schemathesis.pytest.from_fixture("api")


@pytest.mark.slow
@schema.parametrize()
@settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_no_request_makes_the_service_fail(case):
    answer = case.call(headers={"Authorization": TOKEN}, timeout=400)
    case.validate_response(answer, checks=[not_a_server_error])
