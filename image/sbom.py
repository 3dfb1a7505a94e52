"""Lists what is in the image, as CycloneDX 1.6: packages of Debian, packages of Python.

Of what was compiled into a wheel it tells as much as the wheel does. The Dockerfile runs it with
the folders that the image is made of. The same packages make the same bytes.
"""

import json
import re
import sys
import uuid
from collections.abc import Iterator, Sequence
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

SPECIFICATION = "1.6"
DEBIAN_PACKAGES = "var/lib/dpkg/status.d/*"
PYTHON_PACKAGES = "opt/keyturn/lib/python3*/site-packages/*.dist-info"
PRODUCT = "keyturn"

_NESTED_FIELDS = ("type", "name", "version", "purl", "licenses", "hashes")

Component = dict[str, Any]


def document(roots: Sequence[Path]) -> dict[str, Any]:
    """Make the list of what lies in the folders, each of which is a root of the image.

    Raises:
        ValueError: Keyturn is not among it.
    """
    components = [*_debian(roots), *_python(roots)]
    product = next((c for c in components if c["name"] == PRODUCT), None)
    if product is None:
        raise ValueError(f"no {PRODUCT} in {', '.join(map(str, roots))}")
    content = json.dumps(components, sort_keys=True)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": SPECIFICATION,
        "serialNumber": uuid.uuid5(uuid.NAMESPACE_OID, content).urn,
        "version": 1,
        "metadata": {
            "component": {
                "type": "container",
                "bom-ref": "image",
                "name": PRODUCT,
                "version": product["version"],
            }
        },
        "components": components,
    }


def _debian(roots: Sequence[Path]) -> Iterator[Component]:
    distribution = _distribution(roots)
    for file in _found(roots, DEBIAN_PACKAGES):
        control = _headers(file)
        name, version = control["Package"], control["Version"]
        # "Source: glibc (2.36-9)" names the package that advisories are about.
        source = (control["Source"] or name).split()[0]
        qualifiers = f"arch={control['Architecture']}&distro={distribution}&upstream={source}"
        purl = f"pkg:deb/debian/{name}@{quote(version, safe='')}?{qualifiers}"
        yield _component(name, version, purl)


def _python(roots: Sequence[Path]) -> Iterator[Component]:
    for folder in _found(roots, PYTHON_PACKAGES):
        metadata = _headers(folder / "METADATA")
        # As the specification of names of packages normalises them.
        name = re.sub(r"[-_.]+", "-", metadata["Name"]).lower()
        component = _component(name, metadata["Version"], f"pkg:pypi/{name}@{metadata['Version']}")
        if metadata["License-Expression"]:
            component["licenses"] = [{"expression": metadata["License-Expression"]}]
        nested = list(_nested(folder))
        if nested:
            component["components"] = nested
        yield component


def _nested(folder: Path) -> Iterator[Component]:
    """Yield what was compiled into a wheel, as far as the wheel tells it (PEP 770)."""
    for file in sorted(folder.glob("sboms/*.json")):
        for component in json.loads(file.read_text()).get("components", ()):
            yield {field: component[field] for field in _NESTED_FIELDS if field in component}


def _component(name: str, version: str, purl: str) -> Component:
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def _distribution(roots: Sequence[Path]) -> str:
    release = next(_found(roots, "etc/os-release")).read_text()
    values = dict(line.split("=", 1) for line in release.splitlines() if "=" in line)
    return f"{values['ID']}-{values.get('VERSION_ID', 'sid')}".replace('"', "")


def _found(roots: Sequence[Path], pattern: str) -> Iterator[Path]:
    for root in roots:
        yield from sorted(root.glob(pattern))


def _headers(file: Path) -> Message:
    return HeaderParser().parsestr(file.read_text())


if __name__ == "__main__":
    json.dump(document([Path(root) for root in sys.argv[1:]]), sys.stdout, indent=1)
