"""Prints an answer (the text of a stream, or the JSON) and what its decision record says."""

import json
import sys
import time

head, body, log = sys.argv[1:4]
text = open(body, encoding="utf-8", errors="replace").read()
if text.startswith("data:"):
    pieces, rest = [], []
    for line in text.split("\n"):
        if not line.startswith("data:") or line == "data: [DONE]":
            continue
        event = json.loads(line[5:])
        delta = "".join((c.get("delta") or {}).get("content") or "" for c in event.get("choices") or [])
        if "error" in event:
            rest.append(json.dumps(event))
        elif delta:
            pieces.append(delta)
    print(f"stream of {len(pieces)} pieces: {'|'.join(pieces)}")
    for line in rest:
        print(f"then the event {line}")
else:
    print(text.strip())
decision = next((line.split(":", 1)[1].strip() for line in open(head)
                 if line.lower().startswith("x-guard-decision-id:")), None)
record = None
for _ in range(40):
    records = [json.loads(line) for line in open(log) if line.startswith("{")]
    record = next((r for r in records if r.get("id") == decision), None)
    if record or not decision:
        break
    time.sleep(0.05)
if record:
    keep = ["action", "status", "reasons", "tokens", "budget", "findings", "edits", "stream", "latency"]
    short = {key: record[key] for key in keep if record.get(key) not in (None, [], {})}
    if "budget" in short:
        short["budget"] = [{k: b.get(k) for k in ("name", "limit", "reserved", "settled", "remaining")} for b in short["budget"]]
    print("record " + json.dumps(short))
else:
    print(f"no record of {decision}")
    sys.exit(1)
