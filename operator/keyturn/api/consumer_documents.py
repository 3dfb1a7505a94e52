"""What goes over the socket about the consumers of a secret."""

from typing import Any

from keyturn.api.schemas import time_of
from keyturn.domain.secret import Secret
from keyturn.services.consumers.inventory import View
from keyturn.services.consumers.surveying import Held, Surveyed, SurveyedPod, surveyed

Json = dict[str, Any]


def consumers_document(secret: Secret, view: View) -> Json:
    """Tell who uses the native Secrets of a secret, and who started with which version."""
    current = secret.stages.current
    items = [_consumer_document(consumer, current) for consumer in surveyed(view)]
    return {
        "namespace": secret.name.namespace,
        "name": secret.name.name,
        "currentVersion": current,
        "targets": sorted(view.native_names),
        "total": sum(item["running"] for item in items),
        "upToDate": sum(item["upToDate"] for item in items),
        "items": items,
    }


def _consumer_document(consumer: Surveyed, current: int | None) -> Json:
    moved = [pod for pod in consumer.holding if pod.is_up_to_date(current)]
    return {
        "kind": consumer.ref.kind,
        "name": consumer.ref.name,
        "via": sorted(consumer.via),
        "running": len(consumer.holding),
        "upToDate": len(moved),
        "waiting": len(consumer.holding) - len(moved),
        "pods": [_pod_document(pod, current) for pod in consumer.pods],
    }


def _pod_document(pod: SurveyedPod, current: int | None) -> Json:
    return {
        "name": pod.pod.name,
        "ready": pod.pod.ready,
        "upToDate": pod.is_up_to_date(current),
        "secrets": [_held_document(held) for held in pod.held],
    }


def _held_document(held: Held) -> Json:
    return {
        "name": held.native_name,
        "via": list(held.via),
        "startedWith": held.version,
        "beganTime": time_of(held.began),
    }
