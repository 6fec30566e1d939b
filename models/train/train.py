"""Trains the reader on the training replies and leaves it in one file for release.py. With the versions of
requirements.txt, and all-MiniLM-L6-v2 (model.safetensors, tokenizer.json) in DIR:

    python train.py --base DIR --out reader.pt && python release.py --base DIR --trained reader.pt

It must never see a development reply.
"""

import argparse
import math
import pathlib
import random
import time

import numpy as np
import torch
import torch.nn.functional as F

from network import (
    END, INTENTS, MASK, SENTIMENTS, START, Reader, embedding, load_base, open_tokenizer, padded, read_all, token_ids,
)
from split import divided, sentences

PLAN = {
    "epochs": 8, "batch": 16, "general_batch": 16, "rate_encoder": 1e-4, "rate_heads": 5e-4, "weight_decay": 0.01,
    "warm_up_share": 0.1, "label_smoothing": 0.05, "dropout": 0.1, "loss_present": 1.0, "loss_sentiment": 0.5,
    "gap_share": 0.08,
    "loss_keep_embedding": 1.5, "loss_keep_neighbours": 1.5, "gradient_norm_max": 1.0,
}


def general_texts(lines, chance):
    """Single sentences, and some joined to the length of a passage."""
    texts, place = [], 0
    while place < len(lines):
        count = chance.choice([1, 1, 1, 1, 2, 4])
        texts.append(" ".join(line.rstrip(".?!") + "." if count > 1 else line for line in lines[place : place + count]))
        place += count
    return texts


def batches(ids, size, chance):
    """Batches of texts of like length, in random order: little padding, and still a new mix each epoch."""
    order = list(range(len(ids)))
    chance.shuffle(order)
    found = []
    for start in range(0, len(order), size * 10):
        part = sorted(order[start : start + size * 10], key=lambda place: len(ids[place]))
        found += [part[at : at + size] for at in range(0, len(part), size)]
    chance.shuffle(found)
    return found


def with_gaps(tokens, share):
    """Hides some words, so that the reader does not learn a reply by a single one."""
    gaps = (torch.rand(tokens.shape) < share) & (tokens != START) & (tokens != END) & (tokens != 0)
    return tokens.masked_fill(gaps, MASK)


def keep_loss(vector, target):
    """How far the embeddings have moved from the base's, and their neighbourhoods with them."""
    moved = (1 - (vector * target).sum(-1)).mean()
    neighbours = F.mse_loss(vector @ vector.T, target @ target.T)
    return moved, neighbours


def fit(reader, data, general, plan, chance):
    ids, intents, present, moods, targets = data
    general_ids, general_targets = general
    reader.encoder.word.weight.requires_grad_(False)
    reader.encoder.position.weight.requires_grad_(False)
    inside = [p for p in reader.encoder.parameters() if p.requires_grad]
    heads = [p for name, p in reader.named_parameters() if not name.startswith("encoder.")]
    tuner = torch.optim.AdamW(
        [{"params": inside, "lr": plan["rate_encoder"]}, {"params": heads, "lr": plan["rate_heads"]}],
        weight_decay=plan["weight_decay"], fused=True,
    )
    steps = plan["epochs"] * math.ceil(len(ids) / plan["batch"])
    warm = max(1, round(steps * plan["warm_up_share"]))
    rate = lambda step: min((step + 1) / warm, 0.5 * (1 + math.cos(math.pi * max(0, step - warm) / (steps - warm))))
    schedule = torch.optim.lr_scheduler.LambdaLR(tuner, rate)
    waiting, started = [], time.time()
    for epoch in range(plan["epochs"]):
        reader.train()
        sums = np.zeros(5)
        epoch_batches = batches(ids, plan["batch"], chance)
        for batch in epoch_batches:
            waiting = waiting or batches(general_ids, plan["general_batch"], chance)
            other = waiting.pop()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                tokens, mask = padded([ids[place] for place in batch])
                hidden = reader.encoder(with_gaps(tokens, plan["gap_share"]), mask)
                guess, found, mood = (part.float() for part in reader.heads(hidden, mask))
                vector = embedding(hidden.float(), mask)
                tokens, mask = padded([general_ids[place] for place in other])
                general_vector = embedding(reader.encoder(tokens, mask).float(), mask)
            part_intent = F.cross_entropy(guess, intents[batch], label_smoothing=plan["label_smoothing"])
            part_present = F.binary_cross_entropy_with_logits(found, present[batch])
            part_mood = F.cross_entropy(mood, moods[batch], label_smoothing=plan["label_smoothing"])
            moved, near = keep_loss(vector, targets[batch])
            general_moved, general_near = keep_loss(general_vector, general_targets[other])
            loss = (
                part_intent + plan["loss_present"] * part_present + plan["loss_sentiment"] * part_mood
                + plan["loss_keep_embedding"] * (moved + general_moved) / 2
                + plan["loss_keep_neighbours"] * (near + general_near) / 2
            )
            tuner.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(inside + heads, plan["gradient_norm_max"])
            tuner.step()
            schedule.step()
            sums += [part.item() for part in (part_intent, part_present, part_mood, moved, general_moved)]
        means = " ".join(f"{value:.3f}" for value in sums / len(epoch_batches))
        print(f"epoch {epoch + 1}: intent, present, sentiment, moved, moved (general): {means} "
              f"({time.time() - started:.0f} s)", flush=True)
    return time.time() - started


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--base", type=pathlib.Path, required=True)
    options.add_argument("--out", type=pathlib.Path, required=True)
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    plan = {**PLAN, "seed": chosen.seed}

    torch.set_num_threads(2)
    torch.manual_seed(chosen.seed)
    tokenizer = open_tokenizer(chosen.base)
    training, _ = divided()
    general = general_texts(sentences("general_train.txt"), random.Random(0))
    ids = [token_ids(tokenizer, reply["text"]) for reply in training]
    general_ids = [token_ids(tokenizer, text) for text in general]
    print(f"{len(ids)} replies, {len(general_ids)} general texts", flush=True)

    reader = Reader(plan["dropout"])
    load_base(reader.encoder, chosen.base)
    targets, general_targets = (torch.tensor(read_all(reader, part)[3]) for part in (ids, general_ids))
    present = torch.zeros(len(training), len(INTENTS))
    for row, reply in enumerate(training):
        for name in [reply["intent"], *reply["also"]]:
            present[row, INTENTS.index(name)] = 1.0
    intents = torch.tensor([INTENTS.index(reply["intent"]) for reply in training])
    moods = torch.tensor([SENTIMENTS.index(reply["sentiment"]) for reply in training])
    data = (ids, intents, present, moods, targets)
    seconds = fit(reader, data, (general_ids, general_targets), plan, random.Random(chosen.seed))
    torch.save({"state": reader.state_dict(), "plan": plan, "seconds": seconds, "replies": len(ids)}, chosen.out)


if __name__ == "__main__":
    main()
