"""aiomqtt: MQTT in asyncio programs."""

import asyncio

import aiomqtt
import pytest
from aiomqtt import ProtocolVersion

from support.asynchronous import asynchronous, until, within
from support.mqtt_client import properties

V3, V5 = ProtocolVersion.V311, ProtocolVersion.V5
QOS = [0, 1, 2]


@pytest.fixture(params=[V3, V5], ids=["v3.1.1", "v5"])
def version(request):
    return request.param


@pytest.fixture
def client(broker, name):
    """Makes clients: `client(version, …)`, to be entered by the test."""
    def make(version=V5, identifier=None, **options):
        host, port = broker.mqtt
        return aiomqtt.Client(host, port, protocol=version, identifier=identifier or name("client"), **options)

    return make


@pytest.fixture
def persistent(client):
    """Makes clients with a session that outlives the connection."""
    def make(version, identifier):
        if version == V5:
            return client(version, identifier, clean_start=False,
                          properties=properties("CONNECT", SessionExpiryInterval=3600))
        return client(version, identifier, clean_session=False)

    return make


async def received(client, count=1):
    """The next messages of a client."""
    messages = aiter(client.messages)
    return [await within(anext(messages)) for _ in range(count)]


def code(granted):
    """The one code of a SUBACK, which is a number in MQTT 3 and an object in MQTT 5."""
    return getattr(granted[0], "value", granted[0])


@pytest.mark.parametrize("qos", QOS)
@asynchronous
async def test_a_message_reaches_its_subscriber(client, name, version, qos):
    topic = name("topic")
    async with client(version) as subscriber, client(version) as publisher:
        assert code(await subscriber.subscribe(topic, qos)) == qos
        await publisher.publish(topic, b"hello", qos)
        [message] = await received(subscriber)
    assert (str(message.topic), message.payload, message.qos, message.retain) == (topic, b"hello", qos, False)


@asynchronous
async def test_wildcards_select_topics(client, name, version):
    base = name("base")
    async with client(version) as one:
        await one.subscribe([(f"{base}/+/temp", 1), (f"{base}/deep/#", 1)])
        for topic in ("a/temp", "a/other", "deep/x/y"):
            await one.publish(f"{base}/{topic}", topic, 1)
        messages = await received(one, 2)
    assert [message.payload for message in messages] == [b"a/temp", b"deep/x/y"]
    assert messages[0].topic.matches(f"{base}/+/temp")


@asynchronous
async def test_unsubscribe_stops_the_flow(client, name, version):
    topic, last = name("topic"), name("last")
    async with client(version) as one:
        await one.subscribe([(topic, 1), (last, 1)])
        await one.unsubscribe(topic)
        await one.publish(topic, b"not wanted", 1)
        await one.publish(last, b"last", 1)
        assert (await received(one))[0].payload == b"last"


@asynchronous
async def test_a_retained_message_reaches_later_subscribers(client, name, version):
    topic = name("topic")
    async with client(version) as one:
        await one.publish(topic, b"kept", 1, retain=True)
        await one.subscribe(topic, 1)
        [message] = await received(one)
        await one.publish(topic, b"", 1, retain=True)
    assert (message.payload, message.retain) == (b"kept", True)


@asynchronous
async def test_a_client_that_is_taken_over_is_told_and_its_will_published(client, name, version):
    topic, identifier = name("will"), name("victim")
    async with client(version) as watcher:
        await watcher.subscribe(topic, 1)
        with pytest.raises(aiomqtt.MqttError):
            async with client(version, identifier, will=aiomqtt.Will(topic, b"gone", 1)) as victim:
                async with client(version, identifier):
                    await received(victim)
        assert (await received(watcher))[0].payload == b"gone"


@asynchronous
async def test_a_will_is_withdrawn_by_an_orderly_end(client, name, version):
    topic = name("will")
    async with client(version) as watcher:
        await watcher.subscribe(topic, 1)
        async with client(version, will=aiomqtt.Will(topic, b"gone", 1)):
            pass
        await watcher.publish(topic, b"nothing before", 1)
        assert (await received(watcher))[0].payload == b"nothing before"


@pytest.mark.parametrize("qos", [1, 2])
@asynchronous
async def test_messages_wait_for_a_session(client, persistent, name, version, qos):
    topic, identifier = name("topic"), name("session")
    async with persistent(version, identifier) as subscriber:
        await subscriber.subscribe(topic, qos)
    async with client(version) as publisher:
        for number in range(30):
            await publisher.publish(topic, number, qos)
    async with persistent(version, identifier) as subscriber:
        messages = await received(subscriber, 30)
    assert [(int(message.payload), message.qos) for message in messages] == [(number, qos) for number in range(30)]


@asynchronous
async def test_members_of_a_shared_subscription_get_each_message_once(client, name, version):
    topic, group = name("topic"), name("group")
    async with client(version) as one, client(version) as other, client(version) as publisher:
        for member in (one, other):
            await member.subscribe(f"$share/{group}/{topic}", 1)
        for number in range(20):
            await publisher.publish(topic, number, 1)
        await until(lambda: len(one.messages) + len(other.messages) == 20, "each message has come")
        messages = [*await received(one, len(one.messages)), *await received(other, len(other.messages))]
    assert sorted(int(message.payload) for message in messages) == list(range(20))


@asynchronous
async def test_publishes_at_the_same_time_are_all_acknowledged_and_arrive_in_order(client, name, version):
    topic, numbers = name("topic"), list(range(200))
    async with client(version) as subscriber, client(version) as publisher:
        await subscriber.subscribe(topic, 2)
        await asyncio.gather(*(publisher.publish(topic, number, 2) for number in numbers))
        messages = await received(subscriber, len(numbers))
    assert [int(message.payload) for message in messages] == numbers


@asynchronous
async def test_properties_of_version_5_reach_the_subscriber(client, name):
    topic = name("topic")
    sent = {"ContentType": "text/plain", "ResponseTopic": "answers", "CorrelationData": b"42",
            "UserProperty": [("a", "1"), ("a", "2")]}
    async with client() as one:
        await one.subscribe(topic, 1, properties=properties("SUBSCRIBE", SubscriptionIdentifier=7))
        await one.publish(topic, b"x", 1, properties=properties("PUBLISH", **sent))
        [message] = await received(one)
    assert {name: getattr(message.properties, name) for name in sent} == sent
    assert message.properties.SubscriptionIdentifier == [7]


@asynchronous
async def test_a_wrong_password_is_refused(client, version):
    with pytest.raises(aiomqtt.MqttCodeError, match="(?i)bad user name or password"):
        async with client(version, username="guest", password="wrong"):
            pass


@asynchronous
async def test_version_3_1_is_spoken(client, name):
    topic = name("topic")
    async with client(ProtocolVersion.V31, name("v31")[-20:]) as one:
        await one.subscribe(topic, 1)
        await one.publish(topic, b"old", 1)
        assert (await received(one))[0].payload == b"old"
