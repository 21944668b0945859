"""The team's traffic fixtures (`protocols/cases` of the shared test data) against the running process, over TCP.

The client writes the request as the case file has it, raw segments included; a scripted model server answers with the
case's `response`, one write for each of its chunks; what the client, the model server and the decision record have seen
is compared with `expected`. Which texts were read is visible in the record: rules of this test match each expected
text, and one rule matches any whole segment, so that its findings list all segments by kind and length.
"""

import base64
import gzip
import json
import os
import pathlib
import re
import sys
import tempfile
import time
import unittest
import zlib

from harness import ROOT, Guard
from scripted import LAST_CHUNK, Scripted, Wire, chunk, head_of_stream, whole

SHARED = pathlib.Path(os.environ.get("GUARD_SHARED") or ROOT.parent / "shared")
CASES = SHARED / "protocols" / "cases"

# Shared cases that this release speaks to; those of other APIs (Anthropic, Ollama, Triton ...) come with them.
APIS = {"openai.chat", "openai.completions", "openai.models", "tgi.generate", "tgi.generate_stream", "tgi.compat",
        "raw", "none", "vllm.admin"}
KEY = re.compile(r"AKIA[0-9A-Z]{16}")
ROLES = {"system": "system", "developer": "system", "user": "user", "prompt": "user", "suffix": "user",
         "assistant": "assistant", "tool": "tool", "function": "tool", "assistant.tool_call": "toolCall"}
BODY_BYTES_MAX = 8 << 20


def load():
    return [case for path in sorted(CASES.glob("*.json")) if (case := json.loads(path.read_text()))["api"] in APIS]


def role_list():
    return "[system, user, assistant, tool, toolCall, toolDefinition, extension]"


def quoted(text):
    """A YAML scalar of a PCRE2 pattern that matches this text as a whole."""
    pattern = "".join(c if c.isascii() and c.isalnum() else f"\\x{{{ord(c):x}}}" for c in text)
    return json.dumps(r"(?s)\A" + pattern + r"\z")


def rules_for(cases):
    """Flag rules only: nothing is held back or edited by them."""
    texts = sorted({(ROLES[t["role"]], t["text"]) for case in cases
                    for t in case["expected"].get("input_texts", []) if t["role"] in ROLES and t["text"]})
    lines = ["ruleset: cases", "description: Lists what was read.", "rules:"]

    def rule(name, on, roles, pattern, action, sample, mask=None):
        lines.extend([f"  - id: {name}", f"    on: [{on}]", f"    roles: {roles}", f"    match: {{pcre: {pattern}}}",
                      "    view: raw", f"    action: {action}", "    severity: low"])
        if mask:
            lines.append(f"    mask: {mask}")
        lines.append(f"    tests: {{match: [{json.dumps(sample, ensure_ascii=False)}], noMatch: ['']}}")

    rule("cases.any", "input", role_list(), json.dumps(r"(?s)\A.+\z"), "flag", "x")
    for index, (role, text) in enumerate(texts):
        rule(f"cases.t{index}", "input", f"[{role}]", quoted(text), "flag", text)
    rule("cases.key", "output", role_list(), json.dumps(KEY.pattern), "mask", "AKIAIOSFODNN7EXAMPLE", "KEY")
    return "\n".join(lines) + "\n", {pair: f"cases.t{index}" for index, pair in enumerate(texts)}


def generated(gen):
    def pieces():
        yield gen.get("prefix", "").encode()
        if gen["kind"] == "nest":
            yield (gen["open"] * gen["depth"] + gen.get("middle", "") + gen["close"] * gen["depth"]).encode()
        elif gen["kind"] == "repeat_index":
            yield "".join(gen["unit"].replace("%d", str(i)) for i in range(gen["count"])).encode()
        else:
            batch = max(1, (1 << 20) // len(gen["unit"]))
            for start in range(0, gen["count"], batch):
                yield (gen["unit"] * min(batch, gen["count"] - start)).encode()
        yield gen.get("suffix", "").encode()

    if gen["kind"] == "gzip_of_repeat":
        packer = zlib.compressobj(1, zlib.DEFLATED, 31)
        return b"".join(packer.compress(piece) for piece in pieces()) + packer.flush()
    return b"".join(pieces())


def body_of(request):
    if "body_text" in request:
        return request["body_text"].encode()
    if "body_b64" in request:
        return base64.b64decode(request["body_b64"])
    return generated(request["body_gen"]) if "body_gen" in request else b""


def response_of(case):
    """Pieces of what the model server writes."""
    response = case.get("response")
    if response is None:
        body = json.dumps({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}]}).encode()
        if case["api"].startswith("tgi"):
            body = b'{"generated_text":"ok"}'
        return [whole(200, body)]
    lines = [f"{name}: {value}" for name, value in response["headers"] if name.lower() != "content-type"]
    content_type = next((value for name, value in response["headers"] if name.lower() == "content-type"), "")
    if "chunks_b64" in response:
        pieces = [head_of_stream(response["status"], *lines, content_type=content_type)]
        for text in response["chunks_b64"]:
            # The pause makes a read of its own of most writes.
            pieces += [chunk(base64.b64decode(text)), 0.002]
        return pieces + [LAST_CHUNK]
    body = base64.b64decode(response["body_b64"]) if "body_b64" in response else response["body_text"].encode()
    return [whole(response["status"], body, *lines, content_type=content_type)]


