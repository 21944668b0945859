"""A server that only counts: OpenAI requests in, `usage` out, from mistral-common. Arguments: tokenizer file, port."""

import http.server
import json
import sys

from mistral_common.protocol.instruct.request import ChatCompletionRequest
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

tokenizer = MistralTokenizer.from_file(sys.argv[1])


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(200, {})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        try:
            if self.path == "/v1/completions":
                ids = tokenizer.instruct_tokenizer.tokenizer.encode(body["prompt"], bos=True, eos=False)
                choice = {"index": 0, "text": "x", "finish_reason": "length", "logprobs": None}
            else:
                request = ChatCompletionRequest.from_openai(body["messages"], tools=body.get("tools"))
                ids = tokenizer.encode_chat_completion(request).tokens
                choice = {"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "length"}
        except Exception as error:  # whatever it raises is its refusal
            return self.answer(400, {"error": {"message": f"{type(error).__name__}: {error}", "type": "BadRequestError"}})
        self.answer(200, {"id": "1", "object": "chat.completion", "created": 1, "model": body["model"], "choices": [choice],
                          "usage": {"prompt_tokens": len(ids), "completion_tokens": 1, "total_tokens": len(ids) + 1}})

    def answer(self, status, body):
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever()
