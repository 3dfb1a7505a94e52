-- What tells a version that fails from something else that happened to a restarted workload.

-- A keyed digest of the pod template that was restarted; empty: not restarted, or of before.
ALTER TABLE rollouts ADD COLUMN template TEXT NOT NULL DEFAULT '';

-- Whether it was rolled out and healthy since the restart.
ALTER TABLE rollouts ADD COLUMN got_well INTEGER NOT NULL DEFAULT 0;
