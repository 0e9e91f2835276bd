"""The scorer: metrics with intervals, audits, ceilings, and entries of a track.

It imports challenge, privacy and support. Attacks and pages may import it.
"""
