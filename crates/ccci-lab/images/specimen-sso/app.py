"""An app that cannot be used without its OpenID Connect provider: it looks its issuer up before it listens, logs
people in by the code flow with state, nonce and PKCE, and tells them who they are.

    GET /          the page; says who is logged in
    GET /login     leads to the issuer
    GET /callback  the way back from there; sets the session's cookie
    GET /me        who is logged in, as JSON; 401 for nobody
    GET /health    200 once the issuer is known

OIDC_ISSUER, OIDC_CLIENT_ID and PUBLIC_URL say whom it trusts, as whom it asks, and where people find it;
OIDC_AUDIENCE (the client unless set) for whom tokens must be meant. The client's secret is a file.
"""

import base64
import hashlib
import html
import http.cookies
import http.server
import json
import os
import secrets
import signal
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field

import jwt

PORT = 8000
SECRET_FILE = "/run/secrets/oidc_client_secret"
# How long the issuer may take for one answer, in seconds.
PATIENCE = 10
# How long a login may take, from the first redirect to the last, in seconds.
LOGIN_TIME = 600
# __Host-: only this host, only over TLS, for all of its paths.
FLOW_COOKIE = "__Host-specimen_login"
SESSION_COOKIE = "__Host-specimen_session"
VERSION = os.environ.get("VERSION", "")


class LoginFailed(Exception):
    """A login that did not end well; the text is for whoever tried."""


