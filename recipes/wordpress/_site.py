"""How the checks beside it speak with the site: as a browser does, with its cookies, and as its editor's scripts do."""

import http.client
import http.cookiejar
import json
import os
import pathlib
import re
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request

RUN = os.environ["CCCI_RUN"]
URL = os.environ["CCCI_BASE_URL"]
SCRATCH = pathlib.Path(os.environ["CCCI_SCRATCH"])


def fail(why):
    sys.exit(why)


def ensure(holds, why):
    if not holds:
        fail(why)


def in_app(*words):
    """What a command in the container of the service `app` prints."""
    label = f"com.docker.swarm.service.name={os.environ['CCCI_STACK']}_app"
    docker = ["docker", "ps", "--quiet", "--filter", f"label={label}"]
    container = subprocess.run(docker, check=True, capture_output=True, text=True).stdout.strip()
    command = ["docker", "exec", container, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


class Connection(http.client.HTTPSConnection):
    """A connection to where the app's domain is, also where it is in no DNS."""

    def connect(self):
        address, _, port = os.environ.get("CCCI_ADDRESS", self.host).partition(":")
        plain = socket.create_connection((address, int(port or self.port)), self.timeout)
        self.sock = self._context.wrap_socket(plain, server_hostname=self.host)


class Handler(urllib.request.HTTPSHandler):
    def https_open(self, request):
        context = ssl.create_default_context(cafile=os.environ.get("CCCI_CA_FILE"))
        return self.do_open(Connection, request, context=context)


class Site:
    """Somebody's visit: nobody's in particular until `login`."""

    def __init__(self):
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self.opener = urllib.request.build_opener(Handler(), jar)
        self.nonce = None

    def ask(self, path, data=None, headers=None):
        """The answer's status, its text in bytes and where it ended, redirects followed."""
        url = path if path.startswith("https://") else URL + path
        request = urllib.request.Request(url, data, headers or {})
        try:
            with self.opener.open(request, timeout=20) as answer:
                return answer.status, answer.read(), answer.url
        except urllib.error.HTTPError as answer:
            return answer.code, answer.read(), answer.url

    def login(self, user, password):
        """Through the form, as a person does: whether it ended at the dashboard, and else what the page said."""
        self.ask("/wp-login.php")
        form = {"log": user, "pwd": password, "redirect_to": f"{URL}/wp-admin/", "testcookie": "1"}
        status, page, where = self.ask("/wp-login.php", urllib.parse.urlencode(form).encode())
        said = re.search(rb'<div id="login_error"[^>]*>(.*?)</div>', page, re.DOTALL)
        words = re.sub(rb"<[^>]*>", b"", said[1]).decode().strip() if said else f"{status} at {where}"
        return status == 200 and where == f"{URL}/wp-admin/" and b'id="wpadminbar"' in page, words

    def as_admin(self):
        """Logged in. The password is asked of the app itself: a quick run has not made it and does not know it."""
        well, words = self.login(*admin())
        ensure(well, f"the administrator is not let in: {words}")
        self.nonce = self.ask("/wp-admin/admin-ajax.php?action=rest-nonce")[1].decode()
        return self

    def make(self, what, data, headers):
        """Makes something through the REST API, as the editor does."""
        headers = {"X-WP-Nonce": self.nonce, **headers}
        status, text, _ = self.ask(f"/wp-json/wp/v2/{what}", data, headers)
        ensure(status == 201, f"{text[:300]}\nmaking one of `{what}` gives {status}, not 201")
        return json.loads(text)


def admin():
    """The administrator's name and password."""
    password = pathlib.Path(os.environ["CCCI_SECRETS_DIR"], "admin_password").read_text()
    return in_app("printenv", "WORDPRESS_ADMIN_USER"), password


def remember(name, value):
    (SCRATCH / name).write_text(json.dumps(value))


def recall(name):
    return json.loads((SCRATCH / name).read_text())
