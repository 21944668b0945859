#!/usr/bin/env python3
"""The packs against texts made from published formats: recall by kind of credential and personal datum, findings in texts that
only look like them. Seeded; nothing in it comes from a data set. `formats_*.py` say the formats; here are the surroundings.

    swift build -c release --product guardctl
    Benchmarks/packs/formats.py [--seed N] [--texts N] [--kinds] [--misses N] [--check]
"""

import argparse
import collections
import pathlib
import random
import sys

from formats_clean import CLEAN
from formats_lines import LINES
from formats_personal import PERSONAL
from formats_secrets import BLOCKS, KEYS, fill
from quality import check, ratio

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Where a key with a name stands; % is the name, @ the value.
NAMED = """%=@|export %="@"|%: @|  %: "@"|"%": "@",|% = "@"|% = '@'|ENV % @|  - name: %\\n    value: "@"|os.environ["%"] = "@"|const % = "@";
let % = '@'|% := "@"|private static final String % = "@";|variable "%" { default = "@" }|% = "@" # prod|-e %=@|set %=@|$env:% = "@"
process.env.% = '@';|[2025-11-02 10:11:12] DEBUG % is @|set % to @ please|`%=@`|<add key="%" value="@" />|define('%', '@');|%: '@'|{"%":"@"}|helm upgrade app --set env.%=@""".replace("\n", "|").replace("\\n", "\n").split("|")
NAMED.append("| % | @ |")
# Where a value stands that says itself what it is.
BARE = ["@", "token=@", "Here is my key: @", 'config.yml:\n  secret: @\n', '"apiKey": "@",', 'curl -H "Authorization: Bearer @" https://api.orders.io/v1',
        "I pushed @ by mistake, is that bad?", "`@`", "- **key** @", "https://api.orders.io/v1?key=@&page=1", "ERROR auth failed for @ (401)",
        "why does @ not work", 'client = Client("@")', "use (@)", "key:@", "<token>@</token>", "--token @", "x: [@, b]", "@\n", "'@'", "it was @."]
# Where a datum about a person stands; @ is label and value.
PEOPLE = ["@", "please note @ for the file", "Ann wrote: @.", '{"note": "@"}', "- @\n- other", "@, and thanks", "| @ | open |", "(@)", "customer: @ (verified)",
          "INSERT INTO t VALUES ('@');", "log user=ann data=@ ok", "<td>@</td>", "My details:\n@\nRegards", "\"@\"", "@;", "**@**", "is @ still right?"]
# What stands before and after.
AROUND = ["", "", "see the note below\n", "the build failed again and\n", "version 2.4.1 of {word}, commit {H7}\n", "Hello,\n\n", "- step one\n- step two\n"]


def secrets(r, count):
    """(kind, text, start, end) of each."""
    for line in KEYS:
        kind, names, form = line.split("|")
        marked = not kind.endswith("*")
        for number in range(count):
            value, name = fill(r, form), r.choice(names.split(" "))
            frame = r.choice(BARE if marked and number % 2 else NAMED).replace("%", name)
            yield placed(r, "secret/" + kind, frame, value)
    for line in LINES:
        kind, before, form, after = (part.replace("\\n", "\n") for part in line.split("|"))
        for _ in range(count):
            yield placed(r, "secret/" + kind, fill(r, before) + "@@" + after, fill(r, form), "@@")
    for kind, make in BLOCKS.items():
        for _ in range(count):
            yield placed(r, "secret/" + kind, r.choice(["@", "cat key.pem\n@\n", "key: |\n@\n"]), make(r))


def personal(r, count):
    for kind, (make, labels) in PERSONAL.items():
        for _ in range(count):
            label, value = r.choice(labels) if labels else "", make(r)
            yield placed(r, "pii/" + kind, r.choice(PEOPLE).replace("@", label + "@@"), value, "@@")


def placed(r, kind, frame, value, mark="@"):
    before, _, after = frame.partition(mark)
    before = fill(r, r.choice(AROUND)) + before
    return kind, before + value + after + r.choice(["", "", "\nsee you", " tomorrow"]), len(before), len(before) + len(value)


def clean(r, count):
    for kind, forms in CLEAN.items():
        for form in forms:
            for number in range(count):
                value = form(r) if callable(form) else fill(r, form)
                yield "clean/" + kind, value if number == 0 else placed(r, kind, "@", value)[1], 0, 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--guardctl", default=str(ROOT / ".build/release/guardctl"))
    parser.add_argument("--policy", default=str(ROOT / "rules"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--texts", type=int, default=8, help="of each kind")
    parser.add_argument("--kinds", action="store_true", help="each kind, not only those with misses")
    parser.add_argument("--misses", type=int, default=0, help="show so many of each kind")
    parser.add_argument("--check", action="store_true", help="exit 1 below the floors")
    options = parser.parse_args()
    r = random.Random(options.seed)
    rows = [*secrets(r, options.texts), *personal(r, options.texts), *clean(r, options.texts)]
    answers = check(options, [text for _, text, _, _ in rows], "input")
    found, seen, beside, shown = collections.Counter(), collections.Counter(), collections.Counter(), collections.defaultdict(list)
    for (kind, text, start, end), (_, findings) in zip(rows, answers):
        # Password hashes are the output pack's, in both directions.
        family = {"secret": ("secrets", "output"), "pii": ("pii",)}.get(kind.split("/")[0])
        wrong = [f for f in findings if f[0].split(".")[0] in ("pii", "secrets") and not (f[1] < end and f[2] > start)]
        # Half of the value is covered: a mask that leaves most of it is none.
        good = any(family and f[0].split(".")[0] in family and 2 * (min(f[2], end) - max(f[1], start)) >= end - start for f in findings)
        seen[kind] += 1
        found[kind] += bool(wrong) if family is None else good
        if family is None and wrong or family and not good:
            shown[kind].append((text, [f[0] for f in findings]))
        if family and wrong:
            beside[wrong[0][0]] += 1
            shown["beside " + wrong[0][0]].append((text, [(f[0], text[f[1]:f[2]]) for f in wrong]))
    totals = collections.defaultdict(lambda: [0, 0])
    for kind in seen:
        parts = kind.split("/")
        for group in {parts[0], "/".join(parts[:2])}:
            totals[group][0] += found[kind]
            totals[group][1] += seen[kind]
    print("recall by group; of clean texts: share with a finding")
    for group, (hits, count) in sorted(totals.items()):
        print(f"  {group:24}{ratio(hits, count):7.3f}  {hits}/{count}")
    for kind in sorted(seen):
        if options.kinds or found[kind] < seen[kind] and not kind.startswith("clean"):
            print(f"    {kind:36}{ratio(found[kind], seen[kind]):6.2f}")
    print("findings beside the value, by rule:", dict(beside.most_common()))
    for kind, texts in sorted(shown.items()) if options.misses else []:
        for text, rules in texts[:options.misses]:
            print(f"  {kind}: {text!r} {rules or ''}")
    bare = [sum(column) for column in zip(totals["pii/phone-bare"], totals["pii/id-bare"])]
    floors = [("secret recall", ratio(*totals["secret"]), 0.95), ("clean texts without a finding", 1 - ratio(*totals["clean"]), 0.98),
              ("personal data recall, what only a word before it tells aside", ratio(totals["pii"][0] - bare[0], totals["pii"][1] - bare[1]), 0.95)]
    for name, value, floor in floors:
        print(f"{'short' if value < floor else 'ok':6}{name}: {value:.4f}, floor {floor}")
    sys.exit(1 if options.check and any(value < floor for _, value, floor in floors) else 0)


if __name__ == "__main__":
    main()
