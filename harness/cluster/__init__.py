"""Talking to a cluster: the ports, the watch, the undo record on a node and in the ledger."""
