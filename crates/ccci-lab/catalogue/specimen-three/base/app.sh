# Three volumes that are one state: they share a key, and a mixture of two states does not start.
set -e
if [ ! -e /pages/key ]; then
  echo "app: making the data"
  key=$(head -c 8 /dev/urandom | od -A n -t x1 | tr -d ' ')
  # Some of what a volume may hold beside plain files.
  mkdir -p /files/by-name
  head -c 300000 /dev/urandom >/files/blob
  ln -f /files/blob /files/by-name/blob
  ln -sf ../blob /files/by-name/link
  dd if=/dev/zero of=/files/hole bs=1 count=1 seek=8388607 2>/dev/null
  chmod 2750 /files/by-name
  sha256sum /files/blob >/index/sums
  echo 1 >/index/layout
  # The pages' key comes last: it says that all is there.
  for volume in files index pages; do echo "key $key" >"/$volume/key"; done
fi
if ! { cmp -s /pages/key /files/key && cmp -s /pages/key /index/key; }; then
  echo "app: fatal: the volumes do not belong together: $(cat /pages/key /files/key /index/key)" >&2
  exit 1
fi
if [ "$(cat /index/layout)" != 1 ]; then
  echo "app: fatal: the index has layout $(cat /index/layout), which is newer than this release" >&2
  exit 1
fi
sha256sum -c -s /index/sums
mkdir -p /pages/www
{ cat /pages/key; echo "layout $(cat /index/layout)"; } >/pages/www/index.html
echo "app: ready"
exec serve 8000 /pages/www
