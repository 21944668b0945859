#!/usr/bin/env python3
"""Ordinary texts in every transformation: the benign texts of `train.jsonl`, or N of them drawn by seed. None may be flagged
more often than as it stands; the last line of guardctl says where they are.

    swift build -c release --product guardctl
    Benchmarks/packs/benign.py [N] [--seed N] [--guardctl PATH] [--policy rules] [-- further arguments of guardctl test]

Reads `$GUARD_SHARED` (default `../shared`). Exit code 1 if a transformation flags more, 2 if guardctl fails. 3,000 texts in
135 transformations take a minute and a half of a core.
"""

import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", nargs="?", type=int, help="so many texts, drawn by seed; without it all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--guardctl", default=str(ROOT / ".build/release/guardctl"))
    parser.add_argument("--policy", default=str(ROOT / "rules"))
    options, further = parser.parse_known_args()
    shared = pathlib.Path(os.environ.get("GUARD_SHARED", ROOT / "../shared"))
    with (shared / "safety/train.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    texts = [row["text"] for row in rows if row["label"] == "benign"]
    if options.count is not None:
        texts = random.Random(options.seed).sample(texts, min(options.count, len(texts)))
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
        for text in texts:
            file.write(json.dumps({"text": text}) + "\n")
        file.flush()
        done = subprocess.run(
            [options.guardctl, "test", options.policy, "--evasions", "--benign", file.name, *[a for a in further if a != "--"]],
            stdout=subprocess.PIPE, text=True, check=False)
    lines = done.stdout.splitlines()
    print("\n".join(lines[-2:]))
    if done.returncode not in (0, 1) or not lines or not lines[-1].startswith("benign:"):
        sys.exit(2)
    sys.exit(1 if "more in no transformation" not in lines[-1] else 0)


if __name__ == "__main__":
    main()
