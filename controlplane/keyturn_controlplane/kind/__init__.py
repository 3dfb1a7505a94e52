"""A cluster of kind, for people with a container engine: `make kind`, and `make demo` there.

::

    __main__ ── installing ─┬─ clusters ── kind, of PATH or built ──┐
                            ├─ images ──────────────────────────────┴─ engine
                            └─ helm, built, with charts/keyturn

Only clusters that these modules made, by their names, are ever removed.
"""
