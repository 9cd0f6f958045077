"""Records what transformers and PEFT compute for decoders with a sequence-classification head.

The bases are those of the parity fixtures. Each is read by its `...ForSequenceClassification` class with three labels, given a
LoRA adapter with random A, B and `score`, and trained for 20 steps as the fixtures are. The folders have the fixtures' layout.

    python decoder_labels.py --fixtures FOLDER-OF-THE-FIXTURES --out ../recorded/decoder-labels

Needs torch, transformers, peft and safetensors. Two runs give the same files.
"""

import argparse
import json
import pathlib
import shutil

import peft
import torch
import transformers
from safetensors.torch import save_file

FAMILIES = {
    "llama-untied": ["q_proj", "v_proj"],
    "qwen3": ["q_proj", "v_proj"],
    "gemma2": ["q_proj", "v_proj"],
    "phi3": ["qkv_proj"],
    "gpt2": ["c_attn"],
}
LENGTHS, LABELS, PAD = (11, 7, 14, 5), (2, 0, 1, 2), 0
STEPS, WARMUP = 20, 4


def batch(vocabulary):
    generator = torch.Generator().manual_seed(7)
    ids = torch.full((len(LENGTHS), max(LENGTHS)), PAD)
    mask = torch.zeros_like(ids)
    for row, length in enumerate(LENGTHS):
        # No token of a text is the padding token: transformers finds the last token by that id.
        ids[row, :length] = torch.randint(PAD + 1, vocabulary, (length,), generator=generator)
        mask[row, :length] = 1
    return {"input_ids": ids, "attention_mask": mask, "labels": torch.tensor(LABELS)}


def adapted(folder, targets):
    torch.manual_seed(0)
    base = transformers.AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=3, pad_token_id=PAD, attn_implementation="eager", dtype=torch.float32
    )
    config = peft.LoraConfig(
        r=2, lora_alpha=4, target_modules=targets, task_type="SEQ_CLS", fan_in_fan_out="c_attn" in targets
    )
    model = peft.get_peft_model(base, config)
    generator = torch.Generator().manual_seed(11)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = 0.1 * torch.randn(parameter.shape, generator=generator)
    return model


def name_on_disk(name):
    return name.replace(".default", "").replace(".modules_to_save", "")


def record(source, out, targets):
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    model = adapted(source / "model", targets)
    inputs = batch(model.config.vocab_size)
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}

    model.save_pretrained(out / "adapter", save_embedding_layers=False)
    (out / "adapter" / "README.md").unlink(missing_ok=True)
    path = out / "adapter" / "adapter_config.json"
    config = json.loads(path.read_text()) | {"base_model_name_or_path": "tiny-random"}
    config["target_modules"].sort()
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")

    found = model(**inputs)
    found.loss.backward()
    tensors = dict(inputs) | {"lora.logits": found.logits.detach().clone()}
    tensors |= {f"grad.{name_on_disk(n)}": p.grad.clone() for n, p in trained.items()}
    losses = {"lora": found.loss.item()}

    optimizer = torch.optim.AdamW(trained.values(), lr=1e-2, weight_decay=0.01)
    schedule = transformers.get_cosine_schedule_with_warmup(optimizer, WARMUP, STEPS)
    curve, rates, norms = [], [], []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = model(**inputs).loss
        loss.backward()
        curve.append(loss.item())
        rates.append(schedule.get_last_lr()[0])
        norms.append(torch.nn.utils.clip_grad_norm_(trained.values(), 1.0).item())
        optimizer.step()
        schedule.step()
    found = model(**inputs)
    curve.append(found.loss.item())
    tensors["trained.logits"] = found.logits.detach().clone()

    save_file({n: t.contiguous() for n, t in tensors.items()}, out / "fixture.safetensors")
    facts = {
        "about": f"`{source.name}` with three labels on the last token, LoRA on {', '.join(targets)}",
        "model": f"{source.name}/model",
        "losses": losses,
        "training": {
            "losses": curve,
            "learning_rates": rates,
            "gradient_norms_before_clipping": norms,
            "warmup_steps": WARMUP,
        },
        "versions": {m.__name__: m.__version__ for m in (torch, transformers, peft)},
    }
    (out / "fixture.json").write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--fixtures", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    for family, names in FAMILIES.items():
        record(given.fixtures / family, given.out / family, names)
        print(family)
