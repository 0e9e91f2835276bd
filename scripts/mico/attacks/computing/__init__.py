"""How a participant computes the kinds of input, for the programs that make them.

`outputs` and `gradients` run the released models, `over_models` goes through a challenge's, and
`arguments` is what all these programs ask for.
"""
