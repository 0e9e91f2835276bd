"""Many like cases in one test: collecting hundreds of tests takes longer than running them."""

import functools
import inspect
import itertools
from collections.abc import Callable, Iterable

import pytest

Test = Callable[..., None]


def each(**arguments: Iterable[object]) -> Callable[[Test], Test]:
    """Run a test with every combination of arguments: each is a subtest, and is named if it fails.

    The test may have fixtures beside them, which all combinations share.
    """

    def decorate(test: Test) -> Test:
        @functools.wraps(test)
        def run(subtests: pytest.Subtests, **fixtures: object) -> None:
            for values in itertools.product(*arguments.values()):
                named = ", ".join(getattr(value, "__name__", repr(value)) for value in values)
                with subtests.test(named):
                    test(**dict(zip(arguments, values, strict=True)), **fixtures)

        given = inspect.signature(test).parameters.values()
        own = inspect.signature(run, follow_wrapped=False).parameters["subtests"]
        fixtures = [one for one in given if one.name not in arguments]
        run.__signature__ = inspect.Signature([own, *fixtures])  # by which pytest knows fixtures
        return run

    return decorate
