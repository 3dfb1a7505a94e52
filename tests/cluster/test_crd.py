"""The apiserver refuses a wrong ManagedSecret with a text that helps, and takes a right one."""

import json
import re
from datetime import timedelta
from typing import Any

import pykube
import pytest

from apiserver import Answer, Apiserver, a_managed_secret, managed_secrets
from cluster.rules import never_broken, rules_of
from cluster.site import Site
from keyturn.domain.schedule import parse_schedule
from keyturn_controlplane.cluster import ControlPlane

KiB = 1024


@pytest.fixture(scope="session")
def apiserver(pykube_api: pykube.HTTPClient) -> Apiserver:
    return Apiserver(pykube_api)


def create(apiserver: Apiserver, resource: dict[str, Any]) -> Answer:
    """Have a resource checked; nothing is stored."""
    return apiserver.request(
        "POST", managed_secrets("default"), resource, dryRun="All", fieldValidation="Strict"
    )


def of_key(**item: Any) -> dict[str, Any]:
    return a_managed_secret(data=[{"key": "password", **item}])


def generated(generator: str, **parameters: Any) -> dict[str, Any]:
    return of_key(generate={generator: parameters})


def of_target(**target: Any) -> dict[str, Any]:
    return a_managed_secret(targets=[{"name": "orders", **target}])


def of_template(**template: Any) -> dict[str, Any]:
    return of_target(template=template)


def rotated(**rotation: Any) -> dict[str, Any]:
    return a_managed_secret(
        data=[{"key": "password", "generate": {"password": {}}}], rotation=rotation
    )


RELOAD = {"url": "http://{podIP}:8080/-/reload"}


def consuming(**consumers: Any) -> dict[str, Any]:
    return a_managed_secret(consumers=consumers)


def scheduled(schedule: str) -> dict[str, Any]:
    return rotated(schedule=schedule)


ROTATOR = {"rotatorRef": {"kind": "Rotator", "name": "shop-pg"}, "strategy": "SingleUser"}


def without_spec() -> dict[str, Any]:
    resource = a_managed_secret()
    del resource["spec"]
    return resource


def with_passwords(*, of: str) -> dict[str, Any]:
    htpasswd = {"username": "admin", "passwordKey": of}
    return a_managed_secret(
        data=[{"key": "auth", "generate": {"htpasswd": htpasswd}}, {"key": "user", "value": "x"}]
    )


