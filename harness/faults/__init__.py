"""Faults: each says how a node must change, and how to change it back so that it is exactly as it was.

`claim_record` is the undo record as a value, `claim` computes the patches that carry it, `nodes` does guarded writes
and undoes them, `patience` says how long to keep trying.
"""
