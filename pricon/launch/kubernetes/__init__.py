"""A Kubernetes cluster with pricon's chart, seen from a researcher's laptop.

A job and the cluster's profile are rendered (`rayjob`), sent (`sending`), followed (`following`).
"""
