"""What Lorikeet makes, in the programs it is made for: PEFT and transformers load its adapters and merged models and get its
logits; llama.cpp loads its GGUF files and adapters, gets its logits and writes the same greedy answers.

Everything is driven through the `lorikeet` program. The families are those the program itself says it knows; one without a
recipe here counts as a failure, so that none is forgotten. Models are tiny and random, and made here.

Run by `cargo xtask interop`, which sets up torch, transformers, peft, safetensors, gguf and llama-cpp-python.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from peft import PeftModel
from safetensors.numpy import load_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

torch.set_num_threads(2)
torch.set_grad_enabled(False)
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

# Differences of logits over their size (root mean square) that other orders of the same sums explain, and, for weights in few
# bits, that llama.cpp's rounding of activations to eight bits explains.
EXACT, HALF, BLOCKS = 1e-4, 2e-2, 1.2e-1
# llama.cpp looks GELU up in a table of 16-bit floats; the gate of Gemma hides it, GPT-2's layers show it.
TABLE = {"gpt2": 5e-4}
# No more than the tokenizer learns from so few texts.
VOCABULARY = 352
DECODER = dict(
    vocab_size=VOCABULARY, hidden_size=256, intermediate_size=512, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=512, bos_token_id=1, eos_token_id=2, pad_token_id=0,
)
ENCODER = dict(
    vocab_size=VOCABULARY, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
    max_position_embeddings=256, num_labels=2, pad_token_id=0,
)
# Configurations by `model_type`; encoders have labels.
DECODERS = {
    "llama": lambda: transformers.LlamaConfig(**DECODER, tie_word_embeddings=False),
    "mistral": lambda: transformers.MistralConfig(**DECODER, sliding_window=64, head_dim=64),
    "qwen2": lambda: transformers.Qwen2Config(**DECODER),
    "qwen3": lambda: transformers.Qwen3Config(**DECODER, head_dim=64),
    "smollm3": lambda: transformers.SmolLM3Config(**{**DECODER, "num_hidden_layers": 4}),
    "phi3": lambda: transformers.Phi3Config(**DECODER),
    "gemma": lambda: transformers.GemmaConfig(**DECODER, head_dim=64),
    "gemma2": lambda: transformers.Gemma2Config(**DECODER, head_dim=64, query_pre_attn_scalar=64, sliding_window=64),
    "gemma3_text": lambda: transformers.Gemma3TextConfig(
        **{**DECODER, "num_hidden_layers": 6}, head_dim=64, query_pre_attn_scalar=64, sliding_window=64),
    "gpt2": lambda: transformers.GPT2Config(
        vocab_size=VOCABULARY, n_embd=256, n_layer=2, n_head=4, n_positions=512, bos_token_id=1, eos_token_id=2),
}
ENCODERS = {
    "bert": lambda: transformers.BertConfig(**ENCODER),
    "distilbert": lambda: transformers.DistilBertConfig(
        vocab_size=VOCABULARY, dim=64, hidden_dim=128, n_layers=2, n_heads=4, max_position_embeddings=256, num_labels=2),
    "roberta": lambda: transformers.RobertaConfig(**ENCODER),
    "xlm-roberta": lambda: transformers.XLMRobertaConfig(**ENCODER),
    "albert": lambda: transformers.AlbertConfig(**ENCODER, embedding_size=32),
}
# Another file of the same family; its text part is tried above.
SAME_AS = {"gemma3": "gemma3_text"}
METHODS = {
    "lora": [],
    "rslora": ["--rank-stabilised"],
    "dora": ["--dora"],
    "patterns": ["--rank-pattern", "{first}=3", "--alpha-pattern", "{last}=5"],
}
FIRST_AND_LAST = {
    "gpt2": ("c_attn", "c_fc"), "phi3": ("qkv_proj", "down_proj"), "bert": ("query", "value"),
    "distilbert": ("q_lin", "v_lin"), "roberta": ("query", "value"), "xlm-roberta": ("query", "value"),
    "albert": ("query", "value"),
}


class Bench:
    """The program with a data folder of its own, and what was found so far."""

    def __init__(self, program, work):
        self.program, self.work, self.rows = program, work, []

    def lorikeet(self, *words, fails=False):
        environment = {**os.environ, "LORIKEET_HOME": str(self.work / "home"), "NO_COLOR": "1"}
        ended = subprocess.run([self.program, *map(str, words)], capture_output=True, text=True, env=environment)
        if (ended.returncode != 0) != fails:
            raise RuntimeError(f"lorikeet {' '.join(map(str, words))}\n{ended.stdout[-500:]}{ended.stderr[-1500:]}")
        return ended.stdout + (ended.stderr if fails else "")

    def found(self, what, program, difference, tolerance, note=""):
        well = difference is not None and difference <= tolerance
        shown = "" if difference is None else f"{difference:.1e}"
        self.rows.append((what, program, shown, f"{tolerance:.0e}", "same" if well else "DIFFERS", note))
        print("  ".join(str(cell).ljust(width) for cell, width in zip(self.rows[-1], (26, 34, 8, 6, 8, 0))).rstrip(), flush=True)

    def failed(self, what, program, error):
        words = " ".join(str(error).split())
        self.found(what, program, None, 0, words[-300:])

    def logits(self, model, data, adapter=None):
        """Token ids by row, and Lorikeet's logits of them."""
        file = self.work / "logits.safetensors"
        words = ["evaluate", "--model", model, "--data", data, "--limit", 4, "--max-length", 64, "--logits", file]
        self.lorikeet(*words, *(["--adapter", adapter] if adapter else []))
        kept = load_file(file)
        ids, starts = kept["input_ids"].astype(np.int64), kept["starts"].astype(np.int64)
        rows = [ids[a:b] for a, b in zip(starts[:-1], starts[1:])]
        return rows, kept["logits"]


