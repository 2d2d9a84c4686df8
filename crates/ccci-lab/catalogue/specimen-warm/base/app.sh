# The first start makes the settings; a later one finds them, whichever installation made them.
set -e
if [ ! -e /data/settings ]; then
  echo "app: making the settings"
  key=$(head -c 8 /dev/urandom | od -A n -t x1 | tr -d ' ')
  printf 'key %s\ninstallation %s\n' "$key" "$INSTALLATION" >/data/settings.new
  mv /data/settings.new /data/settings
fi
mkdir -p /data/www
head -n 1 /data/settings >/data/www/index.html
echo "app: ready"
exec serve 8000 /data/www
