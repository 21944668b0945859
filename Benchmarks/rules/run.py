"""Speed of the rule engine against Vectorscan and PCRE2 one pattern after the other, in one run on one core.

Needs libvectorscan-dev. Corpus and the imported rule set are read from GUARD_SHARED (default ../shared) and not copied.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import tomllib

root = pathlib.Path(__file__).resolve().parents[2]
shared = pathlib.Path(os.environ.get("GUARD_SHARED", root.parent / "shared"))
corpus = shared / "tokenizers" / "corpus.txt"
# Seconds for Vectorscan to compile a set and scan the texts.
timeout = 60


def imported(folder):
    rules = tomllib.loads((shared / "rulesets" / "gitleaks.toml").read_text())["rules"]
    lines = ["ruleset: gitleaks", "rules:"]
    for rule in rules:
        if "regex" in rule:
            pattern = rule["regex"].replace("'", "''")
            lines.append(f"  - {{id: {rule['id']}, on: input, view: raw, action: flag, match: {{pcre: '{pattern}'}}}}")
    path = folder / "gitleaks.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


def pairs(path):
    found = {}
    for line in path.read_text().splitlines():
        text, pattern, end = map(int, line.split())
        found.setdefault((text, pattern), set()).add(end)
    return found


def against(scanner, row, patterns, folder):
    """What Vectorscan did with the same texts: its speed, and whether both found the same."""
    try:
        theirs = run(scanner, patterns, folder / "texts.bin", folder / "theirs", 20, timeout=timeout)
    except subprocess.TimeoutExpired:
        return f"not compiled in {timeout} s", ""
    result = json.loads(theirs.stdout)
    inexact = {int(entry.split()[1]) for entry in theirs.stderr.splitlines()}
    speed = f"{row['bytes'] * 1000 / result['nanoseconds']:.0f} ({result['compiled']}, " \
            f"{result['approximate']} of them approximated)"
    mine, other = pairs(folder / (row["set"] + ".ours")), pairs(folder / "theirs")
    mine = {key: ends for key, ends in mine.items() if key[1] not in inexact}
    other = {key: ends for key, ends in other.items() if key[1] not in inexact}
    different = [key for key in mine.keys() | other.keys()
                 if key not in mine or key not in other or not mine[key] <= other[key]]
    return speed, f"equal ({len(mine)})" if not different else f"DIFFERENT: {sorted(different)[:5]}"


def run(*command, **options):
    pin = ["taskset", "-c", "0"]
    return subprocess.run(pin + [str(part) for part in command], check=True, capture_output=True, text=True, **options)


def main():
    environment = dict(os.environ, GUARD_BENCHMARKS="1", GUARD_ONLY="GuardRules,GuardStreaming")
    scratch = os.environ.get("GUARD_SCRATCH", ".build")
    for product in ["rules-benchmark", "streams-benchmark"]:
        build = ["swift", "build", "-c", "release", "--product", product, "--scratch-path", scratch]
        subprocess.run(build, cwd=root, env=environment, check=True, stdout=sys.stderr)
    program = root / scratch / "release" / "rules-benchmark"
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        scanner = folder / "vectorscan"
        subprocess.run(["cc", "-O2", "-o", scanner, root / "Benchmarks/rules/vectorscan.c", "-lhs"], check=True)
        output = run(program, folder, corpus, root / "rules", imported(folder)).stdout
        print("| set | patterns | ours MB/s | Vectorscan MB/s | PCRE2 one by one MB/s | times PCRE2 | match sets |")
        print("|---|---|---|---|---|---|---|")
        for line in output.splitlines():
            if line.startswith("#"):
                print(line)
                continue
            row = json.loads(line)
            if "adversarial" in row:
                worst, clean = row["worstNanosecondsPerByte"], row["cleanNanosecondsPerByte"]
                print(f"| {row['adversarial']}, worst text `{row['text'].strip()}` | | {1000 / worst:.1f} | | | "
                      f"{worst / clean:.1f}x clean | |")
                continue
            patterns = folder / (row["set"] + ".patterns")
            # Its database is of the raw view.
            speed, equal = "", ""
            if row["set"] != "packs-all-views":
                speed, equal = against(scanner, row, patterns, folder)
            ours, alone = row["bytes"] * 1000 / row["nanoseconds"], row["bytes"] * 1000 / row["aloneNanoseconds"]
            print(f"| {row['set']} | {row['patterns']} | {ours:.0f} | {speed} | {alone:.2f} | {ours / alone:.0f} | {equal} |",
                  flush=True)
    print(run(root / scratch / "release" / "streams-benchmark", corpus, shared / "safety" / "train.jsonl", root / "rules").stdout)


main()
