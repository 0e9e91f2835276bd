"""The training engine, its checkpoints, and the device that it computes on.

It imports networks, challenge, privacy, data and support. Attacks may import it, since a
participant trains models too.
"""
