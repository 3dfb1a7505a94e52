-- Reloads: what each running pod has read anew after it was told to: all that its files said at a
-- moment. Rows of pods that are gone go with the next call.

CREATE TABLE reloads (
    secret_id BLOB NOT NULL REFERENCES secrets (id) ON DELETE CASCADE,
    pod_uid   TEXT NOT NULL,
    read_at   INTEGER NOT NULL,
    PRIMARY KEY (secret_id, pod_uid)
) STRICT, WITHOUT ROWID;
