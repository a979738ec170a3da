#!/usr/bin/env bash
# EXISTS leaves a key's idle time as it is: a cache on Redis that only asks whether a key is there loses what is asked for most.
#
# Version: redis-server 7.0.15 of Debian 12.
# Behaviour: EXISTS looks a key up without touching it. GETRANGE, STRLEN and TOUCH set its idle time to zero.
# Seen: a key that was idle for two seconds is idle for two seconds after EXISTS, and for none after each of the others.
# Why it matters: with maxmemory-policy allkeys-lru the server drops the keys that are idle the longest. A client that finds
#   by EXISTS that another has put an object already, and so does not put it again, never makes it younger.
set -euo pipefail
export LC_ALL=C.UTF-8
T=$(mktemp -d)
redis-server --port 0 --unixsocket "$T/sock" --dir "$T" --save '' >"$T/log" 2>&1 &
server=$!
trap 'kill "$server"; wait "$server" 2>/dev/null || true; rm -rf "$T"' EXIT
r() { redis-cli -s "$T/sock" "$@"; }

until [ "$(r ping 2>/dev/null)" = PONG ]; do
  kill -0 "$server" || { cat "$T/log"; exit 2; }
done
bad=0
for call in 'exists k' 'getrange k 0 1' 'strlen k' 'touch k'; do
  r set k value >/dev/null
  until [ "$(r object idletime k)" -ge 2 ]; do sleep 0.1; done
  r $call >/dev/null
  idle=$(r object idletime k)
  printf '%-15s idle afterwards: %s\n' "$call" "$idle"
  if [ "$call" = 'exists k' ]; then
    [ "$idle" -ge 2 ] || bad=1
  else
    [ "$idle" -lt 2 ] || bad=1
  fi
done
[ $bad -eq 0 ] || { echo "changed: what counts as use of a key"; exit 1; }
