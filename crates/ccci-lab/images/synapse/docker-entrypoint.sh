#!/bin/sh
# Makes the keys that the configuration names and that are not there, then becomes the server, as its own user.
set -eu

if [ "$1" != run ]; then
  exec "$@"
fi
chown synapse:synapse /data
as_synapse="setpriv --reuid synapse --regid synapse --init-groups"
cd /data
homeserver="$as_synapse python -m synapse.app.homeserver --config-path $SYNAPSE_CONFIG_PATH"
if [ -z "$(find /data -maxdepth 1 -name '*.signing.key')" ]; then
  $homeserver --generate-keys
fi
exec $homeserver
