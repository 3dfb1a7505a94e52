"""Benchmarks against a real control plane; see docs/performance.md."""
