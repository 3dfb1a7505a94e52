"""What is made of crds/, rbac/ and values.yaml is up to date, and says of each value what it is."""

import json
from dataclasses import fields
from typing import Any

import pytest
import yaml

import keyturn
import make_chart
from chart.helming import ANYWHERE, Helm
from documents import ROOT, Document
from keyturn.settings import Settings

RUN = "run: make chart"

BY_EXTRA_ENV = {
    "KEYTURN_DATA_DIR": "where the chart mounts the volume",
    "KEYTURN_SOCKET": "in that folder",
    "KEYTURN_WORKLOAD": "for `kubectl keyturn`, on another machine",
    "KEYTURN_KUBECONFIG": "another cluster than the pod's",
    "KEYTURN_KEY_FILE": "a default key on a volume of one's own",
    "KEYTURN_FAILPOINT": "for tests",
}
"""The settings for which the chart has no value, and what they are for."""


def test_the_files_are_what_make_chart_makes() -> None:
    stale = [path for path, text in make_chart.made().items() if path.read_text() != text]

    assert stale == [], RUN
    assert set(make_chart.COPIES.rglob("*.yaml")) == make_chart.copies().keys(), RUN


def test_the_manifest_is_what_make_chart_makes(helm: Helm) -> None:
    assert make_chart.MANIFEST.read_text() == make_chart.manifest(), RUN


def test_the_chart_is_of_the_same_release() -> None:
    chart = yaml.safe_load((make_chart.CHART / "Chart.yaml").read_text())

    assert chart["appVersion"] == keyturn.__version__
    assert chart["version"] == keyturn.__version__


def refuses_others(schema: dict[str, Any]) -> bool:
    properties = schema.get("properties")
    if properties is None:
        return bool(schema["description"])
    return schema["additionalProperties"] is False and all(map(refuses_others, properties.values()))


def test_the_schema_describes_every_value_and_refuses_others() -> None:
    schema = json.loads((make_chart.CHART / "values.schema.json").read_text())

    assert refuses_others(schema)


def test_every_setting_of_the_operator_can_be_set(helm: Helm) -> None:
    everything = {
        "watch": {"namespaces": ["shop"]},
        "consumers": {"reloadAllow": ["10.0.0.0/8"]},
        "events": {
            "url": "https://events",
            "caSecret": {"name": "ca"},
            "signingSecret": {"name": "keys"},
        },
    }
    settings = {f"KEYTURN_{field.name.upper()}" for field in fields(Settings)}

    given = helm.template(everything).environment.keys()

    assert given | BY_EXTRA_ENV.keys() == settings
    assert not given & BY_EXTRA_ENV.keys()


def test_the_defaults_are_those_of_the_operator(helm: Helm) -> None:
    rendered = helm.template().environment

    # The kubelet asks from without the pod.
    assert rendered.pop("KEYTURN_HEALTH_ADDRESS") == ANYWHERE
    assert Settings.load(rendered) == Settings.load({})


@pytest.mark.parametrize("name", sorted(BY_EXTRA_ENV))
def test_what_the_chart_has_no_value_for_is_set_by_extra_env(helm: Helm, name: str) -> None:
    given = helm.template({"extraEnv": [{"name": name, "value": "/x"}]}).environment

    assert given[name] == "/x"


def test_the_page_of_the_chart_links_to_what_exists() -> None:
    page = Document(make_chart.CHART / "README.md")

    targets = [(page.path.parent / link.partition("#")[0]).resolve() for link in page.links()]
    assert [target for target in targets if not target.is_relative_to(ROOT)] == []
    assert [target for target in targets if not target.exists()] == []
