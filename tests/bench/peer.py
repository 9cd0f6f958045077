"""What other programs need for the same work: PyTorch with transformers and PEFT, llama.cpp, datasets with tokenizers.

    python peer.py ASSIGNMENT

`ASSIGNMENT` is JSON: `peer` (`peft`, `torch`, `llama.cpp`, `datasets`, `unsloth`), the workload's `material` as `lorikeet bench
--material` prints it, and what the workload says of itself. Everything is loaded once; then each line on standard input,
`{"threads": 1, "seconds": 3}` (or `"steps"`), is answered by one line of JSON on standard output: `seconds` and
`cpu_seconds` of each repetition, `n_tokens` of one, and the most memory that the process held so far. So two programs can be
measured in turns without loading again.
"""

import json
import os
import resource
import struct
import sys
import time


def answer(value):
    print(json.dumps(value), flush=True)


def peak_memory_bytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def repeat(turn, once):
    """Repeats `once` as long as `turn` says and returns wall and processor seconds of each."""
    laps = []
    while True:
        start, cpu = time.perf_counter(), time.process_time()
        once()
        laps.append((time.perf_counter() - start, time.process_time() - cpu))
        steps = turn.get("steps")
        if len(laps) >= steps if steps else sum(lap[0] for lap in laps) >= turn["seconds"]:
            return laps


def fill(model, path):
    """Reads safetensors into the model's own memory, tensor by tensor: no second copy counts as the model's need."""
    names = dict(model.named_parameters())
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        for name, entry in header.items():
            if name == "__metadata__" or name not in names:
                continue
            file.seek(8 + length + entry["data_offsets"][0])
            assert list(names[name].shape) == entry["shape"], name
            file.readinto(memoryview(names[name].detach().numpy()).cast("B"))


