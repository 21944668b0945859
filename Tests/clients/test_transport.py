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
                self.assertNotIn(b"evil", wire.answer().body)
        self.still_works()
