"""What KEDA's RabbitMQ scaler asks over HTTP, and what it reads of the answers."""

import re
from urllib.parse import quote

import pytest
import requests
from support.amqp_client import connect
from support.waiting import eventually


@pytest.fixture
def ask(broker):
    host, port = broker.http
    return lambda path: requests.get(f"http://guest:guest@{host}:{port}/api/queues/%2F{path}", timeout=5).json()


@pytest.fixture
def queues(broker, name):
    """Two queues with three messages each, of which one is unacknowledged."""
    made = [name("scaled"), name("scaled")]
    connection = connect(broker.amqp)
    channel = connection.channel()
    for queue in made:
        channel.queue_declare(queue)
        for _ in range(3):
            channel.basic_publish("", queue, b"work")
        assert channel.basic_get(queue)[0]
    yield made
    for queue in made:
        channel.queue_delete(queue)
    connection.close()


def test_the_length_of_one_queue(ask, queues):
    found = ask(f"/{quote(queues[0], safe='')}")
    assert (found["messages"], found["messages_ready"], found["messages_unacknowledged"]) == (3, 2, 1)


def test_queues_by_a_regular_expression(ask, queues):
    pattern = quote(f"^{re.escape(queues[0].rsplit('-', 2)[0])}.*$", safe="")
    page = ask(f"?page=1&use_regex=true&pagination=false&name={pattern}&page_size=100")
    assert page["page_count"] == 1
    assert sorted(queue["name"] for queue in page["items"]) == sorted(queues)
    assert sum(queue["messages"] for queue in page["items"]) == 6


def test_the_rates_that_it_scales_by(ask, queues, broker):
    """Rates are numbers from the first look on; they rise while messages come."""
    path = f"/{quote(queues[0], safe='')}"
    first = ask(path)["message_stats"]
    assert first["publish_details"]["rate"] >= 0 and first["deliver_get_details"]["rate"] >= 0
    channel = connect(broker.amqp).channel()

    def is_rising():
        channel.basic_publish("", queues[0], b"more")
        return ask(path)["message_stats"]["publish_details"]["rate"] > 0

    eventually(is_rising, "the rate of publishes is above 0", 30)
