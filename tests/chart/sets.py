"""Sets of values that people use, each of which the apiserver has to take."""

from collections.abc import Mapping
from typing import Any, Final

_PORTS: Final = [{"ports": [{"port": 443}]}]

VALUES: Final[Mapping[str, Mapping[str, Any]]] = {
    "as they are": {},
    "stopped": {"replicaCount": 0},
    "an image by its digest, from a private registry": {
        "image": {"repository": "registry.example/keyturn", "digest": f"sha256:{'0' * 64}"},
        "imagePullSecrets": [{"name": "registry"}],
    },
    "names and labels": {
        "fullnameOverride": "vault",
        "commonLabels": {"team": "platform"},
        "podLabels": {"sidecar.istio.io/inject": "false"},
        "podAnnotations": {"a": "b"},
        "annotations": {"c": "d"},
    },
    "caged": {"mode": "caged", "reapplyInterval": "1h30m"},
    "two namespaces": {"watch": {"namespaces": ["probe-shop", "probe-web"]}},
    "one namespace, caged, without ClusterRotators": {
        "mode": "caged",
        "watch": {"namespaces": ["probe-shop"], "clusterRotators": False},
    },
    "no Jobs": {"jobs": {"enabled": False}},
    "roles of one's own": {
        "rbac": {"create": False},
        "serviceAccount": {"create": False, "name": "mine"},
        "jobs": {"createNamespace": False},
    },
    "nothing added to view, edit and admin": {
        "rbac": {"aggregateToView": False, "aggregateToEdit": False, "aggregateToAdmin": False}
    },
    "ephemeral": {"persistence": {"ephemeral": True, "size": "64Mi"}},
    "a claim that exists": {"persistence": {"existingClaim": "mine"}},
    "a class, size and mode": {
        "persistence": {
            "storageClass": "fast",
            "size": "1.5Gi",
            "accessMode": "ReadWriteOnce",
            "annotations": {"a": "b"},
        }
    },
    "a volume made by hand": {"persistence": {"storageClass": "-"}},
    "consumers": {
        "consumers": {"restartsPerNamespace": 5, "reloader": True, "reloadAllow": ["10.0.0.0/8"]}
    },
    "events": {
        "events": {
            "url": "https://events.example/in",
            "format": "sns",
            "caSecret": {"name": "ca"},
            "signingSecret": {"name": "keys", "key": "k"},
        }
    },
    "a node without a network": {"hostNetwork": True, "health": {"port": 18081}},
    "where it runs": {
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "control-plane", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "zone",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {},
            }
        ],
        "priorityClassName": "system-cluster-critical",
        "schedulerName": "mine",
        "runtimeClassName": "gvisor",
        "hostUsers": False,
        "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["db"]}],
        "dnsPolicy": "None",
        "dnsConfig": {"nameservers": ["10.0.0.10"]},
    },
    "more of everything": {
        "extraEnv": [
            {"name": "HTTPS_PROXY", "value": "http://proxy"},
            {"name": "KEYTURN_WORKERS", "value": "3"},
        ],
        "extraArgs": ["--log-level=debug"],
        "extraVolumes": [{"name": "more", "emptyDir": {}}],
        "extraVolumeMounts": [{"name": "more", "mountPath": "/more"}],
        "extraInitContainers": [{"name": "before", "image": "x"}],
        "extraContainers": [{"name": "beside", "image": "x"}],
        "extraObjects": [
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "{{ .Release.Name }}-a", "namespace": "probe"},
            },
            "{apiVersion: v1, kind: ConfigMap, metadata: {name: b, namespace: probe}}",
        ],
    },
    "OpenShift": {"openshift": {"adaptSecurityContext": "force"}},
    "networks": {"networkPolicy": {"ingress": _PORTS, "egress": _PORTS}},
    "neither policy nor budget of the network": {
        "networkPolicy": {"enabled": False},
        "podDisruptionBudget": {"enabled": False},
        "policies": {"install": False},
        "crds": {"install": False},
    },
    "no limits": {"resources": {}, "podManagementPolicy": "OrderedReady"},
    "the largest numbers": {
        "workers": 256,
        "rotations": 256,
        "payloadLimit": 1048576,
        "log": {"level": "debug"},
    },
}
