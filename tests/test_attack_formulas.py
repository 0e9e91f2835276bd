"""The attacks against the codes published with their formulas, against numerical integration, and
on signals whose memberships are known. What holds for every attack is in test_attacks.py.

The published codes are written down again on their own arrays, samples times models. They are of
    Zarifzadeh et al.: privacytrustlab/ml_privacy_meter, modules/mia/attacks/rmia.py
    Carlini et al.:    tensorflow/privacy, membership_inference_attack/advanced_mia.py (the mean)
    Lassila et al.:    aidotse/LeakPro, leakpro/attacks/mia_attacks/base.py
    Brännvall:         rickardbrannvall/exponential-family-mia, methods.py
    the competition:   microsoft/MICO, starting-kit/purchase100.ipynb; the runner-up's for tables
"""

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from each import each
from scipy.special import logsumexp
from scipy.stats import invgamma, norm, rankdata
from scipy.stats import t as student
from simulated_signals import Setting, Truth, describe, gaussian, run
from sklearn.metrics import roc_auc_score

from mico.attacks import formulas, registry
from mico.attacks import given as kinds
from mico.attacks.given.signals import Signals
from mico.challenge.phases import Phases
from mico.release import prediction_files
from mico.scoring import metrics
from mico.scoring.curves import roc
from mico.support import arrays as stored
from mico.support.errors import InputError

ROOT = Path(__file__).parents[1]


def tpr(setting: Setting, truth: Truth) -> float:
    """At FPR .1, over all targets."""
    predictions = prediction_files.to_predictions(run(setting, truth.signals))[truth.targets]
    curves = roc(predictions, truth.membership, np.ones(len(predictions)))
    return float(metrics.metrics(curves)[metrics.HEADLINE])


# ---- The published codes, on the inputs that they are made for: as many IN as OUT shadow models.


@dataclass(frozen=True)
class Arrays:
    """One target's signals at n samples and its shadow models' (n, K), as the codes take them."""

    target: np.ndarray  # margin, which they call log-odds or rescaled logits
    shadow: np.ndarray
    mask: np.ndarray  # (n, K) bool: IN
    target_conf: np.ndarray
    shadow_conf: np.ndarray


def published_arrays(given: Signals, model: int, columns: np.ndarray) -> Arrays:
    shadows = len(given.trained)
    margin, conf = given.margin[:, columns], np.exp(given.loss[:, columns])
    return Arrays(
        margin[model],
        margin[:shadows].T,
        given.trained[:, columns].T,
        conf[model],
        conf[:shadows].T,
    )


def tensorflow_privacy(x: Arrays, fix_variance: bool = False) -> np.ndarray:
    log_density = []
    for mask in (x.mask, ~x.mask):
        values = [row[keep] for row, keep in zip(x.shadow, mask, strict=True)]
        means = np.array([one.mean() for one in values])
        deviations = np.array([one.std() for one in values])
        if fix_variance:
            deviations = np.concatenate(
                [one - mean for one, mean in zip(values, means, strict=True)]
            ).std()
            # It divides by the number of signals, we by the degrees of freedom.
            deviations *= np.sqrt(mask.sum() / (mask.sum() - len(mask)))
        log_density.append(norm.logpdf(x.target, means, deviations + 1e-30))
    return log_density[0] - log_density[1]  # of which it returns the negative


def tensorflow_privacy_fixed(x: Arrays) -> np.ndarray:
    return tensorflow_privacy(x, fix_variance=True)


def leakpro_base(x: Arrays) -> np.ndarray:
    """At temperature 1, before its sigmoid."""
    log_conf = np.log(x.shadow_conf)
    return np.log(x.target_conf) - (logsumexp(log_conf, axis=1) - np.log(log_conf.shape[1]))


def brannvall_base1(x: Arrays) -> np.ndarray:
    target_loss, shadow_loss = -np.log(x.target_conf), -np.log(x.shadow_conf)
    least = shadow_loss.min(axis=1, keepdims=True)
    centre = least[:, 0] - np.log(np.mean(np.exp(least - shadow_loss), axis=1))
    return -target_loss + centre


