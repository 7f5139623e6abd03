"""How the next token is drawn."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from model.sampling import DRAWS, SamplingConfig, guide, log_softmax, restrain, sample

Floats = npt.NDArray[np.float32]
PLAIN = SamplingConfig(temperature=1, top_p=1)
GREEDY = SamplingConfig(temperature=0)

numbers = st.floats(-30, 30, width=32) | st.just(-np.inf)
logits_of_any_shape = hnp.arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 12)), elements=numbers).filter(
    lambda logits: np.isfinite(logits.max(axis=-1)).all()
)


def chances(seed: int, rows: int) -> npt.NDArray[np.float64]:
    return np.random.default_rng(seed).random((rows, DRAWS))


def draw(logits: Floats | list[float], config: SamplingConfig, count: int, seed: int = 0) -> npt.NDArray[np.int64]:
    """Draw from one row many times."""
    rows = np.tile(np.asarray(logits, np.float32), (count, 1))
    return sample(rows, config, chances(seed, count))


def softmax(logits: Floats | list[float]) -> npt.NDArray[np.float64]:
    exponentials = np.exp(np.asarray(logits, np.float64) - np.max(logits))
    return np.asarray(exponentials / exponentials.sum())


@given(logits_of_any_shape)
def test_temperature_0_takes_the_likeliest(logits: Floats) -> None:
    for seed in (0, 1):
        assert sample(logits, GREEDY, chances(seed, len(logits))).tolist() == logits.argmax(axis=-1).tolist()


@given(logits_of_any_shape, st.floats(0.01, 10), st.integers(0, 99))
def test_top_k_of_1_takes_the_likeliest(logits: Floats, temperature: float, seed: int) -> None:
    config = SamplingConfig(temperature=temperature, top_k=1, top_p=1)
    chosen = sample(logits, config, chances(seed, len(logits)))
    for row, token in zip(logits, chosen.tolist(), strict=True):
        probabilities = softmax(row.astype(np.float64) / temperature)
        assert probabilities[token] == pytest.approx(probabilities.max(), rel=1e-5)  # any of those that are equal


@given(logits_of_any_shape, st.integers(0, 99))
def test_the_same_seed_draws_the_same(logits: Floats, seed: int) -> None:
    first, second = (sample(logits, PLAIN, chances(seed, len(logits))).tolist() for _ in range(2))
    assert first == second


def test_other_seeds_draw_otherwise() -> None:
    flat = [0.0] * 50
    assert draw(flat, PLAIN, 20, seed=1).tolist() != draw(flat, PLAIN, 20, seed=2).tolist()


@given(
    logits=hnp.arrays(np.float32, st.integers(1, 12), elements=numbers).filter(lambda row: np.isfinite(row.max())),
    top_p=st.floats(0.01, 1),
    temperature=st.floats(0.1, 10),
)
def test_top_p_draws_from_the_smallest_set_of_the_likeliest_that_is_so_probable(
    logits: Floats, top_p: float, temperature: float
) -> None:
    drawn = draw(logits, SamplingConfig(temperature=temperature, top_p=top_p), 300)
    probabilities = softmax(logits.astype(np.float64) / temperature)
    for token in set(drawn.tolist()):
        likelier = probabilities[probabilities > probabilities[token]].sum()
        assert likelier < top_p + 1e-6  # without those it is not enough: the set needs one like this


@pytest.mark.parametrize(
    ("top_p", "top_k", "allowed"),
    [
        (1.0, 0, {0, 1, 2, 3}),
        (0.95, 0, {0, 1, 2, 3}),
        (0.85, 0, {0, 1, 2}),
        (0.75, 0, {0, 1}),
        (0.45, 0, {0}),
        (0.01, 0, {0}),
        (1.0, 2, {0, 1}),
        (1.0, 9, {0, 1, 2, 3}),
        (0.85, 2, {0, 1}),
        (0.45, 2, {0}),
    ],
)
def test_everything_in_the_nucleus_is_drawn_and_nothing_else(top_p: float, top_k: int, allowed: set[int]) -> None:
    logits = np.log([0.5, 0.3, 0.11, 0.09])
    config = SamplingConfig(temperature=1, top_p=top_p, top_k=top_k)
    assert set(draw(logits, config, 500).tolist()) == allowed


def test_top_p_looks_at_the_probabilities_after_temperature() -> None:
    logits = np.log([0.5, 0.3, 0.2])
    assert set(draw(logits, SamplingConfig(temperature=0.2, top_p=0.9), 300).tolist()) == {0}
    assert set(draw(logits, SamplingConfig(temperature=5, top_p=0.9), 300).tolist()) == {0, 1, 2}


@pytest.mark.parametrize("temperature", [0, 0.5, 1, 10])
def test_minus_infinity_is_never_drawn(temperature: float) -> None:
    logits = [-np.inf, 0.0, -np.inf, -5.0, -np.inf]
    assert set(draw(logits, SamplingConfig(temperature=temperature, top_p=1), 500).tolist()) <= {1, 3}


@pytest.mark.parametrize(
    ("chance", "token"), [(0.0, 0), (0.2499, 0), (0.25, 2), (0.4999, 2), (0.5, 3), (0.75, 4), (np.nextafter(1, 0), 4)]
)
def test_each_token_has_its_share_of_chance_and_the_last_one_the_rest(chance: float, token: int) -> None:
    logits = np.array([[3.0, -np.inf, 3.0, 3.0, 3.0, -np.inf]], np.float32)
    assert sample(logits, PLAIN, np.full((1, DRAWS), chance)).tolist() == [token]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_frequencies_follow_the_softmax(temperature: float) -> None:
    logits, count = np.array([1.0, 0.0, -1.0, 2.0, 0.5], np.float32), 20_000
    observed = np.bincount(draw(logits, SamplingConfig(temperature=temperature, top_p=1), count), minlength=5)
    expected = softmax(logits / temperature) * count
    assert ((observed - expected) ** 2 / expected).sum() < 18.5  # chi-square of 4 degrees of freedom, p = 0.001


def test_frequencies_within_the_nucleus_keep_their_proportions() -> None:
    drawn = draw(np.log([0.1, 0.6, 0.3]), SamplingConfig(temperature=1, top_k=2, top_p=1), 20_000)
    assert np.bincount(drawn, minlength=3) / 20_000 == pytest.approx([0, 2 / 3, 1 / 3], abs=0.01)


@given(logits_of_any_shape, st.integers(0, 99), st.data())
def test_a_row_does_not_depend_on_the_others(logits: Floats, seed: int, data: st.DataObject) -> None:
    row = data.draw(st.integers(0, len(logits) - 1))
    others = np.random.default_rng(seed + 1).normal(0, 9, logits.shape).astype(np.float32)
    others[row] = logits[row]
    drawn = [sample(batch, PLAIN, chances(seed, len(batch)))[row] for batch in (logits, others)]
    assert drawn[0] == drawn[1]


def test_rows_draw_by_chances_of_their_own() -> None:
    assert len(set(draw([0.0] * 50, PLAIN, 20).tolist())) > 5


@pytest.mark.parametrize("temperature", [5e-324, 1e-300, 1e-40, 1e-6])
def test_a_tiny_temperature_is_as_good_as_0(temperature: float) -> None:
    config = SamplingConfig(temperature=temperature, top_p=1)
    assert set(draw([-3.0, 5.0, 4.9, -np.inf], config, 50).tolist()) == {1}


@given(logits_of_any_shape)
def test_logits_are_left_as_they_were(logits: Floats) -> None:
    before = logits.copy()
    sample(logits, SamplingConfig(), chances(0, len(logits)))
    assert np.array_equal(logits, before)


@pytest.mark.parametrize("row", [[0.0, np.nan, 1.0], [-np.inf] * 3, [np.inf, 0.0, 0.0]])
@pytest.mark.parametrize("config", [PLAIN, GREEDY])
def test_a_row_of_no_numbers_is_an_error(row: list[float], config: SamplingConfig) -> None:
    with pytest.raises(ValueError, match="no numbers"):
        sample(np.array([[0.0, 1.0, 2.0], row], np.float32), config, chances(0, 2))


@given(logits_of_any_shape)
def test_the_log_softmax_is_that_of_the_softmax(logits: Floats) -> None:
    for row, logs in zip(logits, log_softmax(logits), strict=True):
        np.testing.assert_allclose(np.exp(logs.astype(np.float64)), softmax(row), atol=1e-6)


@pytest.mark.parametrize("size", [1, 63, 64, 65, 500])
@pytest.mark.parametrize(
    "config",
    [
        PLAIN,
        SamplingConfig(temperature=0.9, top_p=0.9),
        SamplingConfig(temperature=1.5, top_p=0.2),  # mostly drawn again, and often in order at last
        SamplingConfig(temperature=1, top_p=1, top_k=3),
        SamplingConfig(temperature=0.7, top_p=0.95, top_k=40, min_p=0.05),
    ],
)
def test_frequencies_are_those_of_all_that_may_be_drawn(size: int, config: SamplingConfig) -> None:
    logits = np.random.default_rng(size).normal(0, 2, size).astype(np.float32)
    probabilities = softmax(logits.astype(np.float64) / config.temperature)
    order = np.argsort(-probabilities)
    ordered = probabilities[order]
    allowed = (np.cumsum(ordered) - ordered < config.top_p) & (ordered >= config.min_p * ordered[0])
    allowed[config.top_k or size :] = False
    expected = np.zeros(size)
    expected[order[allowed]] = ordered[allowed] / ordered[allowed].sum()
    observed = np.bincount(draw(logits, config, 20_000), minlength=size)
    assert not observed[expected == 0].any()
    likely = 20_000 * expected >= 5
    error = (observed[likely] - 20_000 * expected[likely]) ** 2 / (20_000 * expected[likely])
    assert error.sum() < likely.sum() + 4 * np.sqrt(2 * likely.sum()) + 4  # chi-square, p < 0.001


@pytest.mark.parametrize(("min_p", "allowed"), [(0.0, {0, 1, 2, 3}), (0.2, {0, 1, 2}), (0.5, {0, 1}), (1.0, {0})])
def test_min_p_draws_what_is_that_share_as_likely_as_the_likeliest(min_p: float, allowed: set[int]) -> None:
    config = SamplingConfig(temperature=1, top_p=1, min_p=min_p)
    assert set(draw(np.log([0.5, 0.3, 0.15, 0.05]), config, 500).tolist()) == allowed


def test_guidance_moves_what_the_context_makes_likely() -> None:
    conditional, prior = (
        log_softmax(np.log(np.array([row], np.float32))) for row in ([0.4, 0.5, 0.1], [0.1, 0.8, 0.1])
    )
    assert guide(conditional, prior, 0) == pytest.approx(conditional)
    assert guide(conditional, prior, 1).argmax() == 0
    assert guide(conditional, prior, 1) == pytest.approx(2 * conditional - prior)


class TestRestrain:
    SCORES = log_softmax(np.array([[3.0, 2.0, 1.0, 0.0]], np.float32))

    def restrained(self, said: list[int], **config: Any) -> list[float]:
        before = self.SCORES.copy()
        (row,) = restrain(self.SCORES, [said], SamplingConfig(**config))
        assert np.array_equal(self.SCORES, before)
        return row.tolist()  # type: ignore[no-any-return]

    def allowed(self, said: list[int], **config: Any) -> set[int]:
        return {token for token, score in enumerate(self.restrained(said, **config)) if np.isfinite(score)}

    def test_nothing_is_changed_by_default(self) -> None:
        assert restrain(self.SCORES, [[0, 0, 0, 0]], SamplingConfig()) is self.SCORES

    def test_what_was_said_is_less_likely(self) -> None:
        row = self.restrained([1, 1, 3], repetition_penalty=2)
        assert row == pytest.approx(
            [value * factor for value, factor in zip(self.SCORES[0], (1, 2, 1, 2), strict=True)]
        )
        assert self.restrained([], repetition_penalty=2) == pytest.approx(self.SCORES[0].tolist())

    @pytest.mark.parametrize(
        ("said", "n", "allowed"),
        [
            ([0, 1, 0], 2, {0, 2, 3}),
            ([0, 1, 0], 3, {0, 1, 2, 3}),
            ([0, 1, 2, 0, 1], 3, {0, 1, 3}),
            ([0, 1, 0, 2, 0], 2, {0, 3}),
            ([2, 3], 1, {0, 1}),
            ([], 2, {0, 1, 2, 3}),
            ([0, 1, 2, 3], 1, {0, 1, 2, 3}),  # all said: better again than nothing
        ],
    )
    def test_no_run_is_said_twice(self, said: list[int], n: int, allowed: set[int]) -> None:
        assert self.allowed(said, no_repeat_ngram=n) == allowed

    def test_banned_runs_are_not_completed(self) -> None:
        banned = ((1,), (2, 3), (0, 2, 2))
        assert self.allowed([], banned=banned) == {0, 2, 3}
        assert self.allowed([2], banned=banned) == {0, 2}
        assert self.allowed([0, 2], banned=banned) == {0}

    def test_each_row_has_its_own_past(self) -> None:
        rows = restrain(np.repeat(self.SCORES, 2, 0), [[0], [1]], SamplingConfig(no_repeat_ngram=1))
        assert np.isinf(rows).tolist() == [[True, False, False, False], [False, True, False, False]]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", -0.1),
        ("temperature", 10.1),
        ("temperature", float("nan")),
        ("temperature", float("inf")),
        ("top_k", -1),
        ("top_p", 0.0),
        ("top_p", -0.5),
        ("top_p", 1.01),
        ("top_p", float("nan")),
        ("min_p", -0.1),
        ("min_p", 1.1),
        ("repetition_penalty", 0.5),
        ("no_repeat_ngram", -1),
        ("guidance", -1.0),
    ],
)
def test_an_impossible_setting_is_an_error_that_names_it_and_its_value(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{field}.*{value}"):
        SamplingConfig(**{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("settings", [{"min_tokens": 0}, {"min_tokens": 3, "max_tokens": 2}, {"max_tokens": 0}])
def test_impossible_lengths_are_an_error(settings: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="tokens"):
        SamplingConfig(**settings)  # type: ignore[arg-type]


def test_an_empty_banned_run_is_an_error() -> None:
    with pytest.raises(ValueError, match="must not be empty"):
        SamplingConfig(banned=((1,), ()))
