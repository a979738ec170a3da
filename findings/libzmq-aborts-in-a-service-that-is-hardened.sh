#!/usr/bin/env bash
# A process with libzmq is aborted by two common settings of a systemd service.
#
# Version: libzmq 4.3.4 of Debian 12.
# Behaviour: each of libzmq's threads sets its own scheduling (pthread_setschedparam), to what it is; where that is refused with
#   EPERM, as by SystemCallFilter=~@resources, the process aborts. To bind a TCP socket it lists the network's devices
#   (getifaddrs); where AF_NETLINK is refused, as by RestrictAddressFamilies= without it, the process aborts as well.
# Seen: both end by SIGABRT, in thread.cpp and ip_resolver.cpp; with neither refused the bind works.
# Why it matters: @system-service without @resources, and AF_INET AF_INET6 AF_UNIX, are what hardening guides give to a server.
#   The service then dies at its start, or is shown as one that fails at random, and no setting's name is in its log.
set -euo pipefail
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
cat >"$T/bind.c" <<'C'
#include <errno.h>
#include <seccomp.h>
#include <string.h>
#include <sys/socket.h>
#include <zmq.h>

int main(int argc, char **argv)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	if (argc > 1 && !strcmp(argv[1], "resources"))
		seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(sched_setscheduler), 0);
	if (argc > 1 && !strcmp(argv[1], "netlink"))
		seccomp_rule_add(f, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, AF_NETLINK));
	seccomp_load(f);
	void *ctx = zmq_ctx_new(), *s = zmq_socket(ctx, ZMQ_ROUTER);
	int r = zmq_bind(s, "tcp://127.0.0.1:*");
	zmq_close(s);
	zmq_ctx_term(ctx);
	return r != 0;
}
C
cc -o "$T/bind" "$T/bind.c" -lzmq -lseccomp
ulimit -c 0
bad=0
try() {
  local status=0
  "$T/bind" $1 >"$T/said" 2>&1 || status=$?
  printf '%-12s status %s  %s\n' "${1:-nothing}" $status "$(head -n 1 "$T/said")"
  [ $status -eq "$2" ] || bad=1
}
try '' 0
try resources 134
try netlink 134
[ $bad -eq 0 ] || { echo "changed: what libzmq does where these are refused"; exit 1; }
