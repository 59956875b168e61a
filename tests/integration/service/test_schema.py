"""The OpenAPI document against the service: whatever fits or does not fit it, the service does not fail."""

from contextlib import suppress

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.core.control import SkipTest
from schemathesis.generation import GenerationMode

from integration.service.conftest import TOKEN

HEADERS = {"Authorization": TOKEN}
BOUNDED = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_no_request_makes_the_service_fail(address, mode):
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json", headers=HEADERS)
    asked = 0
    for found in schema.get_all_operations():
        operation = found.ok()

        @BOUNDED
        @given(case=operation.as_strategy(generation_mode=mode))
        def check(case):
            nonlocal asked
            asked += 1
            answer = case.call(headers=HEADERS, timeout=400)
            assert answer.status_code < 500, (case.method, case.path, answer.text)

        if operation.path != "/api/health":  # a picture each time, and nothing that a client decides
            with suppress(SkipTest, Unsatisfiable):  # there is nothing in it that could be wrong
                check()
    assert asked > 100
