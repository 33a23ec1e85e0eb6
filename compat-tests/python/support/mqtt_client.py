"""paho-mqtt with its callbacks turned into queues and waits."""

import queue

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

VERSIONS = {3: paho.MQTTv311, 5: paho.MQTTv5}
SECONDS_MAX = 10


def properties(packet, **values):
    """v5 properties of a packet: `properties("PUBLISH", ContentType="text/plain")`."""
    made = Properties(getattr(PacketTypes, packet))
    for key, value in values.items():
        setattr(made, key, value)
    return made


class MqttClient:
    """One client id on one connection; every wait has a deadline."""

    def __init__(self, address, client_id="", version=5, clean=True, expiry=None, keep_alive=60,
                 user=None, password=None, will=None, connect=None, manual_ack=False, transport="tcp"):
        self.address, self.version, self.clean = address, version, clean
        self.expiry, self.keep_alive, self.connect_values = expiry, keep_alive, connect or {}
        self.messages, self._connects = queue.Queue(), queue.Queue()
        self._subscribed, self._disconnects = queue.Queue(), queue.Queue()
        options = {"clean_session": clean} if version != 5 else {}
        self.paho = paho.Client(
            CallbackAPIVersion.VERSION2, client_id, protocol=VERSIONS[version],
            reconnect_on_failure=False, manual_ack=manual_ack, transport=transport, **options,
        )
        if user is not None:
            self.paho.username_pw_set(user, password)
        if will is not None:
            self.paho.will_set(**will)
        self._listen()

    def _listen(self):
        self.paho.on_connect = lambda _c, _u, flags, code, props: self._connects.put(
            (flags.session_present, code, props))
        self.paho.on_connect_fail = lambda _c, _u: self._connects.put((False, None, None))
        self.paho.on_message = lambda _c, _u, message: self.messages.put(message)
        self.paho.on_subscribe = lambda _c, _u, mid, codes, _p: self._subscribed.put((mid, codes))
        self.paho.on_unsubscribe = self.paho.on_subscribe
        self.paho.on_disconnect = lambda _c, _u, _f, code, _p: self._disconnects.put(code)

    def connect(self):
        """Connects and asserts that the broker accepts."""
        code = self.try_connect()
        assert code is not None and not code.is_failure, f"refused: {code}"
        return self

    def try_connect(self):
        """Connects and returns the reason code of CONNACK."""
        options = {}
        if self.version == 5:
            values = dict(self.connect_values)
            if self.expiry is not None:
                values["SessionExpiryInterval"] = self.expiry
            options = {"clean_start": self.clean, "properties": properties("CONNECT", **values)}
        self.paho.connect(*self.address, keepalive=self.keep_alive, **options)
        self.paho.loop_start()
        self.session_present, code, self.connack = self._connects.get(timeout=SECONDS_MAX)
        return code

    def publish(self, topic, payload=b"", qos=0, retain=False, **values):
        """Publishes and waits until the handshake of the QoS is complete."""
        info = self.publish_soon(topic, payload, qos, retain, **values)
        info.wait_for_publish(SECONDS_MAX)
        assert info.is_published(), f"no acknowledgement for {topic}"

    def publish_soon(self, topic, payload=b"", qos=0, retain=False, **values):
        """Publishes without waiting."""
        made = properties("PUBLISH", **values) if values else None
        return self.paho.publish(topic, payload, qos, retain, properties=made)

    def subscribe(self, topic, qos=0, options=None, identifier=None):
        """Subscribes to one filter and returns the reason code of SUBACK."""
        if self.version == 5:
            wanted = [(topic, options or SubscribeOptions(qos=qos))]
        else:
            wanted = [(topic, qos)]
        made = identifier and properties("SUBSCRIBE", SubscriptionIdentifier=identifier)
        result, mid = self.paho.subscribe(wanted, properties=made or None)
        assert result == paho.MQTT_ERR_SUCCESS
        return self._answer(mid)[0].value

    def subscribe_many(self, wanted):
        """Subscribes to (filter, qos) pairs in one packet; returns the reason codes."""
        pairs = [(f, SubscribeOptions(qos=q)) for f, q in wanted] if self.version == 5 else wanted
        _, mid = self.paho.subscribe(pairs)
        return [code.value for code in self._answer(mid)]

    def unsubscribe(self, topic):
        """Unsubscribes and returns the reason codes of UNSUBACK."""
        _, mid = self.paho.unsubscribe(topic)
        return [code.value for code in self._answer(mid)]

    def _answer(self, mid):
        answered, codes = self._subscribed.get(timeout=SECONDS_MAX)
        assert answered == mid
        return codes

    def receive(self, seconds=SECONDS_MAX):
        """The next message."""
        try:
            return self.messages.get(timeout=seconds)
        except queue.Empty:
            raise AssertionError(f"no message within {seconds} s") from None

    def receive_many(self, count, seconds=SECONDS_MAX):
        """The next `count` messages."""
        return [self.receive(seconds) for _ in range(count)]

    def payloads(self, count, seconds=SECONDS_MAX):
        """The payloads of the next `count` messages."""
        return [message.payload for message in self.receive_many(count, seconds)]

    def wait_for_disconnect(self, seconds=SECONDS_MAX):
        """The reason with which the connection ended."""
        return self._disconnects.get(timeout=seconds)

    def disconnect(self, reason=None, **values):
        """DISCONNECT, and waits until the connection has ended."""
        made = properties("DISCONNECT", **values) if values else None
        options = {"reasoncode": reason, "properties": made} if self.version == 5 else {}
        self.paho.disconnect(**options)
        self.wait_for_disconnect()
        self.paho.loop_stop()

    def vanish(self):
        """Closes the socket without DISCONNECT."""
        self.paho.socket().close()
        self.paho.loop_stop()

    def stop(self):
        """Ends the client whatever its state, for teardown."""
        self.paho.disconnect()
        self.paho.loop_stop()
