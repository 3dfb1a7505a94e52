"""The image that pods of the tests run, made without a registry."""

import subprocess

from keyturn_controlplane.images import Image, find_busybox

BUSYBOX = "localhost/busybox:1"


def busybox_image() -> Image:
    """Return an image with a shell and the tools of busybox, and a /tmp."""
    busybox = find_busybox()
    said = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True)
    tools = [tool for tool in said.stdout.split() if tool != "busybox"]
    return Image(
        BUSYBOX,
        files={"/bin/busybox": busybox},
        command=["/bin/sh"],
        links={f"/bin/{tool}": "busybox" for tool in tools},
        folders=["/etc", "/tmp"],  # noqa: S108 - within the image
    )
