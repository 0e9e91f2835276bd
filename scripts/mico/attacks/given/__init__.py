"""What attacks are given: what a participant computes once from a released challenge.

A kind of input is a module here, and an attack asks for it with a parameter of the module's name:
`scores(signals, whitebox, options)` is called with what `signals.read` and `whitebox.read` return.
A new kind is three files:

1. `<kind>.py` here, with `read(paths, signals, phases)`. `paths` are the files or folders of one
   challenge, in order; `signals` the challenge's `Signals`, of whose models and records the input
   must be; `phases` its `Phases`. An `InputError` names the path that is wrong.
2. A program in `scripts/` that makes them from the released challenge and the public data.
3. Its rule in `workflow/rules/attack.smk`.

`scripts/attack.py` takes all kinds alike, `--input <kind> <path> ...`, and imports only those that
the attack asks for. A kind's module must not import torch, which attacks do not need.
"""
