"""schemathesis over the API's own description: whatever it sends, there is an answer, and never a failure of the broker."""

import subprocess
import sys
from pathlib import Path

import pytest
from support.broker import clean_environment
from support.management import Management

EXAMPLES = 15
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance"


@pytest.mark.own_process
@pytest.mark.timeout(600)
def test_no_request_is_too_much(own_broker, name):
    # It deletes whom it can name; nobody names this one.
    user = name("schemathesis")
    host, port = own_broker.http
    Management(own_broker.http).put(f"/users/{user}", {"password": user, "tags": "administrator"})
    command = [
        Path(sys.executable).parent / "schemathesis", "run", f"http://{host}:{port}/api/openapi.json",
        "--auth", f"{user}:{user}", "--checks", CHECKS, "--max-examples", str(EXAMPLES), "--seed", "7",
        "--phases", "examples,coverage,fuzzing", "--request-timeout", "60", "--no-color",
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=clean_environment(), cwd=own_broker.directory)
    assert done.returncode == 0, f"{done.stdout[-20000:]}\n{done.stderr[-2000:]}"
    own_broker.assert_sound()
