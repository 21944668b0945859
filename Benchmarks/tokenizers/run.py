"""Our tokenizer against those of PyPI, in one run: rounds in turn, medians, ratios, equal totals.

    Benchmarks/tokenizers/run [--shared DIR] [--models llama-3.1,mistral-nemo] [--peers gigatoken,fastokens]
                              [--rounds 5] [--results FILE.json] [--markdown FILE]

With `--results`, what is measured is added to what the file has, model by model and system by system, and the tables are
of all of it: so a run can be made in slices (`--models` one at a time). Ratios are taken within one slice's rounds as long
as a model's systems were measured together. `--rounds 0` only prints.

8 MB of corpus.txt in pieces of 100 KB and in prompts of 1 KB, one thread. "First" is the first pass of a fresh
tokenizer, "same" a pass on text that it has seen, "other" a pass on the half that it has not seen after the one that
it has. MB/s are of processor time, so that other work on the machine weighs less; prompts and start are of the clock on
the wall. What a peer's Python binding costs is measured by calls with an empty text and subtracted.
"""
import argparse, datetime, gzip, json, os, pathlib, shutil, statistics, subprocess, sys, tempfile, time

ROOT = pathlib.Path(__file__).resolve().parents[2]


def cut(data, size):
    """As the Swift side cuts: whole characters, `size` bytes or a few more."""
    parts, start = [], 0
    while start < len(data):
        end = min(start + size, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end += 1
        parts.append(data[start:end].decode())
        start = end
    return parts


# Peers: name -> function of the model's folder that gives `encode(text) -> ids`, or None where it has no such file.


def tokenizers(folder, model):
    import tokenizers
    tokenizer = tokenizers.Tokenizer.from_file(f"{folder}/tokenizer.json")
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids


def fastokens(folder, model):
    import fastokens
    tokenizer = fastokens.Tokenizer.from_file(f"{folder}/tokenizer.json")
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids


def gigatoken(folder, model):
    import gigatoken
    tokenizer = gigatoken.Tokenizer(f"{folder}/tokenizer.json")
    return lambda text: tokenizer.encode(text)


def kitoken(folder, model):
    from kitoken import Kitoken
    tokenizer = Kitoken.from_file(f"{folder}/tokenizer.json")
    return lambda text: tokenizer.encode(text)


def tiktoken(folder, model):
    if model != "llama-3.1":
        return None
    import base64, tiktoken
    ranks = {}
    for line in open(f"{folder}/tokenizer.model", "rb"):
        token, rank = line.split()
        ranks[base64.b64decode(token)] = int(rank)
    pattern = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
               r"|\s*[\r\n]+|\s+(?!\S)|\s+")
    added = json.load(open(f"{folder}/tokenizer_config.json"))["added_tokens_decoder"]
    special = {token["content"]: int(id) for id, token in added.items()}
    encoding = tiktoken.Encoding("llama-3.1", pat_str=pattern, mergeable_ranks=ranks, special_tokens=special)
    return lambda text: encoding.encode(text, allowed_special="all")


def sentencepiece(folder, model):
    if not os.path.exists(f"{folder}/tokenizer.model") or model == "llama-3.1":
        return None
    import sentencepiece
    return sentencepiece.SentencePieceProcessor(model_file=f"{folder}/tokenizer.model").encode


PEERS = {f.__name__: f for f in (gigatoken, fastokens, tiktoken, tokenizers, sentencepiece, kitoken)}


