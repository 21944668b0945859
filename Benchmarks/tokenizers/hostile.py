"""What hostile texts cost: instructions by valgrind, which do not depend on what else the machine does.

    .build/tokenizer-venv/bin/python Benchmarks/tokenizers/hostile.py [--models llama-3.1,gemma-2] [--bytes 1000000]

Each text is counted as one prompt, at half the length and at the full one: a cost of n log n shows as a ratio of a
little over 2. Needs valgrind and the program that `Benchmarks/tokenizers/run` builds. Milliseconds are of processor time
without valgrind, best of three.
"""
import argparse, os, pathlib, random, re, subprocess, tempfile
from run import ROOT, folder_of


def texts(size):
    random.seed(1)

    def fill(unit):
        return (unit * (size // len(unit.encode()) + 1)).encode()[:size]

    def any_of(first, last):
        characters = [chr(c) for c in range(first, last + 1)]
        width = len(characters[-1].encode())
        return "".join(random.choice(characters) for _ in range(size // width)).encode()

    return {
        "prose (corpus)": None,
        "one letter": fill("a"),
        "random small letters": any_of(0x61, 0x7A),
        "random letters of both cases": any_of(0x41, 0x7A),
        "`▁`": fill("▁"),
        "spaces": fill(" "),
        "line ends": fill("\n"),
        "space and line end": fill(" \n"),
        "random digits": any_of(0x30, 0x39),
        "ideographs without spaces": any_of(0x4E00, 0x9FFF),
        "one ideograph": fill("漢"),
        "combining marks": any_of(0x300, 0x36F),
        "`a` and a mark": fill("a\u0301"),
        "emoji families (ZWJ)": fill("👨\u200d👩\u200d👧\u200d👦"),
        "apostrophes and letters": fill("'s"),
        "`<`": fill("<"),
        "random punctuation": any_of(0x21, 0x2F),
        "random bytes": random.randbytes(size),
    }


def instructions(binary, image, text, commands):
    run = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", binary, image, text],
                         input=commands, capture_output=True, text=True)
    return int(re.search(r"Collected : (\d+)", run.stderr).group(1))


def milliseconds(binary, image, text):
    run = subprocess.run([binary, image, text], input="fresh\nwhole\n" * 3, capture_output=True, text=True, check=True)
    lines = run.stdout.split("\n")
    return min(float(line.split()[0]) for line in lines[1:6:2]) * 1e3, int(lines[1].split()[-1])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--shared", default=os.environ.get("GUARD_SHARED", str(ROOT.parent / "shared")))
    parser.add_argument("--models", default="llama-3.1,mistral-nemo,gemma-2,phi-3-mini")
    parser.add_argument("--bytes", type=int, default=1_000_000)
    parser.add_argument("--binary", default=str(ROOT / ".build/release/tokenizer-benchmark"))
    arguments = parser.parse_args()
    corpus = pathlib.Path(arguments.shared, "tokenizers", "corpus.txt").read_bytes()
    cases = texts(arguments.bytes)
    cases["prose (corpus)"] = corpus[:arguments.bytes]
    models = arguments.models.split(",")
    with tempfile.TemporaryDirectory() as scratch:
        images = {}
        # Valgrind cannot read Swift's debug information.
        binary = f"{scratch}/benchmark"
        subprocess.run(["strip", "--strip-debug", "-o", binary, arguments.binary], check=True)
        for model in models:
            folder = folder_of(arguments.shared, model, scratch)
            images[model] = f"{folder}/tokenizer.image"
            subprocess.run([arguments.binary, f"{folder}/tokenizer.json", os.devnull], check=True, capture_output=True,
                           input=f"compile {images[model]}\n", text=True)
        print("| instructions per byte, twice the text costs, ms | " + " | ".join(models) + " |")
        print("|---" * (len(models) + 1) + "|")
        for name, text in cases.items():
            row = []
            whole, half = f"{scratch}/whole", f"{scratch}/half"
            pathlib.Path(whole).write_bytes(text)
            pathlib.Path(half).write_bytes(text[:len(text) // 2])
            for model in models:
                costs = [instructions(binary, images[model], path, "warm\nwhole\n")
                         - instructions(binary, images[model], path, "warm\n") for path in (half, whole)]
                time, _ = milliseconds(arguments.binary, images[model], whole)
                row.append(f"{costs[1] / len(text):.0f}, {costs[1] / costs[0]:.2f}x, {time:.0f} ms")
            print(f"| {name} | " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