REFUSED = {
    # the resource
    "no spec": (without_spec(), "spec: Required value"),
    "no data": (a_managed_secret(data=None), "spec.data: Required value"),
    "empty data": (a_managed_secret(data=[]), "spec.data in body should have at least 1 items"),
    "the reserved name": (
        a_managed_secret("keyturn-default-key"),
        "metadata.name: Forbidden: the name keyturn-default-key is reserved",
    ),
    "a name that no Secret can have": (
        a_managed_secret("Orders_DB"),
        "a lowercase RFC 1123 subdomain",
    ),
    "a name of 254 characters": (a_managed_secret("a" * 254), "metadata.name: Too long"),
    "an unknown field": (a_managed_secret(rotate=True), 'unknown field "spec.rotate"'),
    "a long description": (
        a_managed_secret(description="a" * 1025),
        "spec.description: Too long: may not be more than 1024",
    ),
    "another encryption key": (
        a_managed_secret(encryptionKeyRef={"name": "pci"}),
        'only the key "default" exists in this release; write default',
    ),
    "an encryption key without a name": (
        a_managed_secret(encryptionKeyRef={}),
        "spec.encryptionKeyRef.name: Required value",
    ),
    "an unknown adoption policy": (
        a_managed_secret(adoptionPolicy="Steal"),
        'supported values: "Import", "Fail"',
    ),
    "an unknown reclaim policy": (
        a_managed_secret(reclaimPolicy="Keep"),
        'supported values: "Recover", "Retain", "Delete"',
    ),
    "a recovery window of a minute": (
        a_managed_secret(recoveryWindow="59m59s"),
        "the recovery window is one hour to 365 days, such as 36h or 14d",
    ),
    "a recovery window of more than a year": (
        a_managed_secret(recoveryWindow="364d24h0.1s"),
        "the recovery window is one hour to 365 days, such as 36h or 14d",
    ),
    "a recovery window in weeks": (
        a_managed_secret(recoveryWindow="2w"),
        "the recovery window is one hour to 365 days, such as 36h or 14d",
    ),
    "a recovery window without a unit": (
        a_managed_secret(recoveryWindow="14"),
        "the recovery window is one hour to 365 days, such as 36h or 14d",
    ),
    "a recovery window of endless digits": (
        a_managed_secret(recoveryWindow="9" * 31 + "d"),
        "spec.recoveryWindow in body should match",
    ),
    "no history": (a_managed_secret(revisionHistoryLimit=0), "greater than or equal to 1"),
    "too much history": (a_managed_secret(revisionHistoryLimit=101), "less than or equal to 100"),
    # keys and sources
    "65 keys": (
        a_managed_secret(data=[{"key": f"k{n}", "value": ""} for n in range(65)]),
        "spec.data: Too many: 65: must have at most 64 items",
    ),
    "a key twice": (
        a_managed_secret(data=[{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]),
        'spec.data[1]: Duplicate value: {"key":"a"}',
    ),
    "a key with a space": (
        a_managed_secret(data=[{"key": "a b", "value": ""}]),
        'a key may have letters, digits, "-", "_" and "." only',
    ),
    "the key .": (
        a_managed_secret(data=[{"key": ".", "value": ""}]),
        'a key cannot be "." and cannot begin with ".."',
    ),
    "a key of the kubelet's": (
        a_managed_secret(data=[{"key": "..data", "value": ""}]),
        'a key cannot be "." and cannot begin with ".."',
    ),
    "a key of 254 characters": (
        a_managed_secret(data=[{"key": "a" * 254, "value": ""}]),
        "spec.data[0].key: Too long",
    ),
    "no key": (a_managed_secret(data=[{"value": ""}]), "spec.data[0].key: Required value"),
    "no source": (
        of_key(),
        "key password: give exactly one of value, generate, input or valueFrom",
    ),
    "two sources": (
        of_key(value="", input={}),
        "key password: give exactly one of value, generate, input or valueFrom",
    ),
    "a value of more than 8 KiB": (of_key(value="a" * 8193), "spec.data[0].value: Too long"),
    "a value that is a number": (of_key(value=5432), 'must be of type string: "integer"'),
    "an input with fields": (
        of_key(input={"hint": "x"}),
        'unknown field "spec.data[0].input.hint"',
    ),
    "valueFrom of nothing": (
        of_key(valueFrom={}),
        "give exactly one of configMapKeyRef or secretKeyRef",
    ),
    "valueFrom of both": (
        of_key(
            valueFrom={
                "configMapKeyRef": {"name": "a", "key": "b"},
                "secretKeyRef": {"name": "a", "key": "b"},
            }
        ),
        "give exactly one of configMapKeyRef or secretKeyRef",
    ),
    "a Secret of another namespace": (
        of_key(valueFrom={"secretKeyRef": {"name": "a", "key": "b", "namespace": "kube-system"}}),
        'unknown field "spec.data[0].valueFrom.secretKeyRef.namespace"',
    ),
    "a path in place of a Secret's name": (
        of_key(valueFrom={"secretKeyRef": {"name": "../../kube-system/secrets/a", "key": "b"}}),
        "valueFrom.secretKeyRef.name in body should match",
    ),
    "a look-alike letter in a Secret's name": (
        of_key(valueFrom={"secretKeyRef": {"name": "\u0430dmin", "key": "b"}}),
        "valueFrom.secretKeyRef.name in body should match",
    ),
    "a path in place of a ConfigMap's name": (
        of_key(valueFrom={"configMapKeyRef": {"name": "a/../b", "key": "b"}}),
        "valueFrom.configMapKeyRef.name in body should match",
    ),
    "the operator's key as a source": (
        of_key(valueFrom={"secretKeyRef": {"name": "keyturn-default-key", "key": "key"}}),
        "keyturn-default-key is the operator's own key and cannot be a source",
    ),
    # rotation
    "rotation of nothing that is made": (
        a_managed_secret(rotation={"interval": "30d"}),
        "rotation has nothing to make anew; write a key of data with generate",
    ),
    "a schedule and an interval": (
        rotated(schedule="0 3 * * 6", interval="30d"),
        "give schedule or interval, not both",
    ),
    "an empty schedule": (scheduled(""), "spec.rotation.schedule in body should be at least 1"),
    "a schedule of 257 characters": (scheduled("0 3 * * 1" + ",2" * 124), "Too long"),
    "a schedule in words": (
        scheduled("nightly"),
        "write five fields, minute hour day-of-month month day-of-week, such as",
    ),
    "a schedule of four fields": (scheduled("0 3 * *"), "write five fields, minute hour"),
    "a schedule of six fields": (scheduled("0 0 3 * * 6"), "write five fields, minute hour"),
    "an unknown name of a schedule": (scheduled("@reboot"), "write five fields, minute hour"),
    "@every": (scheduled("@every 12h"), "a time zone belongs in timeZone, @every in interval"),
    "a schedule with TZ=": (
        scheduled("TZ=Europe/Berlin 0 3 * * *"),
        "a time zone belongs in timeZone",
    ),
    "minute 60": (scheduled("60 3 * * *"), "the minute, the first field, is 0-59"),
    "minutes with a step of 0": (scheduled("*/0 3 * * *"), "the minute, the first field"),
    "minutes of two ranges in one": (scheduled("1-2-3 3 * * *"), "the minute, the first field"),
    "each minute": (
        scheduled("* * * * *"),
        "rotations are at least 5 minutes apart; write a minute such as 0 or */5",
    ),
    "each fourth minute": (scheduled("*/4 * * * *"), "rotations are at least 5 minutes apart"),
    "hour 24": (scheduled("0 24 * * *"), "the hour, the second field, is 0-23"),
    "an empty place in a list of hours": (scheduled("0 3,,4 * * *"), "the hour, the second field"),
    "day 0": (scheduled("0 3 0 * *"), "the day of the month, the third field, is 1-31"),
    "day 32": (scheduled("0 3 32 * *"), "the day of the month, the third field"),
    "? in five fields": (scheduled("0 3 ? * 6"), "the day of the month, the third field"),
    "15W in five fields": (scheduled("0 3 15W * *"), "the day of the month, the third field"),
    "month 13": (scheduled("0 3 * 13 *"), "the month, the fourth field, is 1-12, JAN-DEC"),
    "a month in full": (scheduled("0 3 * JANUARY *"), "the month, the fourth field"),
    "day of the week 8": (scheduled("0 3 * * 8"), "the day of the week, the fifth field, is 0-7"),
    "a step from one day of the week": (scheduled("0 3 * * 1/2"), "the day of the week, the fifth"),
    "the sixth Saturday": (scheduled("0 3 * * 6#6"), "the day of the week, the fifth field"),
    "a month that is none": (scheduled("0 3 * FOO *"), "a month is JAN, FEB, MAR, APR, MAY"),
    "a day of the week that is none": (scheduled("0 3 * * MON-SUX"), "a day of the week SUN, MON"),
    "a rate of an hour": (
        scheduled("rate(1 hour)"),
        "AWS's rate is rate(4 hours) to rate(999 days)",
    ),
    "a rate of three hours": (scheduled("rate(3 hours)"), "AWS's rate is rate(4 hours)"),
    "a rate of 1 days": (scheduled("rate(1 days)"), 'with "rate(1 day)" for one'),
    "a rate of 10 day": (scheduled("rate(10 day)"), "AWS's rate is rate(4 hours)"),
    "a rate of 1000 days": (scheduled("rate(1000 days)"), "AWS's rate is rate(4 hours)"),
    "a rate of 24000 hours": (scheduled("rate(24000 hours)"), "AWS's rate is rate(4 hours)"),
    "a rate of minutes": (scheduled("rate(30 minutes)"), "for another time write interval"),
    "an AWS cron of five fields": (scheduled("cron(0 8 1 * ?)"), "write five fields, minute hour"),
    "an AWS cron that is not closed": (scheduled("cron(0 8 1 * ? *"), "write five fields, minute"),
    "day of the week 0 of AWS": (
        scheduled("cron(0 8 ? * 0 *)"),
        "the day of the week of AWS's cron() is 1-7 from Sunday",
    ),
    "two days of an AWS cron": (
        scheduled("cron(0 8 1 * 2 *)"),
        "AWS's cron() restricts the day of the month or the day of the week; write ?",
    ),
    "a year of an AWS cron": (
        scheduled("cron(0 8 1 * ? 2027)"),
        "the year, the last field of AWS's cron(), must be *",
    ),
    "a time zone that is a path": (
        rotated(schedule="@daily", timeZone="../etc/passwd"),
        "spec.rotation.timeZone in body should match",
    ),
    "a time zone of an interval": (
        rotated(interval="30d", timeZone="Etc/UTC"),
        "timeZone is that of a schedule; write schedule, or leave timeZone out",
    ),
    "an interval of four minutes": (
        rotated(interval="4m59s"),
        "the interval is 5 minutes to 3650 days, such as 12h or 30d",
    ),
    "an interval of more than ten years": (rotated(interval="3651d"), "the interval is 5 minutes"),
    "an interval without a unit": (rotated(interval="30"), "the interval is 5 minutes"),
    "a window of a minute": (
        rotated(interval="30d", window="1m"),
        "the window is 5 minutes to 30 days, such as 2h",
    ),
    "a window of more than 30 days": (rotated(interval="90d", window="31d"), "the window is 5"),
    "a window of no schedule": (
        rotated(window="2h"),
        "window and jitter need a schedule or an interval; write one, or leave them out",
    ),
    "jitter of no schedule": (rotated(jitter="2h"), "window and jitter need a schedule"),
    "jitter of more than a day": (
        rotated(interval="90d", jitter="25h"),
        "the jitter is at most one day, such as 30m",
    ),
    "more jitter than half the window": (
        rotated(interval="90d", jitter="1h1s", window="1h60m"),
        "jitter is longer than half the window; write at most half of it",
    ),
    "an overlap of more than a year": (
        rotated(overlap={"max": "366d"}),
        "the overlap is at most 365 days, such as 1d",
    ),
    "an overlap without a bound": (
        rotated(overlap={"until": "ConsumersMoved"}),
        "spec.rotation.overlap.max: Required value",
    ),
    "an overlap until something else": (
        rotated(overlap={"until": "Tomorrow", "max": "1d"}),
        'supported values: "Time", "ConsumersMoved"',
    ),
    "an overlap as text": (rotated(overlap="1d"), "must be of type object"),
    # consumers
    "consumers without an action": (consuming(), "spec.consumers.action: Required value"),
    "an unknown action": (
        consuming(action="Kill"),
        'supported values: "None", "Restart", "Reload"',
    ),
    "coalescing for less than a kubelet lags": (
        consuming(action="Restart", coalesce="4s"),
        "coalesce is 5 seconds to one hour, such as 2m",
    ),
    "coalescing for more than an hour": (
        consuming(action="Restart", coalesce="1h1s"),
        "coalesce is 5 seconds to one hour, such as 2m",
    ),
    "a progress deadline of a moment": (
        consuming(action="Restart", progressDeadline="9s"),
        "progressDeadline is 10 seconds to one day, such as 10m",
    ),
    "a progress deadline of days": (
        consuming(action="Restart", progressDeadline="25h"),
        "progressDeadline is 10 seconds to one day, such as 10m",
    ),
    "a progress deadline of no restart": (
        consuming(action="None", progressDeadline="10m"),
        "progressDeadline is that of a restart; write action Restart",
    ),
    "a rollback without a rotation": (
        consuming(action="Restart", onFailure="Rollback"),
        "onFailure Rollback goes back from what a rotation made",
    ),
    "a rollback without a rollout": (
        consuming(action="Reload", reload=RELOAD, onFailure="Rollback"),
        "onFailure Rollback watches the rollout of a restart",
    ),
    "coalescing of nothing": (
        consuming(action="None", coalesce="10s"),
        "the action None does nothing that coalesce or window could delay",
    ),
    "a window of nothing": (
        consuming(action="None", window={"schedule": "0 2 * * *", "duration": "2h"}),
        "the action None does nothing that coalesce or window could delay",
    ),
    "a reload that comes too late": (
        consuming(action="Reload", reload={**RELOAD, "delay": "61m"}),
        "the delay is 0 seconds to one hour, such as 90s",
    ),
    "a reload without a call": (
        consuming(action="Reload"),
        "reload and the action Reload belong together; write both, or neither",
    ),
    "a call without a reload": (
        consuming(action="Restart", reload=RELOAD),
        "reload and the action Reload belong together; write both, or neither",
    ),
    "a window without an end": (
        consuming(action="Restart", window={"schedule": "0 2 * * *"}),
        "spec.consumers.window.duration: Required value",
    ),
    "restarts in a window of a minute": (
        consuming(action="Restart", window={"schedule": "0 2 * * *", "duration": "1m"}),
        "the duration of the window is 5 minutes to 7 days, such as 2h",
    ),
    "a window by a rate": (
        consuming(action="Restart", window={"schedule": "rate(1 day)", "duration": "2h"}),
        "write five fields, minute hour day-of-month month day-of-week",
    ),
    "a window at a wrong minute": (
        consuming(action="Restart", window={"schedule": "60 2 * * *", "duration": "2h"}),
        "the minute, the first field, is 0-59 or *",
    ),
    "a window at a wrong hour": (
        consuming(action="Restart", window={"schedule": "0 24 * * *", "duration": "2h"}),
        "the hour, the second field, is 0-23 or *",
    ),
    "a window on a wrong day": (
        consuming(action="Restart", window={"schedule": "0 2 32 * *", "duration": "2h"}),
        "the day of the month, the third field, is 1-31",
    ),
    "a window in a wrong month": (
        consuming(action="Restart", window={"schedule": "0 2 * 13 *", "duration": "2h"}),
        "the month, the fourth field, is 1-12",
    ),
    "a window on a wrong day of the week": (
        consuming(action="Restart", window={"schedule": "0 2 * * 8", "duration": "2h"}),
        "the day of the week, the fifth field, is 0-7",
    ),
    "a window in a month that is none": (
        consuming(action="Restart", window={"schedule": "0 2 * HUH *", "duration": "2h"}),
        "a month is JAN, FEB, MAR",
    ),
    "a window each minute": (
        consuming(action="Restart", window={"schedule": "* * * * *", "duration": "5m"}),
        "windows are at least 5 minutes apart",
    ),
    "a call to anywhere": (
        consuming(action="Reload", reload={"url": "http://example.com/-/reload"}),
        "write http:// or https://, then SERVICE.NAMESPACE.svc or {podIP}",
    ),
    "a call to the node": (
        consuming(action="Reload", reload={"url": "http://169.254.169.254/"}),
        "write http:// or https://, then SERVICE.NAMESPACE.svc or {podIP}",
    ),
    "a call with a login": (
        consuming(action="Reload", reload={"url": "http://user:pw@web.shop.svc/"}),
        "write http:// or https://, then SERVICE.NAMESPACE.svc or {podIP}",
    ),
    "a call that deletes": (
        consuming(action="Reload", reload={**RELOAD, "method": "DELETE"}),
        'supported values: "GET", "POST", "PUT"',
    ),
    "suspend as text": (rotated(suspend="yes"), "must be of type boolean"),
    "a strategy without a rotator": (
        rotated(strategy="SingleUser"),
        "rotatorRef and a strategy of SingleUser or AlternatingUsers belong together",
    ),
    "a rotator without a strategy": (
        rotated(rotatorRef={"kind": "Rotator", "name": "a"}),
        "rotatorRef and a strategy of SingleUser or AlternatingUsers belong together",
    ),
    "a rotator that only regenerates": (
        rotated(rotatorRef={"kind": "Rotator", "name": "a"}, strategy="Regenerate"),
        "rotatorRef and a strategy of SingleUser or AlternatingUsers belong together",
    ),
    "an unknown strategy": (
        rotated(strategy="Guess"),
        'supported values: "Regenerate", "SingleUser", "AlternatingUsers"',
    ),
    "an unknown kind of rotator": (
        rotated(rotatorRef={"kind": "Job", "name": "a"}, strategy="SingleUser"),
        'supported values: "Rotator", "ClusterRotator"',
    ),
    "a rotator without a name": (
        rotated(rotatorRef={"kind": "Rotator"}, strategy="SingleUser"),
        "spec.rotation.rotatorRef.name: Required value",
    ),
    "a path in place of a rotator's name": (
        rotated(rotatorRef={"kind": "Rotator", "name": "../a"}, strategy="SingleUser"),
        "spec.rotation.rotatorRef.name in body should match",
    ),
    "a rotator of another namespace": (
        rotated(rotatorRef={"kind": "Rotator", "name": "a", "namespace": "b"}),
        'unknown field "spec.rotation.rotatorRef.namespace"',
    ),
    "keys without a rotator": (
        rotated(keys={"username": "user"}),
        "keys names values of a rotator; write rotatorRef, or leave keys out",
    ),
    "a rotator's value with a space": (
        rotated(**ROTATOR, keys={"user name": "user"}),
        "the names of a rotator's values have letters and digits only, such as username",
    ),
    "a rotator's value in a key that is none": (
        rotated(**ROTATOR, keys={"username": "a b"}),
        "spec.rotation.keys.username in body should match",
    ),
    "17 values of a rotator": (
        rotated(**ROTATOR, keys={f"k{n}": "a" for n in range(17)}),
        "must have at most 16 items",
    ),
    "no failures": (rotated(maxFailures=0), "greater than or equal to 1"),
    "too many failures": (rotated(maxFailures=101), "less than or equal to 100"),
    # generators
    "no generator": (of_key(generate={}), "name exactly one generator: password, passphrase, hex"),
    "two generators": (
        of_key(generate={"uuid": {}, "hex": {}}),
        "name exactly one generator: password, passphrase, hex",
    ),
    "an unknown generator": (
        of_key(generate={"pasword": {}}),
        'unknown field "spec.data[0].generate.pasword"',
    ),
    "a password of 0 characters": (generated("password", length=0), "greater than or equal to 1"),
    "a password of 4097 characters": (generated("password", length=4097), "equal to 4096"),
    "a password's length as text": (generated("password", length="32"), "must be of type integer"),
    "more digits and symbols than characters": (
        generated("password", length=8, digits=5, symbols=4),
        "digits and symbols together exceed length; raise length (32 if left out)",
    ),
    "more digits than the 32 characters of a password without length": (
        generated("password", digits=33),
        "digits and symbols together exceed length",
    ),
    "digits that are excluded": (
        generated("password", digits=2, excludeNumbers=True),
        "excludeNumbers leaves no digits; remove it or set digits to 0",
    ),
    "symbols that are excluded": (
        generated("password", symbols=2, excludePunctuation=True),
        "excludePunctuation leaves no symbols; remove it or set symbols to 0",
    ),
    "characters of symbols that are excluded": (
        generated("password", symbolCharacters="!", excludePunctuation=True),
        "symbolCharacters and excludePunctuation contradict each other",
    ),
    "everything excluded": (
        generated("password", noUpper=True, excludeLowercase=True, digits=0, symbols=0),
        "every kind of character is excluded",
    ),
    "upper case wanted and excluded": (
        generated("password", noUpper=False, excludeUppercase=True),
        "noUpper and excludeUppercase say the opposite; keep one of them",
    ),
    "symbols beyond ASCII": (
        generated("password", symbolCharacters="\u20ac"),
        'write symbols of ASCII only, such as "-_$@"; a space comes by includeSpace',
    ),
    "no repeats in a password that is too long for it": (
        generated("password", length=300, allowRepeat=False),
        "without repeats there are not enough characters",
    ),
    "129 symbol characters": (generated("password", symbolCharacters="!" * 129), "Too long"),
    "257 excluded characters": (generated("password", excludeCharacters="!" * 257), "Too long"),
    "a passphrase of two words": (generated("passphrase", words=2), "equal to 3"),
    "a passphrase of 65 words": (generated("passphrase", words=65), "equal to 64"),
    "a long separator": (generated("passphrase", separator="-" * 9), "Too long"),
    "no bytes of hex": (generated("hex", bytes=0), "equal to 1"),
    "4097 bytes of hex": (generated("hex", bytes=4097), "equal to 4096"),
    "no bytes of base64": (generated("base64", bytes=0), "equal to 1"),
    "4097 bytes of base64": (generated("base64", bytes=4097), "equal to 4096"),
    "a uuid with fields": (
        generated("uuid", version=7),
        'unknown field "spec.data[0].generate.uuid',
    ),
    "an unknown type of SSH key": (
        generated("sshKey", keyType="dsa"),
        'supported values: "ed25519", "rsa", "ecdsa"',
    ),
    "a size of an SSH key without a type": (
        generated("sshKey", keySize=2048),
        "keySize does not fit keyType: 2048 to 8192 for rsa; 256, 384 or 521 for ecdsa",
    ),
    "a short RSA key for SSH": (
        generated("sshKey", keyType="rsa", keySize=1024),
        "keySize does not fit keyType",
    ),
    "an ECDSA key for SSH on no curve": (
        generated("sshKey", keyType="ecdsa", keySize=512),
        "keySize does not fit keyType",
    ),
    "an SSH key of 16384 bits": (generated("sshKey", keyType="rsa", keySize=16384), "to 8192"),
    "a comment of two lines": (generated("sshKey", comment="a\nb"), "comment in body should match"),
    "a long comment": (generated("sshKey", comment="a" * 256), "Too long"),
    "an output that is no key": (
        generated("sshKey", outputs={"publicKey": "a/b"}),
        "outputs.publicKey in body should match",
    ),
    "a certificate for nobody": (
        generated("tls", dnsNames=[]),
        "a certificate needs a name; give at least one of commonName, dnsNames",
    ),
    "a DNS name with a wildcard in the middle": (
        generated("tls", dnsNames=["a.*.example.com"]),
        "dnsNames[0] in body should match",
    ),
    "a DNS name twice": (generated("tls", dnsNames=["a", "a"]), "Duplicate value"),
    "101 DNS names": (
        generated("tls", dnsNames=[f"a{n}" for n in range(101)]),
        "must have at most 100 items",
    ),
    "a long common name": (generated("tls", commonName="a" * 65), "Too long"),
    "a wrong IP address": (
        generated("tls", ipAddresses=["10.0.0.256"]),
        "write an IPv4 or IPv6 address, such as 10.0.0.1 or fd00::1",
    ),
    "a URI without a scheme": (generated("tls", uris=["//a"]), "uris[0] in body should match"),
    "a wrong e-mail address": (
        generated("tls", emailAddresses=["nobody"]),
        "emailAddresses[0] in body should match",
    ),
    "a certificate for a minute": (
        generated("tls", commonName="a", duration="1m"),
        "a certificate is valid for one hour to 3650 days, such as 90d or 2160h",
    ),
    "a certificate for more than ten years": (
        generated("tls", commonName="a", duration="3651d"),
        "a certificate is valid for one hour to 3650 days, such as 90d or 2160h",
    ),
    "an unknown usage": (
        generated("tls", commonName="a", usages=["serverAuth"]),
        '"server auth"',
    ),
    "an output twice": (
        generated("tls", commonName="a", outputs={"certificate": "x", "ca": "x"}),
        "outputs.certificate and outputs.ca must be different keys",
    ),
    "an authority that nobody finds": (
        generated("tls", dnsNames=["ca"], isCA=True),
        "an authority is found by its common name; write commonName",
    ),
    "a signature by who is no authority": (
        generated("tls", commonName="a", usages=["cert sign"]),
        'only an authority may sign certificates; write isCA true, or remove the usage "cert sign"',
    ),
    "enciphering without an agreement": (
        generated("tls", commonName="a", usages=["encipher only"]),
        'mean something only with "key agreement"; add it',
    ),
    "the operator's key as authority": (
        generated("tls", commonName="a", caSecretRef={"name": "keyturn-default-key"}),
        "keyturn-default-key is the operator's own key and cannot be a source",
    ),
    "an authority without a name": (
        generated("tls", commonName="a", caSecretRef={}),
        "caSecretRef.name: Required value",
    ),
    "a short key of a certificate": (
        generated("tls", commonName="a", privateKey={"size": 1024}),
        "size does not fit algorithm: 2048 to 8192 for RSA",
    ),
    "a key of a certificate without a form": (
        generated("tls", commonName="a", privateKey={"algorithm": "Ed25519", "encoding": "PKCS1"}),
        "an Ed25519 key has no PKCS1 form; write PKCS8",
    ),
    "a short RSA key": (generated("privateKey", size=1024), "size does not fit algorithm"),
    "an ECDSA key on no curve": (
        generated("privateKey", algorithm="ECDSA", size=2048),
        "size does not fit algorithm",
    ),
    "a size for Ed25519": (
        generated("privateKey", algorithm="Ed25519", size=256),
        "size does not fit algorithm",
    ),
    "Ed25519 in PKCS1": (
        generated("privateKey", algorithm="Ed25519", encoding="PKCS1"),
        "an Ed25519 key has no PKCS1 form",
    ),
    "a jwk that is written nowhere": (
        generated("privateKey", jwk={"use": "sig"}),
        "jwk has no effect without outputs.jwk or outputs.jwks",
    ),
    "an alg of another algorithm": (
        generated("privateKey", jwk={"alg": "ES256"}, outputs={"jwk": "jwk.json"}),
        "jwk.alg does not fit the key",
    ),
    "an alg of another curve": (
        generated(
            "privateKey", algorithm="ECDSA", size=384, jwk={"alg": "ES256"}, outputs={"jwk": "j"}
        ),
        "jwk.alg does not fit the key",
    ),
    "a key that only signs, for enciphering": (
        generated(
            "privateKey", algorithm="Ed25519", jwk={"use": "enc"}, outputs={"jwk": "jwk.json"}
        ),
        "an Ed25519 key only signs; write sig, or leave use out",
    ),
    "an alg of another use": (
        generated("privateKey", jwk={"alg": "RS256", "use": "enc"}, outputs={"jwk": "jwk.json"}),
        "jwk.alg and jwk.use do not fit together",
    ),
    "two outputs into one key": (
        generated("privateKey", outputs={"jwk": "j", "jwks": "j"}),
        "the outputs must be different keys",
    ),
    "an htpasswd of nobody": (generated("htpasswd"), "htpasswd.username: Required value"),
    "a colon in a user name": (
        generated("htpasswd", username="a:b"),
        "username in body should match",
    ),
    "a cheap hash": (generated("htpasswd", username="a", cost=3), "equal to 4"),
    "a dear hash": (generated("htpasswd", username="a", cost=17), "equal to 16"),
    "a password longer than bcrypt reads": (
        generated("htpasswd", username="a", length=73),
        "equal to 72",
    ),
    "a password that is both taken and generated": (
        generated("htpasswd", username="a", passwordKey="user", length=16),
        "passwordKey takes the password of another key; leave length and outputs.password out",
    ),
    "a password of a key that is not there": (
        with_passwords(of="missing"),
        "generate.htpasswd.passwordKey must be another key of data",
    ),
    "a password of the key itself": (
        with_passwords(of="auth"),
        "generate.htpasswd.passwordKey must be another key of data",
    ),
    "a plugin without a name": (generated("plugin"), "generate.plugin.name: Required value"),
    "a plugin's parameter that is no text": (
        generated("plugin", name="acme", parameters={"a": 1}),
        "must be of type string",
    ),
    "33 parameters of a plugin": (
        generated("plugin", name="acme", parameters={f"p{n}": "" for n in range(33)}),
        "must have at most 32 items",
    ),
    # targets
    "no targets in a list": (a_managed_secret(targets=[]), "should have at least 1 items"),
    "nine targets": (
        a_managed_secret(targets=[{"name": f"t{n}"} for n in range(9)]),
        "must have at most 8 items",
    ),
    "a target twice": (
        a_managed_secret(targets=[{"name": "a"}, {"name": "a"}]),
        'spec.targets[1]: Duplicate value: {"name":"a"}',
    ),
    "a target in another namespace": (
        of_target(namespace="kube-system"),
        'unknown field "spec.targets[0].namespace"',
    ),
    "a target with a wrong name": (
        a_managed_secret(targets=[{"name": "Orders"}]),
        'the name of a Secret has lower case letters, digits, "-" and "." only',
    ),
    "the operator's key as a target": (
        a_managed_secret(targets=[{"name": "keyturn-default-key"}]),
        "keyturn-default-key is the operator's own key and cannot be a target",
    ),
    "an unknown creation policy": (
        of_target(creationPolicy="Adopt"),
        'supported values: "Owner", "Orphan", "Merge", "CreateOrMerge", "None"',
    ),
    "an unknown drift": (of_target(drift="Fix"), 'supported values: "Correct", "Report", "Ignore"'),
    "an immutable Secret of somebody else": (
        of_target(immutable=True, creationPolicy="Merge"),
        "is replaced when its version changes, which needs creationPolicy Owner",
    ),
    "an immutable Secret without owner": (
        of_target(immutable=True, creationPolicy="Orphan"),
        "which needs creationPolicy Owner",
    ),
    "the drift of a Secret that is not written": (
        of_target(creationPolicy="None", drift="Correct"),
        "creationPolicy None writes no Secret; leave drift, immutable, stages and template out",
    ),
    "a type for somebody else's Secret": (
        of_target(creationPolicy="Merge", template={"type": "Opaque"}),
        "creationPolicy Merge cannot change the type of a Secret that somebody else made",
    ),
    "an unknown stage": (
        of_target(stages=[{"stage": "Pending"}]),
        'supported values: "Current", "Previous"',
    ),
    "a stage twice": (
        of_target(stages=[{"stage": "Current"}, {"stage": "Current", "keySuffix": "_b"}]),
        "Duplicate value",
    ),
    "two stages into the same keys": (
        of_target(stages=[{"stage": "Current"}, {"stage": "Previous"}]),
        "two stages with the same keySuffix would fill the same keys; give Previous a keySuffix",
    ),
    "a suffix that no key can have": (
        of_target(stages=[{"stage": "Current", "keySuffix": " old"}]),
        "keySuffix in body should match",
    ),
    "a token of a service account": (
        of_template(type="kubernetes.io/service-account-token"),
        "logins to the cluster or records of Helm, and cannot be made here; write Opaque",
    ),
    "a token to join the cluster": (
        of_template(type="bootstrap.kubernetes.io/token"),
        "logins to the cluster or records of Helm",
    ),
    "a release of Helm": (of_template(type="helm.sh/release.v1"), "records of Helm"),
    "a label of Keyturn": (
        of_template(metadata={"labels": {"keyturn.dev/managed": "false"}}),
        "a label of keyturn.dev, kubernetes.io, k8s.io, Helm or Argo CD",
    ),
    "the label of who manages": (
        of_template(metadata={"labels": {"app.kubernetes.io/managed-by": "Helm"}}),
        "app.kubernetes.io/managed-by, would make other programs act",
    ),
    "a label of Kubernetes": (
        of_template(metadata={"labels": {"kubernetes.io/cluster-service": "true"}}),
        "a label of keyturn.dev, kubernetes.io, k8s.io, Helm or Argo CD",
    ),
    "a label of Argo CD that marks its own": (
        of_template(metadata={"labels": {"argocd.argoproj.io/instance": "shop"}}),
        "a label of keyturn.dev, kubernetes.io, k8s.io, Helm or Argo CD",
    ),
    "a label's value with a space": (
        of_template(metadata={"labels": {"team": "a b"}}),
        "labels.team in body should match",
    ),
    "a long value of a label": (
        of_template(metadata={"labels": {"team": "a" * 64}}),
        "labels.team: Too long",
    ),
    "an empty label": (
        of_template(metadata={"labels": {"": "a"}}),
        "the key of a label has 1 to 317 characters",
    ),
    "33 labels": (
        of_template(metadata={"labels": {f"l{n}": "" for n in range(33)}}),
        "must have at most 32 items",
    ),
    "the annotation of kubectl": (
        of_template(
            metadata={"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}}
        ),
        "an annotation of keyturn.dev, kubernetes.io, k8s.io, Helm or Argo CD",
    ),
    "an annotation of Helm": (
        of_template(metadata={"annotations": {"meta.helm.sh/release-name": "shop"}}),
        "an annotation of keyturn.dev, kubernetes.io, k8s.io, Helm or Argo CD",
    ),
    "the opt-in as an annotation": (
        of_template(metadata={"annotations": {"keyturn.dev/allow": "orders"}}),
        "an annotation of keyturn.dev, kubernetes.io, k8s.io, Helm or Argo CD",
    ),
    "an annotation with an endless key": (
        of_template(metadata={"annotations": {"a" * 318: ""}}),
        "the key of an annotation has 1 to 317 characters",
    ),
    "an unknown merge policy": (of_template(mergePolicy="Add"), 'values: "Replace", "Merge"'),
    "no templates": (of_template(data={}), "should have at least 1 properties"),
    "a long template": (of_template(data={"a": "x" * 4097}), "template.data.a: Too long"),
    "65 templates": (
        of_template(data={f"k{n}": "" for n in range(65)}),
        "must have at most 64 items",
    ),
    "a template for a key of the kubelet's": (
        of_template(data={"..data": ""}),
        'the key of a Secret has 1 to 253 characters, is not "." and does not begin with ".."',
    ),
    "a certificate without a key": (
        of_template(type="kubernetes.io/tls", data={"tls.crt": "x"}),
        "template.data lacks the keys of its type: tls.crt and tls.key for kubernetes.io/tls",
    ),
    "a login for a registry without one": (
        of_template(type="kubernetes.io/dockerconfigjson", data={"config.json": "{}"}),
        "template.data lacks the keys of its type",
    ),
    # size
    "values of more than 64 KiB": (
        a_managed_secret(data=[{"key": f"k{n}", "value": "a" * 8 * KiB} for n in range(9)]),
        "values, generator parameters and templates are more than 65536 bytes together; split",
    ),
    "values of more than 64 KiB in bytes, not in characters": (
        a_managed_secret(data=[{"key": f"k{n}", "value": "\u00e9" * 5 * KiB} for n in range(7)]),
        "more than 65536 bytes together",
    ),
    "templates of more than 64 KiB": (
        of_template(data={f"k{n}": "a" * 4 * KiB for n in range(17)}),
        "more than 65536 bytes together",
    ),
    "annotations of more than 64 KiB": (
        of_template(metadata={"annotations": {f"a{n}": "a" * 4 * KiB for n in range(17)}}),
        "more than 65536 bytes together",
    ),
    "names of certificates of more than 64 KiB": (
        a_managed_secret(
            data=[
                {
                    "key": f"k{n}",
                    "generate": {"tls": {"dnsNames": [f"{m}.{'a' * 200}" for m in range(100)]}},
                }
                for n in range(4)
            ]
        ),
        "more than 65536 bytes together",
    ),
    "parameters of plugins of more than 64 KiB": (
        a_managed_secret(
            data=[
                {
                    "key": f"k{n}",
                    "generate": {
                        "plugin": {
                            "name": "a",
                            "parameters": {f"p{m}": "a" * KiB for m in range(32)},
                        }
                    },
                }
                for n in range(3)
            ]
        ),
        "more than 65536 bytes together",
    ),
}

SCHEDULES = [
    "0 3 * * 6",
    "0,30 9-17 1,15 JAN,jul mon-FRI",
    "*/5 */2 */3 */4 */2",
    "0-50/10 0-23/4 1-31/7 1-12/3 1-5/2",
    "5/25 3/6 2/3 1/3 0",
    "59 23 31 12 7",
    "00 03 01 01 0",
    "0  3  *  *  *",
    "0 3 L * *",
    "0 3 LW * *",
    "0 3 * * SAT#2,7#5",
    "0 3 * * 5L",
    "@yearly",
    "@annually",
    "@monthly",
    "@weekly",
    "@daily",
    "@midnight",
    "@hourly",
    "rate(1 day)",
    "rate(2 days)",
    "rate(999 days)",
    "rate(4 hours)",
    "rate(23976 hours)",
    "cron(0 8 1 * ? *)",
    "cron(0 1 * 1/3 SUN *)",
    "cron(0/15 4/12 ? JAN-MAR 2-6 *)",
    "cron(0 8 L * ? *)",
    "cron(0 8 LW * ? *)",
    "cron(0 8 15W * ? *)",
    "cron(0 8 ? * L *)",
    "cron(0 8 ? * 6L *)",
    "cron(0 8 ? * friL *)",
    "cron(0 8 ? * 2#1,TUE#5 *)",
    "cron(0 8 ? * 2/2 *)",
    "cron(0 8 * * * *)",
]
"""Those that the schema takes; that the operator takes them too is said below."""

ACCEPTED = {
    "the least": a_managed_secret(),
    "everything but data": a_managed_secret(
        description="the orders service's database login",
        encryptionKeyRef={"name": "default"},
        adoptionPolicy="Import",
        reclaimPolicy="Retain",
        recoveryWindow="1d12h",
        revisionHistoryLimit=100,
    ),
    "the longest name": a_managed_secret("a" * 253),
    "a recovery window of an hour": a_managed_secret(recoveryWindow="1h"),
    "a recovery window of a year": a_managed_secret(recoveryWindow="365d"),
    "a recovery window of parts of hours": a_managed_secret(recoveryWindow="1.5h"),
    "the sources": a_managed_secret(
        data=[
            {"key": "a", "value": ""},
            {"key": "b", "input": {}},
            {"key": "c", "valueFrom": {"configMapKeyRef": {"name": "a", "key": "b.c_d"}}},
            {
                "key": "d",
                "valueFrom": {"secretKeyRef": {"name": "a.b", "key": ".dockerconfigjson"}},
            },
            {"key": ".e", "generate": {"uuid": {}}},
        ]
    ),
    "64 KiB of values": a_managed_secret(
        data=[{"key": f"k{n}", "value": "a" * 8 * KiB} for n in range(8)]
    ),
    "a password": generated("password"),
    "a password as External Secrets writes it": generated(
        "password",
        length=42,
        digits=5,
        symbols=5,
        symbolCharacters="-_$@",
        noUpper=False,
        allowRepeat=True,
    ),
    "a password as AWS writes it": generated(
        "password",
        excludeCharacters='"@/\\',
        excludeNumbers=False,
        excludePunctuation=True,
        excludeUppercase=False,
        excludeLowercase=False,
        includeSpace=True,
        requireEachIncludedType=True,
    ),
    "a passphrase": generated(
        "passphrase", words=4, separator="", capitalize=True, includeNumber=True
    ),
    "hex": generated("hex", bytes=4096),
    "base64": generated("base64", bytes=1, urlSafe=True, noPadding=True),
    "a uuid": generated("uuid"),
    "an SSH key": generated("sshKey"),
    "an RSA key for SSH": generated(
        "sshKey", keyType="rsa", keySize=4096, comment="ci@shop", outputs={"publicKey": "id.pub"}
    ),
    "an ECDSA key for SSH": generated("sshKey", keyType="ecdsa", keySize=521),
    "a certificate": generated(
        "tls",
        commonName="shop",
        dnsNames=["shop", "*.shop.svc.cluster.local"],
        ipAddresses=["10.0.0.1", "fd00::1"],
        uris=["spiffe://shop/orders"],
        emailAddresses=["ops@example.com"],
        duration="2160h0m0s",
        usages=["server auth", "client auth"],
        isCA=False,
        privateKey={"algorithm": "ECDSA", "size": 384, "encoding": "PKCS8"},
        caSecretRef={"name": "shop-ca"},
        outputs={"certificate": "tls.crt", "ca": "ca.crt"},
    ),
    "an authority for ten years": generated("tls", commonName="ca", isCA=True, duration="3650d"),
    "a private key": generated("privateKey"),
    "a private key with public forms": generated(
        "privateKey",
        algorithm="ECDSA",
        size=521,
        jwk={"keyID": "1", "use": "sig", "alg": "ES512"},
        outputs={"publicKey": "public.pem", "jwk": "jwk.json", "jwks": "jwks.json"},
    ),
    "an Ed25519 key": generated(
        "privateKey", algorithm="Ed25519", jwk={"alg": "EdDSA"}, outputs={"jwks": "jwks.json"}
    ),
    "an htpasswd": generated(
        "htpasswd", username="admin", cost=12, length=24, outputs={"password": "admin.password"}
    ),
    "an htpasswd of another key": with_passwords(of="user"),
    "a plugin": generated("plugin", name="acme-token", parameters={"scope": "read"}),
    "eight targets": a_managed_secret(targets=[{"name": f"t{n}"} for n in range(8)]),
    "a target with everything": of_target(
        creationPolicy="Owner",
        drift="Report",
        immutable=True,
        stages=[{"stage": "Current"}, {"stage": "Previous", "keySuffix": "_previous"}],
        template={
            "type": "kubernetes.io/basic-auth",
            "mergePolicy": "Replace",
            "metadata": {
                "labels": {"app.kubernetes.io/name": "shop", "argocd.argoproj.io/secret-type": "x"},
                "annotations": {"example.com/team": "a b", "reloader.stakater.com/match": "true"},
            },
            "data": {"username": "{{ user }}"},
        },
    ),
    "a target of each policy": a_managed_secret(
        targets=[
            {"name": policy.lower(), "creationPolicy": policy}
            for policy in ("Owner", "Orphan", "Merge", "CreateOrMerge", "None")
        ]
    ),
    "a typed Secret of the keys of data": of_template(type="kubernetes.io/tls"),
    "a typed Secret of both": of_template(
        type="kubernetes.io/tls", mergePolicy="Merge", data={"note": "x"}
    ),
    "rotation on request only": rotated(),
    "rotation with everything": a_managed_secret(
        rotation={
            "schedule": "0 3 * * 6",
            "timeZone": "America/Argentina/Buenos_Aires",
            "window": "2h",
            "jitter": "60m",
            "suspend": False,
            "rotatorRef": {"kind": "ClusterRotator", "name": "shop-pg"},
            "strategy": "AlternatingUsers",
            "keys": {"username": "user", "password": "pass.word"},
            "overlap": {"until": "Time", "max": "0s"},
            "maxFailures": 100,
        }
    ),
    "the shortest interval": rotated(interval="5m"),
    "the longest interval": rotated(interval="3650d", window="30d", jitter="1d"),
    "the plain strategy": rotated(
        strategy="Regenerate", overlap={"until": "ConsumersMoved", "max": "365d"}, maxFailures=1
    ),
    "consumers that are told of only": consuming(action="None", onFailure="Report"),
    "restarts with everything": a_managed_secret(
        data=[{"key": "password", "generate": {"password": {}}}],
        rotation={"interval": "30d"},
        consumers={
            "action": "Restart",
            "coalesce": "5s",
            "progressDeadline": "1d",
            "onFailure": "Rollback",
            "window": {"schedule": "0 2 * * MON-FRI", "duration": "2h", "timeZone": "Etc/UTC"},
        },
    ),
    "a reload of each pod": consuming(action="Reload", coalesce="1h", reload=RELOAD),
    "a reload by a Service": consuming(
        action="Reload",
        reload={"url": "https://web.default.svc.cluster.local/a?b=c", "method": "PUT"},
        window={"schedule": "@daily", "duration": "7d"},
    ),
    **{f"the schedule {schedule}": scheduled(schedule) for schedule in SCHEDULES},
}


@pytest.mark.parametrize(("resource", "text"), REFUSED.values(), ids=REFUSED)
def test_is_refused_with_a_text_that_helps(
    apiserver: Apiserver, resource: dict[str, Any], text: str
) -> None:
    answer = create(apiserver, resource)

    assert answer.status in {400, 422}, answer.body
    assert text in answer.message


def test_each_rule_refuses_something(apiserver: Apiserver) -> None:
    answers = [create(apiserver, resource) for resource, _ in REFUSED.values()]

    assert never_broken(rules_of("managedsecrets.keyturn.dev"), answers) == set()


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_operator_takes_what_the_schema_takes(schedule: str) -> None:
    assert parse_schedule(schedule, "Europe/Berlin").spacing >= timedelta(minutes=5)


@pytest.mark.parametrize("resource", ACCEPTED.values(), ids=ACCEPTED)
def test_is_accepted_as_it_was_written(apiserver: Apiserver, resource: dict[str, Any]) -> None:
    answer = create(apiserver, resource)

    assert answer.is_ok, answer.message
    assert answer.body["spec"] == resource["spec"]


def test_the_largest_spec_is_stored_and_one_byte_more_is_refused(
    apiserver: Apiserver, namespace: str
) -> None:
    data = [{"key": f"k{n}", "value": "\u0001" * 8 * KiB} for n in range(8)]
    largest = a_managed_secret("largest", data=data)
    larger = a_managed_secret("larger", data=[*data, {"key": "one", "value": "a"}])

    stored, refused = (
        apiserver.request("POST", managed_secrets(namespace), resource)
        for resource in (largest, larger)
    )

    assert stored.is_ok
    assert refused.status == 422
    assert "more than 65536 bytes together" in refused.message


def test_a_spec_without_bounds_is_refused_and_never_overwhelms_etcd(apiserver: Apiserver) -> None:
    bomb = a_managed_secret(data=[{"key": f"k{n}", "value": "a" * 50 * KiB} for n in range(40)])

    answer = apiserver.request("POST", managed_secrets("default"), bomb)

    assert answer.status == 422


def test_status_is_written_apart_and_spec_is_not_touched_by_it(quiet_site: Site) -> None:
    """Where no operator writes one too."""
    quiet_site.cluster.create("managedsecrets", a_managed_secret())
    patch = {"status": {"currentVersion": 7}, "spec": {"description": "by the status"}}

    written = quiet_site.cluster.patch("managedsecrets", "orders/status", patch)

    assert written["status"] == {"currentVersion": 7}
    assert "description" not in written["spec"]
    assert written["metadata"]["generation"] == 1


def test_the_table_shows_how_each_stands(quiet_site: Site) -> None:
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "SecretSynced",
        "message": "",
        "lastTransitionTime": "2030-01-01T00:00:00Z",
    }
    other = {**ready, "type": "Another", "status": "False", "reason": "Else"}
    status = {
        "currentVersion": 7,
        "lastRotationTime": "2026-01-01T01:00:20Z",
        "nextRotationTime": "2126-01-02T01:00:00Z",
        "targets": [{"name": "orders", "type": "kubernetes.io/tls", "synced": True, "version": 7}],
        "conditions": [other, ready],
    }
    quiet_site.cluster.create("managedsecrets", a_managed_secret())
    quiet_site.cluster.patch("managedsecrets", "orders/status", {"status": status})

    table = quiet_site.control_plane.kubectl("get", "ms", "-n", quiet_site.namespace).stdout
    head, row = table.splitlines()

    columns = ["NAME", "TYPE", "VERSION", "READY", "REASON", "LAST ROTATION", "NEXT ROTATION"]
    assert re.split(r" {2,}", head.strip()) == [*columns, "AGE"]
    *stands, last, following, _ = row.split()
    assert stands == ["orders", "kubernetes.io/tls", "7", "True", "SecretSynced"]
    assert re.fullmatch(r"\d+[dhy]\w*", last)
    assert following == "2126-01-02T01:00:00Z"


def test_the_status_tells_of_rotations(apiserver: Apiserver, namespace: str) -> None:
    time = "2026-09-12T01:03:20Z"
    over = {
        "version": 6,
        "cause": "Request",
        "by": "jane@example.com",
        "outcome": "Abandoned",
        "beganTime": time,
        "endedTime": time,
        "duration": "2.4s",
        "code": "TargetRefused",
    }
    status = {
        "lastRotationTime": time,
        "nextRotationTime": time,
        "rotation": {
            "step": "setPending",
            "cause": "Schedule",
            "version": 7,
            "beganTime": time,
            "failures": 0,
            "code": "TargetUnavailable",
        },
        "rotations": [over] * 20,
        "history": [
            {"version": 2, "reason": "RolledBack"},
            {"version": 1, "reason": "Rotated"},
        ],
    }
    apiserver.request("POST", managed_secrets(namespace), rotated())
    path = f"{managed_secrets(namespace, 'orders')}/status"

    answer = apiserver.request("PATCH", path, {"status": status}, fieldValidation="Strict")
    more = apiserver.request("PATCH", path, {"status": {"rotations": [over] * 21}})

    assert answer.body["status"] == status
    assert "must have at most 20 items" in more.message


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet.apps.kruise.io", "K8sApp", "app-2"])
def test_the_status_names_workloads_of_any_kind(
    apiserver: Apiserver, namespace: str, kind: str
) -> None:
    waiting = {"kind": kind, "name": "web", "pods": 1, "stale": 1}
    status = {"consumers": {"total": 1, "upToDate": 0, "waitingFor": [waiting]}}
    apiserver.request("POST", managed_secrets(namespace), a_managed_secret())
    path = f"{managed_secrets(namespace, 'orders')}/status"

    answer = apiserver.request("PATCH", path, {"status": status}, fieldValidation="Strict")

    assert answer.is_ok, answer.message


def test_they_are_selected_by_their_rotator(apiserver: Apiserver, namespace: str) -> None:
    for name, rotation in (("database", ROTATOR), ("other", {})):
        resource = rotated(**rotation)
        resource["metadata"]["name"] = name
        apiserver.request("POST", managed_secrets(namespace), resource)

    answer = apiserver.request(
        "GET", managed_secrets(namespace), fieldSelector="spec.rotation.rotatorRef.name=shop-pg"
    )

    assert [item["metadata"]["name"] for item in answer.body["items"]] == ["database"]


def test_the_category_lists_them(control_plane: ControlPlane, namespace: str) -> None:
    resource = json.dumps(a_managed_secret())
    control_plane.kubectl("create", "-n", namespace, "-f", "-", input=resource)

    listed = control_plane.kubectl("get", "keyturn", "-n", namespace, "-o", "name").stdout

    assert listed.split() == ["managedsecret.keyturn.dev/orders"]


def test_they_are_selected_by_their_reclaim_policy(apiserver: Apiserver, namespace: str) -> None:
    for name, spec in (("kept", {"reclaimPolicy": "Retain"}), ("other", {})):
        apiserver.request("POST", managed_secrets(namespace), a_managed_secret(name, **spec))

    answer = apiserver.request(
        "GET", managed_secrets(namespace), fieldSelector="spec.reclaimPolicy=Retain"
    )

    assert [item["metadata"]["name"] for item in answer.body["items"]] == ["kept"]


def test_explain_lists_every_field_of_the_spec(control_plane: ControlPlane) -> None:
    text = control_plane.kubectl("explain", "managedsecret.spec", "--recursive").stdout

    fields = set(re.findall(r"^ +(\w+)\t<", text, re.MULTILINE))
    assert {"data", "symbolCharacters", "caSecretRef", "keySuffix", "mergePolicy"} <= fields


def test_explain_says_what_a_field_is_for(control_plane: ControlPlane) -> None:
    text = control_plane.kubectl("explain", "managedsecret.spec.recoveryWindow").stdout

    words = " ".join(text.split())
    assert "how long the versions of a deleted resource can be restored" in words
    assert "Left out, 14 days." in words
