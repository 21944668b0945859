"""Model folders for real servers: a two-layer model of random weights with a real vocabulary and chat template from the
shared test data. What such a model says is noise; what its server counts is not."""

import gzip
import json
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = pathlib.Path(os.environ.get("GUARD_SHARED", ROOT.parent / "shared")) / "tokenizers"

# What each chat template knows; see conversations.Generator.
FAMILIES = {
    "llama-3.1": {"type": "llama", "vocabulary": 128256, "bos": 128000, "eos": 128009, "knows": {"calls": 1}},
    "gemma-2": {"type": "gemma2", "vocabulary": 256000, "bos": 2, "eos": 1, "knows": {"system": False, "tools": False}},
    "phi-3-mini": {"type": "phi3", "vocabulary": 32064, "bos": 1, "eos": 32000, "knows": {}},
    "mistral-nemo": {"type": "mistral", "vocabulary": 131072, "bos": 1, "eos": 2, "knows": {}},
    "qwen2.5": {"type": "qwen2", "vocabulary": 152064, "bos": None, "eos": 151645, "knows": {}},
}
# Vocabularies without a model of their own here: only mistral-common reads them.
MISTRAL = {"mistral-nemo": "tekken.json", "mistral-v3-spm": "tokenizer.model"}
FAMILIES["mistral-v3-spm"] = {"type": None, "knows": {}}
CONTEXT = 131072


def unpack(source, target):
    """Copies a file of the shared data, gunzipped."""
    if source.suffix == ".gz":
        target.write_bytes(gzip.decompress(source.read_bytes()))
    else:
        shutil.copyfile(source, target)


def tokenizer_folder(name, target, without=()):
    """Tokenizer files and template of one model, as its hub folder has them."""
    target.mkdir(parents=True, exist_ok=True)
    for source in (SHARED / name).iterdir():
        plain = source.name.removesuffix(".gz")
        if plain not in without:
            unpack(source, target / plain)
    return target


def model_folder(name, target):
    """`target` as a folder that transformers loads: config, random weights, tokenizer. Needs torch and transformers."""
    if (target / "complete").exists():
        return target
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    family = FAMILIES[name]
    # tekken.json would make transformers choose another tokenizer class.
    tokenizer_folder(name, target, without=("tekken.json", "tokenizer.model"))
    torch.manual_seed(1)
    heads = {"head_dim": 16} if family["type"] != "phi3" else {}
    config = AutoConfig.for_model(
        family["type"], vocab_size=family["vocabulary"], hidden_size=32, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=CONTEXT, bos_token_id=family["bos"],
        eos_token_id=family["eos"], pad_token_id=family["eos"], tie_word_embeddings=True, **heads)
    if family["type"] == "phi3":
        config.original_max_position_embeddings = CONTEXT
    model = AutoModelForCausalLM.from_config(config)
    model.save_pretrained(target)
    (target / "complete").write_text(json.dumps({"parameters": sum(p.numel() for p in model.parameters())}))
    return target


def gguf_file(name, folder, source):
    """`folder`/NAME.gguf, made by the converter of llama.cpp's `source` tree from the model folder."""
    target = folder / "gguf" / f"{name}.gguf"
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    model = folder / "convert" / name
    if not model.exists():
        shutil.copytree(model_folder(name, folder / "models" / name), model)
        # Phi-3's SentencePiece pieces are Llama-2's; the converter adds the rest from tokenizer.json.
        pieces = SHARED / ("llama-2" if name == "phi-3-mini" else name) / "tokenizer.model"
        if FAMILIES[name]["type"] in ("gemma2", "phi3"):
            shutil.copyfile(pieces, model / "tokenizer.model")
    partial = target.with_suffix(".part")
    subprocess.run([sys.executable, str(source / "convert_hf_to_gguf.py"), str(model), "--outfile", str(partial), "--outtype", "f32"],
                   check=True, env={**os.environ, "PYTHONPATH": str(source / "gguf-py"), "HF_HUB_OFFLINE": "1"},
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    partial.rename(target)
    return target