def tokenizer(folder, texts, is_encoder, family=""):
    """A byte-level tokenizer of all entries of the models in the folder, with ChatML for models that write."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer, inner.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    # llama.cpp drops blanks behind Phi-3's special tokens, as Phi-3's own tokenizer does.
    special = [AddedToken(text, special=True, rstrip=family == "phi3")
               for text in ("<pad>", "<s>", "</s>", "<|im_start|>", "<|im_end|>")]
    inner.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    if is_encoder:
        inner.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<s>", eos_token="</s>" if is_encoder else "<|im_end|>", pad_token="<pad>")
    if not is_encoder:
        fast.chat_template = ("{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
                              "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")
    fast.save_pretrained(folder)


def base(bench, family, texts):
    """A random model that is neither flat nor wild."""
    is_encoder, folder = family in ENCODERS, bench.work / family / "base"
    config = (ENCODERS if is_encoder else DECODERS)[family]()
    torch.manual_seed(7)
    kind = transformers.AutoModelForSequenceClassification if is_encoder else transformers.AutoModelForCausalLM
    model = kind.from_config(config).eval()
    for name, weight in model.named_parameters():
        if weight.dim() > 1:
            weight.copy_(torch.randn_like(weight) * (0.5 if "embed" in name or "wte" in name else weight.shape[-1] ** -0.5))
        elif "norm" in name.lower() or "ln_" in name:
            weight.add_(torch.randn_like(weight) * 0.1)
        else:
            weight.copy_(torch.randn_like(weight) * 0.05)
    model.save_pretrained(folder)
    tokenizer(folder, texts, is_encoder, family)
    return folder


def theirs(model, rows, is_encoder):
    logits = [model(input_ids=torch.tensor(row)[None]).logits[0] for row in rows]
    return (torch.stack(logits) if is_encoder else torch.cat(logits)).float().numpy()


def apart(ours, others):
    """Root mean square of the differences over that of the logits, each row's mean taken away."""
    if ours.shape != others.shape or not np.isfinite(others).all():
        return float("inf")
    a, b = (x - x.mean(-1, keepdims=True) for x in (ours.astype(np.float64), others.astype(np.float64)))
    return float(np.sqrt(((a - b) ** 2).sum() / (a ** 2).sum()))


def with_peft(bench, family, method, folder, adapter, data):
    is_encoder = family in ENCODERS
    kind = transformers.AutoModelForSequenceClassification if is_encoder else transformers.AutoModelForCausalLM
    rows, ours = bench.logits(folder, data, adapter)
    model = PeftModel.from_pretrained(kind.from_pretrained(folder, attn_implementation="eager"), adapter).eval()
    plain = theirs(kind.from_pretrained(folder, attn_implementation="eager").eval(), rows, is_encoder)
    found = theirs(model, rows, is_encoder)
    note = "" if apart(found, plain) > 1e-3 else "the adapter changes nothing"
    bench.found(f"{family} {method}", "PEFT loads the adapter", apart(ours, found), EXACT if not note else -1, note)
    merged = bench.work / family / f"{method}-merged"
    bench.lorikeet("export", adapter, "--model", folder, "--to", "merged", "--precision", "f32", "-o", merged)
    model = kind.from_pretrained(merged, attn_implementation="eager").eval()
    bench.found(f"{family} {method}", "transformers loads the merged model", apart(ours, theirs(model, rows, is_encoder)), EXACT)


