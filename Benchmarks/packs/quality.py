#!/usr/bin/env python3
"""Quality of the rule packs against the labelled texts of `shared/safety`: precision and recall by type, clean documents
flagged, and false positives of the injection packs on benign texts.

    swift build -c release --product guardctl
    Benchmarks/packs/quality.py [--guardctl PATH] [--policy rules] [--examples N]

Reads `$GUARD_SHARED` (default `../shared`), copies nothing. Figures go to standard output; `--check` makes the floors of
the packs an exit code. Every text goes through `guardctl check`, which is the code that runs in the pod.
"""

import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# What a rule reports, in the words of the data set. A rule that is not named here reports no type of it and counts as wrong
# wherever it fires outside a labelled span.
TYPES = {
    "pii.email": "EMAIL",
    "pii.phone": "PHONE",
    "pii.phone-national": "PHONE",
    "pii.credit-card": "CREDIT_CARD",
    "pii.iban": "IBAN",
    "pii.us-ssn": "US_SSN",
    "pii.ipv4": "IP_ADDRESS",
    "pii.ipv6": "IP_ADDRESS",
    "pii.mac-address": "MAC_ADDRESS",
    "pii.crypto-address": "CRYPTO",
    "pii.uk-nhs-number": "UK_NHS",
}


def kind(rule: str) -> str:
    if rule.startswith("secrets."):
        return "SECRET"
    return TYPES.get(rule, rule)


def read(path: pathlib.Path):
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def check(options, texts, phase: str):
    """Findings of each text as [(rule, start, end)] in code points, and its action."""
    feed = "".join(json.dumps({"id": number, "text": text}) + "\n" for number, text in enumerate(texts))
    done = subprocess.run(
        [options.guardctl, "check", "--policy", options.policy, "--phase", phase, "--jsonl", "-"],
        input=feed.encode(), stdout=subprocess.PIPE, check=False)
    if done.returncode not in (0, 1):
        sys.exit(f"guardctl check ended with {done.returncode}")
    answers = []
    for text, line in zip(texts, done.stdout.splitlines(), strict=True):
        answer = json.loads(line)
        place = {}
        if not text.isascii():
            offset = 0
            for number, character in enumerate(text):
                place[offset] = number
                offset += len(character.encode())
            place[offset] = len(text)
        answers.append((
            answer["action"],
            [(f["rule"], place.get(f["start"], f["start"]), place.get(f["end"], f["end"])) for f in answer["findings"]]))
    return answers