def by_side(x: Arrays) -> tuple[np.ndarray, np.ndarray]:
    return np.where(x.mask, x.shadow, np.nan), np.where(x.mask, np.nan, x.shadow)


def brannvall_base3(x: Arrays) -> np.ndarray:
    inside, outside = by_side(x)
    means = np.nanmean(inside, axis=1), np.nanmean(outside, axis=1)
    counts = x.mask.sum(axis=1), (~x.mask).sum(axis=1)
    weighted = counts[0] * np.nanvar(inside, axis=1) + counts[1] * np.nanvar(outside, axis=1)
    pooled = np.maximum(weighted / (counts[0] + counts[1]), 1e-10)
    return (means[0] - means[1]) / pooled * (x.target - 0.5 * (means[0] + means[1]))


def brannvall_bavaria(x: Arrays, log_density: Callable) -> np.ndarray:
    """With alpha0 = 2 and kappa0 = 1, which are its defaults but for alpha0 = 1 of -n."""
    densities = []
    for values in by_side(x):
        flat = values[~np.isnan(values)]
        mean, count = np.nanmean(values, axis=1), (~np.isnan(values)).sum(axis=1)
        squares = np.nansum((values - mean[:, None]) ** 2, axis=1)
        mu0, kappa0, alpha0 = flat.mean(), 1.0, 2.0
        beta0 = flat.var() * (alpha0 - 1)
        kappa, alpha = kappa0 + count, alpha0 + count / 2
        beta = beta0 + 0.5 * squares + 0.5 * kappa0 * count * (mean - mu0) ** 2 / kappa
        centre = (kappa0 * mu0 + np.nansum(values, axis=1)) / kappa
        densities.append(log_density(x.target, mean, centre, kappa, alpha, beta))
    return densities[0] - densities[1]


def brannvall_bavaria_n(x: Arrays) -> np.ndarray:
    return brannvall_bavaria(
        x,
        lambda s, mean, centre, kappa, alpha, beta: (
            -0.5 * np.log(beta / (alpha - 1)) - 0.5 * (s - mean) ** 2 / (beta / (alpha - 1))
        ),
    )


def brannvall_bavaria_t(x: Arrays) -> np.ndarray:
    return brannvall_bavaria(
        x,
        lambda s, mean, centre, kappa, alpha, beta: student.logpdf(
            s, 2 * alpha, centre, np.sqrt(beta * (kappa + 1) / (alpha * kappa))
        ),
    )


@pytest.mark.parametrize(
    ("setting", "published"),
    [
        (("lira", {"variant": "online"}), tensorflow_privacy),
        (("lira", {"variant": "fixed-variance"}), tensorflow_privacy_fixed),
        (("base", {"variant": "base1"}), leakpro_base),
        (("base", {"variant": "base1"}), brannvall_base1),
        (("base", {"variant": "base3"}), brannvall_base3),
        (("bavaria", {"variant": "n", "prior": "total"}), brannvall_bavaria_n),
        (("bavaria", {"variant": "t", "prior": "total"}), brannvall_bavaria_t),
    ],
    ids=describe,
)
@pytest.mark.parametrize("outside", [0.5, 0.25])
def test_scores_are_those_of_the_published_code(
    setting: Setting, published: Callable, outside: float
) -> None:
    truth = gaussian(1, outside=outside)
    scores = run(setting, truth.signals)
    for model in range(*truth.targets.indices(len(scores))):
        expected = published(published_arrays(truth.signals, model, truth.signals.challenge[model]))
        np.testing.assert_allclose(scores[model], expected, rtol=1e-6, atol=1e-6)


def test_lira_offline_ranks_as_the_published_lower_tail() -> None:
    """Brännvall's code takes log P(signal <= s), ours -log P(signal > s): one order."""
    truth = gaussian(2)
    given, model = truth.signals, truth.targets.start
    x = published_arrays(given, model, given.challenge[model])
    outside = by_side(x)[1]
    published = norm.logcdf(x.target, np.nanmean(outside, axis=1), np.nanstd(outside, axis=1))
    scores = run(("lira", {"variant": "offline"}), given)[model]
    assert rankdata(scores).tolist() == rankdata(published).tolist()


