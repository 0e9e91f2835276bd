"""The scenarios of a run: each a published one, or derived from one by the fields that differ."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mico.challenge.scenario import Design, Given, GivenOutputs, GivenWeights, Scenario
from mico.data.options import DataOptions
from mico.data.registry import formats
from mico.data.tokens import BPE, is_checkpoint
from mico.networks import factory
from mico.networks.facts import networks, parse
from mico.support.errors import InputError, did_you_mean, shown
from mico.support.numbers import written_number
from mico.support.records import build

# By which an accountant finds the noise for a target.
DETERMINE_NOISE = ("n", "batch_size", "epochs", "drop_last", "epsilon", "delta")


def resolve(
    items: Sequence[str | Mapping[str, Any]],
    published: Mapping[str, Mapping[str, Any]],
    datasets: Mapping[str, DataOptions],
    design: Design = "published",
) -> dict[str, Scenario]:
    """The scenarios of a run by id.

    Args:
        items: each the id of a published scenario, or a mapping with `id`, perhaps `from` (a
            published scenario, else one earlier in the list), and the fields that differ.
        published: the library of scenarios, where each stands after the one it is derived from.
        datasets: the known data sets; design: that of the run.

    Raises:
        InputError: names the scenario and the key.
    """
    library: dict[str, dict[str, Any]] = {}
    for name, item in published.items():
        library[name] = _complete({"id": name, **item}, library)
    own: dict[str, dict[str, Any]] = {}
    resolved: dict[str, Scenario] = {}
    for number, given in enumerate(items, 1):
        item = {"id": given, "from": given} if isinstance(given, str) else given
        if "id" not in item:
            raise InputError(f"scenario number {number}: missing key 'id'")
        name = str(item["id"])
        if name in own:
            raise InputError(f"scenario {name}: its id is there twice")
        own[name] = _complete(item, own | library)
        where = f"scenario {name}"
        if own[name].get("memberships") is not None and design != "published":
            raise InputError(f"{where}: memberships: expected null with the design {design!r}")
        if design == "half" and own[name].get("released") is None:
            n = _half(where, own[name].get("data"), datasets)
            if written_number(item.get("n", n)) != n:
                expected = f"expected {n}, half the records, with the design 'half'"
                raise InputError(f"{where}: n: {shown(item['n'])}: {expected}")
            own[name] = _complete({**item, "n": n}, own | library)
        resolved[name] = build(Scenario, own[name], f"{where}: ")
        check_buildable(resolved[name], datasets)
    _check_distinct(resolved.values())
    return resolved


def given(
    items: Sequence[str | Mapping[str, Any]], datasets: Mapping[str, DataOptions]
) -> dict[str, Given]:
    """The scenarios of a run that are outputs or weights of models, by id; none if all are others.

    Raises:
        InputError: some are and some are not, or names the scenario and the key.
    """
    keys = {"outputs", "weights"}
    given = [item for item in items if isinstance(item, Mapping) and keys & item.keys()]
    if given and len(given) < len(items):
        raise InputError("outputs or weights: expected in all scenarios of a run, or in none")
    found: dict[str, Given] = {}
    for number, item in enumerate(given, 1):
        if "id" not in item:
            raise InputError(f"scenario number {number}: missing key 'id'")
        name = str(item["id"])
        if name in found:
            raise InputError(f"scenario {name}: its id is there twice")
        whole = {"challenge": item["id"], "track": item["id"], **item}
        where = f"scenario {name}"
        if "weights" in item:
            weights = found[name] = build(GivenWeights, whole, f"{where}: ")
            _check_network(where, weights.architecture, weights.data, datasets)
        else:
            found[name] = build(GivenOutputs, whole, f"{where}: ")
    _check_distinct(found.values())
    return found


def _complete(item: Mapping[str, Any], known: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """A scenario's fields, its own over those of the one it is derived from.

    Noise that was found for a target is not taken over where what it was found for differs, nor
    is noise without a target where there is one.
    """
    own = dict(item)
    base = own.pop("from", None)
    if base is not None and not (isinstance(base, str) and base in known):
        raise InputError(
            f"scenario {own['id']}: from {shown(base)} is unknown, {did_you_mean(base, known)}"
        )
    taken = dict(known[base]) if base else {}
    bound = DETERMINE_NOISE if taken.get("epsilon") is not None else ("epsilon",)
    if any(own.get(key, taken.get(key)) != taken.get(key) for key in bound):
        taken.pop("noise_multiplier", None)
    return taken | own


def _half(where: str, data: Any, datasets: Mapping[str, DataOptions]) -> int:
    """Half the records of the data set of this name, which the configuration must say."""
    records = _data(where, data, datasets).records
    if records is None:
        reason = "missing, of which the design 'half' takes one half"
        raise InputError(f"{where}: data {data!r}: records: {reason}")
    return records // 2


def _data(where: str, name: Any, datasets: Mapping[str, DataOptions]) -> DataOptions:
    """What the configuration says of the data set of this name."""
    if name not in list(datasets):  # a list, for a name that a dictionary cannot look up
        hint = did_you_mean(name, datasets)
        raise InputError(f"{where}: data {shown(name)} is not among the datasets, {hint}")
    return datasets[name]


def check_buildable(scenario: Scenario, datasets: Mapping[str, DataOptions]) -> None:
    """Refuse a scenario whose network does not take its data, or that needs more records.

    Where the configuration does not say how many there are, the splits are refused.

    Raises:
        InputError: names the scenario and the key.
    """
    where = f"scenario {scenario.id}"
    _check_network(where, scenario.architecture, scenario.data, datasets)
    network, _ = parse(scenario.architecture)
    for key in scenario.augmentations:
        if "images" not in networks()[network].data:
            raise InputError(f"{where}: {key}: expected a network for images, not {network}")
    records = datasets[scenario.data].records
    what, used = "n + m", scenario.n + scenario.m
    if scenario.memberships is not None:  # of which a training set may have a record twice
        what, used = "2m", 2 * scenario.m
    if records is not None and used > records:
        raise InputError(f"{where}: {what} = {used}, but {scenario.data} has {records} records")


def _check_network(
    where: str, architecture: str, name: str, datasets: Mapping[str, DataOptions]
) -> None:
    """Refuse a network that there is not, or that does not take the data set of this name."""
    try:
        network, variant = parse(architecture)
        if network == factory.FORM:
            factory.check(variant)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    facts = networks()[network]
    if facts.checkpoint and not is_checkpoint(variant):
        raise InputError(f"{where}: architecture {architecture!r}: {variant} is not a folder")
    data, known = _data(where, name, datasets), formats()
    if not set(known[data.format].kinds) & set(facts.data):
        expected = " or ".join(one for one in known if set(known[one].kinds) & set(facts.data))
        raise InputError(f"{where}: data {name!r}: {network} takes data of the format {expected}")
    if facts.pretrained and data.tokenizer == BPE:
        raise InputError(
            f"{where}: data {name!r}: {architecture} knows the tokens of its own "
            f"tokenizer, expected a data set with that and not {BPE}"
        )


def _check_distinct(scenarios: Iterable[Scenario | Given]) -> None:
    owner: dict[str, str] = {}
    for scenario in scenarios:
        other = owner.setdefault(scenario.challenge, scenario.id)
        if other != scenario.id:
            raise InputError(
                f"scenario {scenario.id}: challenge {scenario.challenge!r} is that of {other} too"
            )
