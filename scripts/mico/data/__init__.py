"""Data sets, from the raw file to arrays that are memory-mapped: formats, checksums, tokens.

It imports support. Every other room may import it.
"""
