"""`guardctl tokenizer` as a process: pull from a stub hub, inspect, compile, serve the image, verify."""

import json
import pathlib
import shutil
import tempfile
import unittest

from harness import BIN, TOKENIZER, Guard, Mock, post
from hub import COMMIT, Hub, sha256
from scripted import Scripted, whole
from test_guardctl import lines, run

FILES = {name: (TOKENIZER / name).read_bytes() for name in ("tokenizer.json", "tokenizer_config.json")}
WEIGHTS = {"model.safetensors": b"weights", "README.md": b"# model", "pytorch_model.bin": b"more"}


class Folder(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="guard-tokenizer-"))
        self.addCleanup(shutil.rmtree, self.folder, True)

    def started(self, thing):
        self.addCleanup(thing.stop)
        return thing

    def succeeds(self, *arguments):
        result = run("tokenizer", *arguments)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        return result

    def doctored(self, name, change):
        """A copy of the fixture folder whose configuration `change` has edited."""
        folder = self.folder / name
        shutil.copytree(TOKENIZER, folder)
        config = json.loads((folder / "tokenizer_config.json").read_text())
        change(config)
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
        return folder


class WholeWayTests(Folder):
    def test_from_the_hub_to_a_counted_chat(self):
        hub = self.started(Hub({**FILES, **WEIGHTS}))
        target, image = self.folder / "model", self.folder / "model.gtok"
        self.succeeds("pull", "org/model", "--to", target, "--endpoint", hub.url)
        self.assertEqual(sorted(p.name for p in target.iterdir()),
                         ["tokenizer.json", "tokenizer.lock.json", "tokenizer_config.json"])
        self.assertFalse([path for path in hub.asked() if "safetensors" in path or "bin" in path])

        seen = json.loads(self.succeeds("inspect", target, "--format", "json").stdout)
        self.assertEqual((seen["container"], seen["format"], seen["model"]), ("folder", "tokenizer.json", "BPE"))
        self.assertEqual(seen["tokenizerHash"], sha256(FILES["tokenizer.json"]))
        template = seen["chatTemplates"][0]
        self.assertTrue(template["parses"])
        self.assertTrue({"messages", "bos_token", "add_generation_prompt"} <= set(template["variables"]))
        self.assertFalse({"preamble", "part", "text"} & set(template["variables"]))

        compiled = json.loads(self.succeeds("compile", target, "-o", image, "--time", "--format", "json").stdout)
        self.assertEqual(compiled["bytes"], image.stat().st_size)
        self.assertTrue(compiled["mapped"] and compiled["chatTemplate"])
        again = json.loads(self.succeeds("inspect", image, "--format", "json").stdout)
        self.assertEqual(again["container"], "image")
        for same in ("tokenizerHash", "files", "chatTemplates", "addedTokens", "normalizer", "preTokenizer", "prefix"):
            self.assertEqual(again[same], seen[same], same)

        mock = self.started(Mock())
        guard = self.started(Guard(mock.port, {"models": [
            {"match": "mock", "tokenizer": str(image), "counting": "hf", "contextWindow": 4096}]}))
        answer = post(guard.port, "/v1/chat/completions", {
            "model": "mock", "max_tokens": 4, "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Grüße"}]})
        self.assertEqual(answer.status, 200, answer.text())
        tokens = guard.record(answer.headers["x-guard-decision-id"])["tokens"]
        self.assertEqual(tokens["prompt"], answer.json()["usage"]["prompt_tokens"])
        self.assertTrue(tokens["exact"], tokens)
        self.assertEqual(tokens["tokenizerHash"], sha256(FILES["tokenizer.json"]))

        for api in ("vllm", "openai", "tgi", "llamacpp"):
            with self.subTest(api):
                url = f"http://127.0.0.1:{mock.port}"
                report = json.loads(self.succeeds("verify", "--tokenizer", image, "--url", url, "--api", api,
                                                  "--format", "json").stdout)
                self.assertEqual(report["differences"], [])
                self.assertGreater(report["compared"], 20)
                self.assertEqual(report["evidence"], "usage" if api == "openai" else "/tokenize")
                self.assertEqual(len(report["skipped"]), 0 if api == "vllm" else 2)


