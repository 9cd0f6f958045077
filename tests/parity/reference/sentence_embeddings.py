"""Records sentence embeddings of all-MiniLM-L6-v2: the mean of the last hidden states over the tokens of a text, divided by
its length, as sentence-transformers computes them for this model.

    python sentence_embeddings.py --model FOLDER-OF-THE-MODEL --out ../recorded/sentence-embeddings.json

Needs torch, transformers and tokenizers.
"""

import argparse
import json
import pathlib

import tokenizers
import torch
import transformers

TEXTS = [
    "A man is eating food.",
    "Somebody has a meal.",
    "The new film is very long, and most of it is rain.",
    "wet",
]

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    tokenizer = tokenizers.Tokenizer.from_file(str(given.model / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.enable_padding()
    encoded = tokenizer.encode_batch(TEXTS)
    ids = torch.tensor([e.ids for e in encoded])
    mask = torch.tensor([e.attention_mask for e in encoded])
    model = transformers.AutoModel.from_pretrained(given.model, dtype=torch.float32).eval()
    with torch.no_grad():
        hidden = model(input_ids=ids, attention_mask=mask, token_type_ids=torch.zeros_like(ids)).last_hidden_state
    weights = mask.unsqueeze(-1).float()
    mean = torch.nn.functional.normalize((hidden * weights).sum(1) / weights.sum(1), dim=-1)
    first = torch.nn.functional.normalize(hidden[:, 0], dim=-1)
    facts = {
        "about": "unit-length sentence embeddings of all-MiniLM-L6-v2: `mean` of the tokens, `cls` token; eight numbers each",
        "versions": {m.__name__: m.__version__ for m in (torch, transformers, tokenizers)},
        "n_dimensions": mean.shape[1],
        "texts": [
            {
                "text": text,
                "n_tokens": int(mask[i].sum()),
                "mean": mean[i, :8].tolist(),
                "cls": first[i, :8].tolist(),
                "mean_likeness": (mean @ mean[i]).tolist(),
            }
            for i, text in enumerate(TEXTS)
        ],
    }
    given.out.write_text(json.dumps(facts, indent=1) + "\n")
