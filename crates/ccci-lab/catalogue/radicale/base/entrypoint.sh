#!/bin/sh
# Makes the file of users from the secret, then becomes the server, as its own user.
set -eu

install -d -o radicale -g radicale -m 0750 /run/radicale
chown radicale:radicale /data
python3 - <<'PYTHON'
import bcrypt, os, pathlib
password = pathlib.Path("/run/secrets/password").read_bytes().strip()
line = os.environ["RADICALE_USER"].encode() + b":" + bcrypt.hashpw(password, bcrypt.gensalt(10)) + b"\n"
pathlib.Path("/run/radicale/users").write_bytes(line)
PYTHON
exec setpriv --reuid=radicale --regid=radicale --init-groups radicale
