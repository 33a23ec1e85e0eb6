"""schemathesis over the API's own description: whatever it sends, there is an answer, and never a failure of the broker.

It takes names out of answers, so it would delete the user that it logs in as, and all that follows would be a refusal. What
does that, and what never ends, is left to `../python/test_management_hostile.py`, which sends worse to every operation.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.broker import clean_environment
from support.management import Management

EXAMPLES = 15
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance"
SETTINGS = """\
[checks.not_a_server_error]
# Health checks say so of what is not there.
expected-statuses = ["2xx", "3xx", "4xx", 503]
"""
LEFT_OUT = [
    "DELETE /users/{user}", "PUT /users/{user}", "POST /users/bulk-delete",
    # Their answers go on for as long as one listens.
    "GET /mqtt/tap", "GET /exchanges/{vhost}/{exchange}/tap", "GET /queues/{vhost}/{queue}/messages/stream",
]
# Operations that may be refused every time: permissions may be taken away on the way.
REFUSED_MAX = 5


@pytest.mark.own_process
@pytest.mark.timeout(600)
def test_no_request_is_too_much(own_broker, name):
    user = name("schemathesis")
    host, port = own_broker.http
    guest = Management(own_broker.http)
    guest.put(f"users/{user}", {"password": user, "tags": "administrator"})
    guest.put(f"permissions/%2F/{user}", {"configure": ".*", "write": ".*", "read": ".*"})
    settings = own_broker.directory / "schemathesis.toml"
    settings.write_text(SETTINGS)
    command = [
        Path(sys.executable).parent / "schemathesis", "--config-file", settings,
        "run", f"http://{host}:{port}/api/openapi.json",
        "--auth", f"{user}:{user}", "--checks", CHECKS, "--max-examples", str(EXAMPLES), "--seed", "7",
        "--phases", "examples,coverage,fuzzing", "--request-timeout", "60", "--suppress-health-check", "all",
        "--no-color", *(word for operation in LEFT_OUT for word in ("--exclude-name", operation)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=clean_environment(), cwd=own_broker.directory)
    assert done.returncode == 0, f"{done.stdout[-20000:]}\n{done.stderr[-2000:]}"
    own_broker.assert_sound()
    assert Management(own_broker.http, user, user).get("whoami").status_code == 200, "it has locked itself out"
    tested = int(re.search(r"Tested: (\d+)", done.stdout)[1])
    of_all = int(re.search(r"Selected: \d+/(\d+)", done.stdout)[1])
    assert tested == of_all - len(LEFT_OUT), done.stdout[-3000:]
    refused = re.search(r"Authentication failed: (\d+) operation", done.stdout)
    assert refused is None or int(refused[1]) <= REFUSED_MAX, done.stdout[-8000:]
