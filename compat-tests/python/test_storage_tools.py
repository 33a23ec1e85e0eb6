"""`leveret storage check` and `dump`: what they find in a data directory, and that they change nothing."""

import json
import shutil
import subprocess
from pathlib import Path

import pika
import pytest

from support.amqp_client import PERSISTENT, confirm, connect, fill, get_one
from support.broker import BINARY, Broker, clean_environment
from support.mqtt_client import MqttClient
from support.waiting import eventually

pytestmark = pytest.mark.own_process
ARGUMENTS = ["--storage-segment-size", "64KiB", "--message-memory", "64KiB"]


@pytest.fixture(scope="module", params=["clean", "killed"])
def left(tmp_path_factory, request):
    """The data directory of a broker that has stopped."""
    broker = Broker(tmp_path_factory.mktemp("left"), ARGUMENTS).start()
    channel = connect(broker.amqp).channel()
    for queue in ("q", "deep"):
        channel.queue_declare(queue, durable=True)
    fill(channel, "q", [b"1", b"2"], PERSISTENT)
    get_one(channel, "q", auto_ack=False)
    confirm(channel)
    properties = pika.BasicProperties(delivery_mode=2, content_type="text/plain", headers={"a": 1})
    channel.basic_publish("", "q", b"\xff\x00", properties)
    fill(channel, "deep", [b"%d %s" % (i, b"x" * 500) for i in range(800)], PERSISTENT)
    MqttClient(broker.mqtt).connect().publish("r", b"kept", 1, True)
    if request.param == "clean":
        broker.terminate()
    else:
        eventually(lambda: snapshot_covers_half(broker.data), "a snapshot names the first half of what was written")
        broker.kill()
    return broker.data


def snapshot_covers_half(data):
    """Whether replay would begin in the second half of the segments."""
    segments = sorted(int(path.stem, 16) for path in data.glob("*.log"))
    return any(int(path.stem, 16) >= segments[len(segments) // 2 + 1] for path in data.glob("*.snapshot"))


@pytest.fixture
def directory(left, tmp_path):
    """A copy of it. A broker that was killed has left its socket, which is no file to copy."""
    return Path(shutil.copytree(left, tmp_path / "data", ignore=shutil.ignore_patterns("leveret.sock")))


def tool(directory, *command):
    """Runs `leveret storage` on a directory."""
    return subprocess.run([BINARY, "storage", *command, "--data-dir", str(directory)], text=True,
                          capture_output=True, env=clean_environment(), timeout=30)


def content(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_a_sound_directory_is_said_to_be_sound(directory):
    before = content(directory)
    done = tool(directory, "check")
    assert (done.returncode, done.stderr) == (0, "")
    assert "0 damaged places, 0 messages lost; the last stop was" in done.stdout
    assert content(directory) == before


def test_a_dump_has_the_messages_of_a_queue_in_order(directory):
    before = content(directory)
    done = tool(directory, "dump", "--queue", "q")
    assert done.returncode == 0
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    assert [m["payload"] for m in messages] == ["1", "2", "/wA="]
    assert [m["payload_encoding"] for m in messages] == ["string", "string", "base64"]
    assert [m["redelivered"] for m in messages] == [True, False, False]
    assert messages[2]["properties"] == {"delivery_mode": 2, "content_type": "text/plain", "headers": {"a": 1}}
    assert [m["index"] for m in messages] == [0, 1, 2] and messages[0]["routing_key"] == "q"
    deep = [json.loads(line) for line in tool(directory, "dump", "--queue", "deep").stdout.splitlines()]
    assert [int(m["payload"].split()[0]) for m in deep] == list(range(800))
    assert content(directory) == before


def test_damage_is_named_and_what_it_costs(directory):
    message = json.loads(tool(directory, "dump", "--queue", "deep").stdout.splitlines()[400])
    bases = sorted(int(path.stem, 16) for path in directory.glob("*.log"))
    base = max(b for b in bases if b <= message["position"])
    path = directory / f"{base:016x}.log"
    data = bytearray(path.read_bytes())
    data[message["position"] - base + 100] ^= 1
    path.write_bytes(data)
    done = tool(directory, "check")
    assert done.returncode == 1
    assert str(path) in done.stdout and str(message["position"]) in done.stdout
    assert '"deep"' in done.stdout and "1 of 800 messages lost" in done.stdout
    lines = tool(directory, "dump", "--queue", "deep").stdout.splitlines()
    assert len(lines) == 800 and "cannot be read" in lines[400]


def test_a_missing_segment_is_found(directory):
    segments = sorted(directory.glob("*.log"))
    segments[len(segments) // 2].unlink()
    done = tool(directory, "check")
    names_messages = '"deep"' in done.stdout and " 0 messages lost" not in done.stdout
    # After a crash the snapshot may be older than the segment. Then nothing names what was in it, and it is a gap.
    is_gap = "not clean" in done.stdout and "missing" in done.stdout
    assert done.returncode == 1 and (names_messages or is_gap)


def test_a_directory_in_use_is_not_touched(own_broker):
    done = tool(own_broker.data, "check")
    assert done.returncode == 1 and "in use" in done.stderr
    own_broker.assert_sound()


@pytest.mark.parametrize("command, complaint", [
    (["dump", "--queue", "nope"], "there is no queue"),
    (["dump"], "--queue"),
    (["check", "--storage-engine", "sled"], "only the engine log"),
    ([], "subcommand"),
])
def test_mistakes_are_told_in_one_line(directory, command, complaint):
    done = tool(directory, *command)
    assert done.returncode == 1 and complaint in done.stderr and done.stderr.count("\n") == 1


def test_a_directory_that_is_not_there_is_told(tmp_path):
    done = tool(tmp_path / "nowhere", "check")
    assert done.returncode == 1 and "nowhere" in done.stderr
    assert not (tmp_path / "nowhere").exists()
