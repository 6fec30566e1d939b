-- The spine: workspaces, people, leads, sequences, sends, arrivals, decisions, reviews, events.
-- Ids are TEXT, times are BIGINT epoch milliseconds, JSON is TEXT read in Rust. The same tables stand in ../postgres.

CREATE TABLE workspaces (
    id TEXT PRIMARY KEY NOT NULL,
    slug TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    -- The playbook's settings as TOML, and the version that counts up with each change of settings or documents.
    playbook_toml TEXT NOT NULL,
    playbook_version BIGINT NOT NULL,
    -- Signs unsubscribe links; never shown.
    link_secret BLOB NOT NULL,
    created_ms BIGINT NOT NULL
);

-- What a system shows to post to the workspace: a shared secret that signs, or an API key of which only the hash is kept.
CREATE TABLE hook_keys (
    id TEXT PRIMARY KEY NOT NULL,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    name TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('hmac', 'api_key')),
    secret BLOB NOT NULL,
    created_ms BIGINT NOT NULL,
    UNIQUE (workspace_id, kind, name)
);

CREATE TABLE users (
    id TEXT PRIMARY KEY NOT NULL,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    name TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('admin', 'reviewer', 'rep', 'viewer')),
    created_ms BIGINT NOT NULL
);

CREATE TABLE sessions (
    token_hash BLOB PRIMARY KEY NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id),
    expires_ms BIGINT NOT NULL
);

-- Failed sign-ins by name, so that guessing is slowed down.
CREATE TABLE sign_in_failures (
    name TEXT PRIMARY KEY NOT NULL,
    failures BIGINT NOT NULL,
    locked_until_ms BIGINT NOT NULL
);

CREATE TABLE leads (
    id TEXT PRIMARY KEY NOT NULL,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    email TEXT NOT NULL,
    first_name TEXT NOT NULL,
    last_name TEXT NOT NULL,
    company TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    stage TEXT NOT NULL,
    -- A person who has taken the conversation over; nothing automatic goes out while it is set.
    owner TEXT,
    -- When the lead is to be looked at again ("not interested": in 90 days).
    revisit_ms BIGINT,
    -- Every other field, as a JSON object of strings.
    fields TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    UNIQUE (workspace_id, email)
);

-- Addresses that must never be written to again. Kept even when the lead is not known.
CREATE TABLE suppressions (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    channel TEXT NOT NULL,
    address TEXT NOT NULL,
    cause TEXT NOT NULL,
    proof TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, channel, address)
);

CREATE TABLE documents (
    id TEXT PRIMARY KEY NOT NULL,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    name TEXT NOT NULL,
    title TEXT NOT NULL,
    kind TEXT NOT NULL,
    version BIGINT NOT NULL,
    body TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    UNIQUE (workspace_id, name, version)
);

CREATE TABLE passages (
    id TEXT PRIMARY KEY NOT NULL,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    document_id TEXT NOT NULL REFERENCES documents (id),
    position BIGINT NOT NULL,
    heading TEXT NOT NULL,
    body TEXT NOT NULL,
    -- Which weights made the embeddings, and the embeddings: one of the whole, then one per sentence, f32 little endian.
    model TEXT NOT NULL,
    embeddings BLOB NOT NULL,
    -- FALSE when a newer version of its document took its place; drafts that cite it still find it.
    current BOOLEAN NOT NULL
);
CREATE INDEX passages_current ON passages (workspace_id, current);

CREATE TABLE sequences (
    id TEXT PRIMARY KEY NOT NULL,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    body_toml TEXT NOT NULL,
    running BOOLEAN NOT NULL,
    created_ms BIGINT NOT NULL,
    UNIQUE (workspace_id, name, version)
);

CREATE TABLE enrollments (
    id TEXT PRIMARY KEY NOT NULL,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    lead_id TEXT NOT NULL REFERENCES leads (id),
    sequence_id TEXT NOT NULL REFERENCES sequences (id),
    state TEXT NOT NULL CHECK (state IN ('active', 'paused', 'ended')),
    -- The next step to take, from 1.
    next_step BIGINT NOT NULL,
    -- When that step or the resumption is due; NULL while a person or a decision is awaited.
    due_ms BIGINT,
    -- Why it is paused or how it ended.
    cause TEXT,
    started_ms BIGINT NOT NULL,
    CHECK (state <> 'ended' OR due_ms IS NULL)
);
CREATE INDEX enrollments_due ON enrollments (due_ms) WHERE due_ms IS NOT NULL;
CREATE INDEX enrollments_lead ON enrollments (lead_id);

