"""What a hostile or broken peer does below the JSON: framing, odd answers, slow and vanishing sides, limits."""

import json
import os
import pathlib
import signal
import socket
import threading
import time
import unittest

from harness import Guard, get, post, request, wait_for
from scripted import LAST_CHUNK, Scripted, Wire, chunk, head_of_stream, whole

CHAT = "/v1/chat/completions"
GOOD = b'{"model":"mock","messages":[{"role":"user","content":"hi"}]}'
OK = {"id": "c", "object": "chat.completion", "created": 1, "model": "mock", "choices": [
    {"index": 0, "message": {"role": "assistant", "content": "fine"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}}


def fine(*lines, **more):
    return whole(200, json.dumps({**OK, **more}).encode(), *lines)


def delta(text, **more):
    return b"data: " + json.dumps({"id": "c", "object": "chat.completion.chunk", "choices": [
        {"index": 0, "delta": {"content": text}, "finish_reason": None, **more}]}).encode() + b"\n\n"


def stream_of(*texts):
    return ([head_of_stream()] + [chunk(delta(text)) for text in texts]
            + [chunk(delta("", finish_reason="stop")), chunk(b"data: [DONE]\n\n"), LAST_CHUNK])


def chat(body=GOOD, *lines, method="POST", path=CHAT, version="1.1"):
    head = [f"{method} {path} HTTP/{version}", "Host: g", "Content-Type: application/json", *lines,
            f"Content-Length: {len(body)}"]
    return ("\r\n".join(head) + "\r\n\r\n").encode() + body


class Fixture(unittest.TestCase):
    config, api = {}, "openai"

    @classmethod
    def setUpClass(cls):
        cls.upstream = Scripted()
        cls.addClassCleanup(cls.upstream.stop)
        config = dict(cls.config)
        if "upstream" in config:
            config["upstream"] = {"url": f"http://127.0.0.1:{cls.upstream.port}", "api": cls.api, "model": "mock",
                                  **config["upstream"]}
        cls.guard = Guard(cls.upstream.port, config=config, api=cls.api)
        cls.addClassCleanup(cls.guard.stop)

    def setUp(self):
        self.answers(fine())
        self.upstream.received.clear()

    def answers(self, *pieces):
        self.upstream.script = lambda received: pieces

    def ask(self, data=None, method="POST", timeout=5):
        with Wire(self.guard.port, timeout=timeout) as wire:
            wire.send(chat() if data is None else data)
            return wire.answer(method)

    def recorded(self, answer):
        return self.guard.record(answer.header("x-guard-decision-id"))

    def still_works(self):
        self.answers(fine())
        for _ in range(4):  # Every event loop, whatever its pool holds.
            self.assertEqual(self.ask().status, 200)


class OddAnswers(Fixture):
    """Of the model server."""

    def test_usage_that_no_server_can_have(self):
        big = (1 << 63) - 1
        for usage in ({"prompt_tokens": big, "completion_tokens": big, "total_tokens": big},
                      {"prompt_tokens": -big - 1, "completion_tokens": -1, "total_tokens": 0}):
            self.answers(fine(usage=usage))
            self.assertEqual(self.recorded(self.ask())["status"], 200)
            event = b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\n"
            self.answers(head_of_stream(), chunk(delta("a")), chunk(event), chunk(b"data: [DONE]\n\n"), LAST_CHUNK)
            record = self.recorded(self.ask())
            self.assertLess(record["tokens"]["completion"], 1000)
        self.still_works()

    def test_an_output_limit_without_end(self):
        body = json.dumps({"model": "unheard-of", "n": 2, "max_tokens": (1 << 63) - 1, "stream": True,
                           "messages": [{"role": "user", "content": "hi"}]}).encode()
        self.answers(*stream_of("a", "b" * 3000))
        self.assertIn(self.ask(chat(body)).status, (200, 400, 404))
        self.still_works()

    def test_switching_protocols(self):
        """The connection must not go back to the pool: the next request on it would wait for ever."""
        self.answers(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: foo\r\nConnection: upgrade\r\n\r\nfoo")
        for _ in range(4):
            self.assertEqual(self.ask().status, 502)
        self.still_works()

    def test_bytes_behind_an_answer_are_no_answer(self):
        evil = fine(choices=[{"index": 0, "message": {"role": "assistant", "content": "evil"}, "finish_reason": "stop"}])
        answers = [[fine() + evil], [0.2, fine()]]
        self.upstream.script = lambda received: answers.pop(0) if answers else [fine()]
        with Wire(self.guard.port) as wire:
            wire.send(chat() * 2)
            for _ in range(2):
                answer = wire.answer()
                self.assertEqual((answer.status, b"evil" in answer.body), (200, False))
        self.still_works()


class Requests(Fixture):
    """Of clients."""

    config = {"limits": {"bodyBytes": 1_000_000, "headerBytes": 65_536, "bodyTimeout": "600ms"},
              "budgets": [{"name": "slots", "match": {"tenant": "slot*"}, "scope": ["tenant"], "concurrency": 1,
                           "window": [{"tokens": 1000, "per": "day"}]}]}

    def test_broken_requests_see_their_answer_and_the_end(self):
        for name, data, status in (
                ("header", b"GET /v1/models HTTP/1.1\r\nHost: g\r\nX: " + b"a" * 900_000 + b"\r\n\r\n", 431),
                ("target", b"GET /v1/models?" + b"a" * 300_000 + b" HTTP/1.1\r\nHost: g\r\n\r\n", 431),
                ("fields", b"GET /v1/models HTTP/1.1\r\n" + b"".join(b"x-%d: y\r\n" % i for i in range(20_000)), 431),
                ("method", b"G<T / HTTP/1.1\r\n\r\n" + b"a" * 900_000, 400),
                ("chunk", chat()[:-len(GOOD)].replace(b"Content-Length: 60", b"Transfer-Encoding: chunked")
                 + b"xyz\r\n" + b"a" * 900_000, 400)):
            with self.subTest(name), Wire(self.guard.port) as wire:
                self.assertTrue(wire.send(data), "all of it is taken from the wire")
                answer = wire.answer()
                self.assertEqual((answer.status, answer.header("connection")), (status, "close"))
                self.assertEqual(answer.header("x-should-retry"), "false")
                self.assertEqual(self.recorded(answer)["action"], "refuse")
                self.assertTrue(wire.closes())
                # Closing with unread bytes would be a reset, which takes the answer from many clients.
                self.assertFalse(wire.reset)
        self.assertEqual(self.upstream.received, [])

    def test_http_1_0(self):
        with Wire(self.guard.port) as wire:
            wire.send(chat(version="1.0"))
            self.assertEqual(wire.answer().header("connection"), "close")
            self.assertTrue(wire.closes())
        with Wire(self.guard.port) as wire:
            for body in (GOOD, b"{", GOOD):
                # Without the field such a client waits for the end of the connection.
                wire.send(chat(body, "Connection: keep-alive", "Expect: 100-continue", version="1.0"))
                answer = wire.answer()
                self.assertEqual((answer.header("connection"), answer.interim), ("keep-alive", []))
        self.answers(*stream_of("a", "b"))
        with Wire(self.guard.port) as wire:
            wire.send(chat(version="1.0"))
            answer = wire.answer()
            self.assertNotIn("transfer-encoding", answer.headers)
            self.assertTrue(answer.closed and answer.body.rstrip().endswith(b"[DONE]"))

    def test_pipelined_requests(self):
        with Wire(self.guard.port, timeout=20) as wire:
            wire.send(chat() * 3 + chat(b"{") * 300 + chat())
            self.assertEqual([wire.answer().status for _ in range(304)], [200] * 3 + [400] * 300 + [200])

    def test_slow_bodies(self):
        with Wire(self.guard.port) as wire:
            wire.send(chat()[:-5])
            answer = wire.answer()
            self.assertEqual((answer.status, answer.header("x-should-retry")), (408, None))
            self.assertEqual(self.recorded(answer)["status"], 408)
            self.assertTrue(wire.closes())

    def test_announced_bodies_take_no_memory(self):
        before = resident(self.guard.process.pid, "VmSize")
        wires = [Wire(self.guard.port) for _ in range(300)]
        for wire in wires:
            wire.send(chat()[:-len(GOOD)].replace(b"Content-Length: 60", b"Content-Length: 999999"))
        time.sleep(0.2)
        self.assertLess(resident(self.guard.process.pid, "VmSize") - before, 60 << 20)
        for wire in wires:
            wire.socket.close()

    def test_guard_fields_of_clients_do_not_pass(self):
        self.ask(chat(GOOD, "X-Guard-Anything: 1", "x-guard-decision: allow", "Authorization: Bearer k", "X-Own: 1",
                      "Connection: close, authorization, content-type, x-own"))
        names = [name for name, _ in self.upstream.received[-1].headers]
        self.assertEqual([name for name in names if name.startswith("x-guard") or name in ("connection", "x-own")], [])
        self.assertEqual([names.count(name) for name in ("authorization", "content-type")], [1, 1])

    def test_a_client_that_leaves_frees_its_slot(self):
        """At every stage, and a request that is judged on a thread meanwhile is not charged."""
        large = json.dumps({"model": "mock", "messages": [{"role": "user", "content": "a b " * 40_000}]}).encode()
        self.upstream.script = lambda received: [3, fine()]
        for name, data, wait in (("body", chat()[:-5], 0.1), ("judging", chat(large), 0.0), ("judging", chat(large), 0.02),
                                 ("awaiting", chat(), 0.1)):
            for turn in range(3):
                with self.subTest(name, turn=turn):
                    data = data.replace(b"Host: g", b"Host: g\r\nX-Tenant: slot-1")
                    with Wire(self.guard.port) as wire:
                        wire.send(data)
                        time.sleep(wait)
                    wait_for("the slot is free", 3, lambda: self.slot_is_free("slot-1"))
        self.answers(fine())
        answer = self.ask(chat(GOOD, "X-Tenant: slot-1"))
        self.assertEqual(answer.status, 200)
        # Of all that only the last answer was charged: its usage says 4 tokens.
        self.assertEqual(self.recorded(answer)["budget"][0]["remaining"], 1000 - 4)

    def slot_is_free(self, tenant):
        with Wire(self.guard.port) as wire:
            wire.send(chat(b"{", f"X-Tenant: {tenant}"))
            return wire.answer().status == 400

    def test_every_attempt_is_recorded(self):
        before = len(self.guard.records())
        self.assertEqual(self.ask(b"GET /nowhere HTTP/1.1\r\nHost: g\r\n\r\n", "GET").status, 404)
        self.assertEqual(self.ask(chat(method="PUT")).status, 405)
        self.assertEqual(self.ask(chat(GOOD, "Content-Encoding: br")).status, 415)
        self.assertEqual(self.ask(chat(b"x" * 1_000_001)).status, 413)
        self.assertEqual(self.ask(b"\x16\x03\x01\r\n\r\n").status, 400)
        with Wire(self.guard.port) as wire:
            wire.send(chat()[:-5])
        wait_for("six records", 3, lambda: len(self.guard.records()) == before + 6)
        self.assertEqual([r["status"] for r in self.guard.records()[before:]], [404, 405, 415, 413, 400, 0])
        kinds = [(r["route"], r["kind"]) for r in self.guard.records()[before:]]
        self.assertEqual(kinds[2:4], [(CHAT, "chat")] * 2)


class TGI(Fixture):
    api = "tgi"
    config = {"limits": {"bodyBytes": 10_000}}

    def test_errors_have_the_shape_of_the_api(self):
        for name, data, status in (
                ("length", chat(b"x" * 20_000, path="/generate"), 413), ("json", chat(b"{", path="/generate"), 400),
                ("coding", chat(GOOD, "Content-Encoding: br", path="/generate"), 415),
                ("path", chat(path="/other"), 404), ("http", b"G<T / HTTP/1.1\r\n\r\n", 400)):
            with self.subTest(name):
                answer = self.ask(data)
                self.assertEqual(answer.status, status)
                error = json.loads(answer.body)
                self.assertIsInstance(error["error"], str)
                self.assertIn("error_type", error)
        # Its OpenAI endpoints speak OpenAI's.
        self.assertIn("message", json.loads(self.ask(chat(b"{")).body)["error"])


class Held(Fixture):
    def test_comments_while_text_is_held(self):
        """Every 15 s, though the server keeps sending what is held."""
        self.upstream.script = lambda received: [
            head_of_stream(), chunk(delta("BLUEBIRD-")), *[piece for _ in range(17) for piece in (
                1, chunk(b"data: " + json.dumps({"id": "c", "choices": [
                    {"index": 0, "delta": {}, "finish_reason": None}]}).encode() + b"\n\n"))],
            *stream_of("x")[1:]]
        answer = self.ask(timeout=25)
        self.assertIn(b": ", answer.body.split(b"data:")[0], "a comment before the first event")
        self.assertTrue(answer.body.rstrip().endswith(b"[DONE]"))


def resident(pid, field="VmRSS"):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith(field + ":"))) << 10


if __name__ == "__main__":
    unittest.main()
