"""The network: MiniLM's encoder with a mean-pooled embedding and, beside it, the reading heads.

It must never depend on a model hub: the base weights are a file, the tokenizer another.
The Rust reader in ../src computes the same; ../tests/parity.json holds both to it.
"""

import hashlib

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import nn

BASE_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

INTENTS = [
    "auto_reply", "unsubscribe", "complaint", "wrong_person", "not_interested", "meeting_request", "competitor",
    "price_objection", "expert_question", "not_now", "simple_question", "interested", "other",
]
SENTIMENTS = ["positive", "neutral", "negative"]

WIDTH, LAYERS, HEADS, INNER, VOCABULARY = 384, 6, 12, 1536, 30522
TOKENS_MAX, TAIL_TOKENS = 256, 64
START, END, MASK = 101, 102, 103


def token_ids(tokenizer, text):
    """Long texts keep their beginning and their last 64 tokens: a request to stop often comes last."""
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    room = TOKENS_MAX - 2
    if len(ids) > room:
        ids = ids[: room - TAIL_TOKENS] + ids[-TAIL_TOKENS:]
    return [START, *ids, END]


def padded(batch):
    longest = max(len(ids) for ids in batch)
    tokens = torch.zeros(len(batch), longest, dtype=torch.long)
    mask = torch.zeros(len(batch), longest, dtype=torch.bool)
    for row, ids in enumerate(batch):
        tokens[row, : len(ids)] = torch.tensor(ids)
        mask[row, : len(ids)] = True
    return tokens, mask


def open_tokenizer(folder):
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


@torch.inference_mode()
def read_all(reader, ids, size=32):
    """Intent, presence and sentiment scores and embeddings of all texts, in their order."""
    reader.eval()
    rows = [None] * len(ids)
    order = sorted(range(len(ids)), key=lambda place: len(ids[place]))
    for start in range(0, len(order), size):
        part = order[start : start + size]
        tokens, mask = padded([ids[place] for place in part])
        (intent, present, sentiment), vector = reader(tokens, mask)
        for row, place in enumerate(part):
            rows[place] = (intent[row], present[row], sentiment[row], vector[row])
    return [torch.stack(column).numpy() for column in zip(*rows)]


class Layer(nn.Module):
    def __init__(self, dropout):
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.norm1 = nn.LayerNorm(WIDTH, eps=1e-12)
        self.up = nn.Linear(WIDTH, INNER)
        self.down = nn.Linear(INNER, WIDTH)
        self.norm2 = nn.LayerNorm(WIDTH, eps=1e-12)
        self.dropout = dropout

    def forward(self, hidden, mask):
        rows, length, _ = hidden.shape
        q, k, v = self.qkv(hidden).view(rows, length, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        # No dropout on the attention itself: it would cost a fifth of the time on a CPU.
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None, :])
        mixed = self.out(mixed.transpose(1, 2).reshape(rows, length, WIDTH))
        hidden = self.norm1(hidden + F.dropout(mixed, self.dropout, self.training))
        wide = self.down(F.gelu(self.up(hidden)))
        return self.norm2(hidden + F.dropout(wide, self.dropout, self.training))


class Encoder(nn.Module):
    def __init__(self, dropout=0.1):
        super().__init__()
        self.word = nn.Embedding(VOCABULARY, WIDTH)
        # The one segment embedding is added to the positions when the base is loaded.
        self.position = nn.Embedding(TOKENS_MAX, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, eps=1e-12)
        self.layers = nn.ModuleList(Layer(dropout) for _ in range(LAYERS))
        self.dropout = dropout

    def forward(self, tokens, mask):
        places = torch.arange(tokens.shape[1])
        hidden = self.norm(self.word(tokens) + self.position(places)[None])
        hidden = F.dropout(hidden, self.dropout, self.training)
        for layer in self.layers:
            hidden = layer(hidden, mask)
        return hidden


def embedding(hidden, mask):
    weight = mask.unsqueeze(-1).to(hidden.dtype)
    return F.normalize((hidden * weight).sum(1) / weight.sum(1), dim=-1)


class Reader(nn.Module):
    """The heads look at the first token and at an attention pooling of their own, so that what they need does
    not have to move the mean, which is the embedding."""

    def __init__(self, dropout=0.1):
        super().__init__()
        self.encoder = Encoder(dropout)
        self.query = nn.Parameter(torch.zeros(WIDTH))
        self.dense = nn.Linear(2 * WIDTH, WIDTH)
        self.intent = nn.Linear(WIDTH, len(INTENTS))
        self.present = nn.Linear(WIDTH, len(INTENTS))
        self.sentiment = nn.Linear(WIDTH, len(SENTIMENTS))
        self.dropout = dropout

    def heads(self, hidden, mask):
        weight = (hidden @ self.query).masked_fill(~mask, float("-inf")).softmax(-1)
        pooled = torch.cat([hidden[:, 0], (hidden * weight.unsqueeze(-1)).sum(1)], dim=-1)
        state = torch.tanh(self.dense(F.dropout(pooled, self.dropout, self.training)))
        state = F.dropout(state, self.dropout, self.training)
        return self.intent(state), self.present(state), self.sentiment(state)

    def forward(self, tokens, mask):
        hidden = self.encoder(tokens, mask)
        return self.heads(hidden, mask), embedding(hidden, mask)


def load_base(encoder, folder):
    """Takes the tensors of all-MiniLM-L6-v2 under their published names."""
    path = folder / "model.safetensors"
    if hashlib.sha256(path.read_bytes()).hexdigest() != BASE_SHA256:
        raise SystemExit(f"{path} is not the base that the released weights started from")
    tensors = load_file(path)
    take = lambda name: tensors[name].float()
    state = {
        "word.weight": take("embeddings.word_embeddings.weight"),
        "position.weight": take("embeddings.position_embeddings.weight")[:TOKENS_MAX]
        + take("embeddings.token_type_embeddings.weight")[0],
        "norm.weight": take("embeddings.LayerNorm.weight"),
        "norm.bias": take("embeddings.LayerNorm.bias"),
    }
    for index in range(LAYERS):
        old, new = f"encoder.layer.{index}.", f"layers.{index}."
        for kind in ("weight", "bias"):
            parts = [take(f"{old}attention.self.{part}.{kind}") for part in ("query", "key", "value")]
            state[f"{new}qkv.{kind}"] = torch.cat(parts)
            state[f"{new}out.{kind}"] = take(f"{old}attention.output.dense.{kind}")
            state[f"{new}norm1.{kind}"] = take(f"{old}attention.output.LayerNorm.{kind}")
            state[f"{new}up.{kind}"] = take(f"{old}intermediate.dense.{kind}")
            state[f"{new}down.{kind}"] = take(f"{old}output.dense.{kind}")
            state[f"{new}norm2.{kind}"] = take(f"{old}output.LayerNorm.{kind}")
    encoder.load_state_dict(state)
