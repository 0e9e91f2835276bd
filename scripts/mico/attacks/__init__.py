"""The attacks, which are participants.

`given` holds the kinds of input that a participant computes from a released challenge, `formulas`
the attacks, a module each, which turn them into scores. `registry` finds both by name. `computing`
is what the programs that make the input share, `reference_training` trains reference models.
`shadows` has the statistics that formulas share, `scaling` how scores are scaled before they are
pooled, and `docstrings` reads what attacks say of themselves.

They import release, training, scoring and what is below, and nothing that only the organiser has.
Pages and workflow may import them.
"""
