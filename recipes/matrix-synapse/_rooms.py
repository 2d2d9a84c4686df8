"""How the checks beside it speak with the server: as a client does."""

import hashlib
import hmac
import http.client
import json
import os
import pathlib
import socket
import ssl
import subprocess
import sys
import urllib.parse

RUN = os.environ["CCCI_RUN"]
SCRATCH = pathlib.Path(os.environ["CCCI_SCRATCH"])


def ensure(holds, why):
    if not holds:
        sys.exit(why)


def in_app(*words):
    """What a command in the container of the service `app` prints."""
    label = f"com.docker.swarm.service.name={os.environ['CCCI_STACK']}_app"
    docker = ["docker", "ps", "--quiet", "--filter", f"label={label}"]
    container = subprocess.run(docker, check=True, capture_output=True, text=True).stdout.strip()
    command = ["docker", "exec", container, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def ask(method, path, body=None, token=None):
    """The status and the answer, both as the server gives them."""
    domain = os.environ["CCCI_DOMAIN"]
    # Where the domain is, also where it is in no DNS.
    address, _, port = os.environ.get("CCCI_ADDRESS", domain).partition(":")
    context = ssl.create_default_context(cafile=os.environ.get("CCCI_CA_FILE"))
    plain = socket.create_connection((address, int(port or 443)), timeout=20)
    connection = http.client.HTTPSConnection(domain)
    connection.sock = context.wrap_socket(plain, server_hostname=domain)
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    status, text = answer.status, answer.read()
    connection.close()
    return status, json.loads(text) if text.startswith(b"{") else text.decode(errors="replace")


def must(what, method, path, body=None, token=None):
    """The answer, where it is the good one."""
    status, answer = ask(method, path, body, token)
    # Answers to a login hold a token: of a refusal only its words are told.
    said = answer.get("error") if isinstance(answer, dict) else answer[:200]
    ensure(status == 200, f"{what}: {method} {path} gives {status}, not 200: {said}")
    return answer


def password(name):
    return f"password of {name} in {RUN}"


def register(name):
    """A new user of this run, made by the shared secret: the user's id and a token.

    The secret is asked of the app itself: a quick run has not made it and does not know it."""
    path, user = "/_synapse/admin/v1/register", f"{name}-{RUN}"
    nonce = must("nobody can register", "GET", path)["nonce"]
    secret = in_app("cat", "/run/secrets/registration").encode()
    words = "\0".join([nonce, user, password(name), "notadmin"])
    mac = hmac.new(secret, words.encode(), hashlib.sha1).hexdigest()
    made = {"nonce": nonce, "username": user, "password": password(name), "admin": False, "mac": mac}
    made = must(f"{user} cannot register", "POST", path, made)
    return made["user_id"], made["access_token"]


def room(token, name):
    """A new private room."""
    room = {"name": name, "preset": "private_chat"}
    return must("no room can be made", "POST", "/_matrix/client/v3/createRoom", room, token)["room_id"]


def in_room(room, rest):
    return f"/_matrix/client/v3/rooms/{urllib.parse.quote(room)}/{rest}"


def say(token, room, text):
    """A message in a room; its id."""
    body = {"msgtype": "m.text", "body": text}
    path = in_room(room, f"send/m.room.message/{RUN}")
    return must("no message can be sent", "PUT", path, body, token)["event_id"]


def remember(name, value):
    (SCRATCH / name).write_text(json.dumps(value))


def recall(name):
    return json.loads((SCRATCH / name).read_text())
