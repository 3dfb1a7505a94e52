"""What can go wrong on the way to a control plane."""


class ControlPlaneError(Exception):
    """The control plane cannot be had; the message says why, and what to do if something helps."""


class BinaryMissingError(ControlPlaneError):
    """A folder that the environment names lacks a binary."""


class BuildFailedError(ControlPlaneError):
    """Go could not be had, or could not build a binary."""


class ProcessFailedError(ControlPlaneError):
    """A process did not start, or ended by itself; the message ends with the last of its log."""


class NotReadyError(ControlPlaneError):
    """The control plane runs, but did not become ready in time."""


class CommandFailedError(ControlPlaneError):
    """kubectl ended with an error; the message is what it said."""


class EngineMissingError(ControlPlaneError):
    """No container engine answers, which kind needs."""


class KindError(ControlPlaneError):
    """A step on the way to a cluster of kind failed; the message ends with what was said."""
