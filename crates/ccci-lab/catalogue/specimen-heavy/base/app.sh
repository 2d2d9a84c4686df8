# The first start fills an index with parts that are really made and hashed; a later one finds it. A start that was
# cut off goes on where it was.
set -e
trap 'exit 0' TERM
mkdir -p /data/parts /data/www
if [ ! -e /data/index ]; then
  echo "app: making the index"
  part=1
  while [ "$part" -le 40 ]; do
    if [ ! -e "/data/parts/$part" ]; then
      head -c 1000000 /dev/urandom | od -A n -t x1 | gzip >/data/parts/.new
      mv /data/parts/.new "/data/parts/$part"
    fi
    part=$((part + 1))
  done
  (cd /data/parts && sha512sum *) >/data/index.new
  mv /data/index.new /data/index
fi
sha512sum </data/index >/data/www/index.html
echo "app: ready"
exec serve 8000 /data/www
