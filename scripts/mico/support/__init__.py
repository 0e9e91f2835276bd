"""The floor that all rooms stand on: errors, progress, files that appear whole or not at all.

Every room may import it; it imports none.
"""
