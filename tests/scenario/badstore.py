#!/usr/bin/env python3
"""A web server that keeps what is PUT, in memory, and answers as the first part of the path says:

    badstore.py LOG PORTS      writes its port, and the port of a listener whose queue is full, to PORTS

    /ok/PATH        as a good server
    /MODE/PATH      the same content, and one of the modes below
    /N-MODE/PATH    the same for the first N requests of this method and path, then as a good server

Each request is a line of LOG: its connection's number, method and path, and of its headers those that tests
ask for, tabs between. For AWS: /latest/... (IMDSv2), /container, and POST /sts.
"""
import hashlib
import hmac
import json
import os
import socket
import sys
import threading
import time
from urllib.parse import quote, unquote

CONTENT = {}
COUNTS = {}
LOST = set()
DIRS = set()
LOCK = threading.Lock()
SHOWN = ("authorization", "if-none-match", "expect", "content-length", "transfer-encoding", "x-amz-content-sha256",
         "x-amz-security-token", "x-amz-server-side-encryption", "x-amz-storage-class", "user-agent", "host", "proxy-authorization")
log = None


def say(text):
    with LOCK:
        log.write(text + "\n")
        log.flush()


class Gone(Exception):
    pass


class Connection:
    def __init__(self, sock, number):
        self.sock, self.number, self.have = sock, number, b""

    def more(self):
        data = self.sock.recv(65536)
        if not data:
            raise Gone
        self.have += data

    def request(self):
        while b"\r\n\r\n" not in self.have:
            self.more()
        head, self.have = self.have.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.path, _ = lines[0].split(" ")
        self.headers = {}
        for line in lines[1:]:
            name, value = line.split(":", 1)
            self.headers[name.lower()] = value.strip()
        say("\t".join([str(self.number), self.method, self.path] +
                      ["%s=%s" % (h, self.headers[h]) for h in SHOWN if h in self.headers]))
        # as a proxy: what is asked for by its whole URL
        if self.path.startswith("http://"):
            self.path = "/" + self.path.split("/", 3)[3]
        n = int(self.headers.get("content-length", 0))
        while len(self.have) < n:
            self.more()
        self.body, self.have = self.have[:n], self.have[n:]

    def send(self, status, body=b"", headers=(), length=None):
        """length: what is said of it; None: as it is; -1: nothing, and the connection ends."""
        lines = ["HTTP/1.1 %d Whatever" % status] + list(headers)
        if length != -1:
            lines.append("Content-Length: %d" % (len(body) if length is None else length))
        data = "\r\n".join(lines).encode() + b"\r\n\r\n"
        self.sock.sendall(data + (b"" if self.method == "HEAD" else body))
        if length == -1:
            raise Gone

    def hang(self):
        while self.sock.recv(65536):
            pass
        raise Gone

    # ---- a good server

    def ok(self, path):
        if self.method == "PUT":
            with LOCK:
                there = path in CONTENT
                if not (there and self.headers.get("if-none-match") == "*"):
                    CONTENT[path] = self.body
                    there = False
            self.send(412 if there else 201)
        elif path in CONTENT:
            self.send(200, CONTENT[path])
        else:
            self.send(404)

    # ---- the others

    def hang_after_head(self, path):
        self.hang()

    def hang_mid_body(self, path):
        body = CONTENT.get(path, b"")
        self.send(200, body[:len(body) // 2], length=len(body))
        self.hang()

    def garbage(self, path):
        self.sock.sendall(b"\x00\xff\x7fnot HTTP at all" * 100)
        raise Gone

    def nothing(self, path):
        raise Gone

    def part(self, path):
        """Cut, with a length that tells."""
        body = CONTENT.get(path, b"")
        self.send(200, body[:len(body) // 2], length=len(body))
        raise Gone

    def part_untold(self, path):
        body = CONTENT.get(path, b"")
        self.send(200, body[:len(body) // 2], length=-1)

    def part_as_whole(self, path):
        body = CONTENT.get(path, b"")
        self.send(200, body[:len(body) // 2])

    def half_length(self, path):
        """The body is longer than its length says."""
        body = CONTENT.get(path, b"")
        self.send(200, body, length=len(body) // 2)

    def flipped(self, path):
        body = bytearray(CONTENT.get(path, b""))
        body[-1] ^= 1
        self.send(200, bytes(body))

    def swapped(self, path):
        other = [c for p, c in CONTENT.items() if p != path]
        self.send(200, other[0])

    def page(self, path):
        self.send(200, b"<html>Please log in</html>")

    def endless(self, path):
        self.sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            self.sock.sendall(CONTENT.get(path, b"")[:200] + b"x" * 65536)

    def endless_error(self, path):
        self.sock.sendall(b"HTTP/1.1 403 No\r\n\r\n")
        while True:
            self.sock.sendall(b"x" * 65536)

    def many_headers(self, path):
        """The right content, behind 128 KiB of headers."""
        self.send(200, CONTENT.get(path, b""), headers=["X-%d: %s" % (i, "x" * 1000) for i in range(128)])

    def late_404(self, path):
        """Each request by itself is within a limit of two seconds."""
        time.sleep(1)
        self.send(404)

    def huge(self, path):
        self.send(200, b"x" * 65536, length=1 << 40)
        self.hang()

    def slow(self, path):
        """10 kB/s."""
        body = CONTENT.get(path, b"")
        self.send(200, b"", length=len(body))
        for i in range(0, len(body), 1000):
            self.sock.sendall(body[i:i + 1000])
            time.sleep(0.1)

    def is_listed(self, path, end):
        """Whether a line of the file LOG + end is in the path."""
        try:
            with open(sys.argv[1] + end) as names:
                return any(name.strip() in path for name in names)
        except FileNotFoundError:
            return False

    def held(self, path):
        """What LOG.held lists waits until it does not."""
        while self.is_listed(path, ".held"):
            time.sleep(0.02)
        self.ok(path)

    def lost(self, path):
        """Likewise, and from then on it is not there."""
        while self.is_listed(path, ".held"):
            LOST.add(path)
            time.sleep(0.02)
        if path in LOST:
            self.send(404)
        else:
            self.ok(path)

    def redirect(self, path):
        self.send(302, headers=["Location: http://127.0.0.1:%d/ok/%s" % (port, path)])

    def no_conditions(self, path):
        if self.headers.get("if-none-match"):
            self.send(501)
        else:
            self.ok(path)

    def retry_after_1(self, path):
        self.send(429, headers=["Retry-After: 1"])

    def retry_after_9(self, path):
        self.send(503, headers=["Retry-After: 9"])

    def closes(self, path):
        """After each answer, and does not say so."""
        self.ok(path)
        raise Gone

    def basic(self, path):
        # user:pass/word
        if self.headers.get("authorization") == "Basic dXNlcjpwYXNzL3dvcmQ=":
            self.ok(path)
        else:
            self.send(401, headers=["WWW-Authenticate: Basic realm=x"])

    def bearer(self, path):
        if self.headers.get("authorization") == "Bearer tok-3n":
            self.ok(path)
        else:
            self.send(401)

    def raced(self, path):
        """WebDAV. Each directory "blobs" is made by another one in the same moment: MKCOL fails, and it is there."""
        path = path.rstrip("/")
        above = path.rpartition("/")[0]
        if self.method == "MKCOL":
            if path in DIRS:
                self.send(405)
            elif above and above not in DIRS:
                self.send(409)
            else:
                DIRS.add(path)
                self.send(500 if path.endswith("/blobs") else 201)
        elif self.method == "PUT" and above not in DIRS:
            self.send(409)
        else:
            self.ok(path)

    # ---- S3: /KEY-ID/bucket/PATH wants that key's signature; its secret is s3cr3t-KEY-ID

    def signature(self, key):
        """AWS's Signature Version 4, by its documentation; "" where what is signed is not what must be."""
        sent = dict(part.strip().split("=", 1) for part in self.headers["authorization"].split(" ", 1)[1].split(","))
        scope = sent["Credential"].split("/", 1)[1]
        names = sent["SignedHeaders"].split(";")
        must = {"host"} | {h for h in self.headers if h.startswith("x-amz-")}
        if names != sorted(names) or not must <= set(names) or not set(names) <= set(self.headers):
            return "", sent["Signature"]
        path, _, query = self.path.partition("?")
        if hashlib.sha256(self.body).hexdigest() != self.headers["x-amz-content-sha256"]:
            return "", sent["Signature"]
        request = "\n".join([self.method, quote(unquote(path), safe="/-_.~"), query] +
                            ["%s:%s" % (h, " ".join(self.headers[h].split())) for h in names] +
                            ["", ";".join(names), self.headers["x-amz-content-sha256"]])
        text = "\n".join(["AWS4-HMAC-SHA256", self.headers["x-amz-date"], scope,
                          hashlib.sha256(request.encode()).hexdigest()])
        secret = ("AWS4s3cr3t-" + key).encode()
        for part in scope.split("/") + [text]:
            secret = hmac.new(secret, part.encode(), hashlib.sha256).digest()
        return secret.hex(), sent["Signature"]

    def s3(self, path, key):
        code = None
        if ("Credential=%s/" % key) not in self.headers.get("authorization", ""):
            code = "InvalidAccessKeyId"
        else:
            good, sent = self.signature(key)
            if good != sent:
                code = "SignatureDoesNotMatch"
        if code:
            self.send(403, ("<Error><Code>%s</Code></Error>" % code).encode())
        else:
            self.ok(path)

    def key_is_old(self, path):
        self.send(400, b"<Error><Code>ExpiredToken</Code></Error>")

    def other_region(self, path):
        self.send(301, headers=["x-amz-bucket-region: eu-far-1"])

    def skewed(self, path):
        self.send(403, b"<Error><Code>RequestTimeTooSkewed</Code><Message>x</Message></Error>")

    KEYS = {"AccessKeyId": "%s", "SecretAccessKey": "s3cr3t-%s", "Token": "t0ken-%s", "Expiration": "2039-01-01T00:00:00Z"}

    def keys(self, name):
        return json.dumps({k: v.replace("%s", name) for k, v in self.KEYS.items()}).encode()

    def aws(self, path):
        if path == "latest/api/token" and self.method == "PUT":
            self.send(200, b"imds-token")
        elif path == "container":
            good = self.headers.get("authorization") == "the-container"
            self.send(200 if good else 403, self.keys("CONTAINER") if good else b"")
        elif path.startswith("latest/") and self.headers.get("x-aws-ec2-metadata-token") != "imds-token":
            self.send(401)
        elif path == "latest/meta-data/iam/security-credentials/":
            self.send(200, b"the-role\n")
        elif path == "latest/meta-data/iam/security-credentials/the-role":
            self.send(200, self.keys("INSTANCE"))
        elif path == "sts/" and self.method == "POST":
            good = b"RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr" in self.body and b"WebIdentityToken=w3b.identity" in self.body
            text = "".join("<%s>%s</%s>" % (k, v.replace("%s", "WEB"), k)
                           for k, v in self.KEYS.items() if k != "Token")
            text = "<R><Credentials>%s<SessionToken>t0ken-WEB</SessionToken></Credentials></R>" % text
            self.send(200 if good else 403, text.encode() if good else b"<Error><Code>AccessDenied</Code></Error>")
        else:
            self.send(404)

    def one(self):
        self.request()
        mode, _, path = self.path[1:].partition("/")
        if mode in ("latest", "container", "sts"):
            return self.aws(self.path[1:])
        if "-" in mode:
            n, mode = mode.split("-")
            with LOCK:
                k = (self.method, self.path)
                COUNTS[k] = COUNTS.get(k, 0) + 1
                if COUNTS[k] > int(n):
                    mode = "ok"
        if mode.isdigit():
            return self.send(int(mode))
        if mode.isupper():
            return self.s3(path, mode)
        if self.method == "PUT" and mode in self.OF_GET:
            mode = "ok"
        getattr(self, mode)(path)

    OF_GET = ("many_headers", "hang_mid_body", "part", "part_untold", "part_as_whole", "half_length", "flipped", "swapped", "page",
              "endless", "huge", "slow")

    def serve(self):
        try:
            while True:
                self.one()
        except (Gone, OSError):
            pass
        finally:
            self.sock.close()


server = socket.create_server(("127.0.0.1", 0), backlog=128)
port = server.getsockname()[1]
# Nobody accepts here: what does not fit into the queue is neither taken nor refused.
full = socket.create_server(("127.0.0.1", 0), backlog=0)
fillers = [socket.socket() for _ in range(8)]
for filler in fillers:
    filler.setblocking(False)
    filler.connect_ex(full.getsockname())

log = open(sys.argv[1], "w")
with open(sys.argv[2] + ".new", "w") as ports:
    ports.write("%d %d\n" % (port, full.getsockname()[1]))
os.rename(sys.argv[2] + ".new", sys.argv[2])
number = 0
while True:
    sock, _ = server.accept()
    number += 1
    threading.Thread(target=Connection(sock, number).serve, daemon=True).start()
