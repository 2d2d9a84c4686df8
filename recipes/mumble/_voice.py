"""How the checks beside it speak with the app, as a client of Mumble does: over TLS, in its own messages."""

import hashlib
import os
import socket
import ssl
import struct
import subprocess
import sys

PORT = 64738
# A real server has the same; docker's merging of compose files takes one of two ports of one number from the lab's.
UDP_PORT = 64737
VERSION, AUTHENTICATE, REJECT, SYNC, CHANNEL, DENIED = 0, 2, 4, 5, 7, 12


def fail(why):
    sys.exit(why)


def host():
    """Where the app answers: its own port has nothing to do with the proxy's."""
    return os.environ.get("CCCI_ADDRESS", os.environ["CCCI_DOMAIN"]).rsplit(":", 1)[0]


def secret(name):
    """Asked of the app itself: a quick run has not made its secrets and does not know them."""
    label = f"label=com.docker.swarm.service.name={os.environ['CCCI_STACK']}_app"
    said = subprocess.run(["docker", "ps", "--quiet", "--filter", label], capture_output=True, text=True, check=True)
    words = ["docker", "exec", said.stdout.split()[0], "cat", f"/run/secrets/{name}"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def varint(number):
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode()
    return varint(number << 3 | 2) + varint(len(value)) + value


def fields(payload):
    """The fields of a message: numbers, and bytes."""
    found, at = {}, 0

    def number():
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = payload[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(payload):
        key = number()
        if key & 7 == 0:
            found[key >> 3] = number()
        elif key & 7 == 2:
            length = number()
            found[key >> 3], at = payload[at : at + length], at + length
        else:
            at += {1: 8, 5: 4}[key & 7]
    return found


class Client:
    """Somebody who comes in. `refused` is what the server said to somebody whom it did not let in."""

    def __init__(self, user, password):
        # The certificate is the server's own, made at its first start: clients remember it, nobody has signed it.
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.socket = context.wrap_socket(socket.create_connection((host(), PORT), timeout=20))
        self.certificate = hashlib.sha256(self.socket.getpeercert(binary_form=True)).hexdigest()
        self.rooms, self.refused = {}, None
        self.send(VERSION, field(1, 1 << 16 | 3 << 8) + field(2, "ccci"))
        self.send(AUTHENTICATE, field(1, user) + field(2, password) + field(5, 1))
        self.until(lambda kind: kind == SYNC)

    def send(self, kind, payload):
        self.socket.sendall(struct.pack(">HI", kind, len(payload)) + payload)

    def read(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                fail("the server closed the connection")
            data += more
        return data

    def until(self, enough):
        """Takes messages until one is enough, or the server refuses."""
        while self.refused is None:
            kind, length = struct.unpack(">HI", self.read(6))
            found = fields(self.read(length))
            if kind == REJECT:
                self.refused = found.get(2, b"").decode()
            elif kind == DENIED:
                fail(f"the server does not permit it: {found.get(4, b'').decode()}")
            elif kind == CHANNEL and 3 in found:
                self.rooms[found.get(1, 0)] = found[3].decode()
            if enough(kind):
                return

    def make_room(self, name):
        self.send(CHANNEL, field(2, 0) + field(3, name))
        self.until(lambda _: name in self.rooms.values())


def guest(user="guest"):
    """Somebody with the password for guests."""
    client = Client(user, secret("join_password"))
    if client.refused is not None:
        fail(f"a guest with the right password is refused: {client.refused}")
    return client


def note(name):
    """A file of the run, in which one check leaves what a later one looks for."""
    return os.path.join(os.environ["CCCI_SCRATCH"], name)
