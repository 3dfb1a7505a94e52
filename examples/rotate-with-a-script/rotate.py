#!/usr/bin/env python3
"""Rotates the password of a user of an old wiki, which Keyturn knows nothing of.

The wiki has an htpasswd file and two calls for its administrator: PUT /users/NAME sets a password,
DELETE /users/NAME takes the user away. Whoever may log in gets 200 from GET /, others get 401.

Keyturn runs this for each step. What it is about is in request.json, the values are in files
beside it; see docs/rotators-job.md. It ends with 0: done, or accepted; 10: refused; anything else:
it cannot tell, ask again.
"""

import base64
import json
import sys
import urllib.error
import urllib.request
from pathlib import Path

DONE, REFUSED = 0, 10
UNAUTHORIZED = 401
SECONDS = 10


def call(method: str, url: str, login: Path, body: bytes | None = None) -> int:
    """Call the wiki with the login that stands in a folder; return the status."""
    user, password = (login / "username").read_bytes(), (login / "password").read_bytes()
    basic = base64.b64encode(user + b":" + password).decode()
    request = urllib.request.Request(url, data=body, method=method)
    request.add_header("Authorization", f"Basic {basic}")
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def main(wiki: str, files: Path) -> int:
    request = json.loads((files / "request.json").read_text())
    match request["step"]:
        case "test":
            status = call("GET", f"{wiki}/", files / "credential")
            return REFUSED if status == UNAUTHORIZED else done(status)
        case "set":
            user = (files / "pending" / "username").read_text()
            password = (files / "pending" / "password").read_bytes()
            return done(call("PUT", f"{wiki}/users/{user}", files / "admin", password))
        case "retire":
            user = (files / "old" / "username").read_text()
            kept = [folder.read_text() for folder in (files / "kept").glob("*/username")]
            # The same user with another password: setting that one has ended the old one already.
            if user in kept:
                return DONE
            return done(call("DELETE", f"{wiki}/users/{user}", files / "admin"))
        case _:
            return 1


def done(status: int) -> int:
    """Say that all is well, or that it cannot be told."""
    print(f"the wiki answers {status}")
    return DONE if status in (200, 204) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
