"""Does the embedding still find the right passage? Fourteen passages of an invented product and 28 questions about
them as people ask, for the base and for a trained reader. It must never be trained on or tuned to: it is too small.

    python check_passages.py --base DIR --trained reader.pt
"""

import argparse
import pathlib

import torch

import weights_file
from network import Reader, load_base, open_tokenizer, read_all, token_ids

PASSAGES = [
    "The Team plan is 29 dollars per seat and month, billed yearly. Monthly billing costs 35 dollars.",
    "There is a free trial of 14 days with all features. No credit card is needed and the account closes by itself.",
    "We connect to QuickBooks, Xero and Sage Intacct; invoices are synchronised every hour.",
    "The calendar integration works with Google Calendar and Microsoft Outlook and prevents double booking.",
    "All customer data is stored in Frankfurt, Germany, and backed up in Dublin. It never leaves the European Union.",
    "We hold ISO 27001 and SOC 2 Type II certificates; the reports are sent under a non-disclosure agreement.",
    "The interface is available in English, German, French, Spanish and Dutch.",
    "Support answers by e-mail and phone on working days from 8 to 18 o'clock; the median first answer takes 40 minutes.",
    "Contracts run for twelve months and can be cancelled with thirty days' notice.",
    "The mobile app for iPhone and Android works offline and uploads the forms when it has a connection again.",
    "Single sign-on with Okta, Azure AD and any SAML provider is part of the Business plan.",
    "Existing customers and price lists can be imported from an Excel or CSV file.",
    "Onboarding takes about two weeks and includes three training sessions with your own account manager.",
    "Schools and charities get thirty percent off the list price.",
]

# Each question with the place of its passage.
QUESTIONS = [
    ("Looks decent. What would it set us back for 12 people?", 0),
    ("whats the monthly rate", 0),
    ("Can I try it before we commit? I don't want to hand over my card.", 1),
    ("Is there a test version?", 1),
    ("Ok I'll bite. Does it speak to Xero?", 2),
    ("Our books are in Sage, will the bills show up there?", 2),
    ("We live in Outlook, would appointments land there?", 3),
    ("does this sync w google cal", 3),
    ("Our DPO asks where the servers stand.", 4),
    ("Is our information hosted in the EU?", 4),
    ("Procurement wants to know if you're SOC 2 audited.", 5),
    ("got iso 27001?", 5),
    ("Half my crew only speaks Spanish, can they use it?", 6),
    ("Is there a German version?", 6),
    ("If something breaks on a Tuesday morning, who picks up the phone?", 7),
    ("how fast do u guys respond to tickets", 7),
    ("What if we want out after half a year?", 8),
    ("How long are we locked in?", 8),
    ("There's no reception in the barns. Does it still work on a phone?", 9),
    ("is there an android app", 9),
    ("Can people log in with their Azure accounts?", 10),
    ("Do you do SSO?", 10),
    ("I've 4,000 addresses in a spreadsheet, can I load them?", 11),
    ("How do I get my old client list in?", 11),
    ("How long until we're up and running, and does somebody teach us?", 12),
    ("Do you train the staff?", 12),
    ("We're a charity, is there a reduced rate?", 13),
    ("any discount for schools?", 13),
]


def report(name, reader, tokenizer):
    encode = lambda texts: [token_ids(tokenizer, text) for text in texts]
    passages, questions = (read_all(reader, encode(texts))[3] for texts in (PASSAGES, [text for text, _ in QUESTIONS]))
    order = (-(questions @ passages.T)).argsort(1)
    first = sum(order[row, 0] == place for row, (_, place) in enumerate(QUESTIONS))
    third = sum(place in order[row, :3] for row, (_, place) in enumerate(QUESTIONS))
    print(f"{name}: first {first}, among the first three {third}, of {len(QUESTIONS)}")


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--base", type=pathlib.Path, required=True)
    options.add_argument("--trained", type=pathlib.Path, required=True)
    chosen = options.parse_args()
    tokenizer, base, reader = open_tokenizer(chosen.base), Reader(), Reader()
    load_base(base.encoder, chosen.base)
    reader.load_state_dict(torch.load(chosen.trained, weights_only=True)["state"])
    weights_file.round_weights(reader)
    report("base", base, tokenizer)
    report("trained", reader, tokenizer)


if __name__ == "__main__":
    main()
