"""What leaves the organiser's house and what comes in: released challenges, a track's bundle,
predictions and submissions.

It imports networks, challenge, privacy, data and support. Attacks may import it: what is released
is all they see.
"""
