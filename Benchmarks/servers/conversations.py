"""Seeded conversations for comparing counts with a real server: what a tokenizer, a template or a server's reading of
messages could treat otherwise than we do. Nothing here is taken from a data set."""

import json
import random

WORDS = ("the quick brown fox tokens budget latency a an I you we deploy rollback invoice Zürich naïve façade "
         "don't it's we'll 3.14 1,000,000 2026-11-22 foo_bar fooBar HTTP/2 C++ /usr/local/bin").split()
SCRIPTS = ["Привет, как дела?", "こんにちは、元気ですか。", "今天天气很好。", "مرحبا كيف حالك", "שלום עולם", "नमस्ते दुनिया",
           "สวัสดีชาวโลก", "안녕하세요", "Γειά σου Κόσμε", "e\u0301 vs é, A\u030a vs Å, ﬁ ligature, ① ½ ²", "ＦＵＬＬ　ｗｉｄｔｈ",
           "👩‍👩‍👧‍👦 🇨🇭 👍🏽 🏴󠁧󠁢󠁥󠁮󠁧󠁿", "zero\u200bwidth\u00a0nbsp\u2028line\u2029para\ufeffbom", "\u202ertl override\u202c", "𝕬𝖇𝖈 𐍈 𠜎"]
CODE = ["def f(x):\n    return x ** 2  # comment\n\n\n    pass\n", "{\"a\": [1, 2, {\"b\": null}], \"c\": \"\\u00e9\"}",
        "SELECT * FROM t WHERE a >= 'x''y';", "<div class=\"a\">&amp; &lt;b&gt;</div>", "if (a&&b||!c) { return; }\r\n\r\n\tx++;\r\n",
        "| a | b |\n|---|---|\n| 1 | 2 |", "https://example.org/a?b=c&d=%20e#f"]
SPECIALS = ["<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>system<|end_header_id|>\n\n", "<|python_tag|>", "<bos>",
            "<eos>", "<start_of_turn>user\n", "<end_of_turn>", "<|user|>\n", "<|end|>", "<|assistant|>", "<|system|>",
            "<|endoftext|>", "<s>", "</s>", "<s> ", "[INST]", "[/INST]", "[TOOL_CALLS]", "[AVAILABLE_TOOLS]", "<unk>", "<pad>",
            "<|im_start|>system\n", "<|im_end|>", "<tool_call>", "</tool_call>", "<0x0A>", "▁", "Ġ", "<|reserved_special_token_3|>",
            "<unused7>", "<|placeholder1|>", "[control_8]", "<2mass>", "\n\n\n", "<|vision_start|>", "[IMG]", "<|EOT_ID|>", "<|eot_id"]
EDGES = ["", " ", "\n", "\t", "   lead", "trail   ", "\n\nboth\n\n", " \u00a0x\u00a0 ", "\u3000x\u3000", "\x0b\x0cx", "x\x1f", "\u0085x",
         "a" * 300, "9" * 47, " " * 33 + "x", "\n" * 9, "!?" * 40, "\u0000x", "ÿ" * 20, "\r", "\r\n x \r\n"]


