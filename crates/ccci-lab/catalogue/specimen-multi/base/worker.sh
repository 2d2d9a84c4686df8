# Writes the front page from what the database says, then waits for work.
schema=$(timeout 3 wget -q -O - "http://$DB_HOST:5432/schema") || {
  echo "worker: fatal: no database at $DB_HOST:5432" >&2
  exit 1
}
echo "schema $schema" >/data/index.html
echo "worker: ready"
trap 'exit 0' TERM
while :; do sleep 1; done
