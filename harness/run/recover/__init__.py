"""Recovering: reverting what a run left, by its ledger (`by_ledger`) or by what the cluster itself says (`by_claims`).

`folder` reads a run folder and `where` decides which cluster it may speak for, `liveness` tells whether a run is still
alive, `removing` reverts one thing, `leftovers` lists. Everything speaks the cluster port; nothing is opened here.
"""
