"""Random rules, random texts, random cuts, through the running process, against Python's `re` on the whole text.

What is delivered must not depend on how the model server cut its answer into events, writes and TCP segments; masks are
those of the whole text; of a match that blocks not one byte is delivered. Whole answers and requests say the same.
Seeded: `GUARD_SEED` repeats a run, `GUARD_ROUNDS` makes it longer.
"""

import json
import os
import pathlib
import random
import re
import tempfile
import unittest

from harness import Guard
from scripted import LAST_CHUNK, Scripted, Wire, chunk, head_of_stream, whole

CHAT = "/v1/chat/completions"
ROUNDS = int(os.environ.get("GUARD_ROUNDS", "6"))
TEXTS, CUTS = 25, 3
WORDS = ["a", "ab", "abc", "key-", "KEY-", "12", "1234", "x", "foo", "Bar", " ", ", ", "\n", "é", "🙂", "日本", "-", "@", "corp", ".com"]


class Rule:
    """A pattern that Python and PCRE2 read alike, on texts that fold by ASCII case only."""

    def __init__(self, random, index):
        self.id = f"random.r{index}"
        atoms = [lambda: re.escape(random.choice(["foo", "-", "b", "ab", "corp"])), lambda: random.choice([r"\d", "[a-c]", "[0-9x]", "[^ ,]"]),
                 lambda: random.choice([r"\d+", "[ab]{1,3}", r"\d{2,4}", "x?", "(?:foo|ab|12)", "[a-z]*"])]
        core = "".join(random.choice(atoms)() for _ in range(random.randint(1, 3)))
        # No empty match, and a start and an end that say something.
        self.pattern = random.choice(["", r"\b", "(?<=x)", "(?<![0-9])"]) + random.choice(["key-", "1", "a", "f", "x", r"\d", "[a-f]"]) + core + random.choice(
            ["", "", r"\b", "(?= )", "(?![0-9])"])
        self.folded = random.random() < 0.3
        self.action = random.choices(["mask", "flag", "block"], [6, 1, 1.2])[0]
        self.compiled = re.compile(self.pattern, re.ASCII | (re.IGNORECASE if self.folded else 0))

    def lines(self):
        lines = [f"  - id: {self.id}", "    on: [input, output]", "    roles: [user, assistant]",
                 f"    match: {{pcre: {json.dumps(self.pattern)}}}", f"    view: {'folded' if self.folded else 'raw'}",
                 f"    action: {self.action}", "    severity: low"]
        return lines + ([f"    mask: '<{self.id[-1]}>'"] if self.action == "mask" else [])


def judged(rules, text):
    """The masked text with, for each of its characters, the offset in `text` that it stands for; start of the first block."""
    masks = sorted((match.start(), -match.end(), index) for index, rule in enumerate(rules) if rule.action == "mask"
                   for match in rule.compiled.finditer(text))
    edits = []
    for start, end, index in masks:
        if edits and start < edits[-1][1]:
            edits[-1][1] = max(edits[-1][1], -end)
        else:
            edits.append([start, -end, rules[index].id[-1]])
    out, offsets, at = "", [], 0
    for start, end, name in edits:
        out += text[at:start] + f"<{name}>"
        offsets += [*range(at, start), *[start] * 3]
        at = end
    blocks = [match.start() for rule in rules if rule.action == "block" for match in rule.compiled.finditer(text)]
    return out + text[at:], offsets + [*range(at, len(text))], min(blocks, default=None)