class CompileTests(Folder):
    def test_what_cannot_be_read_is_refused(self):
        cases = {
            "absent": (None, "absent"),
            "garbage": (b"\x00\x01garbage", "tokenizer.json"),
            "json": (b'{"model": {"type": "BPE"}}', "/model/vocab"),
            "dropout": (FILES["tokenizer.json"].replace(b'"dropout": null', b'"dropout": 0.5'), "dropout"),
        }
        for name, (content, said) in cases.items():
            with self.subTest(name):
                source, image = self.folder / name, self.folder / f"{name}.gtok"
                if content is not None:
                    source.mkdir()
                    (source / "tokenizer.json").write_bytes(content)
                result = run("tokenizer", "compile", source, "-o", image)
                self.assertEqual(result.returncode, 2)
                self.assertIn(said, result.stderr)
                self.assertIn("error: ", result.stderr)
                self.assertEqual(list(self.folder.glob("*.gtok*")), [])

    def test_a_broken_template_is_not_compiled_but_shown(self):
        folder = self.doctored("broken", lambda config: config.update(chat_template="{% for m in messages %}\n{{ m.x "))
        result = run("tokenizer", "compile", folder, "-o", self.folder / "x.gtok")
        self.assertEqual(result.returncode, 2)
        self.assertRegex(result.stderr, r"tokenizer_config.json:2:1: error: TemplateSyntaxError")
        seen = json.loads(self.succeeds("inspect", folder, "--format", "json").stdout)
        self.assertFalse(seen["chatTemplates"][0]["parses"])
        self.assertIn("line 2", seen["chatTemplates"][0]["error"])

    def test_the_place_of_the_image(self):
        image = self.folder / "x.gtok"
        image.write_bytes(b"old")
        self.succeeds("compile", TOKENIZER, "-o", image)
        self.assertEqual(image.read_bytes()[:8], b"GUARDTOK")
        self.assertEqual(list(self.folder.iterdir()), [image])
        self.assertEqual(run("tokenizer", "compile", TOKENIZER, "-o", self.folder / "none" / "x.gtok").returncode, 2)

    def test_a_damaged_image(self):
        image = self.folder / "x.gtok"
        self.succeeds("compile", TOKENIZER, "-o", image)
        content = bytearray(image.read_bytes())
        for name, damaged, said in (
                ("cut", content[:-1], "byte 16"), ("flipped", content[:5000] + bytes([content[5000] ^ 1]) + content[5001:], "byte 24"),
                ("version", content[:8] + b"\x63" + content[9:], "version 99")):
            with self.subTest(name):
                image.write_bytes(damaged)
                result = run("tokenizer", "inspect", image)
                self.assertEqual(result.returncode, 2)
                self.assertIn(said, result.stderr)
                self.assertIn("x.gtok", result.stderr)

    def test_text_for_people(self):
        text = self.succeeds("inspect", TOKENIZER).stdout
        for part in ("tokenizer hash", "merges", "split pattern", "<|bos|>", "before a text", "chat template   default",
                     "parses", "counting        hf", "bytes of tables"):
            self.assertIn(part, text)


