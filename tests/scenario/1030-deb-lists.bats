#!/usr/bin/env bats
# The lists of dist/deb: which Debian package has which file. `make deb` builds them (tests/deb/run); this is what a change of
# what is installed, or of a library, makes wrong.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"

scenario_setup() {
  DEB=$DRAY_TOP/dist/deb
}
# installed: the files that `make install` makes, as for a package.
installed() {
  env -u MAKEFLAGS -u MFLAGS make -s -C "$DRAY_BUILD" install DESTDIR="$WORK/root" prefix=/usr sysconfdir=/etc \
    libexecdir=/usr/libexec systemdunitdir=/lib/systemd/system >"$LOGS/install" 2>&1
  # which debian/rules adds
  install -D -m 644 "$DEB/dray.conf" "$WORK/root/etc/dray/dray.conf"
  (cd "$WORK/root" && find . -type f -o -type l) | sed 's,^\./,,' | sort
}
# listed: what the lists name of these: "FILE PACKAGE" a line.
listed() {
  local list path
  for list in "$DEB"/*.install; do
    while read -r path _; do
      [ -e "$WORK/root/$path" ] || { echo "$list: $path is not installed"; return 1; }
      find "$WORK/root/$path" -type f -o -type l | sed "s,^$WORK/root/,,; s,\$, $(basename "$list" .install),"
    done <"$list"
  done | sort
}

@test "each file that is installed is in one package's list, and each that is listed is installed" {
  installed >"$WORK/installed"
  [ "$(wc -l <"$WORK/installed")" -gt 30 ]
  listed >"$WORK/listed"
  diff "$WORK/installed" <(cut -d ' ' -f 1 "$WORK/listed")
  # a service's user comes with it
  for name in coordinator worker; do
    grep -q "^usr/bin/dray-$name dray-$name$" "$WORK/listed"
    grep -q "^lib/systemd/system/dray-$name.service dray-$name$" "$WORK/listed"
    grep -q "^usr/lib/sysusers.d/dray-$name.conf dray-$name$" "$WORK/listed"
  done
}

@test "what configure wants is in Build-Depends" {
  local package n=0
  while read -r package; do
    n=$((n + 1))
    grep -qx " $package,\?" "$DEB/control" || { echo "$package is not in $DEB/control"; return 1; }
  done < <(sed -nE 's/^DRAY_(PKG|PROG)\(.*\[([a-z0-9.+-]+)\]\)$/\2/p' "$DRAY_TOP/configure.ac")
  [ $n -gt 10 ]
}

@test "each file of dist/deb is in a release" {
  local file
  for file in "$DEB"/*; do
    case $file in */local.am) continue ;; esac
    grep -qw "dist/deb/$(basename "$file")" "$DEB/local.am" || { echo "$file is not in local.am"; return 1; }
  done
}
