"""What the rules look up: the checked configuration, the plan of a run, what its jobs take.

It may import every room, but nothing that imports torch: a workflow is planned in a second.
"""
