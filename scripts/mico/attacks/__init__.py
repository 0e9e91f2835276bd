"""The attacks, which are participants.

`given` is what they compute from a released challenge, `formulas` what they make of that.

They import release, training, scoring and what is below, and nothing that only the organiser has.
Pages and workflow may import them.
"""
