"""Checks the configuration, and looks up in the plan of the run. Reads no data."""

import io
import os
import sys
import tarfile
from functools import cache
from pathlib import Path
from shlex import quote

from snakemake.logging import logger

# Another workflow may use this one as a module.
IS_MODULE = not workflow.modifier.is_main_snakefile()


def repository():
    """The folder of this repository: that of a local file, or a copy of what GitHub has.

    Snakemake fetches only the files that rules name, and the programs share a library.
    """
    here = workflow.current_basedir
    if here.is_local:
        # Relative to the working directory, so that a checkout that is moved is not run again.
        path = Path(here.get_path_or_uri(secret_free=True))
        if set("{}<>'\"") & set(str(path)):
            sys.exit(
                f"error: {path.parents[1]}: Snakemake takes braces, angle brackets and quotes in a"
                " path for its own, expected the checkout in another folder"
            )
        return Path(os.path.relpath(path.parents[1]))
    commit = here.hosted_repo.repo.commit(here.ref)
    copy = Path(f".snakemake/mico/{commit.hexsha}")
    if not copy.exists():
        archive = io.BytesIO()
        commit.repo.archive(archive, commit.hexsha)
        archive.seek(0)
        partial = copy.with_suffix(".partial")
        with tarfile.open(fileobj=archive) as files:
            files.extractall(partial, filter="data")
        partial.rename(copy)
    return copy


REPOSITORY = repository()
SCRIPTS = REPOSITORY / "scripts"
sys.path.insert(0, str(SCRIPTS.resolve()))

from mico.support.errors import InputError
from mico.support.source_hash import source_hash
from mico.workflow import failures, jobs, outside, resources, start, submissions

# Jobs run side by side: none may start threads of its own. Huge pages save training 3 %.
ENVIRONMENT = (
    "OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false"
    " GLIBC_TUNABLES=glibc.malloc.hugetlb=1"
)
if not IS_MODULE:
    # It is every rule's, also of the workflow that uses a module.
    shell.prefix(f"export {ENVIRONMENT}; ")


try:
    config, plan = start.planned(
        config,
        files=[*workflow.configfiles, *workflow.overwrite_configfiles],
        entries=[] if IS_MODULE else workflow.config_settings.config_args,
        repository=REPOSITORY,
        look=workflow.is_main_process,
    )
except InputError as error:
    # An exception would be shown with the lines of this file that it came through.
    sys.exit(start.refusal(error, workflow.configfiles, __name__ if IS_MODULE else ""))

if told := start.not_taken(plan):
    logger.warning(told)


pathvars:
    results=f"results/{plan.configuration.run}",
    logs="<results>/logs",
    benchmarks="<results>/benchmarks",


# Where results lie may be changed by whoever uses this workflow as a module.
RESULTS = workflow.modifier.path_modifier.modify(workflow.pathvars.apply("<results>"))
if strange := start.strange(plan, RESULTS, look=workflow.is_main_process):
    sys.exit(strange)


wildcard_constraints:
    scenario="[^/]+",
    data="[^/]+",
    track="[^/]+",
    challenge="[^/]+",
    participant="[^/]+",
    entry="[^/]+",
    file="[^/]+",
    first="[0-9]+",
    last="[0-9]+",


def program(name):
    """The command that runs a stage's program."""
    command = f"python {quote(str(SCRIPTS / name))}.py"
    return f"{ENVIRONMENT} {command}" if IS_MODULE else command


def code(name, sources=None, files=None):
    """A hash of what that program runs, as a parameter: an edit of it runs the stage again.

    Where it finds modules by itself (a network, a data format, an attack), `sources` is what `jobs`
    says of them, and the hash is a function of the job. `files` is what it says of those that
    somebody gives, whose contents count too.
    """
    path = SCRIPTS / f"{name}.py"
    if sources is None:
        return source_hash(path)

    def value(wildcards):
        found = contents(files)(wildcards) if files else []
        return " ".join([source_hash(path, *sources(plan, wildcards)), *found])

    return value


# Of files that somebody gives, whose times may be anything, the content is part of a parameter.


@cache
def is_made(file):
    """Whether some rule makes a file, here or in a workflow that uses this one."""
    return any(rule.is_producer(file) for rule in workflow.rules)


def given(function):
    """An input function: the files of these that are made by a rule, or missing."""

    def value(wildcards):
        files = function(plan, wildcards)
        return [file for file in files if is_made(file) or not os.path.exists(file)]

    return value


def contents(function):
    """A parameter: digests of the files of these that no rule makes."""

    def value(wildcards):
        files = function(plan, wildcards)
        return [outside.content(Path(file)) for file in files if not is_made(file)]

    return value


def job(function):
    """An input function or a parameter: what a function of `jobs` says."""

    def value(wildcards):
        return function(plan, wildcards)

    return value


def job_files(function):
    """A parameter: what a function of `jobs` says that looks at the job's files."""

    def value(wildcards, input):
        return function(plan, wildcards, input)

    return value


def environment(name):
    """A conda environment, or that which does text as well; a function only if a run needs both."""

    def path(wildcards):
        return f"../../envs/{name}{'-text' * plan.has_text(wildcards)}.yaml"

    return path if plan.mixes_text else path({})


def field(name):
    """A function: this field of the job's scenario."""

    def value(wildcards):
        return getattr(plan.of(wildcards), name)

    return value


def growing(amount):
    """A resource of a job: a number, or a function of `resources`; with every attempt more."""

    def value(wildcards, input, attempt):
        known = plan.measured(input.get("costs", ()))
        return attempt * (amount(known, wildcards) if callable(amount) else amount)

    return value
