"""Schemathesis holds a running server to its OpenAPI document: no 500, and no answer that it does not document."""

import json
import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from api_double import MemoryEngine, make_app
from gateway_house import ROOT, answers, free_port, running
from hypothesis import HealthCheck, settings
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from traffic import OTHER_TEMPLATE, background_rows, campaign_rows, run_reindex, settings_of, store_rows

from indexer.encode import load_encoder
from indexer.settings import load_settings

EXAMPLES = 40  # of each operation
DOCUMENTED = [
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]

schema = schemathesis.openapi.from_dict(make_app(MemoryEngine()).openapi())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder, port = tmp_path_factory.mktemp("schema"), free_port()
    mine, url = settings_of(folder / "data"), f"http://127.0.0.1:{port}"
    store_rows(mine, [*campaign_rows(0), *campaign_rows(1000, OTHER_TEMPLATE, 40, 8), *background_rows(5000, 300)])
    run_reindex(mine, load_encoder("static", load_settings(None, os.environ).weights))
    command = [sys.executable, "-m", "app", "--data", mine.data, "--port", str(port)]
    with running(command, folder / "log", answers(f"{url}/livez"), PYTHONPATH=str(ROOT)):
        yield url


@schemathesis.serializer("application/x-ndjson")
def ndjson(_: object, value: Any) -> bytes:
    """One document a line; what is no list is the only line."""
    return "\n".join(map(json.dumps, value if isinstance(value, list) else [value])).encode()


def never_500(_: object, response: Response, __: object) -> None:
    """503 is documented, and what gateways are told whatever is wrong."""
    assert response.status_code != 500


@schema.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_answers_are_those_of_the_document(case: schemathesis.Case, server: str) -> None:
    answer = case.call_and_validate(base_url=server, checks=[never_500, *DOCUMENTED], timeout=60)
    assert len(answer.headers["x-request-id"]) == 1
