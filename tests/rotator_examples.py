"""Parameters of rotators, right and wrong ones: the CRDs and the rotators judge each alike."""

from typing import Any, NamedTuple

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJzcoNf1j0ClQ2Fg4v3n+y0ZyeZvCbgFnIV9QpgrPzs0"
FINGERPRINT = "SHA256:" + "a" * 43
URL = "https://rotate.example.com/keyturn"
IMAGE = "registry.example.com/rotate@sha256:" + "0" * 64

Written = dict[str, Any]

LEAST: dict[str, Written] = {
    "postgresql": {"host": "pg.shop.svc"},
    "mysql": {"host": "db.shop.svc"},
    "mongodb": {"host": "mongo.shop.svc"},
    "redis": {"host": "redis.shop.svc"},
    "oracle": {"host": "ora.shop.svc", "serviceName": "ORDERS"},
    "sqlserver": {"host": "mssql.shop.svc"},
    "ssh": {"host": "files.example.com", "hostKeys": [HOST_KEY]},
    "oauth2": {"issuer": "https://id.example.com"},
    "webhook": {"url": URL},
    "job": {"image": IMAGE},
}
"""For each type the least that has to be written."""

VERIFIED, PLAIN = {"tls": {"mode": "verifyFull"}}, {"tls": {"mode": "disable"}}

DELEGATED = {
    "strategies": ["SingleUser", "AlternatingUsers"],
    "values": ["username", "apiKey", "salt"],
    "rotated": ["apiKey"],
    "steps": ["test", "set"],
    "coexists": True,
}

FULL: dict[str, Written] = {
    "postgresql": {
        "host": "PG_1.example.com",
        "port": 6432,
        "database": "orders",
        "lockDatabase": "postgres",
        "dialect": "Redshift",
        **VERIFIED,
    },
    "mysql": {"host": "10.0.0.1", "port": 3307, "userHost": "10.0.%", "dialect": "MySQL", **PLAIN},
    "mongodb": {
        "host": "fd00::1",
        "port": 27018,
        "replicaSet": "rs0",
        "authSource": "orders",
        "adminAuthSource": "admin",
        "dialect": "documentdb",
        **VERIFIED,
    },
    "redis": {"host": "redis", "port": 6380, "persist": "config", **PLAIN},
    "oracle": {
        "host": "ora-scan.example.com",
        "port": 2484,
        "serviceName": "ORDERS_rw.example.com",
        "lock": False,
        **VERIFIED,
    },
    "sqlserver": {
        "host": "10.0.0.2",
        "port": 1434,
        "database": "Orders 2026",
        "contained": True,
        **PLAIN,
    },
    "ssh": {
        "host": "files",
        "port": 2222,
        "hostKeys": [HOST_KEY, FINGERPRINT, f"files,10.0.0.1 {HOST_KEY}"],
        "user": "deploy",
        "authorizedKeysFile": "/etc/ssh/authorized_keys/deploy",
        "options": "restrict,pty",
    },
    "oauth2": {
        "tokenEndpoint": "http://id.example.com:8080/token",
        "clientAuthentication": "client_secret_post",
        "scope": "orders.read orders.write",
        "resource": "https://api.example.com/",
        "introspectionEndpoint": "https://id.example.com/introspect",
        "revocationEndpoint": "https://id.example.com/revoke",
        "testURL": "https://api.example.com/me?x=y",
        **PLAIN,
    },
    "webhook": {"url": "http://rotate.example.com:8080/", "issues": True, **DELEGATED, **PLAIN},
    "job": {
        "image": "python:3-slim",
        "command": ["python3", "/script/rotate.py"],
        "args": ["--region", ""],
        "env": [{"name": "REGION", "value": "eu"}, {"name": "EMPTY"}],
        "resources": {"requests": {"cpu": "100m"}, "limits": {"memory": "64Mi"}},
        "activeDeadlineSeconds": 3600,
        "serviceAccountName": "rotate",
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "imagePullSecrets": [{"name": "registry"}],
        "scriptConfigMap": "rotate-htpasswd",
        **DELEGATED,
    },
}
"""For each type all that can be written."""


