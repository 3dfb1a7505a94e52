-- The restarts of the workloads that use a secret, and what followed from one that failed.

-- Set when a rollout failed and the version was gone back from; no rotation begins by itself then.
ALTER TABLE rotation_states ADD COLUMN frozen_version INTEGER;
ALTER TABLE rotation_states ADD COLUMN frozen_by TEXT NOT NULL DEFAULT '';

-- One row for each workload of the version that is current; a newer version replaces all of them.
CREATE TABLE rollouts (
    secret_id    BLOB NOT NULL REFERENCES secrets (id) ON DELETE CASCADE,
    kind         TEXT NOT NULL,
    name         TEXT NOT NULL,
    version      INTEGER NOT NULL,
    was_healthy  INTEGER NOT NULL,
    restarted_at INTEGER,
    verdict      TEXT,
    PRIMARY KEY (secret_id, kind, name)
) STRICT, WITHOUT ROWID;
