"""ROC curves as the report draws them: both axes logarithmic, where attacks differ."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes


def plot_roc(curves: Mapping[str, pd.DataFrame], axes: Axes | None = None) -> Axes:
    """Draw ROC curves over each other, with that of a guess.

    Args:
        curves: by name, as `Challenge.roc` gives them; axes: where to draw, by default new ones.
    """
    axes = axes or plt.subplots(figsize=(5, 5))[1]
    # Equal scores have no other FPR than 0 and 1.
    least = min([0.1, *(float(one.fpr[one.fpr > 0].min()) for one in curves.values())])
    for name, one in curves.items():
        axes.step(one.fpr, one.tpr, where="post", label=name)
    axes.plot([least, 1], [least, 1], color="grey", linestyle=":", label="a guess")
    axes.set(xscale="log", yscale="log", xlim=(least, 1), ylim=(least, 1.05))
    axes.set(xlabel="false positive rate", ylabel="true positive rate")
    axes.legend(loc="lower right")
    return axes
