#!/bin/sh
# serve <directory>: serves its sub-directories as buckets, on port 9000 and as a user of its own, to whoever signs
# with the keys; unsigned requests are refused. Anything else is run as it stands.
set -eu

if [ "$1" != serve ]; then
  exec "$@"
fi
. s3-keys
# rclone reads a list of pairs here, written as CSV: a quotation mark is doubled.
pair=$(printf '%s,%s' "$RCLONE_S3_ACCESS_KEY_ID" "$RCLONE_S3_SECRET_ACCESS_KEY" | sed 's/"/""/g')
export RCLONE_AUTH_KEY="\"$pair\""
chown 900:900 "$2"
exec setpriv --reuid 900 --regid 900 --clear-groups rclone serve s3 --addr :9000 "$2"