@dataclass
class Flow:
    """What must come back from a login: drawn anew for each, kept here, named by a cookie."""

    state: str = field(default_factory=secrets.token_urlsafe)
    nonce: str = field(default_factory=secrets.token_urlsafe)
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    began: float = field(default_factory=time.monotonic)

    def is_over(self):
        return time.monotonic() - self.began > LOGIN_TIME

    def challenge(self):
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class Issuer:
    """The provider of logins, as its discovery document describes it, and who this app is to it."""

    def __init__(self, issuer, client, secret, audience, callback):
        self.client, self.secret, self.audience, self.callback = client, secret, audience, callback
        found = answer(f"{issuer}/.well-known/openid-configuration")
        if found["issuer"] != issuer:
            raise ValueError(f"it calls itself {found['issuer']}")
        self.name, self.login, self.token = issuer, found["authorization_endpoint"], found["token_endpoint"]
        self.keys = jwt.PyJWKClient(found["jwks_uri"], timeout=PATIENCE)

    def login_address(self, flow):
        """Where a login begins."""
        query = {
            "response_type": "code",
            "client_id": self.client,
            "redirect_uri": self.callback,
            "scope": "openid profile email",
            "state": flow.state,
            "nonce": flow.nonce,
            "code_challenge": flow.challenge(),
            "code_challenge_method": "S256",
        }
        return f"{self.login}?{urllib.parse.urlencode(query)}"

    def redeem(self, code, flow):
        """Gives a code for the ID token it stands for, and reads who it names."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.callback,
            "code_verifier": flow.verifier,
        }
        pair = ":".join(urllib.parse.quote_plus(part) for part in (self.client, self.secret))
        basic = {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
        try:
            token = answer(self.token, urllib.parse.urlencode(form).encode(), basic)["id_token"]
        except (OSError, ValueError, KeyError) as error:
            raise LoginFailed(f"the code was not taken: {error}") from error
        claims = self.verified(token)
        if not same(str(claims.get("nonce", "")), flow.nonce):
            raise LoginFailed("the ID token is that of another login")
        return {"sub": claims["sub"], "name": claims.get("name", ""), "email": claims.get("email", "")}

    def verified(self, token):
        """What an ID token says, if the issuer signed it, for this app, and it has not ended."""
        # The audience is compared below, so that the message names both.
        options = {"require": ["exp", "iat", "sub"], "verify_aud": False}
        try:
            key = self.keys.get_signing_key_from_jwt(token).key
            claims = jwt.decode(token, key, algorithms=["RS256"], issuer=self.name, options=options)
        except jwt.PyJWTError as error:
            raise LoginFailed(f"the ID token does not hold: {error}") from error
        meant = claims.get("aud", [])
        if self.audience not in ([meant] if isinstance(meant, str) else meant):
            raise LoginFailed(f"the ID token does not hold: expected audience {self.audience}, got {meant}")
        return claims


def answer(url, form=None, headers=None):
    """The JSON that an end point of the issuer answers."""
    request = urllib.request.Request(url, form, headers or {})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        raise ValueError(f"{error.code} {error.read(500).decode(errors='replace')}") from error


def same(one, other):
    """Compares in a time that does not tell how much of both is the same."""
    return secrets.compare_digest(one.encode(), other.encode())


class App(http.server.ThreadingHTTPServer):
    """The running app. Sessions live as long as it does."""

    daemon_threads = True

    def __init__(self, issuer):
        super().__init__(("", PORT), Visit)
        self.issuer, self.flows, self.sessions = issuer, {}, {}

    def begin(self):
        """A new login: the name of its flow, and where it begins."""
        for name, flow in list(self.flows.items()):
            if flow.is_over():
                self.flows.pop(name, None)
        name, flow = secrets.token_urlsafe(), Flow()
        self.flows[name] = flow
        return name, self.issuer.login_address(flow)

    def finish(self, name, query):
        """Takes a login's answer, if it is that of a login that this browser began here; gives the session's name."""
        if name is None:
            raise LoginFailed("this browser has begun no login")
        flow = self.flows.pop(name, None)
        if flow is None or flow.is_over() or not same(query.get("state", ""), flow.state):
            raise LoginFailed("this is not the answer to the login that this browser began")
        if "error" in query:
            raise LoginFailed(f"the issuer says {query['error']}: {query.get('error_description', '')}")
        person = self.issuer.redeem(query.get("code", ""), flow)
        session = secrets.token_urlsafe()
        self.sessions[session] = person
        return session


class Visit(http.server.BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    timeout = PATIENCE

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        routes = {"/": self.page, "/login": self.login, "/me": self.me, "/health": self.health}
        if url.path == "/callback":
            self.callback(dict(urllib.parse.parse_qsl(url.query)))
        elif url.path in routes:
            routes[url.path]()
        else:
            self.send(404, "text/plain", "there is no such page\n")

    do_HEAD = do_GET

    def page(self):
        said = '<p>Nobody is logged in.</p><p><a id="login" href="/login">Log in</a></p>'
        if person := self.person():
            name, email = html.escape(person["name"]), html.escape(person["email"])
            said = f"<p>Welcome, {name}.</p><p>You are logged in as <b>{email}</b>.</p>"
        self.show(200, f"Specimen {VERSION}", said)

    def login(self):
        name, address = self.server.begin()
        self.send(302, "text/plain", "", [("Location", address), cookie(FLOW_COOKIE, name, LOGIN_TIME)])

    def callback(self, query):
        over = cookie(FLOW_COOKIE, "", 0)
        try:
            session = self.server.finish(self.cookie(FLOW_COOKIE), query)
        except LoginFailed as error:
            print(f"login failed: {error}")
            said = '<p><a href="/login">Try again</a></p>'
            self.show(401, f"The login failed: {error}", said, [over])
            return
        self.send(302, "text/plain", "", [("Location", "/"), over, cookie(SESSION_COOKIE, session)])

    def me(self):
        if person := self.person():
            self.send(200, "application/json", json.dumps(person) + "\n")
        else:
            self.send(401, "application/json", '{"error":"nobody is logged in"}\n')

    def health(self):
        self.send(200, "text/plain", "ok\n")

    def person(self):
        """Who is logged in in this browser."""
        return self.server.sessions.get(self.cookie(SESSION_COOKIE))

    def cookie(self, name):
        try:
            found = http.cookies.SimpleCookie(self.headers.get("Cookie", "")).get(name)
        except http.cookies.CookieError:
            return None
        return found.value if found else None

    def show(self, status, title, said, headers=()):
        """Sends a page; the title is text, what is said is HTML."""
        title = html.escape(title, quote=False)
        page = f"<!doctype html><html lang=en><title>{title}</title><h1>{title}</h1>{said}</html>\n"
        self.send(status, "text/html", page, headers)

    def send(self, status, kind, body, headers=()):
        content = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_):
        """Not every request is told."""


def cookie(name, value, seconds=None):
    """The header of a cookie for this browser's time, or for so many seconds; none removes it."""
    age = "" if seconds is None else f"; Max-Age={seconds}"
    return "Set-Cookie", f"{name}={value}; Path=/{age}; HttpOnly; Secure; SameSite=Lax"


def start():
    """Finds the issuer. Without it there is no app."""
    said = {name: os.environ.get(name, "") for name in ("OIDC_ISSUER", "OIDC_CLIENT_ID", "PUBLIC_URL")}
    for name, value in said.items():
        if not value:
            sys.exit(f"fatal: {name} is not set")
    issuer, client, public = said.values()
    try:
        with open(SECRET_FILE, encoding="utf-8") as file:
            secret = file.read().strip()
    except OSError as error:
        sys.exit(f"fatal: no secret for the issuer: {error}")
    try:
        audience = os.environ.get("OIDC_AUDIENCE") or client
        return App(Issuer(issuer, client, secret, audience, f"{public}/callback"))
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"fatal: no issuer at {issuer}: {error!r}")


def stop(*_):
    # As process 1 the app would not hear the signal otherwise.
    sys.exit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    app = start()
    print(f"specimen-sso {VERSION}: listening on :{PORT}, logins by {app.issuer.name}")
    app.serve_forever()
