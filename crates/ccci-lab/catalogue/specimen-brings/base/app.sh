# Starts with what only its operator can know: a greeting, and an account at a mail server.
set -e
fatal() {
  echo "app: fatal: $1" >&2
  exit 1
}
[ -n "$GREETING" ] || fatal "GREETING is empty"
[ -s /run/secrets/session_key ] || fatal "there is no session key"
account=$(cat /run/secrets/mail_account)
case "$account" in
?*:?*) ;;
*) fatal "the mail account is no user:password" ;;
esac
# What belongs together: the data knows by which key its uploads were made.
key=$(sha256sum </run/secrets/session_key | cut -c 1-16)
if [ ! -e /data/key ]; then
  echo "$key" >/uploads/first
  echo "$key" >/data/key
fi
[ "$(cat /data/key)" = "$key" ] || fatal "the session key is another one"
[ "$(cat /uploads/first)" = "$key" ] || fatal "/uploads/first is not of this data"
mkdir -p /data/www
printf '%s\nmail by %s\n%s\n' "$GREETING" "${account%%:*}" "$FOOTER" >/data/www/index.html
echo "app: ready"
exec serve 8000 /data/www
