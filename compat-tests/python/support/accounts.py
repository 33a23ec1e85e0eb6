"""Users with permissions, made through the management API."""

import pytest
from pika.exceptions import ProbableAccessDeniedError

from support.amqp_client import connect
from support.management import segment


def refusal_of_open(operation):
    """Runs `operation` and returns what a refused connection.open says."""
    with pytest.raises(ProbableAccessDeniedError) as caught:
        operation()
    return caught.value.args[0]


EVERYTHING = {"configure": ".*", "write": ".*", "read": ".*"}
NOTHING = {"configure": "", "write": "", "read": ""}


class Account:
    """One user of a vhost, who begins with nothing that is not given."""

    def __init__(self, management, address, name, vhost="/", tags="", **permissions):
        self.management, self.address = management, address
        self.name, self.vhost = name, vhost
        made = management.put(f"users/{segment(name)}", {"password": "secret", "tags": tags})
        assert made.status_code in (201, 204), made.text
        self.permit(**permissions)

    def permit(self, **permissions):
        """Sets the permissions: those not named are for nothing."""
        self._put("permissions", {**NOTHING, **permissions})

    def permit_topics(self, exchange, write=".*", read=".*"):
        """Sets the permissions for topics of an exchange."""
        self._put("topic-permissions", {"exchange": exchange, "write": write, "read": read})

    def limit(self, name, value):
        """Sets a limit of the user."""
        path = f"user-limits/{segment(self.name)}/{name}"
        answer = self.management.put(path, {"value": value})
        assert answer.status_code in (201, 204), answer.text

    def connect(self, **options):
        """An AMQP connection of this user."""
        return connect(
            self.address, user=self.name, password="secret", vhost=self.vhost, **options)

    def delete(self):
        """Takes the user away."""
        self.management.delete(f"users/{segment(self.name)}")

    def _put(self, what, body):
        path = f"{what}/{segment(self.vhost)}/{segment(self.name)}"
        answer = self.management.put(path, body)
        assert answer.status_code in (201, 204), answer.text
