"""What is said to whoever starts a lab of root's, or runs something on it."""

from __future__ import annotations

import os


def root_notice() -> str:
    """One line when this process is root's, so that a lab's pods have root's rights on the machine; else ""."""
    if os.geteuid() != 0:
        return ""
    return (
        "this lab is root's: its pods are programs with root's rights on this machine; "
        "run no experiment on it that you would not run as a script"
    )
