"""The edge to Kubernetes: events come in by kopf and become keys in the work queue."""
