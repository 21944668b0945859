"""The servers that counts are compared with: how each is started, and what it needs."""

import json
import os
import pathlib
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request

import models
from harness import free_port


class Server:
    """A process that speaks HTTP on 127.0.0.1:`port`. `served` is the name that requests say."""

    #: `counting` and `upstream.api` of guard.yaml.
    counting, api = "hf", "openai"
    #: Whether text completions report their prompt's tokens.
    completions = True
    streams = True
    name = ""

    @staticmethod
    def serves(family):
        return models.FAMILIES[family]["type"] is not None

    def __init__(self, family, folder):
        self.family, self.folder, self.port = family, folder, free_port()
        self.served = family
        self.log = open(folder / f"{self.name}-{family}.log", "wb")
        self.process = subprocess.Popen(self.command(), stdout=self.log, stderr=subprocess.STDOUT, env=self.environment())
        self.wait()

    def environment(self):
        return {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"}

    def wait(self):
        end = time.monotonic() + 300
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended, see {self.log.name}")
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=2) as answer:
                    if answer.status == 200:
                        return
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        raise RuntimeError(f"the server did not start, see {self.log.name}")

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.log.close()

    def post(self, path, body):
        """Straight to the server, past guardd: status and parsed answer."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", json.dumps(body).encode(),
                                         {"content-type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=600) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")


class TransformersServe(Server):
    """`transformers serve MODEL` of PyPI `transformers[serving]`."""

    name, counting = "transformers", "transformers5"

    def command(self):
        self.model = models.model_folder(self.family, self.folder / "models" / self.family)
        self.tokenizer = self.served = str(self.model)
        tool = pathlib.Path(sys.executable).parent / "transformers"
        return [str(tool), "serve", self.served, "--host", "127.0.0.1", "--port", str(self.port), "--device", "cpu"]

    @staticmethod
    def version():
        import transformers
        return f"transformers {transformers.__version__}"


class LlamaServer(Server):
    """llama.cpp's `llama-server`. `LLAMA_CPP` is its source tree, `LLAMA_SERVER` the program built of it."""

    name, counting = "llama-server", "llamacpp"
    source = pathlib.Path(os.environ.get("LLAMA_CPP", "llama.cpp"))
    program = os.environ.get("LLAMA_SERVER", "llama-server")

    def command(self):
        model = models.gguf_file(self.family, self.folder, self.source)
        # LLAMA_TOKENIZER=gguf: guardd reads the vocabulary from the same file; else from the folder that it was made of.
        self.tokenizer = str(model) if os.environ.get("LLAMA_TOKENIZER") == "gguf" else str(
            models.tokenizer_folder(self.family, self.folder / "tokenizers" / self.family, without=("tekken.json", "tokenizer.model")))
        return [self.program, "--model", str(model), "--host", "127.0.0.1", "--port", str(self.port), "--jinja",
                "--ctx-size", "32768", "--parallel", "1", "--threads", "2", "--alias", self.served, "--no-warmup"]

    @classmethod
    def version(cls):
        return "llama.cpp " + (re.search(r"\d+\.\d+\.\d+", (cls.source / "../../llama_cpp/__init__.py").read_text())[0]
                               if (cls.source / "../../llama_cpp/__init__.py").exists() else "")


class MistralCommon(Server):
    """mistral-common's tokenizer behind a server of ours (mistral_server.py), as vLLM uses it."""

    name, counting, streams = "mistral-common", "mistral-common", False

    @staticmethod
    def serves(family):
        return family in models.MISTRAL

    def command(self):
        file = models.MISTRAL[self.family]
        kept = models.tokenizer_folder(self.family, self.folder / "mistral" / self.family) / file
        self.tokenizer = str(kept)
        if file == "tokenizer.model":
            # mistral-common takes the version from the name.
            kept = kept.with_name("tokenizer.model.v3")
            kept.write_bytes(pathlib.Path(self.tokenizer).read_bytes())
        return [sys.executable, str(pathlib.Path(__file__).with_name("mistral_server.py")), str(kept), str(self.port)]

    @staticmethod
    def version():
        import importlib.metadata
        return "mistral-common " + importlib.metadata.version("mistral-common")


SERVERS = {"transformers": TransformersServe, "llama-server": LlamaServer, "mistral-common": MistralCommon}
