#!/usr/bin/env bash
# zmq_bind to ipc:// removes whatever lies at the path: a file with data, or a running server's socket.
#
# Version: libzmq 4.3.4 of Debian 12.
# Behaviour: before it binds, libzmq unlinks the path without looking at what it is. bind(2) alone would say EADDRINUSE.
#   A plain file is gone, and the call says success. A second server with the same endpoint says success as well; the
#   first one gets no error and no event, keeps its descriptor, and never has another client. (tcp:// says EADDRINUSE.)
# Seen: a file of 9 bytes becomes a socket. Two servers bind the same path, both with success; a new client's message
#   comes to the second.
# Why it matters: a typing error in a daemon's configuration costs a file, and a daemon that is started twice leaves two
#   that both seem to serve. The path has to be looked at before zmq_bind is called, and a lock be held besides.
set -euo pipefail
export LC_ALL=C.UTF-8
VERSION=4.3.4-6
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
cd "$T"

for p in libzmq5 libzmq3-dev; do
  apt-get download -q "$p=$VERSION" >log 2>&1 || { cat log; exit 2; }
done
for p in ./*.deb; do dpkg-deb -x "$p" root; done
cat >two.c <<'C'
#include <stdio.h>
#include <zmq.h>

int
main(int argc, char **argv)
{
	char got[8] = "";
	int ms = 5000, none = 200;
	void *ctx = zmq_ctx_new(), *first = zmq_socket(ctx, ZMQ_PULL), *second = zmq_socket(ctx, ZMQ_PULL),
	     *client = zmq_socket(ctx, ZMQ_PUSH);

	(void)argc;
	printf("first bind: %d\n", zmq_bind(first, argv[1]));
	printf("second bind: %d\n", zmq_bind(second, argv[1]));
	zmq_setsockopt(first, ZMQ_RCVTIMEO, &none, sizeof(none));
	zmq_setsockopt(second, ZMQ_RCVTIMEO, &ms, sizeof(ms));
	zmq_connect(client, argv[1]);
	zmq_send(client, "hello", 5, 0);
	printf("second gets: %s\n", zmq_recv(second, got, sizeof(got) - 1, 0) < 0 ? "nothing" : got);
	printf("first gets: %s\n", zmq_recv(first, got, sizeof(got) - 1, 0) < 0 ? "nothing" : "a message");
	zmq_close(client);
	zmq_close(first);
	zmq_close(second);
	zmq_ctx_term(ctx);
	return 0;
}
C
lib=$(dirname "$(find root -name 'libzmq.so.5' | head -n 1)")
gcc -O2 -Iroot/usr/include -o two two.c "$lib/libzmq.so.5" -Wl,--allow-shlib-undefined
echo precious >file
LD_LIBRARY_PATH=$T/$lib ./two "ipc://$T/file" | tee seen
diff - seen <<'END' || { echo changed; exit 1; }
first bind: 0
second bind: 0
second gets: hello
first gets: nothing
END
[ ! -s file ] || { echo 'changed: the file is still there'; exit 1; }
