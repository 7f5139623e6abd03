"""The page of a training run."""

import re
import shutil
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from model.attention import Attention
from model.bundle import PRETRAINED, live_bundle
from model.dialogue import Marker
from training import retrain, run_report
from training.__main__ import app
from training.evaluate import Figures
from training.metrics import Estimate, Row
from training.presets import Preset, Start, TrainingConfig
from training.run_report import RunReport, Sample, write_run_report
from training.train import Evaluation, History


def evaluation(step: int, loss: float) -> Evaluation:
    return Evaluation(
        step, 100 * step, loss + 0.1, loss, 0.25, learning_rate=1e-3, epoch=step / 1000, seconds=0.5 * step
    )


FIRST, BEST, LAST = evaluation(1000, 5.25), evaluation(2000, 4.125), evaluation(3000, 4.5)
REPORT = RunReport(
    name="20261125-203000",
    start=Start(preset="base", bundle=PRETRAINED),
    config=TrainingConfig(patience=1),
    parameters=4_410_000,
    finished=datetime(2026, 11, 25, 20, 30, tzinfo=UTC),
    rejection=None,
    history=History([FIRST, BEST, LAST], BEST),
    rows=[
        Row("this model", {"bits_per_byte": Estimate(1.957, 1.93, 1.981), "f1": Estimate(0.12, 0.11, 0.13)}),
        Row("5-gram model", {"bits_per_byte": Estimate(2.31, 2.28, 2.34)}),
    ],
    samples=[
        Sample(
            [(Marker.OTHER, "who is in"), (Marker.ME, "not me"), (Marker.YOU, "why\nnot")], "it rains", "I do not know"
        )
    ],
    attentions=[Attention(["[you]", " why"], [" I", "[end]"], np.array([[0.25, 0.75], [1, 0]], np.float32))],
    facts={
        "held_out": True,
        "train_examples": 125_787,
        "validation_examples": 5_457,
        "counts": {"left_out": {"near copy": 317}, "skipped": {"no context": 9_446}, "redacted": {}},
    },
    data_page="../data/report.html",
)


_MEASURED = ("perplexity", "bits_per_byte", "f1", "bleu", "distinct_1", "distinct_2", "reply_words", "dullness")
FIGURES = Figures(
    replies=1,
    words=1,
    bytes=1,
    token_perplexity=2.0,
    copy_rate=0.0,
    **dict.fromkeys(_MEASURED, 2.0),
    intervals=dict.fromkeys(_MEASURED, (1.5, 2.5)),
)


def page(folder: Path, **changes: Any) -> str:
    path = folder / "run.html"
    write_run_report(path, replace(REPORT, **changes))
    return path.read_text(encoding="utf-8")


def undrawn(folder: Path, **changes: Any) -> str:
    """The page without curves, which take longer than all else."""
    return page(folder, **{"history": History(interrupted=True)} | changes)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> str:
    return page(tmp_path_factory.mktemp("page"))


def headings(text: str) -> list[str]:
    return re.findall("<h2>(.*?)</h2>", text)


def test_it_has_every_section_in_order(whole: str) -> None:
    assert headings(whole) == [
        "How it learned",
        "How good it is",
        "What it says",
        "Where it looks",
        "What it learned from",
    ]


def test_its_head_says_what_was_trained_and_how_it_ended(whole: str) -> None:
    head = whole[whole.index("<h1>") : whole.index('<div class="cards">')]
    for shown in (
        "20261125-203000",
        ">live<",
        "A base network of 4.4 million parameters, which went on from the shipped model",
        "25 November 2026 at 20:30 UTC after 3.0 epochs, since nothing became better any more",
        "<b>1.957</b>",
        "<b>125,787</b>",
        "<b>300,000</b>tokens seen",
        "<b>200</b>tokens a second",
        "<b>25 min</b>",
    ):
        assert shown in head


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"config": TrainingConfig()}, "after 3.0 epochs, as planned"),
        ({"config": TrainingConfig(time_limit=1500.0)}, "since the time was up"),
        ({"history": History([FIRST, BEST], BEST, interrupted=True)}, "since Ctrl-C was pressed"),
        ({"history": History(interrupted=True)}, "before anything could be measured"),
    ],
)
def test_how_it_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], words: str) -> None:
    monkeypatch.setattr(run_report, "curves", lambda history: "")  # they take longer than all else
    assert words in page(tmp_path, **changes)