def test_global_variance_ranks_as_the_runner_ups_code_for_tables() -> None:
    """It takes P(conf <= s) of all targets together, ours -log P(conf > s): one order."""
    truth = gaussian(2)
    given, targets = truth.signals, range(*truth.targets.indices(len(truth.signals.loss)))
    published = []
    for model in targets:
        x = published_arrays(given, model, given.challenge[model])
        outside = [one[~keep] for one, keep in zip(x.shadow_conf, x.mask, strict=True)]
        deviation = np.std(np.concatenate(outside)) + 1e-30
        published.append(norm.cdf(x.target_conf, [one.mean() for one in outside], deviation))
    scores = run(("lira", {"variant": "offline-global-variance", "signal": "conf"}), given)
    assert rankdata(scores[truth.targets]).tolist() == rankdata(np.stack(published)).tolist()


def test_scaled_threshold_is_the_starter_kits() -> None:
    given = gaussian(2).signals
    scores = run(("threshold", {"signal": "loss", "scaled": True}), given)
    plain = run(("threshold", {"signal": "loss"}), given)
    for found, predictions in zip(scores, plain, strict=True):
        least, greatest = np.min(predictions), np.max(predictions)
        np.testing.assert_array_equal(found, (predictions - least) / (greatest - least))
    assert rankdata(scores).tolist() != rankdata(plain).tolist()  # pooled


def brannvall_rmia(x: Arrays, z: Arrays, online: bool, gamma: float, a: float) -> np.ndarray:
    def ratio(one: Arrays) -> np.ndarray:
        prior = one.shadow_conf.mean(axis=1)
        if not online:
            outside = np.nanmean(np.where(one.mask, np.nan, one.shadow_conf), axis=1)
            prior = 0.5 * ((a + 1) * outside + (1 - a))
        return one.target_conf / (prior + 1e-10)

    return np.mean(ratio(x)[:, None] / (ratio(z) + 1e-10) > gamma, axis=1)


def privacy_meter_rmia(x: Arrays, z: Arrays, a: float) -> np.ndarray:
    """With K / 2 reference models, of which it takes the largest signals after zeroing IN ones."""

    def ratio(one: Arrays, mask: np.ndarray) -> np.ndarray:
        kept = one.shadow_conf.shape[1] // 2
        outside = -np.sort(-one.shadow_conf * ~mask, axis=1)[:, :kept]
        return one.target_conf / ((1 + a) / 2 * outside.mean(axis=1) + (1 - a) / 2)

    ratios = ratio(x, x.mask)[:, None] / ratio(z, np.zeros_like(z.mask))
    return np.mean(ratios > 1, axis=1)


def population(given: Signals, model: int) -> np.ndarray:
    return np.setdiff1d(np.arange(given.loss.shape[1]), given.challenge[model])


@pytest.mark.parametrize("gamma", [1, 1.5])
@pytest.mark.parametrize(("variant", "a"), [("online", 0.3), ("offline", 0.0), ("offline", 0.33)])
def test_rmia_is_that_of_the_published_code(variant: str, gamma: float, a: float) -> None:
    truth = gaussian(3, targets=5)
    given = truth.signals
    scores = run(("rmia", {"variant": variant, "gamma": gamma, "a": a}), given)
    for model in range(*truth.targets.indices(len(scores))):
        x = published_arrays(given, model, given.challenge[model])
        z = published_arrays(given, model, population(given, model))
        expected = brannvall_rmia(x, z, variant == "online", gamma, a)
        np.testing.assert_allclose(scores[model], expected, rtol=0, atol=1e-6)
        assert len(np.unique(expected)) > 10


