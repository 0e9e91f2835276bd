"""The plan of a run: which models, files and entries there are, for the rules to look up.

A job's wildcards are a mapping: Snakemake's own, or a dictionary. Paths begin with `<results>`,
which the workflow replaces.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, astuple, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path

from mico.challenge.recipe import Optimisation, Recipe
from mico.challenge.scenario import Given, GivenOutputs, GivenWeights, Scenario
from mico.data.options import DataOptions
from mico.data.original_form import is_taken
from mico.data.registry import formats
from mico.networks import costs, factory, pretrained
from mico.networks.costs import Costs, Rates
from mico.networks.facts import parse
from mico.workflow import estimate
from mico.workflow.configuration import SHARED, Configuration, Run
from mico.workflow.submissions import Inbox, Submission

Wildcards = Mapping[str, str]
Attacked = Scenario | Given


@dataclass(frozen=True)
class Plan:
    """A run's configuration and the submissions that were found, and what follows from them."""

    run: Run
    submissions: Mapping[str, Mapping[str, Submission]]  # track -> id for file names -> it
    passed_over: list[str] = field(default_factory=list)  # what lies beside them, a line each
    costs: Costs | None = None  # of a job's network, where that was measured

    @property
    def configuration(self) -> Configuration:
        """The checked configuration."""
        return self.run.configuration

    @property
    def phases(self) -> list[int]:
        """The numbers of train, dev and final models."""
        return list(astuple(self.configuration.models))

    @property
    def models(self) -> int:
        """The number of models of a scenario."""
        return self.configuration.models.models

    @property
    def gpu(self) -> int:
        """GPUs of a job that trains or runs models; with the device `auto` it does without too."""
        return 0 if self.configuration.device == "cpu" else 1

    @property
    def physical_batch_size(self) -> int | None:
        """On how many examples a network computes at a time, if that is configured."""
        size = self.configuration.physical_batch_size
        return None if size == "auto" else size

    # Scenarios and their data

    @cached_property
    def challenges(self) -> dict[str, Attacked]:
        """All that is attacked, by the names of the challenges, in the run's order."""
        every: list[Attacked] = [*self.run.scenarios.values(), *self.run.given.values()]
        return {one.challenge: one for one in every}

    @cached_property
    def tracks(self) -> list[str]:
        """The names of the tracks, sorted."""
        return sorted({one.track for one in self.challenges.values()})

    @property
    def datasets(self) -> list[str]:
        """The names of the data sets that some scenario uses, sorted."""
        every = self.challenges.values()
        return sorted({one.data for one in every if not isinstance(one, GivenOutputs)})

    @property
    def exported(self) -> list[str]:
        """The names of those that the original kit can read from files."""
        options = self.configuration.datasets
        return [name for name in self.datasets if is_taken(formats()[options[name].format])]

    def of(self, wildcards: Wildcards) -> Scenario:
        """The scenario of a job that has to do with models, by its id or its challenge's name."""
        return self.run.scenarios[self._id(wildcards)]

    def given_of(self, wildcards: Wildcards) -> Given:
        """The outputs or weights that a job is about, by their id or their challenge's name."""
        return self.run.given[self._id(wildcards)]

    def attacked(self, wildcards: Wildcards) -> Attacked:
        """What a job is about, with models or without."""
        id = self._id(wildcards)
        return self.run.scenarios.get(id) or self.run.given[id]

    def _id(self, wildcards: Wildcards) -> str:
        challenge = wildcards.get("challenge")
        return self.challenges[challenge].id if challenge else wildcards["scenario"]

    @property
    def weights(self) -> dict[str, GivenWeights]:
        """The weights of models that are given, by id."""
        known = self.run.given
        return {name: one for name, one in known.items() if isinstance(one, GivenWeights)}

    @cached_property
    def trained(self) -> dict[str, Scenario]:
        """The scenarios whose models are trained here, by id."""
        return {name: one for name, one in self.run.scenarios.items() if one.released is None}

    @cached_property
    def timed(self) -> list[str]:
        """The ids of those whose network is somebody's own: what it takes is measured first."""
        trained = self.trained.items()
        return [name for name, one in trained if parse(one.architecture)[0] == factory.FORM]

    @cached_property
    def released(self) -> dict[str, Scenario]:
        """The scenarios whose models somebody else released, by id."""
        known = self.run.scenarios
        return {name: one for name, one in known.items() if one.released is not None}

    @cached_property
    def ranked(self) -> list[str]:
        """The tracks that have a scoreboard: all memberships are known."""
        return [name for name in self.tracks if all(one.solved for one in self.in_track(name))]

    @property
    def packed(self) -> list[str]:
        """The tracks that bundles are made of: all models are trained here."""
        trained = self.trained
        return [
            name for name in self.tracks if all(one.id in trained for one in self.in_track(name))
        ]

    @property
    def handed_in(self) -> list[tuple[str, str]]:
        """Participants with the tracks that are not ranked, where they can hand in predictions."""
        return [
            (name, track)
            for track in self.tracks
            if track not in self.ranked and self.of_track(track)
            for name in self.run.attacks
            if self.entered(track, name) == self.in_track(track)
        ]

    def in_track(self, track: str) -> list[Attacked]:
        """All that is attacked in a track, in the run's order."""
        return [one for one in self.challenges.values() if one.track == track]

    def of_track(self, track: str) -> list[Scenario]:
        """The scenarios of a track that have models, in the run's order."""
        return [one for one in self.run.scenarios.values() if one.track == track]

    def data(self, scenario: Scenario | GivenWeights) -> DataOptions:
        """What the configuration says of a scenario's data set."""
        return self.configuration.datasets[scenario.data]

    def has_text(self, wildcards: Wildcards) -> bool:
        """Whether a job has to do with text: its data set, or some scenario's that it is about."""
        names = set(wildcards.keys())
        if "data" in names:
            options = [self.configuration.datasets[wildcards["data"]]]
        elif names & {"challenge", "scenario"}:
            id = self._id(wildcards)
            one = self.weights.get(id) or self.run.scenarios.get(id)
            options = [] if one is None else [self.data(one)]
        elif "track" in names:
            options = [self.data(scenario) for scenario in self.of_track(wildcards["track"])]
        else:
            options = [self.configuration.datasets[name] for name in self.datasets]
        return any("tokens" in formats()[one.format].kinds for one in options)

    @property
    def mixes_text(self) -> bool:
        """Whether some of the run's data sets are text and some are not."""
        return len({self.has_text({"data": name}) for name in self.datasets}) > 1

    def is_synthetic(self, track: str) -> bool:
        """Whether some of a track's data are synthetic."""
        return any(formats()[self.data(one).format].generated for one in self.of_track(track))

    # Training

    def recipe(self, scenario: Scenario) -> Recipe:
        """How the organiser trains a scenario's models."""
        secure = self.configuration.secure and scenario.private
        return self._recipe(scenario, null_run=scenario.null_run, secure=secure)

    def participant_recipe(self, scenario: Scenario) -> Recipe:
        """How a participant trains the like of a scenario's models."""
        return self._recipe(scenario, null_run=False, secure=False)

    def _recipe(self, scenario: Scenario, null_run: bool, secure: bool) -> Recipe:
        optimisation = {field.name: getattr(scenario, field.name) for field in fields(Optimisation)}
        return Recipe(
            architecture=scenario.architecture,
            physical_batch_size=self.physical_batch_size,
            precision=self.configuration.precision,
            n=scenario.n,
            m=scenario.m,
            optimisation=Optimisation(**optimisation),
            null_run=null_run,
            secure=secure,
        )

    def model_seconds(self, scenario: Scenario) -> float:
        """How long it takes to train one of a scenario's models."""
        return estimate.training_seconds(scenario, self.rates(scenario))

    def rates(self, one: Scenario | GivenWeights) -> Rates:
        """What its network takes: as measured, or as known beforehand."""
        if self.costs is not None:
            return self.costs.rates
        return estimate.rates(one, self.data(one), self.gpu > 0)

    def measured(self, files: Iterable[str]) -> "Plan":
        """The plan for a job that has this file of costs, or none.

        Shards are planned without, so that the same ones are planned every time.
        """
        there = [path for path in map(Path, files) if path.is_file()]
        return replace(self, costs=costs.read(there[0])) if there else self

    def shards(self, scenario: Scenario) -> list[str]:
        """The shards of a scenario's models, as `first-last`, in model order."""
        size = self.configuration.shard_size
        if size == "auto":
            size = estimate.shard_size(self.model_seconds(scenario), self.models)
        return ranges(0, self.models, size)

    def shard_paths(self, scenario: Scenario, ending: str = "") -> list[str]:
        """What is made of a scenario's shards, in model order: folders of models, or `.csv`."""
        folder = f"<results>/private/{scenario.id}/models"
        return [f"{folder}/{shard}{ending}" for shard in self.shards(scenario)]

    def model_rows(self, wildcards: Wildcards) -> list[str]:
        """The tables of all models of the run."""
        scenarios = self.trained.values()
        return [path for scenario in scenarios for path in self.shard_paths(scenario, ".csv")]

    # Attacks and entries

    def reference_targets(self) -> list[str]:
        """The shards of targets of reference models: some train models, and all others."""
        known = self.configuration.target_references.train_models
        size = self.configuration.target_references.shard_size
        return ranges(0, known, size) + ranges(self.phases[0], self.models, size)

    def inputs(self, wildcards: Wildcards) -> dict[str, str | list[str]]:
        """The files that a participant's attack asks for, by the kind of input."""
        wanted = self.run.inputs[wildcards["participant"]]
        return {kind: self._input(kind, wildcards) for kind in wanted}

    def _input(self, kind: str, wildcards: Wildcards) -> str | list[str]:
        where = f"{wildcards['track']}/{wildcards['challenge']}"
        if kind == "others":
            scenario = self.challenges[wildcards["challenge"]].id
            return [
                f"<results>/predictions/{name}/{where}"
                for name, wanted in self.run.inputs.items()
                if "others" not in wanted and scenario in self.run.entered[name]
            ]
        shared = self.configuration.shared_references
        shards = {
            "target_references": self.reference_targets(),
            SHARED: ranges(0, shared.count, shared.shard_size),
        }
        if kind in shards:
            return [f"<results>/{kind}/{where}/{shard}.npz" for shard in shards[kind]]
        return f"<results>/{kind}/{where}.npz"

    def entered(self, track: str, entry: str) -> list[Attacked]:
        """What of a track an entry takes part in; a submission must in all."""
        return [
            scenario
            for scenario in self.in_track(track)
            if entry in self.submissions[track] or scenario.id in self.run.entered[entry]
        ]

    def entries(self, track: str) -> list[str]:
        """The entries to a track: built-in attacks, and submissions by their ids."""
        names = [*self.run.attacks, *self.submissions[track]]
        return [name for name in names if self.entered(track, name)]

    def whole_entries(self, wildcards: Wildcards) -> list[str]:
        """The scores of all entries to a track that take part in all its challenges."""
        track = wildcards["track"]
        return [
            f"<results>/entries/{track}/{entry}.json"
            for entry in self.entries(track)
            if self.entered(track, entry) == self.in_track(track)
        ]

    def all_entries(self, wildcards: Wildcards) -> list[str]:
        """The scores of all entries to all tracks."""
        return [
            f"<results>/entries/{track}/{entry}.json"
            for track in self.tracks
            for entry in self.entries(track)
        ]

    def for_track(self, pattern: str) -> Callable[[Wildcards], list[str]]:
        """An input function: a file for every challenge of a track, named by scenario fields."""

        def paths(wildcards: Wildcards) -> list[str]:
            return [pattern.format(**vars(one)) for one in self.of_track(wildcards["track"])]

        return paths

    def for_entry(
        self, pattern: str, with_outputs: bool = False
    ) -> Callable[[Wildcards], list[str]]:
        """An input function: a file for every challenge of an entry, named by scenario fields.

        Args:
            with_outputs: there is one of given outputs, too.
        """

        def paths(wildcards: Wildcards) -> list[str]:
            entered = self.entered(wildcards["track"], wildcards["entry"])
            return [
                pattern.format(**vars(one))
                for one in entered
                if with_outputs or isinstance(one, Scenario)
            ]

        return paths


