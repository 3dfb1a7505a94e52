"""The steps of a rotation as signed HTTP calls to an endpoint of the administrator's."""