def llama(path, lora=None):
    from llama_cpp import Llama

    # Keys and values are kept in 16 bits unless it is told otherwise.
    kept = dict(type_k=0, type_v=0, flash_attn=False)
    words = dict(model_path=str(path), n_ctx=512, n_threads=2, logits_all=True, verbose=False, n_gpu_layers=0, **kept)
    return Llama(**words, **(dict(lora_path=str(lora)) if lora else {}))


def llama_logits(model, rows):
    found = []
    for row in rows:
        model.reset()
        model.eval([int(token) for token in row])
        found.append(np.array(model.scores[: len(row)], dtype=np.float32).copy())
    return np.concatenate(found)


def llama_greedy(model, prompt, n):
    """The continuation's tokens, and the smallest gap between the best and the second-best of them."""
    model.reset()
    model.eval([int(token) for token in prompt])
    written, gap = [], float("inf")
    for _ in range(n):
        scores = np.array(model.scores[model.n_tokens - 1])
        best, second = np.sort(scores)[::-1][:2]
        gap = min(gap, float(best - second))
        written.append(int(scores.argmax()))
        model.eval(written[-1:])
    return written, gap


def greedy_text(bench, model, adapter, prompt, n):
    words = ["--json", "generate", "--model", model, "--raw", "--prompt", prompt, "--max-tokens", n]
    return json.loads(bench.lorikeet(*words, *(["--adapter", adapter] if adapter else [])))


def same_answer(bench, model, path, adapter, folder, prompt="What about the red bag, please?", n=16):
    words = transformers.AutoTokenizer.from_pretrained(folder)
    ids = words(prompt, add_special_tokens=False)["input_ids"]
    written, gap = llama_greedy(model, ids, n)
    said = greedy_text(bench, path, adapter, prompt, n)["text"]
    decoded = words.decode(written, skip_special_tokens=True)
    # Lorikeet ends at the end-of-turn token; llama.cpp was let go on.
    return decoded.startswith(said) if said else True, gap, said, decoded


def with_llama(bench, family, method, folder, adapter, data):
    rows, tuned = bench.logits(folder, data, adapter)
    made = bench.work / family
    exact = TABLE.get(family, EXACT)
    for quantize, tolerance in ((None, exact), ("f16", HALF), ("q8_0", BLOCKS), ("q4_k_m", BLOCKS)):
        out = made / f"{method}-gguf-{quantize}"
        kind = ["--precision", quantize or "f32"] if quantize in (None, "f16") else ["--quantize", quantize]
        bench.lorikeet("export", adapter, "--model", folder, "--to", "gguf", *kind, "-o", out)
        path = out / "model.gguf"
        model = llama(path)
        _, ours = bench.logits(path, data)
        found = llama_logits(model, rows)
        same, gap, said, decoded = same_answer(bench, model, path, None, folder)
        note = f"from the unquantised: {apart(tuned, found):.1e}" if quantize else ""
        if not same:
            note += f" greedy: {said!r} / {decoded!r} (smallest gap {gap:.2f})"
        # Where activations are rounded, a near-tie may fall either way.
        bad = not same and quantize is None
        bench.found(f"{family} {method}", f"llama.cpp loads {quantize or 'f32'}", apart(ours, found), -1 if bad else tolerance, note)
    if method == "dora":
        return
    base_out, out = made / "base-gguf", made / f"{method}-gguf-adapter"
    if not base_out.exists():
        bench.lorikeet("export", folder, "--to", "gguf", "--precision", "f32", "-o", base_out)
    bench.lorikeet("export", adapter, "--model", folder, "--to", "gguf-adapter", "-o", out)
    path, lora = base_out / "model.gguf", out / "adapter.gguf"
    model = llama(path, lora)
    found = llama_logits(model, rows)
    same, gap, said, decoded = same_answer(bench, model, path, lora, folder)
    note = "" if same else f"greedy: {said!r} / {decoded!r} (smallest gap {gap:.2f})"
    bench.found(f"{family} {method}", "llama.cpp loads the GGUF adapter", apart(tuned, found), exact if same else -1, note)
    _, ours = bench.logits(path, data, lora)
    bench.found(f"{family} {method}", "Lorikeet reads the GGUF adapter", apart(tuned, ours), EXACT)


