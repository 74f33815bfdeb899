"""Figures, not assertions: run by hand or by `make bench`."""
