"""Starts a mock model server and guardd for the end-to-end tests, on free loopback ports, and stops what it started."""

import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("GUARD_BIN", ROOT / ".build" / "debug"))
TOKENIZER = ROOT / "fixtures" / "tokenizers" / "byte-level"
RULES = ROOT / "Tests" / "clients" / "rules"
CARD = "4111 1111 1111 1111"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(what, seconds, condition):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"{what}: not within {seconds} s")


class Mock:
    """`guardctl serve-mock` with the repo's byte-level tokenizer."""

    def __init__(self, *arguments, port=0):
        command = [str(BIN / "guardctl"), "serve-mock", "--port", str(port), "--model", "mock",
                   "--tokenizer", str(TOKENIZER), *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"serve-mock did not start: {command}")
        self.port = json.loads(line)["port"]

    def last(self):
        """The last request as it arrived: `headers` as a dict of lower-case names, `json` as its parsed body."""
        answer = get(self.port, "/mock/last").json()
        answer["headers"] = {name.lower(): value for name, value in answer["headers"]}
        answer["json"] = json.loads(answer["body"])
        return answer

    def stats(self):
        return get(self.port, "/mock/stats").json()

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Guard:
    """`guardd` in front of `upstream_port`. `config` is laid over the defaults below, top-level key by key."""

    def __init__(self, upstream_port, config=None, rules=RULES, api="openai"):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="guard-test-"))
        self.rules = self.folder / "rules"
        shutil.copytree(rules, self.rules)
        (self.folder / "hash.key").write_bytes(b"0123456789abcdef0123456789abcdef")
        self.port, self.health, self.admin = free_port(), free_port(), free_port()
        self.config = {
            "listen": {name: f"127.0.0.1:{port}" for name, port in
                       [("data", self.port), ("health", self.health), ("admin", self.admin)]},
            "upstream": {"url": f"http://127.0.0.1:{upstream_port}", "api": api, "model": "mock"},
            "models": [{"match": "mock", "tokenizer": str(TOKENIZER), "counting": "hf", "contextWindow": 4096,
                        "maxInputTokens": 2000, "defaultCompletionTokens": 64}],
            "tenants": {"from": [{"header": "x-tenant", "trusted": True, "as": "plain"}, {"bearer": {"as": "hash"}}],
                        "hashKeyFile": str(self.folder / "hash.key")},
            "budgets": [
                {"name": "request", "match": {"tenant": "*"}, "scope": ["tenant"], "request": {"promptTokens": 1000}},
                {"name": "small", "match": {"tenant": "small*"}, "scope": ["tenant"],
                 "window": [{"tokens": 300, "per": "day"}]},
                {"name": "rare", "match": {"tenant": "rare*"}, "scope": ["tenant"],
                 "window": [{"requests": 2, "per": "day"}]},
            ],
            "policy": {"path": str(self.rules)},
            "decisionLog": {"sinks": [{"stdout": {"onFull": "drop"}}]},
            **(config or {}),
        }
        self.write_config()
        self.log = open(self.folder / "stdout.log", "wb")
        self.errors = open(self.folder / "stderr.log", "wb")
        self.process = subprocess.Popen([str(BIN / "guardd"), "--config", str(self.folder / "guard.yaml")],
                                        stdout=self.log, stderr=self.errors)
        wait_for("guardd is ready: " + str(self.folder), 30, self.is_ready)

    def write_config(self):
        # JSON is YAML.
        (self.folder / "guard.yaml").write_text(json.dumps(self.config, indent=1))

    def is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError("guardd ended: " + self.stderr())
        try:
            return get(self.health, "/readyz").status == 200
        except OSError:
            return False

    def stderr(self):
        return (self.folder / "stderr.log").read_text(errors="replace")

    def records(self):
        """All decision records so far."""
        records = []
        for line in (self.folder / "stdout.log").read_bytes().split(b"\n")[:-1]:
            if line.startswith(b"{"):
                record = json.loads(line)
                if "requestId" in record or "action" in record:
                    records.append(record)
        return records

    def record(self, decision_id):
        """The record of one exchange, when it has been written."""
        return wait_for(f"record {decision_id}", 5,
                        lambda: next((r for r in self.records() if r["id"] == decision_id), None))

    def metrics(self):
        return get(self.health, "/metrics").text()

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.log.close()
        self.errors.close()
        if os.environ.get("KEEP_LOGS") != "1":
            shutil.rmtree(self.folder, ignore_errors=True)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def text(self):
        return self.body.decode()


def request(port, method, path, body=None, headers=None, timeout=10):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        connection.request(method, path, body=body, headers={"content-type": "application/json", **(headers or {})})
        response = connection.getresponse()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        connection.close()


def get(port, path):
    return request(port, "GET", path, timeout=5)


def post(port, path, body, **headers):
    return request(port, "POST", path, body, {name.replace("_", "-"): value for name, value in headers.items()})


def raw(port, data, timeout=10, half_close=False):
    """Sends bytes as they are, returns all that comes back until the other side closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        try:
            connection.sendall(data)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass
        answer = b""
        try:
            while chunk := connection.recv(1 << 16):
                answer += chunk
        except ConnectionResetError:
            pass
        return answer


def head(method, path, *lines, length=None):
    out = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *lines]
    if length is not None:
        out.append(f"Content-Length: {length}")
    return ("\r\n".join(out) + "\r\n\r\n").encode()


def status_of(answer):
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else None


def body_of(answer):
    return answer.split(b"\r\n\r\n", 1)[1] if b"\r\n\r\n" in answer else b""


def terminate(process, seconds):
    process.send_signal(signal.SIGTERM)
    return process.wait(seconds)
