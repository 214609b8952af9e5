"""The OpenAPI document is whole, and the server keeps to it (a few cases; scripts/fuzz_serve.py has more)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from helpers_serve import HERE, client_of, run_outside, service
from helpers_stub import StubPredictor

schemathesis = pytest.importorskip("schemathesis")
positive_data_acceptance = pytest.importorskip("schemathesis.checks").positive_data_acceptance
pytest.importorskip("highdicom")

APP = service(StubPredictor)
SCHEMA = schemathesis.openapi.from_dict(APP.openapi())


@pytest.fixture(scope="module", autouse=True)
def running() -> Iterator[None]:
    with client_of(APP):
        yield


def test_every_route_tells_of_itself() -> None:
    document = APP.openapi()
    assert {"/v1/predict", "/v1/jobs", "/v1/jobs/{job}", "/health", "/ready", "/version", "/metrics"} <= set(
        document["paths"]
    )
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            assert told.get("summary"), (method, path)
            assert told.get("description"), (method, path)
            if not path.startswith("/v1"):
                continue
            errors = {status: body for status, body in told["responses"].items() if status >= "400"}
            assert errors, (method, path)
            for status, body in errors.items():
                assert body["content"]["application/json"]["schema"]["$ref"].endswith("Error"), (path, status)
                assert body["content"]["application/json"]["example"]["error"]["code"]
    body = document["paths"]["/v1/predict"]["post"]["requestBody"]["content"]
    assert {"multipart/form-data", "image/png", "application/dicom"} <= set(body)


def test_no_page_of_documentation_loads_scripts_from_elsewhere() -> None:
    with client_of(service(StubPredictor)) as client:
        assert client.get("/docs").status_code == 404
        assert client.get("/redoc").status_code == 404


@pytest.mark.filterwarnings("ignore:Skipped test cases with unsupported payload media types")
@SCHEMA.parametrize()  # type: ignore[untyped-decorator]
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck), database=None)
def test_the_server_keeps_to_it(case) -> None:
    case.call_and_validate(app=run_outside(APP), base_url=HERE, excluded_checks=[positive_data_acceptance])
