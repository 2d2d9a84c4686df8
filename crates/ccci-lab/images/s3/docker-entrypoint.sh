#!/bin/sh
# Runs the server as its own user, with copies of the keys that this user may read.
set -eu

if [ "$1" != s3 ]; then
  exec "$@"
fi
chown s3:s3 /data
keys=/run/s3-keys
install -d -o s3 -g s3 -m 0500 "$keys"
for name in ACCESS SECRET; do
  eval "file=\${S3_${name}_KEY_FILE:?is not set}"
  install -o s3 -g s3 -m 0400 "$file" "$keys/$name"
  export "S3_${name}_KEY_FILE=$keys/$name"
done
exec setpriv --reuid s3 --regid s3 --init-groups "$@"
