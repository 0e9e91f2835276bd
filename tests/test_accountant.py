"""The accountant: the published noise, and budgets that are kept."""

import json
import math
import re
from pathlib import Path

import pytest
import yaml
from dp_accounting.pld.privacy_loss_distribution import from_gaussian_mechanism
from scipy.optimize import brentq
from scipy.stats import norm

from mico.privacy import budget
from mico.privacy.accountant import EPS_ERROR, account
from mico.privacy.budget import Privacy
from mico.support.errors import InputError
from mico.workflow import scenarios

ROOT = Path(__file__).parents[1]
PUBLISHED = ROOT / "config" / "scenarios.yaml"
FAITHFUL = ROOT / "docs" / "faithful.md"

# Opacus takes its first guess of the largest privacy loss from RDP, at a fixed list of orders;
# where the best of them is the last, it says so, and the guess is only a little wider.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Optimal order is the largest alpha. Please consider expanding the range of alphas "
    "to get a tighter privacy bound.:UserWarning"
)
# Without subsampling its formula takes the logarithm of 1 - q = 0.
no_subsampling = pytest.mark.filterwarnings(
    "ignore:divide by zero encountered in log:RuntimeWarning"
)
PURCHASE100 = {"n": 150_000, "batch_size": 512, "epochs": 30}
CIFAR10 = {"n": 50_000, "batch_size": 512, "epochs": 50}
FAST = {"n": 2000, "batch_size": 100, "epochs": 5}
WHOLE = {"n": 100, "batch_size": 100, "epochs": 1}  # all records in its only step


@pytest.mark.slow
@pytest.mark.parametrize(
    ("training", "rate", "steps", "epsilon", "sigma"),
    [
        (PURCHASE100, 1 / 293, 8790, 10, 0.542),
        (PURCHASE100, 1 / 293, 8790, 4, 0.707),
        (CIFAR10, 1 / 98, 4900, 10, 0.699),
        (CIFAR10, 1 / 98, 4900, 4, 1.044),
    ],
)
def test_published_noise(training, rate, steps, epsilon, sigma) -> None:
    """As published, to the few thousandths that a search within 0.01 of epsilon leaves open."""
    found = account(**training, delta=1e-5, epsilon=epsilon)
    assert found.sample_rate == rate  # exactly: both are the float nearest to 1 over an integer
    assert found.steps == steps
    assert found.delta == 1e-5
    assert found.noise_multiplier == pytest.approx(sigma, abs=0.01)
    # What is spent is never more than the budget, and hardly less.
    assert epsilon - 0.02 <= found.epsilon_spent <= epsilon


@no_subsampling
@pytest.mark.parametrize(("training", "epsilon"), [(FAST, 0.5), (WHOLE, 4), (WHOLE, 100)])
def test_budget_is_kept(training, epsilon) -> None:
    found = account(**training, delta=1e-5, epsilon=epsilon)
    # The search ends within 0.01 of the budget, from below.
    assert epsilon - 0.02 <= found.epsilon_spent <= epsilon
    again = account(**training, delta=1e-5, noise_multiplier=found.noise_multiplier)
    assert again == found


@pytest.mark.parametrize(
    ("n", "batch_size", "epochs", "rate", "steps"),
    [
        (512, 512, 1, 1, 1),
        (513, 512, 3, 1 / 2, 6),
        (1024, 512, 3, 1 / 2, 6),
        (1025, 512, 3, 1 / 3, 9),
        (100, 512, 7, 1, 7),  # a batch larger than the data is all of it
        (67_349, 1024, 3, 1 / 66, 198),
    ],
)
def test_sampling(n, batch_size, epochs, rate, steps) -> None:
    assert budget.sampling(n, batch_size, epochs) == (rate, steps)
    found = account(n, batch_size, epochs, delta=None)
    assert found == Privacy(rate, steps)
    assert found.epsilon_spent is found.noise_multiplier is found.delta is None


def test_without_the_last_batch_the_sample_rate_is_exact() -> None:
    """X2's: 65 whole batches of 1,024 in each of three epochs."""
    assert budget.sampling(67_349, 1024, 3, drop_last=True) == (1024 / 67_349, 195)
    assert budget.sampling(1024, 512, 3, drop_last=True) == budget.sampling(1024, 512, 3)
    found = account(67_349, 1024, 3, delta=None, drop_last=True)
    assert (found.sample_rate, found.steps) == (1024 / 67_349, 195)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["T2", "T3", "I2", "I3", "X2", "X3"])