def test_rmia_offline_is_that_of_the_privacy_meter() -> None:
    """On a population that no shadow model trained on, and on which they all agree: of such, the
    code takes the K / 2 largest signals, we the mean of all.
    """
    truth = gaussian(4, targets=5)
    given, model = truth.signals, truth.targets.start
    columns = population(given, model)
    trained, loss = given.trained.copy(), given.loss.copy()
    trained[:, columns] = False
    loss[: len(trained), columns] = loss[0, columns]
    given = replace(given, trained=trained, loss=loss)
    x = published_arrays(given, model, given.challenge[model])
    z = published_arrays(given, model, columns)
    expected = privacy_meter_rmia(x, z, 0.3)
    scores = run(("rmia", {"variant": "offline", "a": 0.3}), given)[model]
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-6)
    assert len(np.unique(expected)) > 10


def test_base1_orders_a_targets_points_as_rmia_does() -> None:
    """With as many IN as OUT models BASE1 is the logarithm of RMIA's ratio."""
    truth = gaussian(5, targets=5)
    rmia = run(("rmia", {"gamma": 1}), truth.signals)[truth.targets]
    base = run(("base", {"variant": "base1"}), truth.signals)[truth.targets]
    order = np.argsort(base, axis=1)
    assert (np.diff(np.take_along_axis(rmia, order, axis=1), axis=1) >= 0).all()
    assert (np.ptp(rmia, axis=1) > 0.5).all()


# ---- BaVarIA's densities, with the integrals over the mean and the variance done numerically.


def integrate(
    values: np.ndarray, centre: float, kappa: float, alpha: float, beta: float, s: float
) -> tuple[float, float]:
    """The density of one more signal s after `values`, and the expected variance.

    The mean is centre + z sqrt(variance) with z ~ N(0, 1 / kappa). The trapezoid rule on a function
    that is smooth and dies away at both ends errs far less than 1e-6 with steps this fine.
    """
    log_variance = np.linspace(-25, 30, 1101)[:, None]
    variance = np.exp(log_variance)
    z = np.linspace(-12, 12, 1201) / np.sqrt(kappa)
    mean = centre + z * np.sqrt(variance)
    weight = norm.pdf(z, 0, 1 / np.sqrt(kappa)) * invgamma.pdf(variance, alpha, scale=beta)
    weight = weight * variance  # for steps in the logarithm
    for one in values:
        weight = weight * norm.pdf(one, mean, np.sqrt(variance))
    density = norm.pdf(s, mean, np.sqrt(variance))
    return (weight * density).sum() / weight.sum(), (weight * variance).sum() / weight.sum()


@pytest.mark.parametrize("strength", [2, 5])
@pytest.mark.parametrize("outside", [0, 1, 2, 5])
def test_bavaria_is_the_integral_over_the_posterior(outside: int, strength: float) -> None:
    """At a point with 0, 1, 2 or 5 OUT models, among others that have 1 to 4 of 8."""
    rng = np.random.default_rng(6)
    shadows, points, model = 8, 10, 8
    out_counts = np.array([outside, *rng.integers(1, 5, points - 1)])
    trained = rng.random((shadows, points)).argsort(axis=0) >= out_counts
    margin = rng.normal(0, 2, points) + rng.normal(0, 1, (shadows + 1, points))
    margin[:-1] += 1.5 * trained
    challenge = np.tile(np.arange(points), (shadows + 1, 1))
    given = Signals(-np.logaddexp(0, -margin), margin, trained, challenge)

    expected = {"n": 0.0, "t": 0.0}
    for mask, sign in ((trained, 1), (~trained, -1)):
        here = margin[:-1, 0][mask[:, 0] if mask[:, 0].any() else ~mask[:, 0]]
        everything = margin[:-1][mask]
        squares = sum(
            ((column[keep] - column[keep].mean()) ** 2).sum()
            for column, keep in zip(margin[:-1].T, mask.T, strict=True)
            if keep.any()
        )
        within = squares / (mask.sum(axis=0).clip(min=1) - 1).sum()
        kappa = within / everything.var()
        prior = (everything.mean(), kappa, 1 + strength / 2, within * strength / 2)
        density, variance = integrate(margin[:-1, 0][mask[:, 0]], *prior, s=float(margin[model, 0]))
        expected["t"] += sign * np.log(density)
        expected["n"] += sign * norm.logpdf(margin[model, 0], here.mean(), variance**0.5)
    for variant, score in expected.items():
        found = run(("bavaria", {"variant": variant, "strength": strength}), given)[model, 0]
        assert found == pytest.approx(score, rel=1e-6, abs=1e-6)


