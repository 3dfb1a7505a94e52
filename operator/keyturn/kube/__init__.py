"""The edge to Kubernetes: its resources become domain types here, and its refusals our errors.

What belongs here: how a ManagedSecret is written and read, and how the apiserver is spoken to.
What does not: what is to be done about it.
"""