-- Every message to a lead: ready -> leased -> committed -> sent | failed | unconfirmed, or withdrawn before it left.
CREATE TABLE sends (
    id TEXT PRIMARY KEY NOT NULL,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    lead_id TEXT NOT NULL REFERENCES leads (id),
    enrollment_id TEXT REFERENCES enrollments (id),
    step BIGINT,
    -- What this message means; the same meaning is never sent twice.
    send_key TEXT NOT NULL UNIQUE,
    message_id TEXT NOT NULL UNIQUE,
    -- Stands behind the plus sign of the address that answers come back to.
    reply_token TEXT NOT NULL UNIQUE,
    channel TEXT NOT NULL,
    to_address TEXT NOT NULL,
    subject TEXT NOT NULL,
    body TEXT NOT NULL,
    -- The frozen bytes that go to the carrier.
    bytes BLOB NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('ready', 'leased', 'committed', 'sent', 'failed', 'unconfirmed', 'withdrawn')),
    attempts BIGINT NOT NULL,
    due_ms BIGINT NOT NULL,
    lease_until_ms BIGINT,
    fence BIGINT NOT NULL,
    outcome TEXT,
    created_ms BIGINT NOT NULL,
    committed_ms BIGINT,
    CHECK (state <> 'leased' OR lease_until_ms IS NOT NULL),
    CHECK (state NOT IN ('committed', 'sent', 'unconfirmed') OR committed_ms IS NOT NULL)
);
CREATE INDEX sends_ready ON sends (state, due_ms);
CREATE INDEX sends_lead ON sends (lead_id, committed_ms);

-- Every reply that came in, exactly as it came, decided or not.
CREATE TABLE arrivals (
    id TEXT PRIMARY KEY NOT NULL,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    channel TEXT NOT NULL,
    -- The sender's own id of the message: the same id is stored once.
    provider_id TEXT NOT NULL,
    raw BLOB NOT NULL,
    from_address TEXT,
    subject TEXT NOT NULL,
    body_text TEXT NOT NULL,
    new_text TEXT NOT NULL,
    -- JSON: what was cut, message ids, machine, opt-out word, or why it could not be parsed.
    parsed TEXT NOT NULL,
    lead_id TEXT REFERENCES leads (id),
    send_id TEXT REFERENCES sends (id),
    matched_by TEXT,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'claimed', 'decided')),
    attempts BIGINT NOT NULL,
    due_ms BIGINT NOT NULL,
    lease_until_ms BIGINT,
    fence BIGINT NOT NULL,
    last_error TEXT,
    received_ms BIGINT NOT NULL,
    UNIQUE (workspace_id, provider_id),
    CHECK (state <> 'claimed' OR lease_until_ms IS NOT NULL)
);
CREATE INDEX arrivals_open ON arrivals (state, due_ms);
CREATE INDEX arrivals_lead ON arrivals (lead_id, state);

-- One decision per reply, with all it was made from.
CREATE TABLE decisions (
    arrival_id TEXT PRIMARY KEY NOT NULL REFERENCES arrivals (id),
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    lead_id TEXT REFERENCES leads (id),
    verdict TEXT NOT NULL,
    reasons TEXT NOT NULL,
    reading TEXT,
    rulings TEXT NOT NULL,
    facts TEXT NOT NULL,
    playbook_version BIGINT NOT NULL,
    decided_ms BIGINT NOT NULL
);

-- What awaits a person: a draft to review, or a conversation handed off (with a suggested answer where there is one), or a
-- message that did not leave for certain.
CREATE TABLE reviews (
    id TEXT PRIMARY KEY NOT NULL,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    -- The reply it is about, or the message that did not leave.
    arrival_id TEXT UNIQUE REFERENCES arrivals (id),
    send_id TEXT UNIQUE REFERENCES sends (id),
    lead_id TEXT REFERENCES leads (id),
    kind TEXT NOT NULL CHECK (kind IN ('review', 'hand_off')),
    reason TEXT NOT NULL,
    owner TEXT,
    due_ms BIGINT NOT NULL,
    draft_subject TEXT NOT NULL,
    draft_body TEXT NOT NULL,
    -- JSON: the draft's sentences with the passages that support them; NULL where there is no draft.
    draft TEXT,
    state TEXT NOT NULL CHECK (state IN ('open', 'approved', 'edited', 'rejected', 'settled')),
    settled_by TEXT REFERENCES users (id),
    settled_ms BIGINT,
    final_body TEXT,
    note TEXT,
    -- The sentence in which the lead named a time, quoted.
    call_back TEXT,
    created_ms BIGINT NOT NULL,
    CHECK ((state = 'open') = (settled_ms IS NULL)),
    CHECK ((arrival_id IS NULL) <> (send_id IS NULL))
);
CREATE INDEX reviews_open ON reviews (workspace_id, state, due_ms);

-- The timeline: everything that happened to a lead, in order, never changed.
CREATE TABLE events (
    id TEXT PRIMARY KEY NOT NULL,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    lead_id TEXT REFERENCES leads (id),
    at_ms BIGINT NOT NULL,
    kind TEXT NOT NULL,
    data TEXT NOT NULL
);
CREATE INDEX events_lead ON events (lead_id, at_ms);

CREATE TABLE plugins (
    id TEXT PRIMARY KEY NOT NULL,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    component BLOB NOT NULL,
    -- JSON object of strings, handed to the plugin with each call.
    settings TEXT NOT NULL,
    active BOOLEAN NOT NULL,
    created_ms BIGINT NOT NULL,
    UNIQUE (workspace_id, name, sha256)
);