class Wrong(NamedTuple):
    """Parameters that are refused, and what the apiserver says of them."""

    type: str
    written: Written
    said: str


def wrong(name: str, said: str, **parameters: Any) -> Wrong:
    """Make wrong parameters from the least; a field that is None is left out."""
    written = {**LEAST[name], **parameters}
    return Wrong(name, {key: each for key, each in written.items() if each is not None}, said)


WITH_HOST = ("postgresql", "mysql", "mongodb", "redis", "oracle", "sqlserver", "ssh")
WITH_TLS = (*WITH_HOST[:-1], "oauth2", "webhook")
DELEGATING = ("webhook", "job")

_HOSTS = {
    "a list of hosts": "a,b",
    "a socket": "/var/run/postgresql",
    "a user in a host": "admin@pg",
    "a host with a port": "pg:5432/x",
    "a look-alike letter in a host": "p\u0433.example.com",
    "a line feed in a host": "pg\nx",
    "an empty host": "",
}

WRONG: dict[str, Wrong] = {
    **{
        f"{name}: {what}": wrong(
            name, "host in body should " + ("match" if host else "be at least 1"), host=host
        )
        for name in WITH_HOST
        for what, host in _HOSTS.items()
    },
    **{f"{name}: no host": wrong(name, "host: Required value", host=None) for name in WITH_HOST},
    **{
        f"{name}: a host of 254 characters": wrong(name, "host: Too long", host="a" * 254)
        for name in WITH_HOST
    },
    **{
        f"{name}: a mode of TLS of libpq": wrong(
            name, 'supported values: "verifyFull", "disable"', tls={"mode": "verify-full"}
        )
        for name in WITH_TLS
    },
    "postgresql: Redshift in plain": wrong(
        "postgresql", "tls.mode must be verifyFull", dialect="Redshift", tls={"mode": "disable"}
    ),
    "postgresql: an unknown dialect": wrong(
        "postgresql", 'supported values: "PostgreSQL", "Redshift"', dialect="postgres"
    ),
    "postgresql: a long database": wrong("postgresql", "database: Too long", database="a" * 64),
    "postgresql: a database with a NUL": wrong(
        "postgresql", "database in body should match", database="a\0b"
    ),
    "postgresql: a long database of locks": wrong(
        "postgresql", "lockDatabase: Too long", lockDatabase="a" * 64
    ),
    "mysql: a user's host in quotes": wrong(
        "mysql", "userHost in body should match", userHost="a'@'b"
    ),
    "mysql: a long user's host": wrong("mysql", "userHost: Too long", userHost="a" * 256),
    "mysql: an unknown dialect": wrong(
        "mysql", 'supported values: "MySQL", "MariaDB"', dialect="Percona"
    ),
    "mongodb: a replica set with a slash": wrong(
        "mongodb", "replicaSet in body should match", replicaSet="rs0/a"
    ),
    "mongodb: a long replica set": wrong("mongodb", "replicaSet: Too long", replicaSet="a" * 65),
    "mongodb: a database with a dollar": wrong(
        "mongodb", "authSource in body should match", authSource="$external"
    ),
    "mongodb: a long database of the admin": wrong(
        "mongodb", "adminAuthSource: Too long", adminAuthSource="a" * 64
    ),
    "mongodb: an unknown dialect": wrong(
        "mongodb", 'supported values: "mongodb", "documentdb"', dialect="cosmos"
    ),
    "redis: an unknown place": wrong(
        "redis", 'supported values: "aclFile", "config", "none"', persist="disk"
    ),
    "oracle: an IPv6 address": wrong("oracle", "host in body should match", host="fd00::1"),
    "oracle: no service": wrong("oracle", "serviceName: Required value", serviceName=None),
    "oracle: a descriptor in place of a service": wrong(
        "oracle", "serviceName in body should match", serviceName="x)(SECURITY=(SSL_SERVER_DN=y)"
    ),
    "oracle: a long service": wrong("oracle", "serviceName: Too long", serviceName="a" * 256),
    "sqlserver: contained in nothing": wrong(
        "sqlserver", "contained users belong to a database; write database", contained=True
    ),
    "sqlserver: a long database": wrong("sqlserver", "database: Too long", database="a" * 129),
    "sqlserver: a database with a NUL": wrong(
        "sqlserver", "database in body should match", database="a\0b"
    ),
    "ssh: no host keys": wrong("ssh", "hostKeys: Required value", hostKeys=None),
    "ssh: an empty list of host keys": wrong("ssh", "should have at least 1 items", hostKeys=[]),
    "ssh: 17 host keys": wrong(
        "ssh", "must have at most 16 items", hostKeys=[f"{HOST_KEY} {n}" for n in range(17)]
    ),
    "ssh: a long host key": wrong("ssh", "hostKeys[0]: Too long", hostKeys=["a" * 4097]),
    "ssh: a host key of two lines": wrong(
        "ssh", "hostKeys[0] in body should match", hostKeys=[f"{HOST_KEY}\n{HOST_KEY}"]
    ),
    "ssh: an option as user": wrong("ssh", "user in body should match", user="-oProxyCommand=x"),
    "ssh: a user of two words": wrong("ssh", "user in body should match", user="a b"),
    "ssh: a long user": wrong("ssh", "user: Too long", user="a" * 65),
    "ssh: a file of some user": wrong(
        "ssh", "authorizedKeysFile in body should match", authorizedKeysFile="%h/keys"
    ),
    "ssh: a file above": wrong(
        "ssh", "is a path without ..", authorizedKeysFile=".ssh/../../root/.ssh/authorized_keys"
    ),
    "ssh: a folder": wrong("ssh", "is a path without ..", authorizedKeysFile="/etc/ssh/"),
    "ssh: a long file": wrong("ssh", "authorizedKeysFile: Too long", authorizedKeysFile="a" * 1025),
    "ssh: options of two lines": wrong("ssh", "options in body should match", options="a\nb"),
    "ssh: long options": wrong("ssh", "options: Too long", options="a" * 2049),
    "webhook: no URL": wrong("webhook", "url: Required value", url=None),
    "webhook: plain HTTP": wrong(
        "webhook",
        "a URL begins with https://; http:// is for tls.mode disable only",
        url="http://a/",
    ),
    "webhook: a file": wrong("webhook", "url in body should match", url="file:///etc/passwd"),
    "webhook: a user in a URL": wrong(
        "webhook", "url in body should match", url="https://a:b@example.com/"
    ),
    "webhook: a fragment": wrong("webhook", "url in body should match", url="https://a/#b"),
    "webhook: a backslash": wrong("webhook", "url in body should match", url="https://a/\\b"),
    "webhook: a long URL": wrong("webhook", "url: Too long", url="https://a/" + "b" * 2048),
    "oauth2: neither": wrong("oauth2", "give exactly one of issuer and tokenEndpoint", issuer=None),
    "oauth2: both": wrong(
        "oauth2",
        "give exactly one of issuer and tokenEndpoint",
        tokenEndpoint="https://id.example.com/token",
    ),
    "oauth2: a revocation of what may be over": wrong(
        "oauth2",
        "revocationEndpoint needs introspectionEndpoint too",
        revocationEndpoint="https://id.example.com/revoke",
    ),
    **{
        f"oauth2: plain HTTP for {name}": wrong(
            "oauth2",
            "a URL begins with https://",
            **{
                "introspectionEndpoint": URL,
                name: "http://id.example.com/",
                **({"issuer": None} if name == "tokenEndpoint" else {}),
            },
        )
        for name in (
            "issuer",
            "tokenEndpoint",
            "introspectionEndpoint",
            "revocationEndpoint",
            "testURL",
        )
    },
    "oauth2: an unknown authentication": wrong(
        "oauth2", 'supported values: "client_secret_basic"', clientAuthentication="basic"
    ),
    "oauth2: two blanks in a scope": wrong(
        "oauth2", "scope in body should match", scope="orders.read  orders.write"
    ),
    "oauth2: a quote in a scope": wrong("oauth2", "scope in body should match", scope='a"b'),
    "oauth2: a relative resource": wrong("oauth2", "resource in body should match", resource="/a"),
    "job: no image": wrong("job", "image: Required value", image=None),
    "job: an image with a blank": wrong("job", "image in body should match", image="a b"),
    "job: a long image": wrong("job", "image: Too long", image="a" * 513),
    "job: 65 words": wrong("job", "must have at most 64 items", command=["a"] * 65),
    "job: 65 arguments": wrong("job", "must have at most 64 items", args=["a"] * 65),
    "job: a variable twice": wrong("job", "Duplicate value", env=[{"name": "A"}, {"name": "A"}]),
    "job: a variable without a name": wrong("job", "name: Required value", env=[{"value": "a"}]),
    "job: a variable with a dash": wrong("job", "name in body should match", env=[{"name": "A-B"}]),
    "job: a variable from a Secret": wrong(
        "job",
        'unknown field "spec.job.env[0].valueFrom"',
        env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}],
    ),
    "job: no time": wrong("job", "greater than or equal to 1", activeDeadlineSeconds=0),
    "job: too much time": wrong("job", "less than or equal to 3600", activeDeadlineSeconds=3601),
    "job: a quantity that is a number": wrong(
        "job", "must be of type string", resources={"limits": {"cpu": 1}}
    ),
    "job: a resource with a blank": wrong(
        "job", "the name of a resource is such as cpu", resources={"requests": {"a b": "1"}}
    ),
    "job: a limit of a resource with a blank": wrong(
        "job", "the name of a resource is such as cpu", resources={"limits": {"a b": "1"}}
    ),
    "job: a path in place of an account": wrong(
        "job", "serviceAccountName in body should match", serviceAccountName="../default"
    ),
    "job: a login to a registry without a name": wrong(
        "job", "name: Required value", imagePullSecrets=[{}]
    ),
    "job: nine logins to a registry": wrong(
        "job",
        "must have at most 8 items",
        imagePullSecrets=[{"name": f"n{number}"} for number in range(9)],
    ),
    "job: a path in place of a ConfigMap": wrong(
        "job", "scriptConfigMap in body should match", scriptConfigMap="a/b"
    ),
    "job: a node's label with a blank": wrong(
        "job", "the key of a label is a name", nodeSelector={"a b": "c"}
    ),
    "job: a node's label with a wrong value": wrong(
        "job", "nodeSelector.os in body should match", nodeSelector={"os": "a b"}
    ),
}

