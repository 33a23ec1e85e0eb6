"""gmqtt: an MQTT client for asyncio with a codec of its own, which connects again by itself."""

import asyncio

import gmqtt
import pytest
from gmqtt.mqtt.constants import MQTTv311, MQTTv50

from support.asynchronous import asynchronous, until, within

QOS = [0, 1, 2]


class Client(gmqtt.Client):
    """gmqtt with its callbacks turned into queues."""

    def __init__(self, client_id, **options):
        super().__init__(client_id, **options)
        self.received, self.granted, self.removed = asyncio.Queue(), asyncio.Queue(), asyncio.Queue()
        self.present = []
        self.on_message = lambda _c, *message: self.received.put_nowait(message)
        self.on_subscribe = lambda _c, _mid, codes, _properties: self.granted.put_nowait(codes)
        self.on_unsubscribe = lambda _c, _mid, codes: self.removed.put_nowait(codes)
        self.on_connect = lambda _c, present, _code, _properties: self.present.append(bool(present))
        self.on_disconnect = lambda *_: None

    async def subscribed(self, topic, qos=0, **options):
        """SUBSCRIBE, and the code of its SUBACK."""
        self.subscribe(gmqtt.Subscription(topic, qos=qos), **options)
        [code] = await within(self.granted.get())
        return code

    async def published(self, topic, payload, qos=0, **options):
        """PUBLISH, and the end of its handshake."""
        self.publish(topic, payload, qos=qos, **options)
        await within(self._persistent_storage.wait_empty())

    async def messages(self, count):
        """The next messages."""
        return [await within(self.received.get()) for _ in range(count)]

    async def payloads(self, count):
        """The payloads of the next messages."""
        return [payload for _, payload, _, _ in await self.messages(count)]


@pytest.fixture(params=[MQTTv311, MQTTv50], ids=["v3.1.1", "v5"])
def version(request):
    return request.param


class Clients:
    """Connects clients, and disconnects them at the end of the block."""

    def __init__(self, address, name):
        self.address, self.name, self.opened = address, name, []

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        for client in self.opened:
            await client.disconnect()

    async def __call__(self, version=MQTTv50, client_id=None, **options):
        client = Client(client_id or self.name("client"), **options)
        client.set_config({"reconnect_retries": 50, "reconnect_delay": 0.1})
        self.opened.append(client)
        await within(client.connect(*self.address, version=version))
        return client

    async def persistent(self, version, client_id):
        """With a session that outlives the connection."""
        expiry = {"session_expiry_interval": 3600} if version == MQTTv50 else {}
        return await self(version, client_id, clean_session=False, **expiry)


@pytest.fixture
def clients(broker, name):
    return Clients(broker.mqtt, name)


@pytest.mark.parametrize("qos", QOS)
@asynchronous
async def test_a_message_reaches_its_subscriber(clients, name, version, qos):
    topic = name("topic")
    async with clients:
        subscriber, publisher = await clients(version), await clients(version)
        assert await subscriber.subscribed(topic, qos) == qos
        await publisher.published(topic, b"hello", qos)
        [(got, payload, got_qos, properties)] = await subscriber.messages(1)
    assert (got, payload, got_qos, properties["retain"], properties["dup"]) == (topic, b"hello", qos, 0, 0)


@pytest.mark.parametrize("qos", [1, 2])
@asynchronous
async def test_receive_maximum_waits_for_acknowledgements_after_the_work(clients, name, qos):
    topic, done = name("topic"), asyncio.Semaphore(0)

    async def work(worker, *message):
        worker.received.put_nowait(message)
        await done.acquire()
        return 0

    async with clients:
        worker, publisher = await clients(optimistic_acknowledgement=False, receive_maximum=1), await clients()
        worker.on_message = work
        await worker.subscribed(topic, qos)
        for number in (1, 2):
            await publisher.published(topic, number, qos)
        assert await worker.payloads(1) == [b"1"]
        await worker.subscribed(name("what comes before this answer"))
        assert worker.received.empty()
        done.release()
        assert await worker.payloads(1) == [b"2"]
        done.release()


@asynchronous
async def test_wildcards_select_topics_until_unsubscribe(clients, name, version):
    base, last = name("base"), name("last")
    async with clients:
        one = await clients(version)
        await one.subscribed(f"{base}/+/temp", 1)
        await one.subscribed(last, 1)
        await one.published(f"{base}/a/temp", b"wanted", 1)
        await one.published(f"{base}/a/other", b"not wanted", 1)
        one.unsubscribe(f"{base}/+/temp")
        await within(one.removed.get())
        await one.published(f"{base}/a/temp", b"too late", 1)
        await one.published(last, b"last", 1)
        assert await one.payloads(2) == [b"wanted", b"last"]


