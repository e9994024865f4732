-- The whole database as it is today. store/migrations.py gets older ones here; a test holds the two together.
-- Every instant is milliseconds since the epoch, UTC. Text that is JSON is called so.

-- One row: the identity of this store. Process tokens carry it, so that two stores on a machine never mix.
CREATE TABLE store (
    id TEXT NOT NULL
);

-- A job as it was when a run started with it, secrets left out. The same text is kept once.
CREATE TABLE definitions (
    id INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    job TEXT NOT NULL,
    body TEXT NOT NULL  -- canonical JSON: core/model.py, encode
);

-- A run as its history says: written in the transaction of the events that it follows from.
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    -- What people type. The database says that it is given once.
    name TEXT NOT NULL UNIQUE,
    job TEXT NOT NULL,
    definition INTEGER NOT NULL REFERENCES definitions,
    status TEXT NOT NULL,
    -- The last event's number. An update names the number it has read, so of two writers one reads again.
    seq INTEGER NOT NULL,
    executor TEXT,
    fire_time INTEGER,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    reason TEXT
);

-- The latest runs of a job, without a look at the others.
CREATE INDEX runs_by_job ON runs (job, id);

-- What is not over: small however long the history is.
CREATE INDEX runs_alive ON runs (id) WHERE finished_at IS NULL;

-- The failed among a million that succeeded.
CREATE INDEX runs_by_bad_end ON runs (status, id) WHERE status NOT IN ('succeeded', 'running');

-- The truth. (run, seq) is the key, so that two writers cannot both append as number 17.
CREATE TABLE events (
    run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    type INTEGER NOT NULL,  -- store/codec.py
    step TEXT,
    number INTEGER,
    data TEXT,  -- JSON
    PRIMARY KEY (run, seq)
) WITHOUT ROWID;

-- Every attempt of every step, with how it ended: an attempt starts once, whoever starts it.
CREATE TABLE attempts (
    run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    step TEXT NOT NULL,  -- a step's compensation is STEP!undo
    number INTEGER NOT NULL,
    status TEXT NOT NULL,
    exit_code INTEGER,
    started_at INTEGER NOT NULL,
    finished_at INTEGER,
    PRIMARY KEY (run, step, number)
) WITHOUT ROWID;

-- Processes that advance runs. Whether one lives is what the kernel says of its lock, never what stands here.
CREATE TABLE executors (
    id TEXT PRIMARY KEY,
    pid INTEGER NOT NULL,
    kind TEXT NOT NULL,  -- foreground | daemon
    started_at INTEGER NOT NULL
);
