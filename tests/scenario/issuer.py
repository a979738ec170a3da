"""An issuer of OpenID Connect over TLS, for tests: issuer.py DIR

DIR has cert.pem and key.pem (of localhost), and public keys: NAME.pub.pem, RSA. Its port is written to DIR/port. It
serves its configuration and the set of the keys that are in DIR when it is asked; each request is a line of
DIR/requests. While DIR/hang is there it answers nothing."""
import base64, http.server, json, os, ssl, subprocess, sys, time

here = sys.argv[1]


def number(n):
    return base64.urlsafe_b64encode(n.to_bytes((n.bit_length() + 7) // 8, "big")).rstrip(b"=").decode()


def key_of(name):
    text = subprocess.run(["openssl", "rsa", "-pubin", "-in", f"{here}/{name}.pub.pem", "-noout", "-modulus"],
                          check=True, capture_output=True, text=True).stdout
    return {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": name, "e": "AQAB",
            "n": number(int(text.strip().split("=")[1], 16))}


class Issuer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with open(f"{here}/requests", "a") as f:
            f.write(self.path + "\n")
        while os.path.exists(f"{here}/hang"):
            time.sleep(0.05)
        url = f"https://localhost:{self.server.server_address[1]}"
        if self.path == "/.well-known/openid-configuration":
            answer = {"issuer": url, "jwks_uri": url + "/keys"}
        elif self.path == "/keys":
            names = [f[:-len(".pub.pem")] for f in os.listdir(here) if f.endswith(".pub.pem")]
            answer = {"keys": [key_of(name) for name in sorted(names)]}
        else:
            self.send_error(404)
            return
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Issuer)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(f"{here}/cert.pem", f"{here}/key.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
with open(f"{here}/port.new", "w") as f:
    f.write(str(server.server_address[1]))
os.rename(f"{here}/port.new", f"{here}/port")
server.serve_forever()
