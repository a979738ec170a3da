#!/usr/bin/env python3
"""What the scenarios about the coordinator's page need beside curl.

    page.py metrics FILE            reads /metrics as Prometheus's own client library does: OpenMetrics where its
                                    last line is "# EOF", else the text format; prints a sample a line, "NAME{K="V"} N"
    page.py slow URL SECONDS        sends a byte of a request every 0.2 s; prints how long the connection lasted
    page.py held URL                holds as many connections as are taken, silent, and asks by one more
    page.py raw URL TEXT            sends it (with \\r\\n for each "|"), prints the answer's first line; "closed" without one
    page.py schema SCHEMA NAME=FILE...  reads each FILE as JSON that must be of that definition of the schema
    page.py named METRICS FILE...   prints each metric that the files name (a Grafana dashboard, Prometheus's rules),
                                    and fails where METRICS, as printed by `metrics`, does not have it
    page.py follow URL NAME         prints events, "NAME DATA", until there was one of that name
    page.py crowd URL N             follows N times at once, prints how many got which status
    page.py unread URL              follows without reading, until the connection ends
    page.py until-gone URL          asks until nobody answers; prints each answer that differs from the one before
"""
import collections
import http.client
import json
import re
import socket
import sys
import time
import urllib.parse


def connect(url):
    at = urllib.parse.urlsplit(url)
    return socket.create_connection((at.hostname, at.port), timeout=30), at


def metrics(path):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    if text.endswith("# EOF\n"):
        from prometheus_client.openmetrics.parser import text_string_to_metric_families
    else:
        from prometheus_client.parser import text_string_to_metric_families
    for family in text_string_to_metric_families(text):
        if not family.documentation or family.type == "unknown":
            sys.exit(f"{family.name} has no help, or no type")
        for s in family.samples:
            labels = ",".join(f'{k}="{v}"' for k, v in sorted(s.labels.items()))
            print(f"{s.name}{{{labels}}} {s.value:g}" if labels else f"{s.name} {s.value:g}")


def slow(url, seconds):
    s, at = connect(url)
    begin = time.monotonic()
    s.settimeout(0.2)
    try:
        s.sendall(f"GET / HTTP/1.1\r\nHost: {at.netloc}\r\nX-Slow: ".encode())
        while time.monotonic() - begin < float(seconds):
            s.sendall(b"a")
            try:
                if not s.recv(1):
                    break
            except socket.timeout:
                pass
    except OSError:
        pass
    print(f"{time.monotonic() - begin:.1f}")


def held(url):
    held_ones = []
    for _ in range(100):
        try:
            s, _ = connect(url)
        except OSError:
            break
        held_ones.append(s)
    s, at = held_ones[0], urllib.parse.urlsplit(url)
    s.sendall(f"GET /healthz HTTP/1.1\r\nHost: {at.netloc}\r\n\r\n".encode())
    print(s.recv(15).decode())


def raw(url, text):
    s, at = connect(url)
    try:
        s.sendall(text.replace("|", "\r\n").replace("HOST", at.netloc).encode())
        answer = s.recv(4096)
    except OSError:
        answer = b""
    print(answer.split(b"\r\n")[0].decode(errors="replace") if answer else "closed")


def until_gone(url):
    said = None
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            s, at = connect(url)
            s.sendall(f"GET {at.path} HTTP/1.1\r\nHost: {at.netloc}\r\nConnection: close\r\n\r\n".encode())
            answer = b""
            while piece := s.recv(4096):
                answer += piece
        except OSError:
            return
        finally:
            s.close()
        if answer and (line := answer.split(b"\r\n")[0].decode()) != said:
            said = line
            print(line, flush=True)
    sys.exit("it still answers")


def schema(schema_path, *pairs):
    import jsonschema

    with open(schema_path, encoding="utf-8") as f:
        whole = json.load(f)
    jsonschema.Draft7Validator.check_schema(whole)
    for name, _, path in (pair.partition("=") for pair in pairs):
        with open(path, encoding="utf-8") as f:
            value = json.load(f)
        validator = jsonschema.Draft7Validator({**whole, "$ref": f"#/definitions/{name}"})
        for e in validator.iter_errors(value):
            sys.exit(f"{name}: {'/'.join(map(str, e.absolute_path))}: {e.message}")


def expressions(path):
    """All texts below "expr", of JSON or YAML."""
    import yaml

    def walk(v):
        if isinstance(v, dict):
            for key, child in v.items():
                if key in ("expr", "definition"):
                    yield child
                else:
                    yield from walk(child)
        elif isinstance(v, list):
            for child in v:
                yield from walk(child)

    with open(path, encoding="utf-8") as f:
        return list(walk(yaml.safe_load(f)))


def named(metrics_path, *paths):
    with open(metrics_path, encoding="utf-8") as f:
        there = {re.match(r"[a-z_]+", line).group() for line in f}
    for path in paths:
        for expr in expressions(path):
            for name in re.findall(r"\b(?:dray|process)_[a-z_]+", expr):
                if name not in there:
                    sys.exit(f"{path}: there is no metric {name}")
                print(name)


def begin_follow(url):
    s, at = connect(url)
    s.sendall(f"GET {at.path} HTTP/1.1\r\nHost: {at.netloc}\r\n\r\n".encode())
    return s


def follow(url, name):
    at = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(at.hostname, at.port, timeout=60)
    connection.request("GET", at.path)
    event = None
    for line in connection.getresponse():
        key, _, value = line.decode().rstrip("\n").partition(": ")
        if key == "event":
            event = value
        elif key == "data":
            print(event, value, flush=True)
            if event == name:
                return
    sys.exit("the stream ended")


def crowd(url, n):
    held_ones = [begin_follow(url) for _ in range(int(n))]
    said = collections.Counter(s.recv(65536).split()[1].decode() for s in held_ones)
    print(", ".join(f"{k} {status}" for status, k in sorted(said.items())))


def unread(url):
    at = urllib.parse.urlsplit(url)
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    s.connect((at.hostname, at.port))
    s.sendall(f"GET {at.path} HTTP/1.1\r\nHost: {at.netloc}\r\n\r\n".encode())
    time.sleep(600)


if __name__ == "__main__":
    {"metrics": metrics, "slow": slow, "held": held, "raw": raw, "until-gone": until_gone, "schema": schema,
     "named": named, "follow": follow, "crowd": crowd, "unread": unread}[sys.argv[1]](*sys.argv[2:])