class VerifyTests(Folder):
    def setUp(self):
        super().setUp()
        self.mock = self.started(Mock())
        self.url = f"http://127.0.0.1:{self.mock.port}"

    def verify(self, tokenizer, *arguments, status=1):
        result = run("tokenizer", "verify", "--tokenizer", tokenizer, "--url", self.url, "--format", "json", *arguments)
        self.assertEqual(result.returncode, status, result.stdout + result.stderr)
        return json.loads(result.stdout)

    def causes(self, report):
        return {cause for cause, count in report["causes"].items() if count}

    def test_template(self):
        folder = self.doctored("template", lambda config: config.update(
            chat_template=config["chat_template"].replace("<|end|>", " and then<|end|>")))
        for api in ("vllm", "openai", "tgi", "llamacpp"):
            with self.subTest(api):
                report = self.verify(folder, "--api", api)
                self.assertEqual(self.causes(report), {"template"})
                self.assertTrue(all(d["kind"] == "chat" for d in report["differences"]))
                self.assertGreater(report["equal"], 10)
        self.assertIn("rendered texts differ", self.verify(folder, "--api", "tgi")["differences"][0]["why"])
        words = run("tokenizer", "verify", "--tokenizer", folder, "--url", self.url)
        self.assertEqual(words.returncode, 1)
        self.assertIn("template:", words.stdout)

    def test_a_template_that_raises(self):
        folder = self.doctored("raises", lambda config: config.update(
            chat_template="{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + config["chat_template"]))
        report = self.verify(folder, "--api", "vllm")
        self.assertEqual({d["case"] for d in report["differences"]}, {"chat-system"})
        self.assertIn("no system", report["differences"][0]["why"])

    def test_specials(self):
        """A start token that the file puts before every text and the server does not, or the other way round."""
        folder = self.folder / "specials"
        shutil.copytree(TOKENIZER, folder)
        tokenizer = json.loads((folder / "tokenizer.json").read_text())
        tokenizer["post_processor"] = None
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
        for api in ("vllm", "openai"):
            with self.subTest(api):
                report = self.verify(folder, "--api", api)
                self.assertEqual(self.causes(report), {"specials"})
                self.assertTrue(all(d["kind"] == "text" for d in report["differences"]))

    def test_special_strings(self):
        """Not special here, so their strings in a text are plain text in one way of counting only."""
        folder = self.folder / "strings"
        shutil.copytree(TOKENIZER, folder)
        tokenizer = json.loads((folder / "tokenizer.json").read_text())
        tokenizer["added_tokens"] = [t for t in tokenizer["added_tokens"] if t["content"] != "<|pad|>"]
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
        extra = self.folder / "extra.jsonl"
        extra.write_text(json.dumps({"id": "pad", "text": "a <|pad|> b"}) + "\n")
        report = self.verify(folder, "--api", "vllm", "--jsonl", extra)
        self.assertEqual({d["case"] for d in report["differences"]}, {"pad"})

    def test_tokenizer(self):
        other = TOKENIZER.parent / "sentencepiece"
        for api in ("vllm", "openai"):
            with self.subTest(api):
                report = self.verify(other, "--api", api)
                texts = {d["cause"] for d in report["differences"] if d["kind"] == "text" and "special" not in d["case"]}
                self.assertEqual(texts, {"tokenizer"})
                # What the conversations show says nothing for sure then.
                self.assertNotIn("template", {d["cause"] for d in report["differences"]} if api == "openai" else {})

    def test_lines(self):
        file = self.folder / "lines.jsonl"
        file.write_text(json.dumps({"id": "mine", "text": "some text"}) + "\n\n" + json.dumps(
            {"messages": [{"role": "user", "content": "x"}], "add_generation_prompt": False}) + "\n")
        few = self.verify(TOKENIZER, "--api", "vllm", status=0)["compared"]
        self.assertEqual(self.verify(TOKENIZER, "--api", "vllm", "--jsonl", file, status=0)["compared"], few + 2)
        file.write_text('{"text": "a"}\n{"text": 1}\n')
        broken = run("tokenizer", "verify", "--tokenizer", TOKENIZER, "--url", self.url, "--jsonl", file)
        self.assertEqual(broken.returncode, 2)
        self.assertRegex(broken.stderr, r"lines.jsonl:2:1: error: ")

    def test_servers_that_cannot_be_asked(self):
        def answers(pieces):
            return self.started(Scripted(lambda received: pieces)).port
        cases = {
            "refused": ("http://127.0.0.1:1", "1"),
            "garbage": (f"http://127.0.0.1:{answers([whole(200, b'oops')])}", "answer"),
            "error": (f"http://127.0.0.1:{answers([whole(500, b'{}')])}", "500"),
            "denied": (f"http://127.0.0.1:{answers([whole(401, b'{}')])}", "401"),
            "closed": (f"http://127.0.0.1:{answers(['close'])}", "closed"),
            "silent": (f"http://127.0.0.1:{answers([5, 'close'])}", "within 1 s"),
            "redirect": (f"http://127.0.0.1:{answers([whole(302, b'', 'Location: http://127.0.0.1:1/')])}", "302"),
            "scheme": ("ftp://127.0.0.1", "scheme"),
        }
        for name, (url, said) in cases.items():
            with self.subTest(name):
                result = run("tokenizer", "verify", "--tokenizer", TOKENIZER, "--url", url, "--api", "vllm", "--model", "m", "--timeout", "1")
                self.assertEqual(result.returncode, 2, result.stdout + result.stderr)
                self.assertIn(said, result.stderr)
                self.assertNotIn("Fatal", result.stderr)

    def test_what_the_server_is(self):
        """`auto` knows servers by what /v1/models says of their owner."""
        for owner, path in (("vllm", "/tokenize"), ("llamacpp", "/tokenize"), ("library", "/api/generate"), ("someone", "/v1/completions")):
            with self.subTest(owner):
                models = json.dumps({"data": [{"id": "m", "owned_by": owner}]}).encode()
                server = self.started(Scripted(
                    lambda received: [whole(200, models) if "/v1/models" in received.line else whole(503, b"{}")]))
                run("tokenizer", "verify", "--tokenizer", TOKENIZER, "--url", f"http://127.0.0.1:{server.port}")
                self.assertEqual(server.received[1].line.split(" ")[1], path)

    def test_usage(self):
        for arguments in ([], ["--tokenizer", TOKENIZER], ["--tokenizer", TOKENIZER, "--url", self.url, "--api", "x"],
                          ["--tokenizer", TOKENIZER, "--url", self.url, "--counting", "x"],
                          ["--tokenizer", self.folder / "none", "--url", self.url]):
            with self.subTest(arguments):
                self.assertEqual(run("tokenizer", "verify", *arguments).returncode, 2)


class PullTests(Folder):
    def setUp(self):
        super().setUp()
        self.hub = self.started(Hub({**FILES, **WEIGHTS}))
        self.target = self.folder / "model"

    def pull(self, *arguments, status=0, repo="org/model"):
        result = run("tokenizer", "pull", repo, "--to", self.target, "--endpoint", self.hub.url, *arguments)
        self.assertEqual(result.returncode, status, result.stdout + result.stderr)
        if status:
            self.assertRegex(result.stderr, "(?i)error: ")
            self.assertEqual([p.name for p in self.folder.iterdir() if p.name.endswith(".tmp")], [])
        return result

    def content(self):
        return {p.name: p.read_bytes() for p in self.target.iterdir()}

    def test_lock(self):
        self.pull()
        lock = json.loads((self.target / "tokenizer.lock.json").read_text())
        self.assertEqual((lock["repo"], lock["commit"]), ("org/model", COMMIT))
        self.assertEqual({f["name"]: (f["sha256"], f["bytes"]) for f in lock["files"]},
                         {name: (sha256(data), len(data)) for name, data in FILES.items()})
        before = self.content()
        # A later pull asks for the locked commit and changes nothing.
        self.hub.server.received.clear()
        self.assertIn("as locked", self.pull().stdout)
        self.assertTrue(self.hub.asked()[0].endswith(COMMIT))
        self.assertEqual(self.content(), before)
        # Another content under the same commit is refused, and nothing changes.
        self.hub.files["tokenizer_config.json"] += b" "
        self.assertIn("tokenizer.lock.json wants", self.pull(status=2).stderr)
        self.assertEqual(self.content(), before)
        # On purpose only.
        self.hub.files["chat_template.jinja"] = b"{{ messages }}"
        self.pull("--update")
        self.assertEqual(self.content()["tokenizer_config.json"], FILES["tokenizer_config.json"] + b" ")
        # What the new lock does not name goes.
        del self.hub.files["chat_template.jinja"]
        self.pull("--update")
        self.assertNotIn("chat_template.jinja", self.content())

    def test_lock_of_something_else(self):
        self.pull()
        for repo in ("org/other", "org/model@" + "f" * 40):
            self.assertIn("tokenizer.lock.json: error: lock", self.pull(status=2, repo=repo).stderr)
        own = self.folder / "own.lock"
        own.write_text("{}")
        self.assertIn("is no lock file", self.pull("--lock", own, status=2).stderr)
        self.assertEqual(own.read_text(), "{}")

    def test_a_lock_checked_in_elsewhere(self):
        lock = self.folder / "a.lock"
        self.pull("--lock", lock)
        shutil.rmtree(self.target)
        self.hub.files["tokenizer.json"] = FILES["tokenizer.json"] + b"\n"
        self.pull("--lock", lock, status=2)
        self.assertFalse(self.target.exists())

    def test_a_lock_that_cannot_be_written(self):
        self.pull("--lock", self.folder / "none" / "a.lock", status=2)
        self.assertFalse(self.target.exists())

    def test_pins(self):
        right = "tokenizer.json=" + sha256(FILES["tokenizer.json"])
        self.pull("--sha256", "tokenizer.json=" + "0" * 64, status=2)
        self.assertFalse(self.target.exists())
        self.pull("--sha256", "absent.json=" + "0" * 64, status=2)
        self.pull("--sha256", right, "--sha256", "tokenizer.json", status=2)
        self.pull("--sha256", right)

    def test_large_files_come_from_elsewhere_without_the_token(self):
        cdn = self.started(Hub(FILES))
        self.hub.cdn, self.hub.token = cdn, "hf_secret"
        self.hub.large = {"tokenizer.json"}
        token = self.folder / "token"
        token.write_text("hf_secret\n")
        self.assertIn("401", self.pull(status=2).stderr)
        self.pull("--token-file", token)
        self.assertEqual(self.content()["tokenizer.json"], FILES["tokenizer.json"])
        self.assertEqual(cdn.asked(), ["/cdn/tokenizer.json"])
        self.assertIsNone(cdn.server.received[0].header("authorization"))
        # The hub's own hash counts, wherever the content comes from.
        shutil.rmtree(self.target)
        cdn.files["tokenizer.json"] = FILES["tokenizer.json"].replace(b"a", b"b", 1)
        self.assertIn("the hub says", self.pull("--token-file", token, status=2).stderr)
        self.assertFalse(self.target.exists())

    def test_hostile_names(self):
        for name in ("../../etc/passwd", "/etc/passwd", "a/../../b.json", "..\\x", "a\nb", "a//b", ""):
            with self.subTest(name):
                self.hub.siblings = [name]
                self.pull(status=2)
                self.assertFalse(self.target.exists())

    def test_hubs_that_fail(self):
        path = self.hub.path("tokenizer_config.json")
        body = FILES["tokenizer_config.json"]
        cases = {
            "wrong git id": ([whole(200, body, 'ETag: "' + "0" * 40 + '"')], "git id"),
            "wrong hash": ([whole(200, body, 'X-Linked-Etag: "' + "0" * 64 + '"')], "the hub says"),
            "wrong commit": ([whole(200, body, "X-Repo-Commit: " + "f" * 40)], "of commit"),
            "wrong size": ([whole(200, body, f"X-Linked-Size: {len(body) + 1}")], "cut short"),
            "truncated": ([whole(200, body)[:-10], "close"], "closed before"),
            "slow": ([whole(200, body)[:-10], 4, "close"], "within 1 s"),
            "401": ([whole(401, b"{}")], "--token-file"), "404": ([whole(404, b"{}")], "404"), "500": ([whole(500, b"")], "500"),
            "loop": ([whole(302, b"", f"Location: {path}")], "redirects"),
            "nowhere": ([whole(302, b"")], "nowhere"),
            "scheme": ([whole(302, b"", "Location: file:///etc/passwd")], "redirect"),
            "too large": ([whole(200, b"", )[:-2].replace(b"Content-Length: 0", b"Content-Length: 999999999999") + b"\r\n\r\nx", 1, "close"], "error"),
        }
        for name, (pieces, said) in cases.items():
            with self.subTest(name):
                self.hub.answers = {path: pieces}
                self.assertIn(said, self.pull("--timeout", "1", status=2).stderr)
                self.assertFalse(self.target.exists())
        self.hub.answers = {"/api/models/org/model/revision/main": [whole(200, b'{"sha": "x"}')]}
        self.assertIn("is this a model hub", self.pull(status=2).stderr)
        self.hub.answers = {"/api/models/org/model/revision/main": [whole(404, b"{}")]}
        self.assertIn("there is no org/model@main", self.pull(status=2).stderr)

    def test_no_tokenizer_at_all(self):
        self.hub.files = dict(WEIGHTS)
        self.assertIn("has no tokenizer file", self.pull(status=2).stderr)

    def test_wrong_usage(self):
        for repo in ("../x", "a/b/c", "org/model@..", "org/mo del", ""):
            with self.subTest(repo):
                self.pull(status=2, repo=repo)
        self.hub.url = "not a url"
        self.pull(status=2)


if __name__ == "__main__":
    unittest.main()