def third_party(bench, shared, texts, data):
    """Somebody's adapter over a random ALBERT of the shape it was made for."""
    source = shared / "adapters" / "albert-app-reviews"
    folder = bench.work / "albert-third-party"
    torch.manual_seed(11)
    config = transformers.AlbertConfig(vocab_size=30000, num_labels=4, hidden_size=768, num_attention_heads=12, intermediate_size=3072,
                                       embedding_size=128, num_hidden_layers=12, hidden_act="gelu_new")
    transformers.AlbertForSequenceClassification(config).save_pretrained(folder)
    tokenizer(folder, texts, True)
    rows, ours = bench.logits(folder, data, source)
    model = transformers.AlbertForSequenceClassification.from_pretrained(folder, attn_implementation="eager")
    found = theirs(PeftModel.from_pretrained(model, source).eval(), rows, True)
    bench.found("albert, somebody else's", "PEFT loads the same adapter", apart(ours, found), EXACT)


def known_families(bench):
    """What the program says it knows, from its own refusal of what it does not."""
    folder = bench.work / "unknown"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "no-such-family"}')
    (folder / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    said = bench.lorikeet("models", "show", folder, fails=True)
    names = re.search(r"known are ([\w, -]+)", said).group(1).split(",")
    return [name.strip() for name in names]


def data_files(work):
    chats, labelled = work / "chats.jsonl", work / "labelled.jsonl"
    things, colours = ["bag", "boat", "lamp", "chair", "cup", "book"], ["red", "green", "blue", "white"]
    pairs = [(thing, colour) for thing in things for colour in colours]
    chats.write_text("".join(json.dumps({"instruction": f"What about the {c} {t}, please?", "input": "",
                                         "output": f"The {c} {t} is on the table by the window."}) + "\n" for t, c in pairs))
    labelled.write_text("".join(json.dumps({"text": f"The {t} is {c} and quite nice.", "label": "warm" if c == "red" else "cold"}) + "\n"
                                for t, c in pairs))
    return chats, labelled, [line for file in (chats, labelled) for line in file.read_text().splitlines()]


def train(bench, family, method, folder, data):
    out = bench.work / family / method
    first, last = FIRST_AND_LAST.get(family, ("q_proj", "down_proj"))
    flags = [flag.format(first=first, last=last) for flag in METHODS[method]]
    bench.lorikeet("train", "--model", folder, "--data", data, "--output", out, "--steps", 6, "--batch-size", 4, "--learning-rate", "0.02",
                   "--rank", 4, "--alpha", 8, "--samples", 0, "--max-length", 64, "--validation-split", 0, *flags)
    return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lorikeet", required=True)
    parser.add_argument("--work", required=True, type=Path)
    parser.add_argument("--shared", type=Path)
    parser.add_argument("--family", action="append", default=[])
    words = parser.parse_args()
    shutil.rmtree(words.work, ignore_errors=True)
    words.work.mkdir(parents=True)
    bench = Bench(words.lorikeet, words.work.resolve())
    chats, labelled, texts = data_files(bench.work)
    for family in words.family or known_families(bench):
        family = SAME_AS.get(family, family)
        if family not in DECODERS and family not in ENCODERS:
            bench.failed(family, "no recipe", "this script has no configuration for it")
            continue
        data = labelled if family in ENCODERS else chats
        try:
            folder = base(bench, family, texts)
        except Exception as error:  # noqa: BLE001
            bench.failed(family, "making a base", error)
            continue
        for method in METHODS:
            try:
                adapter = train(bench, family, method, folder, data)
                with_peft(bench, family, method, folder, adapter, data)
                if family in DECODERS:
                    with_llama(bench, family, method, folder, adapter, data)
            except Exception as error:  # noqa: BLE001
                bench.failed(f"{family} {method}", "a step failed", error)
        shutil.rmtree(bench.work / family, ignore_errors=True)
    if words.shared and not words.family:
        try:
            third_party(bench, words.shared, texts, labelled)
        except Exception as error:  # noqa: BLE001
            bench.failed("albert, somebody else's", "a step failed", error)
    bad = [row for row in bench.rows if row[4] != "same"]
    print(f"\n{len(bench.rows)} comparisons, {len(bad)} differ")
    for row in bad:
        print(" ", *row)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
