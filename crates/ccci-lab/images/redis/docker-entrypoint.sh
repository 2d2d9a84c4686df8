#!/bin/sh
# Runs the server as its own user, over a data directory that is its own, open to its network: what keeps strangers
# out is the stack's private network, as with the usual image.
set -eu

if [ "$1" != redis-server ]; then
  exec "$@"
fi
shift
chown redis:redis /data
exec setpriv --reuid redis --regid redis --init-groups redis-server --protected-mode no --dir /data "$@"