def make(run: Run, look: bool = True) -> Plan:
    """The plan of a run.

    Args:
        look: whether to look for submissions; what SLURM's jobs do is about none.
    """
    plan = Plan(run, {})
    nobodys: dict[str, dict[str, Submission]] = {track: {} for track in plan.tracks}
    if not look:
        return Plan(run, nobodys)
    where = run.configuration.submissions
    inbox = Inbox(Path(where.path), plan.ranked, where.max_bytes)
    found = {track: {one.id: one for one in some} for track, some in inbox.submissions.items()}
    return Plan(run, nobodys | found, inbox.passed_over)


def ranges(first: int, end: int, size: int) -> list[str]:
    """The numbers from `first` to before `end` in shards of a size, as `first-last`."""
    return [f"{start}-{min(start + size, end) - 1}" for start in range(first, end, size)]


def shard_of(wildcards: Wildcards) -> tuple[int, int]:
    """The first and the last number of a job's shard."""
    return int(wildcards["first"]), int(wildcards["last"])


def public(scenario: Attacked) -> dict[str, object]:
    """A scenario as others are told of it: nothing of where files lie on this machine."""
    if not isinstance(scenario, Scenario):
        unknown = dict.fromkeys(field.name for field in fields(Scenario))
        named = {"id": scenario.id, "challenge": scenario.challenge, "track": scenario.track}
        return unknown | named | {"data": scenario.data, "outputs": True, "solved": False}
    told = asdict(scenario) | {"architecture": pretrained.public(scenario.architecture)}
    del told["solutions"]
    told["memberships"] = scenario.memberships is not None
    return told | {"released": scenario.released is not None, "solved": scenario.solved}
