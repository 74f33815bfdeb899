"""The kinds of faults, one file each: the value, its YAML shape and checks, its driver and its undo.

`kind` has what a kind is made of, `registry` all of them, `testing` a fault that does nothing and a driver that checks
drivers. No kind knows another. docs/how-to/add-a-fault.md adds one.
"""
