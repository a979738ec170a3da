#!/usr/bin/env python3
"""A service manager's socket: manager.py SOCKET LOG. SOCKET is a path, or @NAME for an abstract one.

LOG gets a line for each line of each datagram: when it came (ms), the sender's process id as the kernel says it,
and the text. Its first line is "ready".
"""
import os
import socket
import struct
import sys
import time

name, log = sys.argv[1:]
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
s.bind("\0" + name[1:] if name.startswith("@") else name)
out = open(log, "a", buffering=1)
out.write("ready\n")
while True:
    data, anc, _, _ = s.recvmsg(4096, socket.CMSG_SPACE(12))
    pid = struct.unpack("iII", anc[0][2][:12])[0]
    for line in data.decode().split("\n"):
        out.write(f"{time.monotonic_ns() // 1000000} {pid} {line}\n")