def test_where_it_began(tmp_path: Path) -> None:
    assert "begun anew" in undrawn(tmp_path, start=Start(preset="base"))
    assert "went on from 20261124-1" in undrawn(tmp_path, start=Start(preset="base", bundle=Path("models/20261124-1")))
    assert "A mine network" in undrawn(tmp_path, start=Start(preset="folder/mine.json"))


def test_a_model_that_is_not_live_says_why(tmp_path: Path) -> None:
    text = undrawn(tmp_path, rejection="The live model is better & stays.")
    assert ">not live<" in text
    assert "The live model is better &amp; stays." in text


def test_the_curves_mark_the_best(whole: str) -> None:
    drawn = re.findall("<svg.*?</svg>", whole, re.DOTALL)
    assert len(drawn) == 2
    assert "4.125" in drawn[0]
    assert "step" in drawn[0]
    assert "minutes" in drawn[1]
    assert "best was after step 2,000" in whole


def test_a_figure_stands_beside_those_of_others_with_its_interval(whole: str) -> None:
    (bits,) = re.findall('<div class="figure"><h3>Bits per byte.*?</table>', whole)
    assert "lower is better" in bits
    assert re.findall("<th>(.*?)</th>", bits) == ["this model", "5-gram model"]
    assert re.sub("<.*?>", "", bits).count("1.957 ± 0.026") == 1
    places = [float(place) for place in re.findall('<b style="left:(.*?)%', bits)]
    assert places[0] == pytest.approx(100 * (1.957 - 1.93) / (2.34 - 1.93), abs=0.1)
    assert "<h3>F1" in whole
    assert "<h3>Recall" not in whole  # nobody has it


def test_samples_are_who_said_what(whole: str) -> None:
    (chat,) = re.findall('<div class="chat">.*?</div></div>', whole)
    said = re.findall('<div class="([a-z ]+)"><small>[a-z]+</small>(.*?)</div>', chat)
    assert said == [
        ("other", "who is in"),
        ("me", "not me"),
        ("you", "why<br>not"),
        ("me human", "it rains"),
        ("me model", "I do not know"),
    ]


def test_attention_is_a_square_for_each_pair_of_tokens(whole: str) -> None:
    (table,) = re.findall('<table class="squares attention">.*?</table>', whole)
    opacities = [float(each) for each in re.findall('opacity:(.*?)"', table)]
    assert opacities == [0.5, 0.87, 1.0, 0.0]  # roots of shares
    assert "I looks at why: 75%" in table


def test_the_data_are_told_with_a_link(whole: str, tmp_path: Path) -> None:
    for shown in ("near copy", "317", "5,457 of other conversations", 'href="../data/report.html"'):
        assert shown in whole
    assert "<a " not in undrawn(tmp_path, data_page=None)


def test_what_is_not_there_is_left_out(tmp_path: Path) -> None:
    text = undrawn(tmp_path, rows=[], samples=[], attentions=[])
    assert headings(text) == ["What it learned from"]
    assert "tokens a second" not in text


def test_one_evaluation_is_enough(tmp_path: Path) -> None:
    assert "How it learned" in page(tmp_path, history=History([FIRST], FIRST))


def test_what_people_wrote_is_text_not_html(tmp_path: Path) -> None:
    evil = '<script>x<img src="http:a">" onmouseover="x'
    rows = [Row(evil, {"f1": Estimate(0.1, 0.1, 0.1)})]
    attention = Attention([evil], [evil], np.ones((1, 1), np.float32))
    samples = [Sample([(Marker.YOU, evil)], evil, evil)]
    facts = REPORT.facts | {"counts": {"left_out": {evil: 3}}}
    text = undrawn(
        tmp_path,
        rows=rows,
        samples=samples,
        attentions=[attention],
        facts=facts,
        start=Start(preset=evil, bundle=Path(evil)),
        **dict.fromkeys(("name", "rejection", "data_page"), evil),
    )
    assert text.count("&lt;script&gt;") >= 15
    assert "<script" not in text
    assert "<img" not in text
    assert '" onmouseover' not in text


