"""Makes data/general_train.txt and data/general_held.txt: sentences that are no replies.

They keep the encoder's embedding near that of its base while it learns to read replies, and measure
whether that worked. From CLINC150 (Larson et al. 2019, CC BY 3.0) and BANKING77 (Casanueva et al. 2020,
CC BY 4.0), unchanged but for line breaks, drawn in the order of their hashes. Both files are in the
repository; this script is only needed to make them anew:

    python prepare_general.py CLINC_DATA_FULL_JSON BANKING77_TRAIN_CSV BANKING77_TEST_CSV
"""

import csv
import hashlib
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent


def order(sentence):
    return hashlib.sha256(sentence.encode()).hexdigest()


def draw(sentences, count):
    flat = sorted({" ".join(sentence.split()) for sentence in sentences})
    return sorted(flat, key=order)[:count]


def banking(path):
    with open(path, newline="", encoding="utf-8") as lines:
        return [row["text"] for row in csv.DictReader(lines)]


def main():
    clinc = json.load(open(sys.argv[1], encoding="utf-8"))
    train = draw([text for text, _ in clinc["train"]], 2400) + draw(banking(sys.argv[2]), 1600)
    held = draw([text for text, _ in clinc["test"]], 600) + draw(banking(sys.argv[3]), 600)
    known = set(train)
    held = [sentence for sentence in held if sentence not in known]
    (HERE / "data/general_train.txt").write_text("\n".join(train) + "\n", encoding="utf-8")
    (HERE / "data/general_held.txt").write_text("\n".join(held) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
