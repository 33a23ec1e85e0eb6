"""SCRAM-SHA-256 (RFC 5802, RFC 7677) from the client's side, and MQTT clients that log in with it."""

import base64
import hashlib
import hmac
import secrets
import unicodedata

from support.mqtt_properties import encode, take_apart
from support.raw_mqtt import AUTH, CONNACK, RawMqtt, closing, connect

METHOD = "SCRAM-SHA-256"
CONTINUE, AGAIN = 0x18, 0x19


class Scram:
    """One login."""

    def __init__(self, user, password):
        name = user.replace("=", "=3D").replace(",", "=2C")
        self.nonce = secrets.token_hex(12)
        self.bare = f"n={name},r={self.nonce}"
        self.password = unicodedata.normalize("NFKC", password).encode()
        self.server_first = self.signature = None

    def first(self):
        """The first message."""
        return f"n,,{self.bare}".encode()

    def final(self, server_first):
        """The last message, after the broker's first."""
        self.server_first = dict(part.split("=", 1) for part in server_first.decode().split(","))
        nonce, salt, iterations = (self.server_first[key] for key in "rsi")
        assert nonce.startswith(self.nonce) and nonce != self.nonce
        assert int(iterations) >= 4096
        salted = hashlib.pbkdf2_hmac("sha256", self.password, base64.b64decode(salt), int(iterations))
        without_proof = f"c=biws,r={nonce}"
        conversation = f"{self.bare},{server_first.decode()},{without_proof}".encode()
        client_key = digest(salted, b"Client Key")
        mask = digest(hashlib.sha256(client_key).digest(), conversation)
        proof = bytes(a ^ b for a, b in zip(client_key, mask, strict=True))
        self.signature = digest(digest(salted, b"Server Key"), conversation)
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()

    def check(self, server_final):
        """Whether the broker knows the keys of the password."""
        assert server_final == b"v=" + base64.b64encode(self.signature)


def digest(key, data):
    """HMAC-SHA-256."""
    return hmac.digest(key, data, "sha256")


def auth(code, data=None, method=METHOD):
    """An AUTH packet."""
    fields = {} if data is None else {"auth_data": data}
    return closing(AUTH, code, encode(auth_method=method, **fields))


def connect_scram(client_id, data=None, method=METHOD, properties=b"", **options):
    """A CONNECT that names a method."""
    fields = {} if data is None else {"auth_data": data}
    return connect(client_id, properties=encode(auth_method=method, **fields) + properties, **options)


class ScramMqtt(RawMqtt):
    """A socket whose client logs in by SCRAM."""

    def expect_auth(self, code=CONTINUE):
        """The data of the next packet, which has to be an AUTH."""
        content = self.expect(AUTH)
        assert content[0] == code, content
        properties, rest = take_apart(content[1:])
        assert rest == b"" and properties["auth_method"] == METHOD
        return properties["auth_data"]

    def expect_connack(self):
        """(code, properties) of the next packet, which has to be a CONNACK."""
        content = self.expect(CONNACK)
        properties, rest = take_apart(content[2:])
        assert rest == b""
        return content[1], properties

    def begin(self, client_id, scram, **options):
        """CONNECT; returns the broker's first message."""
        self.send(connect_scram(client_id, scram.first(), **options))
        return self.expect_auth()

    def try_login(self, client_id, scram, **options):
        """All of a login; returns (code, properties) of CONNACK."""
        self.send(auth(CONTINUE, scram.final(self.begin(client_id, scram, **options))))
        return self.expect_connack()

    def login(self, client_id, user, password, **options):
        """A login that has to succeed, on both sides; returns self."""
        scram = Scram(user, password)
        code, self.properties = self.try_login(client_id, scram, **options)
        assert code == 0, f"refused with 0x{code:02X}: {self.properties}"
        assert self.properties["auth_method"] == METHOD
        scram.check(self.properties["auth_data"])
        return self

    def begin_again(self, scram):
        """Re-authentication; returns the broker's first message."""
        self.send(auth(AGAIN, scram.first()))
        return self.expect_auth()
