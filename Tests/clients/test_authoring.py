"""guardctl lint, fmt, schema and import as processes."""

import copy
import json
import math
import os
import pathlib
import random
import re
import subprocess
import tempfile
import tomllib
import unittest

import jsonschema
import yaml

from harness import BIN, ROOT

GITLEAKS = pathlib.Path(os.environ.get("GUARD_SHARED", ROOT.parent / "shared")) / "rulesets" / "gitleaks.toml"
needs_gitleaks = unittest.skipUnless(GITLEAKS.exists() or os.environ.get("CI") == "true", "no shared test data")


def run(*arguments, stdin=None):
    return subprocess.run([str(BIN / "guardctl"), *map(str, arguments)], input=stdin, capture_output=True, text=True,
                          timeout=300)


class CoreLoader(yaml.SafeLoader):
    """YAML 1.2 core schema, as guardd reads: `on` and `yes` are strings, dates too."""
    yaml_implicit_resolvers = {}


for tag, pattern, first in (
        ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
        ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
        ("int", r"[-+]?[0-9]+", list("-+0123456789")),
        ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+0123456789."))):
    CoreLoader.add_implicit_resolver("tag:yaml.org,2002:" + tag, re.compile(f"^(?:{pattern})$"), first)


def load(text):
    return yaml.load(text, CoreLoader)


class LintTests(unittest.TestCase):
    def test_packs(self):
        result = run("lint", ROOT / "rules")
        self.assertEqual(result.returncode, 0, result.stdout[:2000] + result.stderr)
        self.assertRegex(result.stdout, r"\d+ rules: 0 errors, \d+ warnings, \d+ notes")

    def test_exit_codes(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "a.yaml"
            rule = "ruleset: a\nrules:\n  - {id: a, on: input, action: flag, match: {pcre: %s}}\n"
            path.write_text(rule % "abc")
            self.assertEqual(run("lint", folder).returncode, 0)
            self.assertEqual(run("lint", folder, "--strict").returncode, 1)
            path.write_text(rule % "'(a+)+b'")
            result = run("lint", folder, "--format", "json")
            self.assertEqual(result.returncode, 1)
            findings = json.loads(result.stdout)["findings"]
            self.assertEqual({f["id"] for f in findings}, {"catastrophic", "untested", "no-severity"})
            path.write_text("ruleset: [")
            self.assertEqual(run("lint", folder).returncode, 1)
        self.assertEqual(run("lint", folder).returncode, 2)
        self.assertEqual(run("lint", ROOT / "rules", "--max-cost", "1").returncode, 2)


class FormatTests(unittest.TestCase):
    def test_check_diff_and_write(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "a.yaml"
            # A comment behind a flow mapping goes above the block that it becomes.
            path.write_text("rules:\n- {action: flag, id: a, on: input, match: {pcre: x}} # why\nruleset: a\n")
            self.assertEqual(run("fmt", folder).returncode, 0)
            self.assertIn("  # why\n  - id: a\n", path.read_text())
            # One behind `|` has no place: refused, not lost.
            lost = "ruleset: a\ndescription: | # why\n  x\nrules: []\n"
            path.write_text(lost)
            self.assertEqual(run("fmt", folder).returncode, 2)
            self.assertEqual(path.read_text(), lost)
            path.write_text("rules:\n# why\n- {action: flag, id: a, on: input, match: {pcre: x}}\nruleset: a\n")
            self.assertEqual((run("fmt", folder, "--check").returncode, run("fmt", folder, "--check").stdout), (1, f"{path}\n"))
            diff = run("fmt", path, "--diff")
            self.assertEqual(diff.returncode, 1)
            self.assertIn("+  # why\n", diff.stdout)
            self.assertEqual(run("fmt", folder).returncode, 0)
            self.assertEqual(path.read_text(), "ruleset: a\nrules:\n  # why\n  - id: a\n    on: input\n    match: {pcre: 'x'}\n"
                             "    action: flag\n")
            self.assertEqual((run("fmt", folder, "--check").returncode), 0)
            path.write_text("ruleset: [")
            self.assertEqual(run("fmt", folder).returncode, 2)
        self.assertEqual(run("fmt", "-", stdin="rules: []\nruleset: b\n").stdout, "ruleset: b\nrules: []\n")


class SchemaTests(unittest.TestCase):
    """The schemas take what the readers take, and refuse what they refuse for its structure."""

    def validator(self, name):
        schema = json.loads(run("schema", name).stdout)
        jsonschema.Draft202012Validator.check_schema(schema)
        return jsonschema.Draft202012Validator(schema)

    def accepts(self, name, files):
        validator = self.validator(name)
        for path in files:
            with self.subTest(str(path)):
                errors = [f"{list(e.path)}: {e.message[:200]}" for e in validator.iter_errors(load(path.read_text()))]
                self.assertEqual(errors, [])

    def test_rules(self):
        self.accepts("rules", sorted((ROOT / "rules").glob("*.yaml")) + sorted((ROOT / "Tests/clients/rules").glob("*.yaml")))

    def test_cases(self):
        self.accepts("cases", sorted((ROOT / "rules/tests").glob("*.yaml")))

    def test_config(self):
        self.accepts("config", sorted((ROOT / "fixtures/config/good").glob("*.yaml")))

    def test_docs(self):
        """Examples of the documentation that are whole files."""
        validators = {"ruleset:": self.validator("rules"), "upstream:": self.validator("config")}
        seen = 0
        for page in (ROOT / "docs").glob("*.md"):
            for block in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.S):
                for key, validator in validators.items():
                    if re.search(rf"^{key}", block, re.M) and "rules:" in block + "rules:" * (key == "upstream:"):
                        seen += 1
                        self.assertEqual([e.message for e in validator.iter_errors(load(block))], [], f"{page}: {block}")
        self.assertGreater(seen, 0)

    def mutations(self, value, rng):
        """One structural mistake somewhere in the tree."""
        value = copy.deepcopy(value)
        places = []

        def walk(node):
            if isinstance(node, dict):
                places.extend((node, key) for key in node)
                for inner in node.values():
                    walk(inner)
            elif isinstance(node, list):
                places.extend((node, index) for index in range(len(node)))
                for inner in node:
                    walk(inner)

        walk(value)
        holder, key = rng.choice(places)
        kind = rng.randrange(4)
        if kind == 0 and isinstance(holder, dict):
            holder[str(key) + "x"] = holder.pop(key)
        elif kind == 1:
            holder[key] = 5 if not isinstance(holder[key], (int, float)) else "five"
        elif kind == 2:
            holder[key] = {"unknown": 1}
        else:
            holder[key] = [] if isinstance(holder[key], dict) else {}
        return value

    def test_mutations(self):
        """Whatever the reader loads without an error, the schema accepts too."""
        rng = random.Random(1)
        base = load((ROOT / "Tests/clients/rules/clients.yaml").read_text())
        validator = self.validator("rules")
        refused, loaded = 0, 0
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "a.yaml"
            for _ in range(150):
                value = self.mutations(base, rng)
                path.write_text(json.dumps(value))
                result = run("check", "--policy", folder, "--text", "x")
                errors = list(validator.iter_errors(value))
                if result.returncode in (0, 1):
                    loaded += 1
                    self.assertEqual([e.message for e in errors], [], json.dumps(value))
                elif re.search(r"unknown key|expected a (?!string that)|missing key|is none of", result.stderr):
                    refused += 1
                    self.assertTrue(errors, f"{result.stderr}\n{json.dumps(value)}")
        self.assertGreater(refused, 50)


def scoped(pattern):
    """Go's pattern as Python's `re` wants it: `(?i)` inside holds to the end of its group, `$` is the very end."""
    out, closing, index, in_class = [], [0], 0, False
    while index < len(pattern):
        rest = pattern[index:]
        if rest[0] == "\\":
            out.append(rest[:2] if rest[1] != "z" else "\\Z")
            index += 2
            continue
        if in_class:
            posix = re.match(r"\[:alnum:\]", rest)
            if posix:
                out.append("a-zA-Z0-9")
                index += posix.end()
                continue
            in_class = rest[0] != "]"
            out.append("\\[" if rest[0] == "[" else rest[0])
            index += 1
            continue
        flags = re.match(r"\(\?([a-z-]+)\)", rest)
        if flags:
            out.append(f"(?{flags[1]}:")
            closing[-1] += 1
            index += flags.end()
            continue
        if rest[0] == "[":
            in_class = True
            head = re.match(r"\[\^?\]?", rest)[0]
            out.append(head)
            index += len(head)
            continue
        if rest[0] == "(":
            closing.append(0)
        if rest[0] == ")":
            out.append(")" * closing.pop())
        if rest[0] == "|" and closing[-1]:
            raise ValueError("a setting in one branch")
        out.append("\\Z" if rest[0] == "$" else rest[0])
        index += 1
    return "".join(out) + ")" * closing[0]


def entropy(text):
    return -sum(text.count(c) / len(text) * math.log2(text.count(c) / len(text)) for c in set(text)) if text else 0


@needs_gitleaks
class ImportTests(unittest.TestCase):
    def test_equal_to_python(self):
        """The same texts match, with Python's `re` and gitleaks' order of checks as the oracle."""
        rules = tomllib.loads(GITLEAKS.read_text())["rules"]
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "gitleaks.yaml"
            result = run("import", "gitleaks", GITLEAKS, "-o", path, "--format", "json")
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertEqual(json.loads(result.stdout)["imported"], 221)
            self.assertEqual(run("test", folder).returncode, 0)
            self.assertEqual(run("fmt", "--check", path).returncode, 0)
            imported = load(path.read_text())["rules"]
            texts = [text for rule in imported for text in rule.get("tests", {}).get("match", [])]
            rng = random.Random(2)
            for text in list(texts):
                for _ in range(2):
                    at = rng.randrange(len(text))
                    texts.append(text[:at] + rng.choice(" \n\"'=:aZ0_-./\r") + text[at + rng.randrange(2):])
            answer = run("check", "--policy", folder,
                         stdin="\n".join(json.dumps({"id": i, "text": text}) for i, text in enumerate(texts)))
            found = [{(f["rule"].removeprefix("gitleaks."), f["start"], f["end"]) for f in json.loads(line)["findings"]}
                     for line in answer.stdout.splitlines()]
        self.assertEqual(len(found), len(texts))
        compared = 0
        for rule in rules:
            if "regex" not in rule:
                continue
            try:
                pattern = re.compile(scoped(rule["regex"]), re.ASCII)
            except (re.error, ValueError):
                continue
            compared += 1
            for text, ours in zip(texts, found):
                theirs = set()
                if not rule.get("keywords") or any(k.lower() in text.lower() for k in rule["keywords"]):
                    for match in pattern.finditer(text):
                        groups = [g for g in match.groups() if g]
                        secret = match[rule["secretGroup"]] if "secretGroup" in rule else groups[0] if groups else match[0]
                        if match[0] and entropy(secret) > rule.get("entropy", -1):
                            theirs.add((rule["id"], match.start(), match.end()))
                mine = {f for f in ours if f[0] == rule["id"]}
                if "entropy" in rule:
                    self.assertTrue(len(mine) >= len(theirs) or not theirs, (rule["id"], text, mine, theirs))
                    self.assertTrue(bool(mine) >= bool(theirs), (rule["id"], text))
                else:
                    self.assertEqual(mine, theirs, (rule["id"], text))
        self.assertGreater(compared, 200)

    def test_catastrophic_rules_are_named(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(run("import", "gitleaks", GITLEAKS, "-o", pathlib.Path(folder) / "g.yaml").returncode, 0)
            report = json.loads(run("lint", folder, "--format", "json").stdout)
        named = {f["rule"] for f in report["findings"] if f["id"] == "catastrophic"}
        self.assertIn("gitleaks.sumologic-access-id", named)


if __name__ == "__main__":
    unittest.main()
