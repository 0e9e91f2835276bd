"""The pages that people look at: the report, the scoreboards, a page on every attack.

They import attacks, scoring and what is below. Only workflow may import them.
"""
