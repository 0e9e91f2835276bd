"""What a call is worth where members are rare or common."""

PRIORS = (0.01, 0.1, 0.5)  # the shares of members among the records that somebody asks about


def posterior(prior: float, tpr: float, fpr: float) -> float | None:
    """The chance that a record is a member if it is called one; None if none ever is."""
    members, others = prior * tpr, (1 - prior) * fpr
    return round(members / (members + others), 6) if members + others else None
