from datetime import UTC, datetime, timedelta
from uuid import uuid4

from keyturn.api.consumer_documents import consumers_document
from keyturn.domain.consumers import (
    Inventory,
    OtherConsumer,
    RunningPod,
    Spell,
    Use,
    Via,
    Workload,
    WorkloadRef,
)
from keyturn.domain.secret import Secret, SecretName
from keyturn.domain.stage import Stage, Stages
from keyturn.services.consumers.inventory import View

NOW = datetime(2030, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
OLD, NEW = NOW + timedelta(minutes=1), LATER + timedelta(minutes=1)
WEB, REPORT = WorkloadRef("Deployment", "web"), WorkloadRef("CronJob", "report")
EDGE, DEPLOYER = WorkloadRef("Ingress", "edge"), WorkloadRef("ServiceAccount", "deployer")


def a_workload(ref: WorkloadRef, via: Via, name: str = "db") -> Workload:
    return Workload(ref, "u", "1", uses={name: frozenset({via})})


def a_pod(name: str, began: datetime | None, *via: Via) -> RunningPod:
    return RunningPod(name, name, WEB, NOW, {"db": Use(frozenset(via), began)})


VIEW = View(
    frozenset({"db"}),
    [Spell("db", 6, NOW), Spell("db", 7, LATER)],
    Inventory(
        "shop",
        (
            a_pod("web-2", NEW, Via.ENV),
            a_pod("web-1", OLD, Via.ENV, Via.SUB_PATH),
            a_pod("web-3", None, Via.IMAGE_PULL_SECRETS),
            RunningPod("stranger", "s", WorkloadRef("Pod", "stranger"), NOW),
        ),
        (
            a_workload(WEB, Via.ENV),
            a_workload(REPORT, Via.VOLUME),
            a_workload(WorkloadRef("Deployment", "stranger"), Via.ENV, "other"),
        ),
        (
            OtherConsumer(EDGE, {"db": frozenset({Via.INGRESS_TLS})}),
            OtherConsumer(DEPLOYER, {"other": frozenset({Via.SERVICE_ACCOUNT})}),
        ),
    ),
)


def test_all_that_use_a_secret_are_listed_with_their_pods() -> None:
    stages = Stages({Stage.CURRENT: 7, Stage.PREVIOUS: 6})
    secret = Secret(uuid4(), "n", SecretName("shop", "db"), "r", NOW, stages)

    document = consumers_document(secret, VIEW)

    head = {name: told for name, told in document.items() if name != "items"}
    assert head == {
        "namespace": "shop",
        "name": "db",
        "currentVersion": 7,
        "targets": ["db"],
        "total": 2,
        "upToDate": 1,
    }
    nothing = {"running": 0, "upToDate": 0, "waiting": 0, "pods": []}
    assert document["items"] == [
        {"kind": "CronJob", "name": "report", "via": ["volume"], **nothing},
        {
            "kind": "Deployment",
            "name": "web",
            "via": ["env", "imagePullSecrets", "subPath"],
            "running": 2,
            "upToDate": 1,
            "waiting": 1,
            "pods": [
                {
                    "name": "web-1",
                    "ready": False,
                    "upToDate": False,
                    "secrets": [
                        {
                            "name": "db",
                            "via": ["env", "subPath"],
                            "startedWith": 6,
                            "beganTime": "2030-01-01T00:01:00Z",
                        }
                    ],
                },
                {
                    "name": "web-2",
                    "ready": False,
                    "upToDate": True,
                    "secrets": [
                        {
                            "name": "db",
                            "via": ["env"],
                            "startedWith": 7,
                            "beganTime": "2030-01-01T01:01:00Z",
                        }
                    ],
                },
                {"name": "web-3", "ready": False, "upToDate": True, "secrets": []},
            ],
        },
        {"kind": "Ingress", "name": "edge", "via": ["ingressTLS"], **nothing},
    ]