def ratio(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


def show(text: str) -> str:
    return text.replace("\n", "\\n")


def documents(options, floors):
    rows = read(options.shared / "safety/pii_public.jsonl")
    answers = check(options, [row["text"] for row in rows], options.phase)
    hit, close, missed, wrong = (collections.Counter() for _ in range(4))
    wrong_rules, examples, flagged, clean = collections.Counter(), [], 0, 0
    vendors = collections.defaultdict(collections.Counter)
    for row, (_, findings) in zip(rows, answers):
        findings = [f for f in findings if f[0].split(".")[0] in ("pii", "secrets")]
        for span in row["spans"]:
            start, end, wanted = span["start"], span["end"], span["type"]
            found = [f for f in findings if f[1] < end and f[2] > start and kind(f[0]) == wanted]
            best = max(((min(f[2], end) - max(f[1], start)) / (max(f[2], end) - min(f[1], start)) for f in found), default=0)
            (hit if found else missed)[wanted] += 1
            close[wanted] += best >= 0.5
            if wanted == "SECRET":
                vendors[span["subtype"]][bool(found)] += 1
            if not found:
                examples.append(("missed", wanted, span.get("subtype"), row["text"][max(0, start - 20):end + 10]))
            elif best < 0.5:
                examples.append(("loose", wanted, span.get("subtype"), row["text"][max(0, start - 20):end + 10]))
        for rule, start, end in findings:
            overlapping = [s for s in row["spans"] if s["start"] < end and s["end"] > start]
            if not any(s["type"] == kind(rule) for s in overlapping):
                wrong[kind(rule)] += 1
                wrong_rules[rule] += 1
                examples.append(("wrong", rule, [s["type"] for s in overlapping], row["text"][max(0, start - 25):end + 10]))
        if not row["spans"]:
            clean += 1
            flagged += bool(findings)
    print(f"documents ({options.phase} phase; a span counts as found where a finding of its type overlaps it)")
    print(f"  {'type':14}{'spans':>7}{'recall':>8}{'precision':>11}{'IoU>=.5':>9}")
    for name in sorted(set(hit) | set(missed) | set(wrong)):
        spans = hit[name] + missed[name]
        print(f"  {name:14}{spans:7}{ratio(hit[name], spans):8.4f}{ratio(hit[name], hit[name] + wrong[name]):11.4f}"
              f"{ratio(close[name], spans):9.4f}")
    for label, names in (("PII without CRYPTO", {n for n in set(hit) | set(missed) | set(wrong)} - {"SECRET", "CRYPTO"}),):
        good, bad, lost = (sum(c[n] for n in names) for c in (hit, wrong, missed))
        score = 2 * good / max(1, 2 * good + bad + lost)
        print(f"  {label}: micro-F1 {score:.4f}")
    print(f"  clean documents flagged: {flagged}/{clean} = {ratio(flagged, clean):.4f}")
    print("  wrong by rule:", dict(wrong_rules.most_common()))
    short = {v: f"{c[True]}/{c[True] + c[False]}" for v, c in sorted(vendors.items()) if c[False]}
    print(f"  secret kinds: {len(vendors)}, with misses: {short}")
    recall, precision = ratio(hit["SECRET"], hit["SECRET"] + missed["SECRET"]), ratio(hit["SECRET"], hit["SECRET"] + wrong["SECRET"])
    floors += [("secret recall", recall, 0.97), ("secret precision", precision, 0.99), ("PII micro-F1", score, 0.98),
               ("clean documents not flagged", 1 - ratio(flagged, clean), 0.99)]
    shown = collections.Counter()
    for example in examples:
        shown[example[:2]] += 1
        if shown[example[:2]] <= options.examples:
            print("   ", *[show(str(part)) for part in example])


def texts(options, floors):
    for file in ("train.jsonl", "dev.jsonl", "waf_crs.jsonl"):
        rows = read(options.shared / "safety" / file)
        for phase in ("input", "output"):
            answers = check(options, [row["text"] for row in rows], phase)
            print(f"{file} ({phase} phase)")
            groups = collections.defaultdict(list)
            for row, answer in zip(rows, answers):
                groups[(row.get("dev_kind", ""), row["label"])].append((row, answer))
            for (slice_, label), members in sorted(groups.items()):
                actions = collections.Counter(action for _, (action, _) in members)
                packs = collections.Counter(
                    pack for _, (_, findings) in members for pack in {f[0].split(".")[0] for f in findings})
                rules = collections.Counter(rule for _, (_, findings) in members for rule in {f[0] for f in findings})
                total = len(members)
                shares = ", ".join(f"{a} {actions[a]} ({ratio(actions[a], total):.4f})" for a in ("block", "mask", "flag"))
                print(f"  {slice_:14}{label:8} {total:6} texts: {shares}; by pack {dict(packs.most_common())}")
                if label == "benign" or phase == "output" and options.examples:
                    print("     ", dict(rules.most_common(30)))
                if label == "benign" and file == "train.jsonl" and phase == "input":
                    floors.append(("benign texts not blocked", 1 - ratio(actions["block"], total), 0.998))
                if label == "benign" and options.examples:
                    shown = collections.Counter()
                    for row, (_, findings) in members:
                        for rule, start, end in findings:
                            shown[rule] += 1
                            if shown[rule] <= options.examples:
                                print("       ", rule, "|", show(row["text"][max(0, start - 40):end + 30])[:300])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--guardctl", default=str(ROOT / ".build/release/guardctl"))
    parser.add_argument("--policy", default=str(ROOT / "rules"))
    parser.add_argument("--phase", default="input", help="of the documents")
    parser.add_argument("--examples", type=int, default=0, help="so many of each kind of mistake")
    parser.add_argument("--only", choices=["documents", "texts"])
    parser.add_argument("--check", action="store_true", help="exit 1 below the floors")
    options = parser.parse_args()
    options.shared = pathlib.Path(os.environ.get("GUARD_SHARED", ROOT / "../shared"))
    floors = []
    if options.only != "texts":
        documents(options, floors)
    if options.only != "documents":
        texts(options, floors)
    failed = [(name, value, floor) for name, value, floor in floors if value < floor]
    for name, value, floor in floors:
        print(f"{'short' if value < floor else 'ok':6}{name}: {value:.4f}, floor {floor}")
    sys.exit(1 if options.check and failed else 0)


if __name__ == "__main__":
    main()
