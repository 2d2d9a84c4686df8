#!/bin/bash
export ENTRYPOINT_VERSION=v4

# A function for operators; ccci reads exports alone.
dump_realm() {
  local realm="$1"
  /opt/keycloak/bin/kc.sh export --realm "$realm"
}