for _name in DELEGATING:
    WRONG |= {
        f"{_name}: Regenerate": wrong(
            _name, 'supported values: "SingleUser"', strategies=["Regenerate"]
        ),
        f"{_name}: no strategy": wrong(_name, "should have at least 1 items", strategies=[]),
        f"{_name}: no values": wrong(_name, "should have at least 1 items", values=[]),
        f"{_name}: nothing rotated": wrong(_name, "should have at least 1 items", rotated=[]),
        f"{_name}: 17 values": wrong(
            _name,
            "must have at most 16 items",
            values=[*(f"v{number}" for number in range(16)), "password"],
        ),
        f"{_name}: a value with a slash": wrong(
            _name, "values[1] in body should match", values=["password", "a/b"]
        ),
        f"{_name}: what is no value, rotated": wrong(
            _name, "rotated has what is not among values", rotated=["token"]
        ),
        f"{_name}: a value that is not rotated": wrong(
            _name, "rotated has what is not among values", values=["token"]
        ),
        f"{_name}: steps without a test": wrong(
            _name, "steps must have set and test", steps=["set", "retire"]
        ),
        f"{_name}: an unknown step": wrong(
            _name, 'supported values: "set", "test", "retire"', steps=["set", "test", "probe"]
        ),
        f"{_name}: alternating without a user": wrong(
            _name,
            "values must have username, not rotated",
            strategies=["AlternatingUsers"],
            values=["password"],
        ),
        f"{_name}: alternating with a new user": wrong(
            _name,
            "values must have username, not rotated",
            strategies=["AlternatingUsers"],
            rotated=["username", "password"],
        ),
    }