class Generator:
    """One family's conversations. `system`, `tools`: what its template knows; `calls`: the most tool calls in one
    message; `parts`: content also as a list of text parts."""

    def __init__(self, seed, system=True, tools=True, calls=3, parts=True):
        self.random = random.Random(seed)
        self.system, self.tools, self.calls, self.parts = system, tools, calls, parts

    def prose(self, words):
        return " ".join(self.random.choice(WORDS) for _ in range(words))

    def text(self):
        """One message's text."""
        kind = self.random.randrange(10)
        if kind < 3:
            return self.prose(self.random.randint(1, 60))
        if kind == 3:
            return self.random.choice(EDGES)
        if kind == 4:
            return self.random.choice(CODE) + self.random.choice(["", "\n", " "]) + self.random.choice(CODE)
        if kind == 5:
            return self.random.choice(SCRIPTS)
        if kind == 6:
            return "".join(self.random.choice([self.random.choice(SPECIALS), self.random.choice([" ", "", "\n", "x"]), self.prose(2)])
                           for _ in range(self.random.randint(1, 8)))
        if kind == 7:
            return "".join(self.random.choice(self.random.choice([SCRIPTS, CODE, EDGES, WORDS, SPECIALS]))
                           + self.random.choice(["", " ", "\n"]) for _ in range(self.random.randint(2, 6)))
        if kind == 8:
            return "".join(chr(self.scalar()) for _ in range(self.random.randint(1, 60)))
        return (self.prose(7) + "\n") * self.random.randint(20, 120)

    def scalar(self):
        low, high = self.random.choice([(1, 0x7F), (0x80, 0x24F), (0x300, 0x36F), (0x370, 0x5FF), (0x900, 0xDFF), (0x2000, 0x2BFF),
                                        (0x3000, 0x9FFF), (0xAC00, 0xD7A3), (0xE000, 0xFFFD), (0x1F000, 0x1FAFF), (0x20000, 0x2FFFF)])
        return self.random.randint(low, high)

    def content(self):
        text = self.text()
        if self.parts and self.random.random() < 0.15:
            texts = [text] + [self.text() for _ in range(self.random.randint(0, 2))]
            return [{"type": "text", "text": t} for t in texts]
        return text

    def value(self, depth=0):
        kind = self.random.randrange(8 if depth < 3 else 6)
        if kind == 0:
            return self.random.choice([True, False, None])
        if kind == 1:
            return self.random.choice([0, -1, 7, 2 ** 40, 10 ** 15])
        if kind == 2:
            return self.random.choice([0.5, 1.0, -2.25, 1e-7, 1e22, 123456.789])
        if kind < 6:
            return self.random.choice([self.prose(3), self.random.choice(SCRIPTS), "quote \" slash / back \\ tab \t", "<b>&'"])
        if kind == 6:
            return [self.value(depth + 1) for _ in range(self.random.randint(0, 3))]
        return {f"k{i}": self.value(depth + 1) for i in range(self.random.randint(0, 3))}

    def tool(self, index):
        properties = {f"arg{i}": self.random.choice([
            {"type": "string", "description": self.prose(4)}, {"type": "integer", "minimum": 0, "default": 3},
            {"type": "array", "items": {"type": "number"}}, {"enum": ["a", "é", None, 1.5], "title": self.random.choice(SCRIPTS)}])
            for i in range(self.random.randint(0, 4))}
        function = {"name": f"tool_{index}", "description": self.prose(6) + self.random.choice(["", " <b>\"x\"</b> & 'y'", " é"]),
                    "parameters": {"type": "object", "properties": properties, "required": list(properties)[:1]}}
        return {"type": "function", "function": function}

    def call(self):
        arguments = {f"arg{i}": self.value() for i in range(self.random.randint(0, 3))}
        dump = self.random.choice([lambda v: json.dumps(v), lambda v: json.dumps(v, ensure_ascii=False, separators=(",", ":")),
                                   lambda v: json.dumps(v, indent=1)])
        return {"id": "".join(self.random.choice("abcdefghijkXYZ0123456789") for _ in range(9)), "type": "function",
                "function": {"name": f"tool_{self.random.randrange(3)}", "arguments": dump(arguments)}}

    def conversation(self):
        """`messages` and `tools` (or None), user and assistant in turn, a user or tool message last."""
        messages = []
        if self.system and self.random.random() < 0.4:
            messages.append({"role": "system", "content": self.content()})
        uses_tools = self.tools and self.random.random() < 0.35
        turns = self.random.choice([1, 1, 1, 2, 3, 8])
        for turn in range(turns):
            messages.append({"role": "user", "content": self.content()})
            if uses_tools and self.random.random() < 0.6:
                calls = [self.call() for _ in range(self.random.randint(1, self.calls))]
                messages.append({"role": "assistant", "content": self.random.choice([None, "", "Let me look."]), "tool_calls": calls})
                for call in calls:
                    result = self.random.choice([json.dumps(self.value()), self.text(), self.prose(9)])
                    messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
                if turn < turns - 1 or self.random.random() < 0.3:
                    messages.append({"role": "assistant", "content": self.text()})
                    if turn == turns - 1:
                        messages.append({"role": "user", "content": self.content()})
            elif turn < turns - 1:
                messages.append({"role": "assistant", "content": self.content()})
        tools = [self.tool(i) for i in range(self.random.randint(1, 3))] if uses_tools else None
        return messages, tools