# ---- On signals with known memberships. At FPR .1 nothing finds more than Phi(2 - 1.28) = .76 of
# the members, in the mean over points: their signals are 2 standard deviations apart. A standard
# error over 2,000 members is .01.

# What is made for Gaussian signals reaches nearly that.
ON_MARGINS = [
    ("centred", {"centre": "mid", "signal": "margin"}),
    ("centred", {"centre": "in", "signal": "margin"}),
    ("centred", {"centre": "standardised", "signal": "margin"}),
    ("lira", {"variant": "online"}),
    ("lira", {"variant": "offline"}),
    ("lira", {"variant": "fixed-variance"}),
    ("base", {"variant": "base3"}),
    ("bavaria", {"variant": "n"}),
    ("bavaria", {"variant": "t"}),
    ("effect", {}),
]
# Probabilities saturate where the margin is large.
ON_PROBABILITIES = [
    ("rmia", {"variant": "online"}),
    ("rmia", {"variant": "offline"}),
    ("base", {"variant": "base1"}),
    ("base", {"variant": "base3", "signal": "loss"}),
    ("bavaria", {"variant": "n", "signal": "loss"}),
    ("effect", {"signal": "loss"}),
]


@pytest.mark.parametrize(
    ("setting", "least"),
    [*((one, 0.7) for one in ON_MARGINS), *((one, 0.4) for one in ON_PROBABILITIES)],
    ids=describe,
)
def test_members_are_found_well_above_chance(setting: Setting, least: float) -> None:
    assert least < tpr(setting, gaussian(7)) < 0.79


@pytest.mark.parametrize("setting", ON_MARGINS + ON_PROBABILITIES, ids=describe)
def test_nothing_is_found_where_there_is_nothing(setting: Setting) -> None:
    assert tpr(setting, gaussian(8, effect=0, variation=0)) == pytest.approx(0.1, abs=0.03)


@pytest.mark.parametrize("variant", ["n", "t"])
def test_bavarias_prior_helps_where_few_models_are_out(variant: str) -> None:
    """With 3 OUT models LiRA's variances are of hardly any use."""
    truth = gaussian(9, outside=3 / 40)
    assert tpr(("bavaria", {"variant": variant}), truth) > tpr(("lira", {}), truth) + 0.2


def test_shrinking_helps_where_effects_are_small_and_few_models_are_out() -> None:
    """What 3 OUT models say of an effect of .7 is mostly noise; that it is positive is not."""
    truth = gaussian(10, effect=0.7, outside=3 / 40)
    others = [("base", {"variant": "base3"}), ("bavaria", {}), ("lira", {})]
    assert tpr(("effect", {}), truth) > max(tpr(other, truth) for other in others) + 0.02


def test_the_shrunk_effect_attacks_points_that_all_shadow_models_trained_on() -> None:
    """The other points tell how far below the IN models' signals OUT ones would be."""
    truth = gaussian(11, without=0.3)
    given, targets = truth.signals, truth.targets
    alone = given.trained.all(axis=0)[given.challenge][targets]
    assert 0.2 < alone.mean() < 0.4

    def auc(setting: Setting) -> float:
        return roc_auc_score(truth.membership[alone], run(setting, given)[targets][alone])

    # Phi(2 / sqrt(2)) = .92 at best
    assert auc(("effect", {})) > 0.88
    assert auc(("threshold", {"signal": "margin"})) < 0.8
    assert auc(("base", {"variant": "base3"})) == 0.5  # a score of 0


# ---- Fast.


@pytest.mark.slow
@pytest.mark.parametrize("setting", ON_MARGINS[2:] + ON_PROBABILITIES[:3], ids=describe)
def test_a_full_size_scenario_takes_seconds(setting: Setting, full_size: Signals) -> None:
    """0.2 to 0.5 s on the machine this was written on."""
    before = time.process_time()
    scores = run(setting, full_size)
    assert time.process_time() - before < 5
    assert scores.shape == (200, 200)


