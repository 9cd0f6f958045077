"""Records what transformers computes for tiny decoders of families and options that have no fixture elsewhere.

    python record.py OUT

writes a folder for each case: the model as transformers saves it (`config.json`, `model.safetensors`), and
`recorded.safetensors` with `input_ids` (B, T), `logits` (B, T, V), `loss` (the mean over the next tokens) and `grad.NAME`,
the gradient of that loss for a few weights. Two runs give the same files. Needs torch, transformers, safetensors.
"""

import json
import sys
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file

SMALL = dict(
    vocab_size=29, hidden_size=16, intermediate_size=12, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=64, pad_token_id=0, bos_token_id=1, eos_token_id=2,
)
# Length of the texts, class of the configuration, its options.
CASES = {
    "mistral-window": (14, "MistralConfig", dict(sliding_window=5, head_dim=6)),
    "smollm3": (12, "SmolLM3Config", dict(num_hidden_layers=4, no_rope_layer_interval=2)),
    "smollm3-window": (
        12,
        "SmolLM3Config",
        dict(num_hidden_layers=3, no_rope_layers=[1, 0, 1], use_sliding_window=True, sliding_window=4),
    ),
    "qwen2-window": (
        12,
        "Qwen2Config",
        dict(num_hidden_layers=3, use_sliding_window=True, sliding_window=4, max_window_layers=1),
    ),
    "qwen3-window": (
        12,
        "Qwen3Config",
        dict(head_dim=6, use_sliding_window=True, sliding_window=3, layer_types=["sliding_attention", "full_attention"]),
    ),
    "llama-linear": (12, "LlamaConfig", dict(rope_parameters=dict(rope_type="linear", rope_theta=500.0, factor=3.0))),
    "llama-dynamic": (
        20,
        "LlamaConfig",
        dict(max_position_embeddings=8, rope_parameters=dict(rope_type="dynamic", rope_theta=500.0, factor=4.0)),
    ),
    "llama-yarn": (
        20,
        "LlamaConfig",
        dict(
            head_dim=12,
            rope_parameters=dict(
                rope_type="yarn", rope_theta=500.0, factor=4.0, original_max_position_embeddings=8, beta_fast=4.0
            ),
        ),
    ),
    "llama-yarn-scales": (
        20,
        "LlamaConfig",
        dict(
            head_dim=12,
            rope_parameters=dict(
                rope_type="yarn", rope_theta=500.0, factor=4.0, original_max_position_embeddings=8, mscale=0.7,
                mscale_all_dim=1.3, truncate=False, beta_fast=6.0,
            ),
        ),
    ),
    "phi3-long": (
        14,
        "Phi3Config",
        dict(
            original_max_position_embeddings=8,
            rope_parameters=dict(
                rope_type="longrope", rope_theta=500.0, short_factor=[1.0, 1.25], long_factor=[1.5, 3.0]
            ),
        ),
    ),
    "phi3-short": (
        8,
        "Phi3Config",
        dict(
            original_max_position_embeddings=8,
            rope_parameters=dict(
                rope_type="longrope", rope_theta=500.0, short_factor=[1.0, 1.25], long_factor=[1.5, 3.0]
            ),
        ),
    ),
    "phi3-partial": (
        12,
        "Phi3Config",
        dict(
            sliding_window=6,
            rope_parameters=dict(rope_type="default", rope_theta=500.0, partial_rotary_factor=0.5),
        ),
    ),
    "gemma": (12, "GemmaConfig", dict(head_dim=6)),
    "gemma3-caps": (
        12,
        "Gemma3TextConfig",
        dict(
            num_hidden_layers=3, head_dim=6, query_pre_attn_scalar=5, sliding_window=4, attn_logit_softcapping=2.0,
            final_logit_softcapping=3.0, layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        ),
    ),
}
BATCH = 2
# Ends of the names of weights whose gradient is kept.
KEPT = (
    "layers.0.self_attn.k_proj.weight", "layers.0.self_attn.qkv_proj.weight", "layers.1.mlp.down_proj.weight",
    "layers.0.input_layernorm.weight", "layers.1.self_attn.q_norm.weight",
)


def record(name, length, config_class, options, out):
    torch.manual_seed(sum(name.encode()))
    config = getattr(transformers, config_class)(**{**SMALL, **options})
    config._attn_implementation = "eager"
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager").float()
    for parameter in model.parameters():
        # Large enough that attention is not nearly uniform.
        torch.nn.init.normal_(parameter, mean=1.0 if parameter.dim() == 1 and "gemma" not in name else 0.0, std=0.3)
    ids = torch.randint(3, SMALL["vocab_size"], (BATCH, length))
    output = model(input_ids=ids, labels=ids)
    output.loss.backward()
    gradients = {f"grad.{n}": p.grad for n, p in model.named_parameters() if n.endswith(KEPT)}
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tensors = {"input_ids": ids, "logits": output.logits, "loss": output.loss.reshape(1), **gradients}
    save_file({n: t.detach().clone().contiguous() for n, t in tensors.items()}, folder / "recorded.safetensors")
    for left in folder.glob("generation_config.json"):
        left.unlink()
    print(name, f"loss {output.loss.item():.4f}", f"{sum(f.stat().st_size for f in folder.iterdir())} bytes")


def main():
    out = Path(sys.argv[1])
    for name, case in CASES.items():
        record(name, *case, out)
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    (out / "versions.json").write_text(json.dumps(versions, indent=2) + "\n")


if __name__ == "__main__":
    main()
