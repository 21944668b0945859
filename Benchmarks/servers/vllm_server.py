"""vLLM's own front end without its engine: `vllm launch render` reads, renders and tokenizes requests as `vllm serve` does,
and this server turns its token ids into `usage`. Arguments: the `vllm` program, model folder, port, options of vLLM."""

import http.client
import http.server
import json
import os
import signal
import socket
import subprocess
import sys

program, model, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    inner = probe.getsockname()[1]
renderer = subprocess.Popen(
    [program, "launch", "render", model, "--host", "127.0.0.1", "--port", str(inner), "--enable-auto-tool-choice",
     *sys.argv[4:]],
    # The wheel is built for CUDA; nothing of that runs here.
    env={**os.environ, "VLLM_TARGET_DEVICE": "cpu", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"})


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))


def ask(method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", inner, timeout=60)
    try:
        connection.request(method, path, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if renderer.poll() is not None:
            os._exit(1)
        try:
            self.answer(*ask("GET", self.path))
        except OSError:
            self.answer(503, b"{}")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        status, content = ask("POST", self.path + "/render", body)
        if status != 200:
            return self.answer(status, content)
        rendered = json.loads(content)
        is_chat = isinstance(rendered, dict)
        ids = sum(len(one["token_ids"]) for one in ([rendered] if is_chat else rendered))
        choice = {"index": 0, "finish_reason": "length",
                  **({"message": {"role": "assistant", "content": "x"}} if is_chat else {"text": "x"})}
        self.answer(200, json.dumps({
            "id": "1", "object": "chat.completion" if is_chat else "text_completion", "created": 1, "model": model,
            "choices": [choice], "usage": {"prompt_tokens": ids, "completion_tokens": 1, "total_tokens": ids + 1}}).encode())

    def answer(self, status, content):
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments):
        pass


try:
    http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
finally:
    renderer.kill()
