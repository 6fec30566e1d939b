"""Scores and calibration. It must never fit on the half that it scores: what is fitted on the development split
(temperature, thresholds) is fitted on one half and scored on the other, both ways; only then on the whole for the file.
"""

import numpy as np

from network import INTENTS, SENTIMENTS
from split import half

SURE_ACCURACY = 0.90
FAMILIAR_SHARE = 0.985


def softmax(logits):
    raised = np.exp(logits - logits.max(-1, keepdims=True))
    return raised / raised.sum(-1, keepdims=True)


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


def f1_per_label(truth, guess, labels):
    scores = []
    for label in range(labels):
        hit = np.sum((truth == label) & (guess == label))
        total = np.sum(truth == label) + np.sum(guess == label)
        scores.append(2 * hit / total if total else 0.0)
    return scores


def calibration_error(probabilities, truth, bins=10):
    """Expected calibration error of the most probable label, equal-width bins."""
    confidence, right = probabilities.max(-1), probabilities.argmax(-1) == truth
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [abs(confidence[place == b].mean() - right[place == b].mean()) * np.mean(place == b)
            for b in range(bins) if np.any(place == b)]
    return float(sum(gaps))


def fit_temperature(logits, truth):
    grid = np.exp(np.linspace(np.log(0.3), np.log(3), 200))
    loss = [-np.mean(np.log(softmax(logits / t)[np.arange(len(truth)), truth] + 1e-12)) for t in grid]
    return float(grid[int(np.argmin(loss))])


def fit_sure(probabilities, truth):
    """The lowest confidence above which SURE_ACCURACY of the readings are right."""
    confidence, right = probabilities.max(-1), probabilities.argmax(-1) == truth
    for bound in np.arange(0.30, 0.95, 0.01):
        kept = confidence >= bound
        if kept.any() and right[kept].mean() >= SURE_ACCURACY:
            return float(bound)
    return 0.95


def also_found(present, intents, bound):
    """By the label guide what is `also` present comes after the intent in the order, nothing stands beside an
    automatic reply, and `other` stands only alone."""
    found = present >= bound
    found &= np.arange(len(INTENTS))[None, :] > intents[:, None]
    found[intents == INTENTS.index("auto_reply")] = False
    found[:, INTENTS.index("other")] = False
    return found


def f1_micro(truth, found):
    return 2 * np.sum(truth & found) / max(1, truth.sum() + found.sum())


def fit_also(present, intents, truth):
    grid = np.arange(0.3, 0.9, 0.02)
    return float(grid[int(np.argmax([f1_micro(truth, also_found(present, intents, bound)) for bound in grid]))])


def also_truth(replies):
    table = np.zeros((len(replies), len(INTENTS)), dtype=bool)
    for row, reply in enumerate(replies):
        for name in reply["also"]:
            table[row, INTENTS.index(name)] = True
    return table


def reading_scores(replies, intent_logits, present_logits, sentiment_logits):
    """(scores as nested dict, what the file keeps)."""
    truth = np.array([INTENTS.index(reply["intent"]) for reply in replies])
    mood = np.array([SENTIMENTS.index(reply["sentiment"]) for reply in replies])
    files = np.array([reply["file"] for reply in replies])
    side = np.array([half(reply) for reply in replies])
    guess = intent_logits.argmax(-1)
    present, also = sigmoid(present_logits), also_truth(replies)

    crossed, sure, also_guess = np.zeros_like(intent_logits), np.zeros(len(replies), bool), np.zeros_like(also)
    for fitted in (0, 1):
        fit, score = side == fitted, side != fitted
        temperature = fit_temperature(intent_logits[fit], truth[fit])
        crossed[score] = softmax(intent_logits[score] / temperature)
        bound = fit_sure(softmax(intent_logits[fit] / temperature), truth[fit])
        sure[score] = crossed[score].max(-1) >= bound
        bound = fit_also(present[fit], guess[fit], also[fit])
        also_guess[score] = also_found(present[score].copy(), guess[score], bound)

    temperature = fit_temperature(intent_logits, truth)
    keep = {
        "temperature": temperature,
        "sure_confidence": fit_sure(softmax(intent_logits / temperature), truth),
        "also_probability": [fit_also(present, guess, also)] * len(INTENTS),
    }
    stop = INTENTS.index("unsubscribe")
    asked = (truth == stop) | also[:, stop]
    heard = (guess == stop) | also_guess[:, stop]
    unseen = files == "t5"
    per_label = f1_per_label(truth, guess, len(INTENTS))
    scores = {
        "replies": len(replies),
        "accuracy": float(np.mean(guess == truth)),
        "macro_f1": float(np.mean(per_label)),
        "macro_f1_unseen_file": float(np.mean(f1_per_label(truth[unseen], guess[unseen], len(INTENTS)))),
        "macro_f1_seen_files": float(np.mean(f1_per_label(truth[~unseen], guess[~unseen], len(INTENTS)))),
        "sentiment_accuracy": float(np.mean(sentiment_logits.argmax(-1) == mood)),
        "sentiment_macro_f1": float(np.mean(f1_per_label(mood, sentiment_logits.argmax(-1), len(SENTIMENTS)))),
        "also_micro_f1": float(f1_micro(also, also_guess)),
        "unsubscribe_recall": float(np.mean(heard[asked])),
        "unsubscribe_precision": float(np.mean(asked[heard])),
        "unsubscribe_recall_from_0_2": float(np.mean(crossed[asked, stop] >= 0.2)),
        "unsubscribe_precision_from_0_2": float(np.mean(asked[crossed[:, stop] >= 0.2])),
        "unsubscribe_recall_from_0_1": float(np.mean(crossed[asked, stop] >= 0.1)),
        "unsubscribe_precision_from_0_1": float(np.mean(asked[crossed[:, stop] >= 0.1])),
        "calibration_error_before": calibration_error(softmax(intent_logits), truth),
        "calibration_error": calibration_error(crossed, truth),
        "sure_share": float(np.mean(sure)),
        "sure_accuracy": float(np.mean((guess == truth)[sure])),
        "f1": dict(zip(INTENTS, map(float, per_label))),
    }
    return scores, keep


def familiarity(embeddings, known):
    return (embeddings @ known.T).max(-1)


def same_neighbours(queries, passages, base_queries, base_passages, top=5):
    """The share of the base's `top` nearest passages that are still among the `top` nearest."""
    now = np.argsort(-(queries @ passages.T), axis=1)[:, :top]
    before = np.argsort(-(base_queries @ base_passages.T), axis=1)[:, :top]
    kept = [len(set(a) & set(b)) / top for a, b in zip(now, before)]
    first = [a[0] in set(b) for a, b in zip(before, now)]
    return float(np.mean(kept)), float(np.mean(first))
