"""A challenge: its scenario, seeds, splits and phases, as the competition had them.

It imports data, privacy and support. The rooms above may import it: networks, training and on.
"""
