#!/usr/bin/env python3
"""Further transformations for `guardctl test --evasions`, made from Python's Unicode tables and, where the package is
installed, from the confusables of UTS #39 (`pip install confusable-homoglyphs`); nothing here reads our fold.

    Benchmarks/packs/evasions.py > more.yaml
    guardctl test rules --evasions --evasion-file more.yaml
"""

import random
import string
import unicodedata

LETTERS = string.ascii_letters
ALNUM = LETTERS + string.digits
BASE64 = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
UPSIDE_DOWN = "ɐqɔpǝɟƃɥᴉɾʞlɯuodbɹsʇnʌʍxʎz"
BRAILLE = "⠁⠃⠉⠙⠑⠋⠛⠓⠊⠚⠅⠇⠍⠝⠕⠏⠟⠗⠎⠞⠥⠧⠺⠭⠽⠵"


def quoted(text):
    plain = (ch if 32 <= ord(ch) < 127 and ch not in '"\\' else f"\\U{ord(ch):08X}" for ch in text)
    return '"' + "".join(plain) + '"'


def flow(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    return str(value) if isinstance(value, int) else quoted(value)


def mapped(table):
    return {"map": {"from": "".join(table), "to": list(table.values())}}


def compatible(seed):
    """A random character for each that NFKC takes for it."""
    likes = {}
    for code in range(0x80, 0x20000):
        plain = unicodedata.normalize("NFKC", chr(code))
        if plain in ALNUM and len(plain) == 1:
            likes.setdefault(plain, []).append(chr(code))
    choose = random.Random(seed)
    return {plain: choose.choice(likes[plain]) for plain in sorted(likes)}


def confusable(seed):
    """A random look-alike of UTS #39 for each letter and digit; empty without the package."""
    try:
        from confusable_homoglyphs import confusables
    except ImportError:
        return {}
    choose = random.Random(seed)
    table = {}
    # 1, l, I, 0, O and | are each other's.
    for plain in (ch for ch in ALNUM if ch not in "1lI0Oo"):
        likes = sorted(entry["c"] for entry in confusables.confusables_data.get(plain, [])
                       if len(entry["c"]) == 1 and not entry["c"].isascii() and unicodedata.category(entry["c"])[0] in "LN")
        if likes:
            table[plain] = choose.choice(likes)
    return table


def transformations():
    for seed in range(4):
        yield f"compatible-{seed}", [mapped(compatible(seed))], None
        if table := confusable(seed):
            yield f"confusable-{seed}", [mapped(table)], None
    marks = [chr(code) for code in range(0x300, 0x370) if unicodedata.category(chr(code)) == "Mn"]
    choose = random.Random(7)
    yield "zalgo", [{"between": ["".join(choose.choices(marks, k=4)) for _ in range(8)]}], None
    for code in (0x2061, 0x2062, 0x61C, 0x2069, 0x180B, 0xFE00, 0xE0020, 0x206A, 0x1160, 0xFFA0, 0x1D173, 0x17B4):
        yield f"between-{code:x}", [{"between": [chr(code)]}], None

    for name, sign in {"tab": "\t", "newline": "\n", "pipe": "|", "tilde": "~", "plus": "+", "comma": ",", "colon": ":",
                       "dot-space": ". ", "bullet": "\u2022", "emoji": "\U0001F44F", "three-dots": "...", "hash": "#",
                       "spaced-dash": " - ", "equals": "="}.items():
        yield "separated-by-" + name, [{"separate": sign}], None
        yield "words-separated-by-" + name, [{"separateWords": sign}], ["words"]
    for name, sign in {"em-space": "\u2003", "tab": "\t", "two": "  ", "newline": "\n", "thin": "\u2009", "plus": "+",
                       "emoji": "\U0001F44F", "dot": ".", "dash": "-", "hash": "#", "middle-dot": "\u00b7", "slash": "/",
                       "percent": "%20", "entity": "&nbsp;", "zero-width": "\u200b"}.items():
        yield "spaces-as-" + name, [mapped({" ": sign})], ["words"]

    for name, form in {
        "hex-commas": dict(base=16, width=2, before="0x", between=", "), "hex-pipes": dict(base=16, width=2, between="|"),
        "octal-0o": dict(base=8, width=3, before="0o", between=" "), "decimal-semicolons": dict(base=10, between=";"),
        "decimal-lines": dict(base=10, between="\n"), "binary-0b": dict(base=2, width=8, before="0b", between=" "),
        "css": dict(unit="scalar", base=16, before="\\", after=" "), "percent-lower": dict(base=16, width=2, before="%"),
        "html-padded": dict(unit="scalar", base=10, width=7, before="&#", after=";"),
        "html-twice": dict(unit="scalar", base=10, before="&amp;#", after=";"),
        "unicode-escapes-twice": dict(unit="utf16", base=16, width=4, before="\\\\u"),
    }.items():
        yield "each-" + name, [{"each": form}], None

    def alphabet(of, padding=False, line=0):
        return {"alphabet": {"of": of, "padding": padding} | ({"line": line} if line else {})}

    yield "base64-quoted", [alphabet(BASE64, True), {"wrap": {"before": 'The note says "', "after": '".'}}], None
    yield "base64-url", [alphabet(BASE64, True), {"wrap": {"before": "data:text/plain;base64,", "after": ""}}], None
    yield "base64-call", [alphabet(BASE64, True), {"wrap": {"before": "atob('", "after": "')"}}], None
    yield "base64-lines", [alphabet(BASE64, True, 20)], None
    yield "base32-lower", [alphabet(string.ascii_lowercase + "234567")], None
    yield "base32hex", [alphabet(string.digits + string.ascii_uppercase[:22], True)], None
    yield "hex-upper", [alphabet("0123456789ABCDEF")], None
    yield "base64-of-hex", [alphabet("0123456789abcdef"), alphabet(BASE64, True)], None
    yield "base64-of-reversed", [{"reverse": "all"}, alphabet(BASE64, True)], ["words"]
    yield "percent-of-fullwidth", [mapped({ch: chr(ord(ch) + 0xFEE0) for ch in ALNUM}),
                                   {"each": dict(base=16, width=2, before="%")}], None
    for count in (1, 3, 7, 11, 19, 25):
        yield f"shift-{count}", [{"shift": count}], ["words"]
    yield "rot13-reversed", [{"shift": 13}, {"reverse": "all"}], ["words"]
    yield "rot47", [mapped({chr(33 + n): chr(33 + (n + 47) % 94) for n in range(94)})], None
    yield "rot18", [{"shift": 13}, mapped({str(n): str((n + 5) % 10) for n in range(10)})], None
    yield "upside-down", [{"letters": "lower"}, mapped(dict(zip(string.ascii_lowercase, UPSIDE_DOWN))),
                          {"reverse": "all"}], ["words"]
    yield "braille", [{"letters": "lower"}, mapped(dict(zip(string.ascii_lowercase, BRAILLE)))], ["words"]
    yield "subscripts", [mapped(dict(zip("aehijklmnoprstuvx0123456789", "ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ₀₁₂₃₄₅₆₇₈₉")))], None
    for name, table in {"soft": ("aoAO", "4040"), "e": ("eE", "33"), "pipe": ("ilIL", "||||"), "l": ("lL", "11"),
                        "i": ("iI", "11"), "dollar": ("osOS", "0$0$"), "plus": ("tTaA", "++@@")}.items():
        yield "leet-" + name, [mapped(dict(zip(*table)))], ["words"]
    cover = {"wrap": {"before": "Hello \U0001F600", "after": " nice day"}}
    yield "tags-with-cover", [{"tags": None}, cover], None
    yield "selectors-with-cover", [{"selectors": None}, cover], None


def main():
    print("description: Transformations that did not come with guardctl.\nevasions:")
    for name, steps, applies in transformations():
        print(f"  - name: more-{name}")
        if applies:
            print(f"    applies: {flow(applies)}")
        print("    steps:")
        for step in steps:
            for key, value in step.items():
                print(f"      - {key}:" + ("" if value is None else " " + flow(value)))


main()