@asynchronous
async def test_a_retained_message_reaches_later_subscribers(clients, name, version):
    topic = name("topic")
    async with clients:
        one = await clients(version)
        await one.published(topic, b"kept", 1, retain=True)
        await one.subscribed(topic, 1)
        [(_, payload, _, properties)] = await one.messages(1)
        await one.published(topic, b"", 1, retain=True)
    assert (payload, properties["retain"]) == (b"kept", 1)


@asynchronous
async def test_a_will_is_published_when_the_client_is_taken_over(clients, name, version):
    topic, client_id = name("will"), name("victim")
    async with clients:
        watcher = await clients(version)
        await watcher.subscribed(topic, 1)
        victim = await clients(version, client_id, will_message=gmqtt.Message(topic, b"gone", qos=1))
        victim.stop_reconnect()
        await clients(version, client_id)
        assert await watcher.payloads(1) == [b"gone"]


@asynchronous
async def test_disconnect_0x04_publishes_the_will_of_version_5(clients, name):
    topic = name("will")
    async with clients:
        watcher = await clients()
        await watcher.subscribed(topic, 1)
        kept_back = await clients(will_message=gmqtt.Message(topic, b"kept back", qos=1))
        await kept_back.disconnect()
        leaving = await clients(will_message=gmqtt.Message(topic, b"gone", qos=1, content_type="text/plain"))
        await leaving.disconnect(reason_code=4)
        [(_, payload, _, properties)] = await watcher.messages(1)
    assert (payload, properties["content_type"]) == (b"gone", ["text/plain"])


@pytest.mark.parametrize("qos", [1, 2])
@asynchronous
async def test_messages_wait_for_a_session(clients, name, version, qos):
    topic, client_id = name("topic"), name("session")
    async with clients:
        subscriber = await clients.persistent(version, client_id)
        await subscriber.subscribed(topic, qos)
        await subscriber.disconnect()
        publisher = await clients(version)
        for number in range(30):
            await publisher.published(topic, number, qos)
        subscriber = await clients.persistent(version, client_id)
        assert subscriber.present == [True]
        assert await subscriber.payloads(30) == [b"%d" % number for number in range(30)]


@asynchronous
async def test_members_of_a_shared_subscription_get_each_message_once(clients, name, version):
    topic, group = name("topic"), name("group")
    async with clients:
        members = [await clients(version) for _ in range(2)]
        for member in members:
            await member.subscribed(f"$share/{group}/{topic}", 1)
        publisher = await clients(version)
        for number in range(20):
            await publisher.published(topic, number, 1)
        await until(lambda: sum(member.received.qsize() for member in members) == 20, "each message has come")
        found = [payload for member in members for payload in await member.payloads(member.received.qsize())]
    assert sorted(map(int, found)) == list(range(20))


@asynchronous
async def test_properties_of_version_5_reach_the_subscriber(clients, name):
    topic = name("topic")
    async with clients:
        one = await clients()
        await one.subscribed(topic, 1, subscription_identifier=7)
        await one.published(topic, b"x", 1, content_type="text/plain", response_topic="answers",
                            correlation_data=b"42", user_property=[("a", "1"), ("a", "2")], message_expiry_interval=60)
        [(_, _, _, got)] = await one.messages(1)
    assert (got["content_type"], got["response_topic"]) == (["text/plain"], ["answers"])
    assert got["correlation_data"] == [b"42"]
    assert (got["user_property"], got["subscription_identifier"]) == ([("a", "1"), ("a", "2")], [7])
    assert got["message_expiry_interval"][0] in (59, 60)


@asynchronous
async def test_a_wrong_password_is_refused(clients, version):
    refused = Client("refused")
    refused.set_auth_credentials("guest", "wrong")
    with pytest.raises(gmqtt.mqtt.handler.MQTTConnectError, match="bad user name or password|Bad User Name"):
        await within(refused.connect(*clients.address, version=version))


@pytest.mark.own_process
@pytest.mark.parametrize("qos", [1, 2])
@asynchronous
async def test_a_client_resumes_by_itself_after_the_broker_was_killed(own_broker, name, version, qos):
    topic = name("topic")
    async with Clients(own_broker.mqtt, name) as clients:
        subscriber = await clients.persistent(version, "subscriber")
        await subscriber.subscribed(topic, qos)
        publisher = await clients.persistent(version, "publisher")
        await publisher.published(topic, b"before", qos)
        await asyncio.to_thread(own_broker.kill_and_restart)
        await until(lambda: subscriber.present[1:] == publisher.present[1:] == [True], "both have resumed")
        await publisher.published(topic, b"after", qos)
        received = []
        while received[-1:] != [b"after"]:
            received += await subscriber.payloads(1)
    assert list(dict.fromkeys(received)) == [b"before", b"after"]
