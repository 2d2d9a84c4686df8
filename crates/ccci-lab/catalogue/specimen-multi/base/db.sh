# The "database": files behind a web server. Its first start makes them, which takes three seconds; a later one
# finds them.
set -e
if [ ! -e /db/ready ]; then
  test -s /run/secrets/db_password
  echo "db: making a new database"
  sleep 3
  echo 1 >/db/schema
  touch /db/ready
fi
echo "db: ready"
exec serve 5432 /db
