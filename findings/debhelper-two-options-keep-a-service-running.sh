#!/usr/bin/env bash
# dh_installsystemd --no-start --no-stop-on-upgrade makes a package whose removal leaves its service running.
#
# Version: debhelper 13.11.4 (Debian 12), compat 13.
# Behaviour: with no option, or with either of the two alone, the prerm stops the service when the package is removed. With
#   both there is no prerm at all: --no-start drops the part that starts and stops together, and --no-stop-on-upgrade the
#   other one, in which the stop for a removal would stand. The manual says of neither that it has to do with removal.
# Seen: how often the generated scripts say "deb-systemd-invoke stop" by each set of options.
# Why it matters: the two together are what one writes for a service that is configured before it is first started, and
#   that must not be cut off by an upgrade: a build worker, a database. After `apt remove` its process goes on, from a
#   program that is gone, until the next boot; `purge` then removes the files that it has open.
# Needs apt, dpkg and perl; debhelper is unpacked, not installed.
set -euo pipefail
export LC_ALL=C.UTF-8
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
mkdir "$T/debs"
chmod 755 "$T" "$T/debs"
(cd "$T/debs" && apt-get -qq -o APT::Sandbox::User=root download debhelper=13.11.4 libdebhelper-perl=13.11.4 libdpkg-perl >/dev/null)
for deb in "$T"/debs/*.deb; do
  dpkg -x "$deb" "$T/root"
done
export PERL5LIB=$T/root/usr/share/perl5 DH_AUTOSCRIPTDIR=$T/root/usr/share/debhelper/autoscripts

mkdir -p "$T/p/debian"
cd "$T/p"
printf '[Unit]\nDescription=server\n[Service]\nExecStart=/bin/sleep 1\n[Install]\nWantedBy=multi-user.target\n' >debian/server.service
printf 'Source: server\nSection: misc\nPriority: optional\nMaintainer: A <a@example.org>\nBuild-Depends: debhelper-compat (= 13)\n\nPackage: server\nArchitecture: all\nDescription: server\n server\n' >debian/control
printf 'server (1) unstable; urgency=low\n\n  * x\n\n -- A <a@example.org>  Mon, 30 Nov 2026 00:00:00 +0000\n' >debian/changelog
# stops OPTIONS…: "OPTIONS: N"
stops() {
  rm -rf debian/server debian/.debhelper debian/*.debhelper
  perl "$T/root/usr/bin/dh_installsystemd" "$@"
  printf '%s: %s\n' "${*:-none}" "$(cat debian/*.debhelper debian/.debhelper/generated/server/* 2>/dev/null | grep -c 'deb-systemd-invoke stop' || true)"
}
echo "debhelper $(dpkg-deb -f "$T"/debs/debhelper_*.deb Version)"
{
  stops
  stops --no-start
  stops --no-stop-on-upgrade
  stops --no-start --no-stop-on-upgrade
} | tee "$T/seen"
diff "$T/seen" <(printf '%s\n' 'none: 1' '--no-start: 1' '--no-stop-on-upgrade: 1' '--no-start --no-stop-on-upgrade: 0') || { echo changed; exit 1; }
