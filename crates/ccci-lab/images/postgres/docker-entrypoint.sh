#!/bin/sh
# Makes the database in an empty directory (with the options of POSTGRES_INITDB_ARGS), then runs the server as its own user.
set -eu

if [ "$1" != postgres ]; then
  exec "$@"
fi
if [ "$(id -u)" = 0 ]; then
  install -d -o postgres -g postgres -m 0700 "$PGDATA"
  # A secret is readable by root alone; the user of the server gets its content, not its file.
  password=${POSTGRES_PASSWORD:-$(cat "${POSTGRES_PASSWORD_FILE:-/dev/null}")}
  export POSTGRES_PASSWORD="$password"
  exec setpriv --reuid postgres --regid postgres --init-groups "$0" "$@"
fi

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  if [ -z "$POSTGRES_PASSWORD" ]; then
    echo "postgres: no password: set POSTGRES_PASSWORD_FILE" >&2
    exit 1
  fi
  user=${POSTGRES_USER:-postgres}
  database=${POSTGRES_DB:-$user}
  # A first start that was cut off leaves no PG_VERSION where the server looks: it is made beside and moved.
  new=$PGDATA/.new
  rm -rf "$new"
  pipe=$(mktemp)
  printf '%s' "$POSTGRES_PASSWORD" >"$pipe"
  # shellcheck disable=SC2086 # words of a command
  initdb --pgdata="$new" --username="$user" --pwfile="$pipe" --auth-local=trust --auth-host=scram-sha-256 \
    --encoding=UTF8 --locale=C.UTF-8 ${POSTGRES_INITDB_ARGS:-}
  rm "$pipe"
  echo "host all all all scram-sha-256" >>"$new/pg_hba.conf"
  if [ "$database" != postgres ]; then
    printf 'CREATE DATABASE "%s";\n' "$database" | postgres --single -D "$new" postgres
  fi
  mv "$new/PG_VERSION" "$new/.PG_VERSION"
  find "$new" -mindepth 1 -maxdepth 1 -exec mv {} "$PGDATA/" \;
  mv "$PGDATA/.PG_VERSION" "$PGDATA/PG_VERSION"
  rmdir "$new"
fi
unset POSTGRES_PASSWORD
exec "$@" -c listen_addresses='*'
