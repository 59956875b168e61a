#!/bin/sh
set -eu
if [ "$(id -u)" = 0 ]; then
  [ "$(stat -c %u /data)" = "$(id -u seaweed)" ] || chown -R seaweed:seaweed /data
  exec gosu seaweed "$0" "$@"
fi
exec /usr/bin/weed -logtostderr=true "$@"
