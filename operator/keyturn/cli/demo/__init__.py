"""`keyturn demo`: what Keyturn does, shown on a real cluster.

::

    command ─▶ performance ─▶ own_cluster or other_cluster
                    │
                    ├─▶ operating: the operator, a process of its own
                    └─▶ the steps: projecting, recovering, drifting, versioning, searching

Only `command` may be imported where there is no checkout: the rest needs its control plane.
"""
