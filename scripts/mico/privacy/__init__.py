"""What training spends of privacy, and the noise that a budget asks for.

It imports support. The rooms above may import it: challenge, networks, training and on.
"""
