#!/usr/bin/env python3
"""Our prompt counts against those of real servers, request by request through guardd.

A server is started with a model of random weights (models.py), guardd in front of it with the model's tokenizer folder.
Seeded conversations (conversations.py) go through guardd with `max_tokens` 1; `tokens.prompt` of guardd's record is compared
with `usage.prompt_tokens` that the server answers. Then text completions, then streams. Every difference is written with
its request to DIR/differences-SERVER-MODEL.jsonl; the exit status is 1 if there is one that the record calls exact.

    Benchmarks/servers/run [--server transformers,llama-server,mistral-common] [--models a,b] [--count 300] [--seed 1]
"""

import argparse
import datetime
import json
import os
import pathlib
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "Tests" / "clients")]

import harness  # noqa: E402
import models  # noqa: E402
from conversations import Generator  # noqa: E402
from servers import SERVERS  # noqa: E402


class Tally:
    """What one kind of request came to."""

    def __init__(self, name):
        self.name, self.compared, self.equal, self.estimated, self.refused, self.failed = name, 0, 0, 0, 0, 0
        self.differences = []

    def add(self, body, record, status, reported):
        tokens = record.get("tokens", {})
        if record["action"] == "refuse":
            # The template raised: no count, and the server was not asked.
            self.refused += 1
            return
        if status != 200:
            # The server refused what we let pass: no count to compare with, but worth a look.
            self.failed += 1
            self.differences.append({"kind": self.name, "body": body, "status": status, "ours": tokens.get("prompt"),
                                     "exact": tokens.get("exact"), "why": tokens.get("why"), "theirs": str(reported)[:500]})
            return
        self.compared += 1
        self.estimated += 0 if tokens.get("exact") else 1
        if tokens.get("prompt") == reported:
            self.equal += 1
        else:
            self.differences.append({"kind": self.name, "body": body, "ours": tokens.get("prompt"), "theirs": reported,
                                     "exact": tokens.get("exact"), "why": tokens.get("why")})

    def row(self):
        return [self.name, self.compared, self.equal, self.estimated, self.refused, self.failed]


def guard(server, counting):
    rules = pathlib.Path(tempfile.mkdtemp(prefix="no-rules-"))
    return harness.Guard(server.port, rules=rules, config={
        "upstream": {"url": f"http://127.0.0.1:{server.port}", "api": server.api, "model": server.served},
        "models": [{"match": "*", "tokenizer": server.tokenizer, "counting": counting, "contextWindow": models.CONTEXT}],
        "budgets": [], "unknownModel": "refuse"})


def exchange(front, path, body):
    """Through guardd: its record, the status and the answer's bytes."""
    answer = harness.request(front.port, "POST", path, json.dumps(body), timeout=600)
    return front.record(answer.headers["x-guard-decision-id"]), answer


def prompt_tokens(answer):
    """What the server reports; its words where it refuses."""
    return answer.json()["usage"]["prompt_tokens"] if answer.status == 200 else answer.text()


def usage_of_stream(answer):
    """`usage` of the last event that has one."""
    found = None
    for line in answer.text().split("\n"):
        if line.startswith("data:") and line[5:].strip() not in ("", "[DONE]"):
            event = json.loads(line[5:])
            if "error" in event:
                raise AssertionError(line)
            found = event.get("usage") or found
    return found


def compare(server, counting, arguments):
    front = guard(server, counting)
    knows = models.FAMILIES[server.family]["knows"]
    try:
        chat = Tally("chat")
        made = Generator(arguments.seed, **knows)
        # Conversations that are refused are not compared, so more are made; a server that refuses all ends it.
        while chat.compared < arguments.count and chat.refused + chat.failed <= arguments.count:
            messages, tools = made.conversation()
            body = {"model": server.served, "messages": messages, "max_tokens": 1, **({"tools": tools} if tools else {})}
            record, answer = exchange(front, "/v1/chat/completions", body)
            chat.add(body, record, answer.status, prompt_tokens(answer))
        completions = Tally("completion")
        made = Generator(arguments.seed + 1, **knows)
        for _ in range(arguments.count // 3 if server.completions else 0):
            # torch and llama.cpp do not run on nothing.
            body = {"model": server.served, "prompt": made.text() or "x", "max_tokens": 1}
            record, answer = exchange(front, "/v1/completions", body)
            completions.add(body, record, answer.status, prompt_tokens(answer))
        streams = Tally("stream")
        made = Generator(arguments.seed + 2, **knows)
        for _ in range(arguments.count // 10 if server.streams else 0):
            messages, tools = made.conversation()
            body = {"model": server.served, "messages": messages, "max_tokens": 4, "stream": True,
                    "stream_options": {"include_usage": True}, **({"tools": tools} if tools else {})}
            record, answer = exchange(front, "/v1/chat/completions", body)
            streams.add(body, record, answer.status,
                        usage_of_stream(answer)["prompt_tokens"] if answer.status == 200 else answer.text())
    finally:
        front.stop()
    return [chat, completions, streams]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--server", default=",".join(SERVERS))
    parser.add_argument("--models", default=",".join(models.FAMILIES))
    parser.add_argument("--counting", help="another counting mode than the server's")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=pathlib.Path, default=ROOT / ".build" / "servers")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    print(f"{datetime.date.today()}, seed {arguments.seed}\n")
    print("| server | model | counting | what | compared | equal | estimated | refused by guardd | by the server |\n|---|---|---|---|---|---|---|---|---|", flush=True)
    wrong = 0
    for kind in (SERVERS[name] for name in arguments.server.split(",")):
        for family in arguments.models.split(","):
            if not kind.serves(family):
                continue
            server = kind(family, arguments.folder)
            counting = arguments.counting or server.counting
            try:
                tallies = compare(server, counting, arguments)
            finally:
                server.stop()
            with open(arguments.folder / f"differences-{kind.name}-{family}.jsonl", "w") as out:
                for tally in tallies:
                    print("|", " | ".join(map(str, [kind.version(), family, counting, *tally.row()])), "|", flush=True)
                    for difference in tally.differences:
                        wrong += difference["exact"] is True and "status" not in difference
                        out.write(json.dumps(difference) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