@pytest.fixture(scope="module")
def full_size() -> Signals:
    return gaussian(12, shadows=100, targets=100, points=200, records=5000).signals


# ---- docs/attacks.md


def section(title: str) -> str:
    page = (ROOT / "docs" / "attacks.md").read_text()
    found = page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    assert found
    return found


def blocks(title: str, language: str) -> list[str]:
    """The code in that language of a section of the page."""
    return re.findall(rf"^```{language}\n(.*?)^```$", section(title), re.DOTALL | re.MULTILINE)


def test_the_attack_of_the_page_can_be_added(
    call: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As the page says: one file, which is an example, and the program runs it as configured."""
    title = "Add an attack"
    [module] = blocks(title, "python")
    [configuration] = blocks(title, "yaml")
    assert (ROOT / "examples/rank.yaml").read_text().endswith(configuration)
    [item] = yaml.safe_load(configuration)["extra_attacks"]
    name, attack = item.pop("name"), item.pop("attack")
    assert name
    assert (ROOT / attack).read_text() == module
    monkeypatch.chdir(ROOT)

    given = gaussian(13, shadows=8, targets=4, points=20, records=60).signals
    stored.write(tmp_path / "signals.npz", given)
    call(
        *("attack", "--attack", attack, "--options", json.dumps(item), "--phases", 8, 2, 2),
        *("--input", "signals", tmp_path / "signals.npz", "--output", tmp_path / "out"),
    )
    predictions = prediction_files.read(tmp_path / "out", Phases(8, 2, 2), 20)
    expected = [
        [
            np.mean([given.margin[i, r] < given.margin[model, r] for i in range(8) if i != model])
            for r in row
        ]
        for model, row in enumerate(given.challenge)
    ]
    assert rankdata(predictions).tolist() == rankdata(np.round(expected, 9)).tolist()


def test_the_input_of_the_page_can_be_added(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its module reads what the page's program would write, and an attack can ask for it."""
    title = "Add a kind of input"
    reader, asking = blocks(title, "python")
    [kind] = re.findall(r"`scripts/mico/attacks/given/(\w+)\.py`", section(title))
    for package in formulas, kinds:
        folder = tmp_path / package.__name__
        folder.mkdir()
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
    (tmp_path / kinds.__name__ / f"{kind}.py").write_text(reader)
    imports = "import numpy as np\nfrom dataclasses import dataclass\n"
    imports += "from mico.attacks.given.signals import Signals\n"
    imports += "from mico.support.arrays import Floats\n"
    imports += "@dataclass(frozen=True)\nclass Options:\n    pass\n"
    (tmp_path / formulas.__name__ / "asking.py").write_text(imports + asking)
    assert registry.inputs("asking") == ["signals", kind]

    truth = gaussian(13, shadows=8, targets=4, points=20, records=60)
    values = np.arange(60.0)
    np.save(tmp_path / "a.npy", values)
    read = registry.reader(kind)
    found = read([tmp_path / "a.npy"], truth.signals, Phases(8, 2, 2))
    scores = registry.load("asking").scores(truth.signals, found, registry.options("asking", {}))
    np.testing.assert_array_equal(scores, values[truth.signals.challenge])
    np.save(tmp_path / "b.npy", values[1:])
    with pytest.raises(InputError, match=r"b\.npy: .*59.*60"):
        read([tmp_path / "b.npy"], truth.signals, Phases(8, 2, 2))


def test_every_kind_of_input_is_read() -> None:
    """So that an attack can ask for each module in the folder, and for nothing else."""
    names = [path.stem for path in Path(kinds.__path__[0]).glob("[!_]*.py")]
    assert {"signals", "others", "whitebox"} < {*names}
    assert all(callable(registry.reader(name)) for name in names)


@each(attack=registry.attacks())
def test_the_page_has_every_attack_with_its_options(attack: str) -> None:
    options = section(attack).partition("Options: ")[2]
    for field in fields(registry.load(attack).Options):
        assert f"`{field.name}`" in options
