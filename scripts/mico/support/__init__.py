"""The floor that all rooms stand on: errors, progress, files that are whole, verified and private.

Every room may import it; it imports none.
"""
