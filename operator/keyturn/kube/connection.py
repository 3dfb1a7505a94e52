"""How to reach the apiserver, and as whom."""

from dataclasses import dataclass
from pathlib import Path

import yaml
from kubernetes.aio import client, config
from kubernetes.aio.config.config_exception import ConfigException

from keyturn.domain.errors import ClusterUnavailableError

_UNUSABLE = (ConfigException, OSError, AttributeError, TypeError, ValueError, yaml.YAMLError)
"""What the client raises for a file that holds no credentials, or is no kubeconfig at all."""


@dataclass(frozen=True, slots=True)
class Connection:
    """The apiserver's address and credentials, read anew from the same place on demand."""

    kubeconfig: Path | None

    async def load(self) -> client.Configuration:
        """Read the kubeconfig, or the pod's ServiceAccount where there is none.

        Raises:
            ClusterUnavailableError: there is neither, or it cannot be understood.
        """
        configuration = client.Configuration()
        try:
            if self.kubeconfig is None:
                config.load_incluster_config(client_configuration=configuration)
            else:
                await config.load_kube_config(
                    config_file=str(self.kubeconfig), client_configuration=configuration
                )
        except _UNUSABLE as error:
            place = self.kubeconfig or "this pod's ServiceAccount"
            raise ClusterUnavailableError(
                f"no credentials for the apiserver in {place}; set KEYTURN_KUBECONFIG"
            ) from error
        return configuration
