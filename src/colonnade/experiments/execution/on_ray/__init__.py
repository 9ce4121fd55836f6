"""Runs trained on a Ray cluster.

`workers` is the executor's side, and `agent` stands for it on each node; `nodes` is what they ask
of a cluster, and `cluster` how Ray does it.
"""
