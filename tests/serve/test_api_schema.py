"""What the OpenAPI schema says and what is answered are the same, whatever is asked."""

from __future__ import annotations

import subprocess
import sys

import pytest
from serving import make_odd, make_photos, make_tags, server_of

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "negative_data_rejection",
)
CONFIG = """
[checks]
negative_data_rejection.expected-statuses = ["4xx"]
"""
PRESENT = """
[parameters]
index = "tags"
"path.id" = "t1"
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server that may change its indexes."""
    place = tmp_path_factory.mktemp("indexes")
    makers = {"photos": make_photos, "tags": make_tags, "odd": make_odd}
    with server_of(*(make(place / name) for name, make in makers.items()), "--writable") as server:
        yield server


def schemathesis(server, folder, *words, config=CONFIG):
    """Ask what the schema allows and what it does not; the report if an answer is not as it says."""
    (folder / "schemathesis.toml").write_text(config)
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/v1/openapi.json", "--no-color"]
    command += ["--checks", ",".join(CHECKS), "--suppress-health-check", "all", "--seed", "1", "--continue-on-failure"]
    done = subprocess.run([*command, *words], cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    assert "internal error" not in server.log
    assert "Traceback" not in server.log


@pytest.mark.slow
def test_every_answer_is_documented(server, tmp_path):
    schemathesis(server, tmp_path, "--phases", "examples,coverage,fuzzing", "--max-examples", "40")


@pytest.mark.slow
def test_every_answer_about_what_is_there_is_documented(server, tmp_path):
    """Most questions of the other test are about indexes and items that do not exist."""
    words = ["--phases", "coverage,fuzzing", "--max-examples", "40", "--exclude-method", "DELETE"]
    schemathesis(server, tmp_path, *words, config=CONFIG + PRESENT)


def test_the_schema_names_all_addresses_and_their_errors(client):
    schema = client.get("/v1/openapi.json").json()
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            assert operation["description"], (path, method)
            responses = operation["responses"]
            assert {"401", "403", "413", "500", "503"} <= set(responses), (path, method)
            for status, response in responses.items():
                if status >= "4":
                    assert list(response["content"]) == ["application/problem+json"]
    routes = {route.path for route in client.app.routes if getattr(route, "include_in_schema", False)}
    assert set(schema["paths"]) == routes - {"/v1/openapi.json"}