def test_published_noise_spends_the_published_epsilon(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By two other accountants: PRV's upper bound may be off by its eps_error, PLD's is not."""
    monkeypatch.setattr(scenarios, "check_buildable", lambda scenario, datasets: None)
    one = scenarios.resolve([name], yaml.safe_load(PUBLISHED.read_text()), {})[name]
    noise = {"noise_multiplier": one.noise_multiplier, "drop_last": one.drop_last}
    spent = account(one.n, one.batch_size, one.epochs, one.delta, **noise)
    assert one.epsilon - 2 * EPS_ERROR < spent.epsilon_spent < one.epsilon + EPS_ERROR
    step = from_gaussian_mechanism(
        spent.noise_multiplier, value_discretization_interval=1e-3, sampling_prob=spent.sample_rate
    )
    exact = step.self_compose(spent.steps).get_epsilon_for_delta(1e-5)
    assert one.epsilon - 2 * EPS_ERROR < exact < one.epsilon
    # As docs/faithful.md says.
    column, place = "TIX".index(name[0]) + 1, (10, 4).index(one.epsilon)
    for row, value in ("Opacus's accountant", spent.epsilon_spent), ("dp-accounting", exact):
        (line,) = re.findall(rf"\| ε spent, by {row} \|.*", FAITHFUL.read_text())
        assert line.split("|")[column + 1].split(", ")[place].strip() == f"{value:.2f}"


@pytest.mark.slow
def test_more_noise_spends_less_and_more_epochs_more() -> None:
    base = account(**FAST, delta=1e-5, noise_multiplier=1.0)
    assert base.noise_multiplier == 1.0
    assert account(**FAST, delta=1e-5, noise_multiplier=1.2).epsilon_spent < base.epsilon_spent
    assert (
        account(**FAST | {"epochs": 8}, delta=1e-5, noise_multiplier=1.0).epsilon_spent
        > base.epsilon_spent
    )
    assert account(**FAST, delta=1e-6, noise_multiplier=1.0).epsilon_spent > base.epsilon_spent


def exact_epsilon(sigma, steps, delta) -> float:
    """The Gaussian mechanism's, by theorem 8 of Balle and Wang (2018, arXiv 1805.06530).

    Steps with noise sigma are one step with noise sigma / sqrt(steps).
    """
    sigma = sigma / math.sqrt(steps)

    def excess(epsilon) -> float:
        a, b = 1 / (2 * sigma), epsilon * sigma
        return norm.cdf(a - b) - math.exp(epsilon) * norm.cdf(-a - b) - delta

    return brentq(excess, 0, 100)


@no_subsampling
@pytest.mark.parametrize(
    ("sigma", "steps"), [(0.7, 1), (1, 1), (3, 1), (2, 4), (3, 9), (4, 10), (20, 100)]
)
@pytest.mark.parametrize("delta", [1e-5, 1e-3])
def test_upper_bound_is_above_the_exact_epsilon(sigma, steps, delta) -> None:
    """Where all records are used in every step, the exact epsilon is known."""
    found = account(100, 100, steps, delta, noise_multiplier=sigma)
    assert (found.sample_rate, found.steps) == (1, steps)
    exact = exact_epsilon(sigma, steps, delta)
    assert exact <= found.epsilon_spent
    # The bound adds EPS_ERROR to an estimate that itself may be as much too high, and half a grid
    # step; the estimate is far better than it must be, so 10% of EPS_ERROR is much.
    assert found.epsilon_spent <= exact + 1.1 * EPS_ERROR


@pytest.mark.parametrize("epsilon", [0, -1, 100.1, 1e9, math.inf, math.nan])
def test_epsilon_out_of_range(epsilon) -> None:
    with pytest.raises(InputError, match=rf"epsilon {epsilon}: .*\(0, 100\]"):
        account(**FAST, delta=1e-5, epsilon=epsilon)


@pytest.mark.parametrize("delta", [None, 0, 1, -1e-5, 2, math.nan])
@pytest.mark.parametrize("goal", [{"epsilon": 1.0}, {"noise_multiplier": 1.0}])
def test_delta_out_of_range(delta, goal) -> None:
    with pytest.raises(InputError, match=f"delta {delta}: "):
        account(**FAST, delta=delta, **goal)


@pytest.mark.slow
@pytest.mark.parametrize("training", [FAST, PURCHASE100])
def test_epsilon_that_no_noise_reaches(training) -> None:
    """The accountant's error alone is more."""
    with pytest.raises(InputError, match=r"epsilon 0\.001 at delta 1e-05: no noise multiplier"):
        account(**training, delta=1e-5, epsilon=1e-3)


def test_delta_that_arithmetic_does_not_reach() -> None:
    with pytest.raises(InputError, match="delta 1e-300"):
        account(**FAST, delta=1e-300, epsilon=1.0)


@pytest.mark.parametrize("sigma", [0, -0.0, -1, math.nan])
def test_noise_multiplier_out_of_range(sigma) -> None:
    with pytest.raises(InputError, match=f"noise_multiplier {sigma}: expected"):
        account(**FAST, delta=1e-5, noise_multiplier=sigma)


# At infinity a search in Opacus would not end; 0.01 would take all memory.
@pytest.mark.parametrize("sigma", [1e8, 1e300, math.inf, 0.01])
def test_noise_multiplier_that_the_accountant_cannot_take(sigma) -> None:
    with pytest.raises(InputError, match=f"noise_multiplier {re.escape(str(sigma))}"):
        account(**FAST, delta=1e-5, noise_multiplier=sigma)


def test_write_and_read(tmp_path) -> None:
    path = tmp_path / "out" / "privacy.json"
    for spent in (Privacy(1 / 293, 8790, 0.7, 4.0, 1e-5), Privacy(1 / 3, 9)):
        budget.write(path, spent)
        assert budget.read(path) == spent
    assert list(path.parent.iterdir()) == [path]


def run(run_script, tmp_path, *arguments) -> tuple:
    output = tmp_path / "out" / "privacy.json"
    training = ("--n", 2000, "--batch-size", 100, "--epochs", 5)
    return run_script("accountant", *training, *arguments, "--output", output), output


def test_program(run_script, tmp_path) -> None:
    result, output = run(run_script, tmp_path, "--noise-multiplier", 1.5, "--delta", 1e-5)
    assert result.returncode == 0, result.stderr
    expected = account(**FAST, delta=1e-5, noise_multiplier=1.5)
    found = json.loads(output.read_text())
    assert len(found.pop("sha256")) == 64
    assert found == vars(expected)


def test_program_says_what_is_wrong_and_writes_nothing(run_script, tmp_path) -> None:
    """In one line, though after a search of which Opacus warns."""
    result, output = run(run_script, tmp_path, "--epsilon", 0.001, "--delta", 1e-5)
    assert result.returncode == 1
    assert "error: epsilon 0.001 at delta 1e-05: " in result.stderr
    assert not output.parent.exists()
    assert result.stderr.count("\n") == 1