def rows_of(asked):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(os.path.join(asked["folder"], "tokenizer.json"))
    with open(asked["material"]["examples"], encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    labels = sorted({row["label"] for row in rows if "label" in row})
    end = [] if labels else [0]
    ids = [tokenizer.encode(row["text"]).ids + end for row in rows]
    assert all(len(row) == asked["tokens"] for row in ids), [len(row) for row in ids]
    return ids, [labels.index(row["label"]) for row in rows if "label" in row]


class Training:
    """LoRA with PEFT, AdamW and clipping, as a script of its documentation would."""

    def __init__(self, asked):
        import torch
        import transformers
        from peft import LoraConfig, TaskType, get_peft_model

        torch.manual_seed(0)
        self.torch, self.asked = torch, asked
        self.device, self.is_narrow = asked.get("device", "cpu"), asked["precision"] == "bf16"
        config = transformers.AutoConfig.from_pretrained(asked["folder"])
        config._attn_implementation = "sdpa"
        ids, labels = rows_of(asked)
        kind = transformers.AutoModelForSequenceClassification if labels else transformers.AutoModelForCausalLM
        model = kind.from_config(config)
        fill(model, os.path.join(asked["folder"], "model.safetensors"))
        task = TaskType.SEQ_CLS if labels else TaskType.CAUSAL_LM
        lora = LoraConfig(r=8, lora_alpha=16, lora_dropout=0.0, target_modules=asked["targets"], task_type=task)
        model = get_peft_model(model.to(self.device), lora)
        if asked["recompute"]:
            model.gradient_checkpointing_enable()
            model.enable_input_require_grads()
        model.train()
        self.model, batch = model, asked["batch"]
        self.trained = [p for p in model.parameters() if p.requires_grad]
        self.optimiser = torch.optim.AdamW(self.trained, lr=1e-4, weight_decay=0.01)
        self.batches, self.next, self.loss = [], 0, None
        for at in range(0, len(ids), batch):
            chosen = torch.tensor(ids[at : at + batch], device=self.device)
            targets = torch.tensor(labels[at : at + batch], device=self.device) if labels else chosen
            self.batches.append((chosen, targets))
        self.n_tokens = batch * asked["tokens"]
        self.step()

    def step(self):
        torch = self.torch
        ids, targets = self.batches[self.next % len(self.batches)]
        self.next += 1
        kind = self.device.split(":")[0]
        with torch.autocast(kind, dtype=torch.bfloat16, enabled=self.is_narrow):
            loss = self.model(input_ids=ids, labels=targets).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.trained, 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad()
        value = loss.item()
        self.loss = value if self.loss is None else self.loss

    def turn(self, turn):
        self.torch.set_num_threads(turn["threads"])
        return repeat(turn, self.step)


class Unsloth(Training):
    """The same with Unsloth's loader, on a graphics card only."""

    def __init__(self, asked):
        import torch
        from unsloth import FastLanguageModel

        self.torch, self.asked, self.device, self.is_narrow = torch, asked, "cuda", True
        model, _ = FastLanguageModel.from_pretrained(asked["folder"], dtype=torch.bfloat16, load_in_4bit=False)
        model = FastLanguageModel.get_peft_model(
            model, r=8, lora_alpha=16, lora_dropout=0.0, target_modules=asked["targets"],
            use_gradient_checkpointing="unsloth" if asked["recompute"] else False,
        )
        ids, _ = rows_of(asked)
        self.model, batch = model, asked["batch"]
        self.trained = [p for p in model.parameters() if p.requires_grad]
        self.optimiser = torch.optim.AdamW(self.trained, lr=1e-4, weight_decay=0.01)
        texts = [torch.tensor(ids[at : at + batch], device="cuda") for at in range(0, len(ids), batch)]
        self.batches, self.next, self.loss = [(text, text) for text in texts], 0, None
        self.n_tokens = batch * asked["tokens"]
        self.step()


class TorchWriting:
    """transformers' own `generate`, greedy, timed from the first new token on; or the reading of a prompt."""

    def __init__(self, asked):
        import torch
        import transformers

        self.torch, self.asked, self.loss = torch, asked, None
        config = transformers.AutoConfig.from_pretrained(asked["folder"])
        config._attn_implementation = "sdpa"
        self.model = transformers.AutoModelForCausalLM.from_config(config)
        fill(self.model, os.path.join(asked["folder"], "model.safetensors"))
        self.model.eval()
        dtype = torch.bfloat16 if asked["precision"] == "bf16" else torch.float32
        self.model.to(dtype)
        self.ids = torch.tensor([[1 + i % 200 for i in range(asked["prompt"])]] * asked["batch"])
        self.n_tokens = asked["prompt"] if asked["written"] == 1 else (asked["written"] - 1) * asked["batch"]
        self.once()

    def once(self):
        if self.asked["written"] == 1:
            with self.torch.no_grad():
                self.model(input_ids=self.ids, use_cache=True, logits_to_keep=1)
            return None
        marks = []

        def mark(_ids, _scores, **_rest):
            marks.append((time.perf_counter(), time.process_time()))
            return False

        n = self.asked["written"]
        with self.torch.no_grad():
            self.model.generate(
                self.ids, attention_mask=self.torch.ones_like(self.ids), max_new_tokens=n, min_new_tokens=n,
                do_sample=False, pad_token_id=0, stopping_criteria=[mark],
            )
        return tuple(last - first for first, last in zip(marks[0], marks[-1]))

    def turn(self, turn):
        self.torch.set_num_threads(turn["threads"])
        if self.asked["written"] == 1:
            return repeat(turn, self.once)
        return writing_laps(turn, self.once)


def writing_laps(turn, once):
    laps = []
    while True:
        laps.append(once())
        steps = turn.get("steps")
        if len(laps) >= steps if steps else sum(lap[0] for lap in laps) >= turn["seconds"]:
            return laps


class LlamaCpp:
    """llama.cpp through its own functions, greedy; the wrapper's sampling is left out."""

    def __init__(self, asked):
        import llama_cpp

        self.llama, self.asked, self.loss = llama_cpp, asked, None
        self.n_tokens = asked["prompt"] if asked["written"] == 1 else (asked["written"] - 1) * asked["batch"]
        self.contexts = {}
        self.context(2)
        self.once(2)

    def context(self, threads):
        """Threads are fixed when a context is made."""
        if threads not in self.contexts:
            self.contexts.clear()
            model = self.asked["material"]["model"]
            self.contexts[threads] = self.llama.Llama(
                model_path=model, n_ctx=1024, n_batch=512, n_ubatch=512, n_threads=threads, n_threads_batch=threads,
                lora_path=self.asked.get("lora"), verbose=False,
            )
        return self.contexts[threads]

    def once(self, threads):
        import ctypes

        import numpy

        llama, asked = self.llama, self.asked
        held = self.context(threads)
        context, n_vocabulary = held.ctx, held.n_vocab()
        llama.llama_memory_clear(llama.llama_get_memory(context), True)

        def feed(ids):
            tokens = (llama.llama_token * len(ids))(*ids)
            assert llama.llama_decode(context, llama.llama_batch_get_one(tokens, len(ids))) == 0
            scores = llama.llama_get_logits_ith(context, -1)
            pointer = ctypes.cast(scores, ctypes.POINTER(ctypes.c_float))
            return int(numpy.ctypeslib.as_array(pointer, shape=(n_vocabulary,)).argmax())

        token = feed([1 + i % 200 for i in range(asked["prompt"])])
        start, cpu = time.perf_counter(), time.process_time()
        for _ in range(asked["written"] - 1):
            token = feed([token])
        return time.perf_counter() - start, time.process_time() - cpu

    def turn(self, turn):
        if self.asked["written"] == 1:
            return repeat(turn, lambda: self.once(turn["threads"]))
        return writing_laps(turn, lambda: self.once(turn["threads"]))


PACK_TOKENS = 512


class Datasets:
    """datasets with all cores, the model's template by transformers, tokens by tokenizers, packs by a pass over them."""

    def __init__(self, asked):
        import datasets
        import transformers

        datasets.disable_progress_bars()
        datasets.disable_caching()
        self.datasets, self.asked, self.loss = datasets, asked, None
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(asked["folder"])
        self.n_tokens = 0

    def once(self, threads):
        import shutil
        import tempfile

        tokenizer = self.tokenizer

        def dress(rows):
            texts = [tokenizer.apply_chat_template(m, tokenize=False) for m in rows["messages"]]
            ids = tokenizer(texts, add_special_tokens=False, truncation=True, max_length=PACK_TOKENS)["input_ids"]
            return {"input_ids": ids}

        def pack(rows):
            packs, current = [], []
            for ids in rows["input_ids"]:
                if len(current) + len(ids) > PACK_TOKENS:
                    packs.append(current)
                    current = []
                current = current + ids
            return {"input_ids": packs + [current]}

        folder = tempfile.mkdtemp()
        try:
            rows = self.datasets.load_dataset(
                "json", data_files=self.asked["material"]["examples"], split="train", cache_dir=folder
            )
            rows = rows.map(dress, batched=True, num_proc=threads, remove_columns=rows.column_names)
            packs = rows.map(pack, batched=True, num_proc=threads)
            self.n_tokens = sum(len(ids) for part in packs.iter(1000) for ids in part["input_ids"])
        finally:
            shutil.rmtree(folder)

    def turn(self, turn):
        """Processor time of the processes that `map` starts counts too."""
        os.environ["RAYON_NUM_THREADS"] = str(turn["threads"])
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        laps = repeat({"steps": 1}, lambda: self.once(turn["threads"]))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        children = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return [(laps[0][0], laps[0][1] + children)]


PEERS = {"peft": Training, "unsloth": Unsloth, "torch": TorchWriting, "llama.cpp": LlamaCpp, "datasets": Datasets}


def versions(name):
    import importlib.metadata

    packages = {
        "peft": ["torch", "transformers", "peft"], "unsloth": ["torch", "unsloth"], "torch": ["torch", "transformers"],
        "llama.cpp": ["llama-cpp-python"], "datasets": ["datasets", "tokenizers", "transformers"],
    }
    return {package: importlib.metadata.version(package) for package in packages[name]}


def main():
    asked = json.loads(sys.argv[1])
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    peer = PEERS[asked["peer"]](asked)
    answer({"versions": versions(asked["peer"]), "peak_memory_bytes": peak_memory_bytes()})
    for line in sys.stdin:
        laps = peer.turn(json.loads(line))
        answer({
            "seconds": [lap[0] for lap in laps], "cpu_seconds": [lap[1] for lap in laps], "n_tokens": peer.n_tokens,
            "loss": peer.loss, "peak_memory_bytes": peak_memory_bytes(),
        })


if __name__ == "__main__":
    main()