class Delivered:
    """Generated text of an answer as a client would put it together; whole answers and streams."""

    def __init__(self, content_type, body):
        self.texts, self.tools, self.reasoning, self.refusal = {}, {}, "", ""
        self.finish, self.error, self.usage = None, None, None
        self.frames = 0
        if content_type.startswith("text/event-stream"):
            for event in re.split(r"\r\n\r\n|\n\n|\r\r", body.decode()):
                data = [line[5:].removeprefix(" ") for line in re.split(r"\r\n|\n|\r", event) if line.startswith("data:")]
                if data and "\n".join(data).strip() not in ("[DONE]", ""):
                    self.frames += 1
                    self.add(json.loads("\n".join(data)))
        elif body:
            self.add(json.loads(body))

    def add(self, frame):
        if isinstance(frame, list):
            for item in frame:
                self.add(item)
            return
        if frame.get("error"):
            self.error = frame["error"]
        if frame.get("usage"):
            self.usage = frame["usage"]
        if "token" in frame:
            if not frame["token"].get("special"):
                self.texts[0] = self.texts.get(0, "") + frame["token"]["text"]
        if frame.get("generated_text") is not None:
            # The end of a stream repeats the whole text; a special token in it is not part of the text.
            self.texts[0] = frame["generated_text"]
        for choice in frame.get("choices", []):
            index = choice.get("index", 0)
            part = choice.get("delta") or choice.get("message") or {}
            text = part.get("content") or choice.get("text") or ""
            self.texts[index] = self.texts.get(index, "") + text
            if index == 0:
                self.reasoning += part.get("reasoning_content") or part.get("reasoning") or ""
                self.refusal += part.get("refusal") or ""
                self.finish = choice.get("finish_reason") or self.finish
            for place, call in enumerate(part.get("tool_calls") or []):
                known = self.tools.setdefault(call.get("index", place), {"name": "", "arguments": "", "id": None})
                known["id"] = call.get("id") or known["id"]
                for field in ("name", "arguments"):
                    known[field] += (call.get("function") or {}).get(field) or ""


MISSING = f"GUARD_SHARED: no shared test data at {SHARED}; the traffic cases are skipped"
if not CASES.is_dir():
    print(MISSING, file=sys.stderr)