def test_the_page_needs_no_network_and_no_script(whole: str) -> None:
    assert not re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?(?:https?:)?//""", whole)
    assert "<script" not in whole


def test_equal_runs_give_equal_pages(whole: str, tmp_path: Path) -> None:
    assert page(tmp_path) == whole


class TestRun:
    """What a run of the command line leaves."""

    @pytest.fixture(autouse=True)
    def _untrained(self, monkeypatch: pytest.MonkeyPatch, tiny_presets: dict[str, Preset]) -> None:
        def untrained(*arguments: Any, **options: Any) -> History:
            options["checkpoint"].joinpath("run.safetensors").touch()
            return History([FIRST, BEST, LAST], BEST)

        monkeypatch.setattr(retrain, "train", untrained)
        monkeypatch.setattr(retrain, "evaluate", lambda *arguments: FIGURES)
        monkeypatch.setattr(retrain, "bits_per_byte", lambda *arguments: FIGURES.bits_per_byte)

    @pytest.fixture
    def data(self, dataset_directory: Path, tmp_path: Path) -> Path:
        return shutil.copytree(dataset_directory, tmp_path / "my data")

    def train(self, data: Path, *options: str) -> Result:
        models = data.with_name("models")
        return CliRunner().invoke(app, ["train", str(data), "--models", str(models), "--preset", "base", *options])

    def test_the_page_lies_beside_the_bundle(self, data: Path) -> None:
        result = self.train(data)
        assert result.exit_code == 0, result.output
        bundle = live_bundle(data.with_name("models"))
        path = bundle.with_name(f"{bundle.name}.html")
        assert f"Report: {path}" in result.stdout
        assert not list(bundle.glob("*.html"))
        text = path.read_text(encoding="utf-8")
        assert len(headings(text)) == 5
        assert re.findall("<th>(.*?)</th>", text[text.index("<h3>Perplexity") :])[:2] == ["this model", "5-gram"]
        assert text.count('<div class="chat">') == 8
        assert text.count('<table class="squares attention">') == 4
        assert 'href="../my%20data/report.html"' in text

    def test_the_one_before_stands_beside_it(self, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(retrain, "report_run", lambda *arguments, **options: None)
            self.train(data, "--force")
        monkeypatch.setattr(run_report, "references", lambda *arguments: [])
        monkeypatch.setattr(run_report, "curves", lambda history: "")
        result = self.train(data, "--force")
        assert "<th>the one before</th>" in Path(result.stdout.split("Report: ")[1].split("\n")[0]).read_text()

    def test_a_model_that_is_not_published_has_one_too(self, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(retrain, "bits_per_byte", lambda *arguments: 1.0)
        monkeypatch.setattr(run_report, "references", lambda *arguments: [])
        monkeypatch.setattr(run_report, "curves", lambda history: "")
        result = self.train(data)
        assert result.exit_code == 1
        (path,) = data.with_name("models").glob("*.html")
        assert "with 1.000 bits a byte to 2.000: it stays live" in path.read_text(encoding="utf-8")

    @pytest.mark.parametrize("failure", [ValueError("a bug"), KeyboardInterrupt()])
    def test_a_failure_costs_no_more_than_the_page(
        self, data: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
    ) -> None:
        def fail(*arguments: Any, **options: Any) -> None:
            raise failure

        monkeypatch.setattr(retrain, "report_run", fail)
        result = self.train(data, "--force")
        assert result.exit_code == 0, result.output
        assert f"Published {live_bundle(data.with_name('models'))}" in result.stdout
        assert "Report:" not in result.stdout
        (sentence,) = [line for line in result.stderr.splitlines() if line.startswith("The page")]
        assert type(failure).__name__ in sentence

    def test_a_page_needs_matplotlib_but_a_model_does_not(self, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        monkeypatch.setattr(run_report, "references", lambda *arguments: [])
        result = self.train(data, "--force")
        assert result.exit_code == 0, result.output
        assert "matplotlib" in result.stderr
        assert "Published" in result.stdout
