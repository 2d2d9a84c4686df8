#!/bin/sh
set -eu

umask 077
ini=/run/mumble.ini
cp /etc/mumble/config "$ini"
echo "serverpassword=$(cat /run/secrets/join_password)" >>"$ini"
chown mumble-server "$ini"
chown -R mumble-server /data

as_server() {
    setpriv --reuid=mumble-server --regid=mumble-server --init-groups "$@"
}

as_server mumble -ini "$ini" -readsupw </run/secrets/superuser_password
exec setpriv --reuid=mumble-server --regid=mumble-server --init-groups mumble -fg -ini "$ini"