# CI must find them: there, their absence is a failure.
@unittest.skipUnless(CASES.is_dir() or os.environ.get("CI") == "true", MISSING)
class TrafficCases(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cases = load()
        text, cls.rule_of = rules_for(cls.cases)
        folder = tempfile.TemporaryDirectory(prefix="guard-cases-")
        cls.addClassCleanup(folder.cleanup)
        (pathlib.Path(folder.name) / "cases.yaml").write_text(text)
        cls.upstream = Scripted()
        cls.addClassCleanup(cls.upstream.stop)
        cls.guards = {}
        for api in ("vllm", "tgi"):
            cls.guards[api] = Guard(cls.upstream.port, rules=folder.name, config={
                "upstream": {"url": f"http://127.0.0.1:{cls.upstream.port}", "api": api, "model": "served"},
                "unknownModel": "estimate", "models": [],
                "budgets": [{"name": "all", "match": {"tenant": "*"}, "scope": [],
                             "request": {"completionTokens": 1_000_000}}],
                "policy": {"path": folder.name, "failure": "open"},
                "limits": {"bodyBytes": BODY_BYTES_MAX, "headerBytes": 65_536, "bodyTimeout": "1500ms"}})
            cls.addClassCleanup(cls.guards[api].stop)

    def test_all_cases_that_apply(self):
        self.assertGreater(len(self.cases), 70)
        for case in self.cases:
            with self.subTest(case["case"]):
                self.run_case(case)

    # One case

    def run_case(self, case):
        guard = self.guards["tgi" if case["api"].startswith("tgi") else "vllm"]
        self.upstream.received.clear()
        pieces = response_of(case)
        self.upstream.script = lambda received: pieces
        raw = "raw_segments" in case["request"]
        method = "POST"
        with Wire(guard.port) as wire:
            if raw:
                method = self.send_segments(wire, case)
            else:
                method = case["request"]["method"]
                self.send(wire, case["request"])
            answer = wire.answer(method)
            self.assertIsNotNone(answer, "an answer, not a closed connection")
            self.assertIn("x-guard-decision-id", answer.headers)
            record = guard.record(answer.header("x-guard-decision-id"))
            if case["expected"].get("close_connection"):
                self.assertEqual(answer.header("connection"), "close")
                self.assertTrue(wire.closes(), "the connection must be closed")
        self.assertEqual(record["status"], answer.status)
        self.check(case, answer, record)

    def send(self, wire, request):
        body = body_of(request)
        lines = [f"{request['method']} {request['path']} HTTP/1.1", "Host: g"]
        lines += [f"{name}: {value}" for name, value in request["headers"]]
        if body or request["method"] == "POST":
            lines.append(f"Content-Length: {len(body)}")
        wire.send(("\r\n".join(lines) + "\r\n\r\n").encode() + body)

    def send_segments(self, wire, case):
        segments = case["request"]["raw_segments"]
        for segment in segments:
            if segment["delay_ms"]:
                end = time.monotonic() + segment["delay_ms"] / 1000
                wire.socket.settimeout(segment["delay_ms"] / 1000)
                while time.monotonic() < end:
                    try:
                        if not wire.more():
                            break
                    except TimeoutError:
                        break
                wire.socket.settimeout(10)
                if b"HTTP/1.1 4" in wire.unread:
                    break  # A final answer has come: a client would send no more.
            if case["expected"].get("interim") and segment is segments[-1]:
                self.assertTrue(wire.unread.startswith(b"HTTP/1.1 100 "), "the interim answer before the body")
            wire.send(base64.b64decode(segment["b64"]))
        return base64.b64decode(segments[0]["b64"]).split(b" ", 1)[0].decode()

    # What is expected

    def check(self, case, answer, record):
        expected, name = case["expected"], case["case"]
        verdict = expected["verdict"]
        forwarded = list(self.upstream.received)
        if name == "h2c-upgrade":  # The named alternative: the upgrade is ignored.
            self.assertEqual(answer.status, 200)
            self.assertEqual([f.header(h) for f in forwarded for h in ("upgrade", "connection", "http2-settings")], [None] * 3)
            return
        if verdict == "pass_through":
            self.assertEqual((answer.status, len(forwarded)), (case["response"]["status"], 1))
            self.assertEqual(answer.body.decode(), case["response"]["body_text"])
            self.assertEqual(record["kind"], "metadata")
            return
        if verdict == "reject":
            return self.check_refused(answer, record, forwarded, self.refusal(expected))
        if answer.status in (400, 404, 415) and "_or_reject" in verdict:
            return self.check_refused(answer, record, forwarded, None)
        self.assertEqual(len(forwarded), 1, "exactly one request goes on: " + answer.body.decode()[:300])
        self.check_read(expected, record)
        self.check_forwarded(case, forwarded[0])
        self.check_answer(case, answer, record)

    @staticmethod
    def refusal(expected):
        """Status and code of DESIGN section 6, which holds where the case names another safe answer."""
        return {"endpoint_not_allowed": (404, "unguarded_route"), "unknown_endpoint": (404, "unguarded_route"),
                "opaque_prompt": (400, "field_not_allowed"), "over_budget": (400, "prompt_budget_exceeded"),
                "body_too_large": (413, None), "header_too_large": (431, None), "body_timeout": (408, None),
                }.get(expected["reason"], (expected["status"], "invalid_request"))

    def check_refused(self, answer, record, forwarded, wanted):
        self.assertEqual(forwarded, [], "a refused request must not go on")
        error = json.loads(answer.body)["error"]
        if isinstance(error, str):
            error = {**json.loads(answer.body), "message": error}
        self.assertTrue(error["message"])
        if wanted:
            self.assertEqual(answer.status, wanted[0])
            if wanted[1]:
                self.assertEqual(error["code"], wanted[1])
        self.assertEqual(answer.header("x-should-retry"), None if answer.status == 408 else "false")
        self.assertEqual(record["action"], "refuse")
        self.assertIn(error["code"], record["reasons"])

    def check_read(self, expected, record):
        findings = [f for f in record.get("findings", []) if f["phase"] == "input"]
        texts = [t for t in expected.get("input_texts", []) if t["text"]]
        listed = [(f["kind"], f["role"], f["end"] - f["start"]) for f in findings
                  if f["rule"] == "cases.any" and f["kind"] in ROLES]
        self.assertEqual(listed, [(t["role"], ROLES[t["role"]], len(t["text"].encode())) for t in texts]
                         if "token_ids" not in expected else listed)
        found = [f["rule"] for f in findings if f["rule"].startswith("cases.t")]
        for text in texts:
            self.assertIn(self.rule_of[ROLES[text["role"]], text["text"]], found)
        if expected.get("model"):
            self.assertEqual(record["model"], expected["model"])
        for part in expected.get("opaque", []):
            self.assertIn(f"{part['kind']}_part", [s["kind"] for s in record["scan"]["skipped"]])
        if "opaque" not in expected and "token_ids" not in expected:
            self.assertTrue(record["scan"]["complete"])

    def check_forwarded(self, case, received):
        expected, request = case["expected"], case["request"]
        method, target, version = received.line.split(" ")
        path = expected.get("canonical_path") or request.get("path") or "/v1/chat/completions"
        if case["case"].startswith("path-"):
            path = "/v1/chat/completions"
        self.assertEqual((method, target, version), ("POST", path, "HTTP/1.1"))
        names = [name for name, _ in received.headers]
        for name in expected.get("headers_not_forwarded", []) + ["transfer-encoding", "content-encoding", "expect", "upgrade"]:
            self.assertNotIn(name, names)
        self.assertEqual(names.count("content-length"), 1)
        for text in case.get("must_not_forward", []):
            self.assertNotIn(text.encode(), received.body)
        if "raw_segments" in request:
            return
        sent = body_of(request)
        coding = next((v for n, v in request["headers"] if n.lower() == "content-encoding"), None)
        if coding:
            sent = gzip.decompress(sent) if coding == "gzip" else zlib.decompress(sent)
        before, after = json.loads(sent), json.loads(received.body)
        if before == after:
            self.assertEqual(received.body, sent, "not one other byte")
            return
        # Only an output limit and the usage of streams may have been written.
        for field in ("max_tokens", "max_completion_tokens", "stream_options"):
            before.pop(field, None), after.pop(field, None)
        for side in (before, after):
            (side.get("parameters") or {}).pop("max_new_tokens", None)
            if not side.get("parameters"):
                side.pop("parameters", None)
        self.assertEqual(after, before)

    def check_answer(self, case, answer, record):
        response = case.get("response")
        if response is None:
            return self.assertEqual(answer.status, 200)
        self.assertEqual(answer.status, response["status"])
        wanted_type = next((v for n, v in response["headers"] if n.lower() == "content-type"), "")
        self.assertEqual(answer.header("content-type"), wanted_type)
        self.assertNotIn("content-encoding", answer.headers)
        self.assertNotRegex(answer.body.decode(), KEY)
        got = Delivered(wanted_type, answer.body)

        def masked(text):
            return KEY.sub("KEY", text)

        if case.get("expected_output_text") is not None and "expected_outputs" not in case:
            self.assertEqual(got.texts.get(0, ""), masked(case["expected_output_text"]))
        for index, output in enumerate(case.get("expected_outputs") or []):
            self.assertEqual(got.texts.get(index), masked(output if isinstance(output, str) else output["text"]))
        for field, value in (("expected_reasoning_text", got.reasoning), ("expected_refusal_text", got.refusal)):
            if case.get(field) is not None:
                self.assertEqual(value, masked(case[field]))
        for call in case.get("expected_tool_calls") or []:
            tool = got.tools[call["index"]]
            self.assertEqual((tool["name"], tool["arguments"]), (call["name"], masked(call["arguments"])))
            if call.get("id"):
                self.assertEqual(tool["id"], call["id"])
        if case.get("finish_reason"):
            self.assertEqual(got.finish, case["finish_reason"])
        if case.get("expected_error"):
            self.assertTrue(got.error, "the error reaches the client")
        if case.get("usage") and answer.status < 400:
            reported = record["tokens"]["reported"]
            self.assertEqual(reported["prompt"], case["usage"].get("prompt_tokens", reported.get("prompt")))
            if "completion_tokens" in case["usage"]:
                self.assertEqual(reported["completion"], case["usage"]["completion_tokens"])
            cached = (case["usage"].get("prompt_tokens_details") or {}).get("cached_tokens")
            if cached is not None:
                self.assertEqual(reported["cached"], cached)
        if "chunks_b64" in response:
            self.assertGreater(record["stream"]["events"], 0)
            self.assertTrue(record["stream"]["leakFree"])


if __name__ == "__main__":
    unittest.main()
