"""The replies and how they are divided: what the weights learn from and what they are scored on.

Development split: the whole of t5 (many of its texts are indirect or in an odd tone; a file written in one go has a
style of its own, so a file never seen is the harder and more honest test) and, of each other file, the tenth of every
intent whose hashes come first. Nothing in it is trained on; a training reply with the same words as a development
reply, whatever its case and punctuation, is left out.
"""

import hashlib
import json
import pathlib
import re

HERE = pathlib.Path(__file__).parent
FILES = ["t1", "t2", "t3", "t4", "t5"]
UNSEEN_FILE = "t5"


def replies():
    """Every reply with an `id` such as "t3:17", the file and its line."""
    found = []
    for name in FILES:
        with open(HERE / "data" / f"{name}.jsonl", encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                found.append({"id": f"{name}:{number}", "file": name, **json.loads(line)})
    return found


def sentences(name):
    """The lines of one of the text files."""
    return (HERE / "data" / name).read_text(encoding="utf-8").splitlines()


def order(reply):
    return hashlib.sha256(reply["text"].encode()).hexdigest()


def words(reply):
    return tuple(re.findall(r"\w+", reply["text"].lower()))


def divided():
    """(training, development), in the order of the files."""
    everything = replies()
    held = {reply["id"] for reply in everything if reply["file"] == UNSEEN_FILE}
    groups = {}
    for reply in everything:
        if reply["file"] != UNSEEN_FILE:
            groups.setdefault((reply["file"], reply["intent"]), []).append(reply)
    for group in groups.values():
        group.sort(key=order)
        held.update(reply["id"] for reply in group[: round(len(group) / 10)])
    development = [reply for reply in everything if reply["id"] in held]
    known = {words(reply) for reply in development}
    training = [reply for reply in everything if reply["id"] not in held and words(reply) not in known]
    return training, development


def half(reply):
    """Which half of the development split a reply belongs to, for fitting on one and scoring on the other."""
    return int(order(reply)[-1], 16) % 2
