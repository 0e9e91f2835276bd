"""The attacks, which are participants.

`given` holds the kinds of input that a participant computes from a released challenge, `formulas`
the attacks, a module each, which turn them into scores. `registry` finds both by name. `shadows`
has the statistics that formulas share, `reference_training` trains reference models, and
`docstrings` reads what attacks say of themselves.

They import release, training, scoring and what is below, and nothing that only the organiser has.
Pages and workflow may import them.
"""
