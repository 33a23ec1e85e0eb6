"""Runs the command line clients of Debian: amqp-tools and mosquitto-clients."""

import subprocess

SECONDS_MAX = 15


def amqp(broker, tool, *arguments, body=None):
    """Runs one of amqp-tools to its end: its standard output."""
    host, port = broker.amqp
    server = ["--server", host, "--port", str(port), "--username", "guest", "--password", "guest"]
    return finished([tool, *server, *arguments], body)


def mosquitto_pub(broker, *arguments, body=None):
    """Publishes."""
    return finished(["mosquitto_pub", *address(broker), *arguments], body)


def mosquitto_rr(broker, *arguments):
    """Publishes a request, and gives what it printed about the response."""
    return finished(["mosquitto_rr", *address(broker), "-W", str(SECONDS_MAX), *arguments]).rstrip("\n")


class Subscriber:
    """mosquitto_sub that ends by itself after `count` messages; started when it has subscribed."""

    def __init__(self, broker, count, *arguments):
        command = ["mosquitto_sub", *address(broker), "-d", "-C", str(count), "-W", str(SECONDS_MAX), *arguments]
        self.process = subprocess.Popen(
            ["stdbuf", "-oL", *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.lines = []
        self._wait_until_subscribed()

    def _wait_until_subscribed(self):
        for line in self.process.stdout:
            if "received SUBACK" in line or "received PUBLISH" in line:
                return
            self.lines.append(line.rstrip("\n"))
        raise AssertionError(f"mosquitto_sub ended before it had subscribed: {self.lines}")

    def messages(self):
        """What it printed, without its own remarks; waits for its end."""
        # Not `communicate`: it would miss what the loop above has read ahead. `-W` ends the process.
        printed = self.lines + [line.rstrip("\n") for line in self.process.stdout]
        assert self.process.wait(SECONDS_MAX) == 0, printed
        remarks = ("Client ", "Subscribed ")
        return [line for line in printed if not line.startswith(remarks)]

    def stop(self):
        """Ends it whatever its state, for teardown."""
        self.process.kill()
        self.process.wait(SECONDS_MAX)


def address(broker):
    """Where the broker listens for MQTT, as options."""
    return ["-h", broker.mqtt[0], "-p", str(broker.mqtt[1])]


def finished(command, body=None):
    """Runs a command that has to succeed: its standard output."""
    done = subprocess.run(command, input=body, capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
    assert done.returncode == 0, f"{command} ended with {done.returncode}: {done.stderr}"
    return done.stdout