class RandomRules(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.upstream = Scripted()
        cls.addClassCleanup(cls.upstream.stop)

    def test_against_whole_texts(self):
        first = int(os.environ.get("GUARD_SEED", "1"))
        seen = {"masked": 0, "blocked": 0, "clean": 0}
        for seed in range(first, first + ROUNDS):
            with self.subTest(seed=seed):
                self.round(random.Random(seed), seen)
        self.assertTrue(all(seen.values()), f"every outcome must have come up: {seen}")

    def round(self, random, seen):
        rules = [Rule(random, index) for index in range(random.randint(2, 7))]
        with tempfile.TemporaryDirectory(prefix="guard-random-") as folder:
            (pathlib.Path(folder) / "random.yaml").write_text(
                "\n".join(["ruleset: random", "description: Random.", "rules:"] + [line for rule in rules for line in rule.lines()]) + "\n")
            guard = Guard(self.upstream.port, rules=folder, config={"budgets": [], "unknownModel": "estimate", "models": []})
            try:
                for _ in range(TEXTS):
                    texts = ["".join(random.choice(WORDS) for _ in range(random.randint(1, 40))) for _ in range(random.choice([1, 1, 2]))]
                    self.streams(guard, rules, texts, random, seen)
                    self.whole_answer(guard, rules, texts[0])
                    self.request(guard, rules, texts[0])
            finally:
                guard.stop()

    def streams(self, guard, rules, texts, random, seen):
        results = [judged(rules, text) for text in texts]
        is_blocked = any(block is not None for _, _, block in results)
        seen["blocked" if is_blocked else "masked" if any(r[0] != t for r, t in zip(results, texts)) else "clean"] += 1
        delivered_of = set()
        for _ in range(CUTS):
            self.upstream.script = lambda received, pieces=cut_stream(texts, random): pieces
            body = self.send(guard, {"messages": [{"role": "user", "content": "-"}], "stream": True, "n": len(texts), "max_tokens": 100000}).body
            delivered, error = [""] * len(texts), None
            for event in body.decode().split("\n\n"):
                if event.startswith("data: {"):
                    frame = json.loads(event[6:])
                    error = frame.get("error") or error
                    for choice in frame.get("choices", []):
                        delivered[choice["index"]] += choice["delta"].get("content") or ""
            context = f"{[r.pattern for r in rules]} {texts!r} {delivered!r} {results!r}"
            self.assertEqual(bool(error), is_blocked, context)
            for index, (masked, offsets, block) in enumerate(results):
                if not is_blocked:
                    self.assertEqual(delivered[index], masked, context)
                    continue
                self.assertTrue(masked.startswith(delivered[index]), context)
                if block is not None and delivered[index]:
                    self.assertLess(offsets[len(delivered[index]) - 1], block, "a byte of a blocked match has left: " + context)
            # With several choices, their order on the wire decides how far the others have come.
            if len(texts) == 1:
                delivered_of.add(delivered[0])
        self.assertLessEqual(len(delivered_of), 1, f"delivered text depends on the cuts: {context} {delivered_of}")

    def whole_answer(self, guard, rules, text):
        masked, _, block = judged(rules, text)
        self.upstream.script = lambda received: [whole(200, json.dumps({"id": "c", "object": "chat.completion", "choices": [
            {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]}).encode())]
        answer = self.send(guard, {"messages": [{"role": "user", "content": "-"}]})
        context = f"{[r.pattern for r in rules]} {text!r}"
        self.assertEqual(answer.status, 200 if block is None else 400, context)
        if block is None:
            self.assertEqual(json.loads(answer.body)["choices"][0]["message"]["content"], masked, context)

    def request(self, guard, rules, text):
        masked, _, block = judged(rules, text)
        self.upstream.received.clear()
        self.upstream.script = lambda received: [whole(200, b'{"id":"c","choices":[]}')]
        answer = self.send(guard, {"messages": [{"role": "user", "content": text}]})
        context = f"{[r.pattern for r in rules]} {text!r}"
        self.assertEqual(answer.status, 200 if block is None else 400, context)
        forwarded = [json.loads(r.body)["messages"][0]["content"] for r in self.upstream.received]
        self.assertEqual(forwarded, [masked] if block is None else [], context)

    def send(self, guard, body):
        data = json.dumps({"model": "mock", **body}).encode()
        with Wire(guard.port) as wire:
            wire.send(f"POST {CHAT} HTTP/1.1\r\nHost: g\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)
            return wire.answer()


def cut_stream(texts, random):
    """Events with random pieces of the texts, in random order of the choices, in random chunks, in random writes."""
    left, events = list(texts), []
    while any(left):
        index = random.choice([i for i, text in enumerate(left) if text])
        size = random.choice([1, 1, 2, 3, 5, 8, 40])
        events.append((index, {"content": left[index][:size]}, None))
        left[index] = left[index][size:]
    events += [(index, {}, "stop") for index in range(len(texts))]
    stream = b"".join(b"data: " + json.dumps({"id": "c", "choices": [{"index": i, "delta": d, "finish_reason": f}]},
                                              ensure_ascii=random.random() < 0.5).encode() + b"\n\n" for i, d, f in events)
    stream += b"data: [DONE]\n\n"
    pieces, at = [head_of_stream()], 0
    size = random.choice([1 + len(stream) // 40, 37, 300, 5000])
    while at < len(stream):
        end = at + random.randint(1, 2 * size)
        pieces.append(chunk(stream[at:end]))
        if random.random() < 0.1:
            pieces.append(0.001)
        at = end
    return pieces + [LAST_CHUNK]


if __name__ == "__main__":
    unittest.main()
