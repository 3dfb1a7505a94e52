"""A real Kubernetes control plane on loopback: for the demo, the tests and the benchmarks.

::

    ControlPlane ── Processes ── keeper (a process of its own) ─┬─ etcd
         │                                                      ├─ kube-apiserver
         ├─ Binaries: found, or built from the Go module        ├─ kube-controller-manager
         └─ Node, on request                                    ├─ kube-scheduler
                                                                └─ sandbox ─┬─ containerd
                                                                            └─ kubelet

Nothing is simulated, every connection is TLS that a fresh certificate authority vouches for, and
whatever ends this Python process, the keeper stops what it started and removes its folder.
"""
