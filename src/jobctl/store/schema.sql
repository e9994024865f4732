-- The whole database as it is today. store/migrations.py gets older ones here; a test holds the two together.
-- Every instant is milliseconds since the epoch, UTC. Text that is JSON is called so.

-- One row: the identity of this store. Process tokens carry it, so that two stores on a machine never mix.
CREATE TABLE store (
    id TEXT NOT NULL,
    -- The folder that it belongs to, as JSON: folder.py. In another folder it is a copy, which touches nothing of it.
    folder TEXT
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
    trigger TEXT NOT NULL,
    fire_time INTEGER,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    reason TEXT,
    -- Which queue it waits in, and how soon it leaves it: the highest first.
    queue TEXT,
    priority INTEGER NOT NULL,
    -- When a run that only waits has to be looked at again: it is in nobody's memory. NULL: it is not asleep.
    wake_at INTEGER,
    -- The run and the step (its key: core/keys.py) that started this one as a child.
    parent INTEGER,
    parent_step TEXT,
    -- When it must have begun. NULL: it has, or is over, or that does not matter.
    start_by INTEGER,
    -- What its business calls it. NULL: nothing.
    key TEXT
);

-- The latest runs of a job, without a look at the others.
CREATE INDEX runs_by_job ON runs (job, id);

-- What is not over, however long the history is; who is awake, and who of those that sleep wakes next.
CREATE INDEX runs_alive ON runs (wake_at, status) WHERE finished_at IS NULL;

-- What of a job is not over: asked at every firing. Left to itself SQLite takes runs_by_job and reads the whole history
-- of the job, so queries name this one (INDEXED BY).
CREATE INDEX runs_alive_by_job ON runs (job, status) WHERE finished_at IS NULL;

-- Who is next in line, however long the line is.
CREATE INDEX runs_queued ON runs (priority DESC, id) WHERE finished_at IS NULL AND status = 'queued';

-- A job has one run for a key, however often it is asked for.
CREATE UNIQUE INDEX runs_by_key ON runs (job, key) WHERE key IS NOT NULL;

-- Which of those that have not begun no longer can, without a look at the others.
CREATE INDEX runs_to_begin ON runs (start_by) WHERE start_by IS NOT NULL;

-- Whose turn it is among the jobs that wait, however many runs of each do.
CREATE INDEX runs_queued_by_job ON runs (job, priority DESC, id) WHERE finished_at IS NULL AND status = 'queued';

-- The children of a run, without a look at all runs.
CREATE INDEX runs_by_parent ON runs (parent) WHERE parent IS NOT NULL;

-- Those that are not over, and which runs have such children, however many have ended.
CREATE INDEX runs_alive_by_parent ON runs (parent) WHERE parent IS NOT NULL AND finished_at IS NULL;

-- Which definitions no run needs any more.
CREATE INDEX runs_by_definition ON runs (definition);

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
    step TEXT NOT NULL,  -- a key: core/keys.py
    number INTEGER NOT NULL,
    status TEXT NOT NULL,
    exit_code INTEGER,
    started_at INTEGER NOT NULL,
    finished_at INTEGER,
    queue TEXT,  -- whose place it occupies while it runs
    PRIMARY KEY (run, step, number)
) WITHOUT ROWID;

-- How full a queue is, without a look at what has ended.
CREATE INDEX attempts_in_queue ON attempts (queue) WHERE queue IS NOT NULL AND status = 'running';

-- Processes that advance runs. Whether one lives is what the kernel says of its lock, never what stands here.
CREATE TABLE executors (
    id TEXT PRIMARY KEY,
    pid INTEGER NOT NULL,
    kind TEXT NOT NULL,  -- foreground | daemon
    started_at INTEGER NOT NULL
);

-- A schedule of a job and how far it has been dealt with. An edited schedule is another one: `key` is its whole text.
CREATE TABLE schedules (
    id INTEGER PRIMARY KEY,
    job TEXT NOT NULL,
    key TEXT NOT NULL,
    file TEXT NOT NULL,
    -- Whether the file still has it. One that comes back starts from then, not from where it was left.
    active INTEGER NOT NULL,
    -- The newest fire time that has been dealt with. It goes back only where a wrong clock had put it.
    progress INTEGER NOT NULL,
    UNIQUE (job, key)
);

-- What became of each fire time. A fire time starts at most one run, however many daemons look at the clock.
CREATE TABLE firings (
    schedule INTEGER NOT NULL REFERENCES schedules,
    fire_time INTEGER NOT NULL,
    outcome TEXT NOT NULL,  -- started | buffered | skipped | missed
    run INTEGER,
    -- Several fire times that were dropped at once stand in one row: how many, and the last of them.
    count INTEGER NOT NULL DEFAULT 1,
    last INTEGER,
    reason TEXT,
    dropped_at INTEGER,  -- when that was recorded, for those without a run: they may lie far back
    PRIMARY KEY (schedule, fire_time)
) WITHOUT ROWID;

-- What was dropped lately, without a look at what has started.
CREATE INDEX firings_dropped ON firings (dropped_at) WHERE dropped_at IS NOT NULL;

-- Boots of the machine that a daemon has seen. What fires at a boot fires once for each, whatever the clock is set to.
CREATE TABLE boots (
    id TEXT PRIMARY KEY,
    at INTEGER NOT NULL
) WITHOUT ROWID;

-- What is believed of the time, one row: by what is recorded here, and by the clocks of boots. A wall clock that is far
-- ahead of it deletes nothing. core/believed.py
CREATE TABLE times (
    boot TEXT NOT NULL,
    clock INTEGER NOT NULL,  -- of that boot, which never steps
    instant INTEGER NOT NULL,
    doubted INTEGER  -- since when, by that clock, the wall clock is not believed
);

-- Jobs whose schedules are paused: passed over, not caught up.
CREATE TABLE paused_jobs (
    job TEXT PRIMARY KEY,
    at INTEGER NOT NULL,
    reason TEXT,
    who TEXT
) WITHOUT ROWID;
