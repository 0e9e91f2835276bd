"""For notebooks: a run, a release or arrays, and what the workflow does with them, in memory.

It imports every room but pages and workflow, and none imports it. `mico` itself gives its names:

    import mico

    challenge = mico.from_logits(logits, labels, trained)
    challenge.score(challenge.attack("lira"))
"""

from mico.library.arrays import from_logits, from_margins, from_probabilities
from mico.library.challenge import Challenge, attack_names
from mico.library.plots import plot_roc
from mico.library.release import load_release
from mico.library.run import Run, load_run
from mico.library.scores import Scores, load_scores
from mico.support.errors import InputError

__all__ = [
    "Challenge",
    "InputError",
    "Run",
    "Scores",
    "attack_names",
    "from_logits",
    "from_margins",
    "from_probabilities",
    "load_release",
    "load_run",
    "load_scores",
    "plot_roc",
]