class Peer:
    def __init__(self, make, folder, model, texts, prompts):
        self.make, self.folder, self.model, self.texts, self.prompts = make, folder, model, texts, prompts
        start = time.perf_counter()
        self.fresh()
        if self.encode:
            self.encode("a")
        self.start = time.perf_counter() - start

    def fresh(self):
        self.encode = self.make(self.folder, self.model)

    def run(self, texts):
        encode, total = self.encode, 0
        start = time.process_time()
        for text in texts:
            total += len(encode(text))
        elapsed = time.process_time() - start
        start = time.process_time()
        for _ in texts:
            len(encode(""))
        return max(elapsed - (time.process_time() - start), 1e-9), total

    def measure(self, what):
        half = len(self.texts) // 2
        if what == "prompts":
            return self.time_prompts()
        return self.run({"encode": self.texts, "encode-half-0": self.texts[:half],
                         "encode-half-1": self.texts[half:]}[what])

    def time_prompts(self):
        encode, times, empty = self.encode, [], []
        for text in self.prompts:
            start = time.perf_counter()
            len(encode(text))
            middle = time.perf_counter()
            len(encode(""))
            times.append(middle - start)
            empty.append(time.perf_counter() - middle)
        return statistics.median(times) - statistics.median(empty), 0


class Ours:
    def __init__(self, binary, file, corpus):
        self.process = subprocess.Popen([binary, file, corpus], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.start, before, after = [float(x) for x in self.ask("start").split()]
        self.resident = after / 1024

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def fresh(self):
        self.ask("fresh")

    def measure(self, what):
        answer = self.ask(what).split()
        return float(answer[0]), int(answer[-1])

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def folder_of(shared, model, scratch):
    """The model's files, unpacked."""
    folder = pathlib.Path(scratch, model)
    folder.mkdir()
    for file in pathlib.Path(shared, "tokenizers", model).iterdir():
        if file.suffix == ".gz":
            folder.joinpath(file.stem).write_bytes(gzip.decompress(file.read_bytes()))
        else:
            shutil.copy(file, folder)
    # Phi-3 has no model file of its own; Llama-2's is the same vocabulary, without its added tokens.
    if model == "phi-3-mini":
        shutil.copy(pathlib.Path(shared, "tokenizers", "llama-2", "tokenizer.model"), folder)
    return str(folder)


def load_average():
    return " ".join(f"{x:.1f}" for x in os.getloadavg())


def run_model(model, arguments, scratch, found):
    """Adds this model's figures to `found`: name of the system -> figures."""
    corpus = str(pathlib.Path(arguments.shared, "tokenizers", "corpus.txt"))
    data = open(corpus, "rb").read()
    megabytes = len(data) / 1e6
    texts, prompts = cut(data, 100_000), cut(data, 1_000)
    folder = folder_of(arguments.shared, model, scratch)
    source = Ours(arguments.binary, f"{folder}/tokenizer.json", corpus)
    source.ask(f"compile {folder}/tokenizer.image")
    source.close()
    systems = {"guardd encode": Ours(arguments.binary, f"{folder}/tokenizer.image", corpus)}
    systems["guardd count"] = Ours(arguments.binary, f"{folder}/tokenizer.image", corpus)
    for name, make in PEERS.items():
        if arguments.peers and name not in arguments.peers.split(","):
            continue
        try:
            peer = Peer(make, folder, model, texts, prompts)
            if peer.encode:
                systems[name] = peer
        except Exception as error:
            print(f"{name} on {model}: {type(error).__name__}: {str(error)[:120]}", file=sys.stderr)
            found.setdefault(name, {})["failed"] = f"{type(error).__name__}: {str(error)[:120]}"
    slow = ("tokenizers", "sentencepiece", "kitoken")

    def command(name, what):
        return what.replace("encode", "count") if name == "guardd count" else what

    for name, system in systems.items():
        result = found.setdefault(name, {})
        result.pop("failed", None)
        result.setdefault("start", []).append(system.start * 1e3)
        if isinstance(system, Ours):
            result.setdefault("resident", []).append(system.resident)
        for key in ("first", "same", "other", "prompt", "totals"):
            result.setdefault(key, [])
    for round in range(arguments.rounds):
        for name, system in systems.items():
            # The slow ones take minutes; one round does for them.
            if name in slow and round >= 1:
                continue
            result = found[name]
            system.fresh()
            seconds, first_total = system.measure(command(name, "encode"))
            result["first"].append(megabytes / seconds)
            seconds, total = system.measure(command(name, "encode"))
            result["same"].append(megabytes / seconds)
            result["totals"] = sorted(set(result["totals"]) | {first_total, total})
            result["prompt"].append(system.measure("prompts")[0] * 1e6)
            system.fresh()
            system.measure(command(name, "encode-half-0"))
            seconds, _ = system.measure(command(name, "encode-half-1"))
            half = len(texts) // 2
            result["other"].append(sum(len(t.encode()) for t in texts[half:]) / 1e6 / seconds)
            print(f"{model} round {round} {name}: first {result['first'][-1]:.1f} same {result['same'][-1]:.1f} "
                  f"other {result['other'][-1]:.1f} MB/s, prompt {result['prompt'][-1]:.1f} us, load {load_average()}",
                  file=sys.stderr)
    for system in systems.values():
        if isinstance(system, Ours):
            system.close()


def table(model, found):
    """Markdown of one model: medians, and ours against each peer's."""
    lines = ["", f"### {model}", "",
             "| | first MB/s | same text | other half | 1 KB prompt p50, us | start, ms | rounds | tokens |",
             "|---|---|---|---|---|---|---|---|"]
    ours = found["guardd encode"]
    measured = {name: result for name, result in found.items() if result.get("first")}

    def middle(name, key):
        return statistics.median(measured[name][key])

    for name, result in measured.items():
        totals = ",".join(str(total) for total in result["totals"])
        same = "" if result["totals"] == ours["totals"] else " (differs)"
        lines.append(f"| {name} | {middle(name, 'first'):.1f} | {middle(name, 'same'):.1f} | {middle(name, 'other'):.1f} "
                     f"| {middle(name, 'prompt'):.1f} | {middle(name, 'start'):.1f} | {len(result['first'])} "
                     f"| {totals}{same} |")
    lines.append("")
    for name in measured:
        if not name.startswith("guardd"):
            ratio = {key: middle("guardd encode", key) / middle(name, key) for key in ("first", "same", "other")}
            prompt = middle(name, "prompt") / middle("guardd count", "prompt")
            lines.append(f"- against {name}: {ratio['first']:.2f} x first, {ratio['same']:.2f} x same text, "
                         f"{ratio['other']:.2f} x other half; counting a prompt {prompt:.2f} x as fast")
    for name, result in found.items():
        if result.get("failed"):
            lines.append(f"- {name} did not load: {result['failed']}")
    lines.append(f"- from a compiled image: {statistics.median(ours['start']):.1f} ms to load, "
                 f"{statistics.median(ours['resident']):.1f} MiB resident after it")
    return lines


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--shared", default=os.environ.get("GUARD_SHARED", str(ROOT.parent / "shared")))
    parser.add_argument("--models", default="llama-3.1,mistral-nemo,gemma-2,phi-3-mini")
    parser.add_argument("--peers", default="")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--binary", default=str(ROOT / ".build/release/tokenizer-benchmark"))
    parser.add_argument("--results", help="JSON to add to")
    parser.add_argument("--markdown")
    arguments = parser.parse_args()
    results = {"slices": [], "models": {}}
    if arguments.results and os.path.exists(arguments.results):
        results = json.loads(pathlib.Path(arguments.results).read_text())
    if arguments.rounds > 0:
        with tempfile.TemporaryDirectory() as scratch:
            for model in arguments.models.split(","):
                before = load_average()
                run_model(model, arguments, scratch, results["models"].setdefault(model, {}))
                results["slices"].append(f"{model}: {datetime.date.today()}, {os.cpu_count()} cores, {arguments.rounds} "
                                         f"rounds, load average {before} before, {load_average()} after")
                if arguments.results:
                    pathlib.Path(arguments.results).write_text(json.dumps(results, indent=1))
    lines = [f"- {slice}" for slice in results["slices"]]
    for model, found in results["models"].items():
        lines += table(model, found)
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.markdown:
        pathlib.Path(arguments.markdown).write_text(text)


if __name__ == "__main__":
    main()
