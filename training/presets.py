"""The networks on offer, each with the settings it trains well with."""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from model import ChinwagError
from model.tokenizer import Tokens

if TYPE_CHECKING:
    from model.seq2seq import Seq2SeqConfig


class PresetError(ChinwagError):
    """A preset cannot be used; the message says which and why, in one sentence."""


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How a network is trained.

    Attributes:
        optimizer: by its usual name; `sgd` has a momentum of 0.9, `muon` is Adam for all but the matrices between.
        learning_rate: the highest.
        warm_up: steps over which the rate rises to it, at most a tenth of the run.
        decay: how the rate falls over the run, to a twentieth.
        weight_decay: share of each matrix taken off it in a step, times the rate (Loshchilov & Hutter, 2019).
        clip_norm: gradients whose joint norm is larger are scaled down to it.
        label_smoothing: share of each target spread over all tokens (Szegedy et al., 2016).
        context_dropout: share of the examples that are shown without their context, so that the network learns
            log p(reply) beside log p(reply | context).
        anchor: how strongly each weight is drawn back to where it started, times the rate (L2-SP, Li et al., 2018,
            decoupled as weight decay is): a network that goes on learning then forgets less of what it knew.
        averaging: at the end the weights are mixed with those of the start, in the share that is best on the
            validation side (WiSE-FT, Wortsman et al., 2022).
        batch_size: examples a step.
        epochs: times each example is seen, at most; need not be whole.
        time_limit: seconds after which training ends, however many epochs that is; None for no limit.
        patience: evaluations without a better validation loss before training stops.
        seed: of weights, order and dropout; equal seeds on equal machines give equal networks.
    """

    optimizer: Literal["adam", "adamw", "rmsprop", "sgd", "muon"] = "adam"
    learning_rate: float = 2e-3
    warm_up: int = 200
    decay: Literal["none", "linear", "cosine"] = "linear"
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    label_smoothing: float = 0.0
    context_dropout: float = 0.0
    anchor: float = 0.0
    averaging: bool = False
    batch_size: int = 32
    epochs: float = 8.0
    time_limit: float | None = None
    patience: int = 6
    seed: int = 0


@dataclass(frozen=True)
class Preset:
    """A network's shape (the fields of `Seq2SeqConfig` but for the vocabulary) and its training.

    Attributes:
        network: the fields.
        tokens: of what kind.
        vocabulary_size: tokens, at most.
        training: how it is trained.
    """

    network: dict[str, Any]
    tokens: Tokens = "bpe"
    vocabulary_size: int = 4096
    training: TrainingConfig = field(default_factory=TrainingConfig)

    @classmethod
    def load(cls, path: Path) -> "Preset":
        """Read a file that `save` wrote, or a person.

        Raises:
            PresetError: it is no preset.
        """
        try:
            written = json.loads(path.read_text(encoding="utf-8"))
            return cls(**written | {"training": TrainingConfig(**written.get("training", {}))})
        except OSError as error:
            names = ", ".join(PRESETS)
            raise PresetError(
                f"There is no preset {path} ({error.strerror}): name one of {names}, or a file that `tune` wrote."
            ) from error
        except (ValueError, TypeError, AttributeError) as error:
            raise PresetError(f"{path} is no preset ({error}): compare it with a file that `tune` wrote.") from error

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    def shape(self, vocabulary_size: int) -> "Seq2SeqConfig":
        """The shape of its network.

        Raises:
            PresetError: a field of it is none of a network's, or they do not go together.
        """
        from model.seq2seq import Seq2SeqConfig  # TensorFlow comes along: only where a network is made

        try:
            return Seq2SeqConfig(vocabulary_size=vocabulary_size, **self.network)
        except (TypeError, ValueError) as error:
            raise PresetError(f"The preset's network cannot be made ({error}): correct it.") from error


_OURS = TrainingConfig(optimizer="muon", learning_rate=2e-3, batch_size=64, context_dropout=0.1)

PRESETS: dict[str, Preset] = {
    # The textbook's encoder-decoder (Sutskever et al., 2014; Chollet, 2017): the context is one state.
    "classic": Preset(
        {
            "embedding_dim": 256,
            "encoder_units": 256,
            "bidirectional": False,
            "decoder_layers": 1,
            "attention": "none",
            "tied": False,
        },
        training=TrainingConfig(optimizer="rmsprop", learning_rate=1e-3, warm_up=0, decay="none", clip_norm=5.0),
    ),
    "small": Preset(
        {
            "cell": "transformer",
            "embedding_dim": 128,
            "encoder_layers": 1,  # replies are shorter than their contexts: a layer costs less in the decoder
            "encoder_units": 128,
            "decoder_layers": 3,
            "heads": 2,
            "dropout": 0.05,
        },
        training=_OURS,
    ),
    "base": Preset(
        {
            "cell": "transformer",
            "embedding_dim": 256,
            "encoder_layers": 1,
            "encoder_units": 256,
            "decoder_layers": 3,
            "heads": 4,
            "dropout": 0.1,
        },
        training=_OURS,
    ),
    "large": Preset(
        {
            "cell": "transformer",
            "embedding_dim": 384,
            "encoder_layers": 2,
            "encoder_units": 384,
            "decoder_layers": 4,
            "heads": 4,
            "dropout": 0.1,
        },
        training=_OURS,
    ),
}

FINE_TUNING = Preset(
    {"dropout": 0.1}, training=TrainingConfig(learning_rate=4e-4, context_dropout=0.1, anchor=3.0, averaging=True)
)
"""For going on from a trained network: what changes of it, and its training. Gentler, or it forgets how to talk."""


@dataclass(frozen=True, kw_only=True)
class Start:
    """What training starts from.

    Attributes:
        preset: the name of the network's preset, or the file that holds it.
        bundle: the bundle whose network goes on learning; None starts a new one.
        gently: whether that network is to keep what it knows (see `FINE_TUNING`), or to learn on as it was made to.
        network: what of a new network differs from the preset's.
    """

    preset: str
    bundle: Path | None = None
    gently: bool = True
    network: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The preset's name, without the folder of its file."""
        return self.preset if self.preset in PRESETS else Path(self.preset).stem

    @property
    def settings(self) -> Preset:
        """The preset. Raises PresetError: there is none."""
        preset = PRESETS.get(self.preset) or Preset.load(Path(self.preset))
        return replace(preset, network=preset.network | self.network)

    @property
    def fine_tuning(self) -> bool:
        """Whether a network that has learned before is trained gently."""
        return self.bundle is not None and self.gently

    def config(self, *, seed: int = 0, **changes: float | str | None) -> TrainingConfig:
        """The preset's settings, or those for fine-tuning, with what is changed and not None."""
        config = FINE_TUNING.training if self.fine_tuning else self.settings.training
        named: dict[str, Any] = {name: value for name, value in changes.items() if value is not None}
        return replace(config, seed=seed, **named)
