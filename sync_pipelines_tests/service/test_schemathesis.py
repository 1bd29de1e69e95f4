"""What the OpenAPI document allows, and what it does not, sent to every operation: the document knows each answer.

By schemathesis, which makes requests of the document, over the socket, by everybody.
"""

import itertools
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import requests
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from sync_pipelines.service.signatures import sign
from sync_pipelines.service.throttle import Throttle

CHECKS = [
    *(status_code_conformance, content_type_conformance),
    *(response_headers_conformance, response_schema_conformance),
]
SECRET = "a-secret-of-the-tests-own"
#: Requests of each operation.
EXAMPLES = 100

Sent = Callable[[requests.PreparedRequest], requests.PreparedRequest]


@pytest.fixture(autouse=True)
def everything_is_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Upstreams, of which nobody listens at the address, and what their calls are signed with."""
    for name, value in {
        "WTL_API_URL": "http://127.0.0.1:9/api/v1",
        "WTL_API_TOKEN": "sandbox-token",
        "WTL_WEBHOOK_SECRET": SECRET,
        "BAKALARI_URL": "http://127.0.0.1:9",
        "BAKALARI_USERNAME": "reditel",
        "BAKALARI_PASSWORD": "sandbox-password",
        "BAKALARI_WEBHOOK_SECRET": SECRET,
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def callers(token: Callable[..., str]) -> Mapping[str, Sent]:
    """What each adds to a request."""
    numbers = itertools.count()

    def showing(shown: str) -> Sent:
        def add(request: requests.PreparedRequest) -> requests.PreparedRequest:
            request.headers["Authorization"] = f"Bearer {shown}"
            return request

        return add

    def signing(request: requests.PreparedRequest) -> requests.PreparedRequest:
        body = request.body if isinstance(request.body, bytes) else str(request.body or "").encode()
        call, now = f"call-{next(numbers)}", str(int(time.time()))
        signature = sign(SECRET.encode(), call, now, body)
        request.headers.update({"webhook-id": call, "webhook-timestamp": now, "webhook-signature": signature})
        return request

    return {
        "nobody": lambda request: request,
        "learner": showing(token("learner", "user-0")),
        "viewer": showing(token("viewer")),
        "operator": showing(token("operator")),
        "upstream": signing,
    }


OFTEN = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)


def test_whatever_is_sent_by_whomever_is_answered_as_documented_and_never_by_a_failure(
    service: FastAPI, address: str, callers: Mapping[str, Sent]
) -> None:
    # A minute goes by each time that somebody looks: how much is too much is another test's affair.
    service.state.throttle = Throttle(itertools.count(0, 60).__next__)
    schema = schemathesis.openapi.from_dict(requests.get(f"{address}/api/openapi.json", timeout=60).json())
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    let_in: set[str] = set()

    with requests.Session() as session:

        def send(case: Any, caller: str) -> None:
            answer = case.call(base_url=address, session=session, auth=callers[caller], timeout=60)
            assert answer.status_code != 500, answer.text
            case.validate_response(answer, checks=CHECKS)
            if answer.status_code not in (401, 403):
                let_in.add(case.operation.label)

        for operation in operations:
            good, bad = (operation.as_strategy(generation_mode=mode) for mode in GenerationMode)
            OFTEN(given(case=good | bad, caller=st.sampled_from(sorted(callers)))(send))()
    assert let_in == {operation.label for operation in operations}
    assert len(operations) == sum(len(methods) for methods in service.openapi()["paths"].values())
