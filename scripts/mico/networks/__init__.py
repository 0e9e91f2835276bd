"""The networks, their gradients clipped example by example, and the randomness they start from.

It imports challenge, data and support. The rooms above may import it: training, release, attacks
and on.
"""
