"""Traffic that cannot lie: Locust in a process of its own, as an open model.

The rooms, in the order a request passes them: ``config`` (what to send) and ``arrivals`` (when, seeded and stored)
are written by ``process``, which starts the child; in the child, ``locustfile`` wires ``users`` (one dispatcher),
``client`` (one exchange, never retried) and ``recorder`` together and talks to the harness through ``channel``; what
it says is defined in ``protocol``; what happened is in the files that ``rows`` reads and ``stats`` counts.

Only ``locustfile``, ``users``, ``client``, ``channel`` and ``timer`` import locust or gevent, and only the child
imports them: importing locust patches the whole interpreter, which asyncio does not survive.
"""
