"""The steps of a rotation as Kubernetes Jobs that run a container of the administrator's."""
