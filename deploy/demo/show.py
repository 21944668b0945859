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


def compact(value):
    """Without nulls, empty parts and long hashes."""
    if isinstance(value, dict):
        parts = {key: compact(part) for key, part in value.items() if key not in ("tokenizerHash", "view", "kind", "score")}
        return {key: part for key, part in parts.items() if part not in (None, [], {})}
    return [compact(part) for part in value] if isinstance(value, list) else value


if not record:
    print(f"no record of {decision}")
    sys.exit(1)
record["edits"] = [edit for edit in record.get("edits") or [] if edit.get("rule")]
for key in ("action", "reasons", "tokens", "budget", "findings", "edits", "stream", "latency"):
    part = compact(record.get(key))
    if part not in (None, [], {}):
        print(f"  record.{key:8} {json.dumps(part)}")
