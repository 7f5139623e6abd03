"""Our networks in PyTorch, with the same weights: what `train.py` and others measure beside ours."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import dropout, scaled_dot_product_attention

from model.seq2seq import NORM_EPSILON, rotary_frequencies
from tests.benchmarks.train import gates

Tensor = torch.Tensor


def copy_of(network: Any) -> nn.Module:
    """A network of `model.seq2seq` as a module from encoder and decoder ids, none of them padding, to logits."""
    return Transformer(network) if network.config.cell == "transformer" else Recurrent(network)


class Seq2Seq(nn.Module):
    """What both have: the tied embedding, and dropout with one mask for all time steps."""

    def __init__(self, ours: Any) -> None:
        super().__init__()
        self.share = ours.config.dropout
        self.embedding = nn.Embedding.from_pretrained(tensor(ours.embedding.embeddings), freeze=False)
        self.projection, self.output_bias = dense(ours.projection.kernel), nn.Parameter(tensor(ours.output_bias))

    def dropped(self, inputs: Tensor) -> Tensor:
        return inputs * dropout(inputs.new_ones(len(inputs), 1, inputs.shape[2]), self.share, self.training)

    def logits(self, outputs: Tensor) -> Tensor:
        return self.projection(outputs) @ self.embedding.weight.T + self.output_bias


class Recurrent(Seq2Seq):
    """LSTM layers with Luong's attention."""

    def __init__(self, ours: Any) -> None:
        super().__init__(ours)
        self.encoder = nn.ModuleList([lstm(*layers) for layers in ours.encoder])
        self.decoder = nn.ModuleList([lstm(layer) for layer in ours.decoder])
        self.keys, self.combine = dense(ours.keys.kernel), dense(ours.combine.kernel)

    def forward(self, encoder_ids: Tensor, decoder_ids: Tensor) -> Tensor:
        memory = self.dropped(self.embedding(encoder_ids))
        for layer in self.encoder:
            memory, state = layer(memory)
            memory = self.dropped(memory)
        state = tuple(torch.cat(tuple(part), -1)[None] for part in state)
        outputs = self.dropped(self.embedding(decoder_ids))
        for layer in self.decoder:
            outputs = self.dropped(layer(outputs, state)[0])
        looked_at = torch.softmax(outputs @ self.keys(memory).transpose(1, 2), -1) @ memory
        attended = torch.tanh(self.combine(torch.cat([looked_at, outputs], -1)))
        return self.logits(attended)


class Transformer(Seq2Seq):
    """Layers of attention."""

    def __init__(self, ours: Any) -> None:
        super().__init__(ours)
        shape = ours.config
        self.widening = dense(ours.widening.kernel)
        self.norms = nn.ModuleList(map(norm, (ours.input_norm, ours.memory_norm, ours.output_norm)))
        self.encoder = nn.ModuleList(Block(shape.heads, *parts) for parts in ours.encoder)
        self.decoder = nn.ModuleList(Block(shape.heads, *parts) for parts in ours.decoder)
        self.angles = torch.arange(64.0)[:, None] * torch.tensor(rotary_frequencies(shape))

    def forward(self, encoder_ids: Tensor, decoder_ids: Tensor) -> Tensor:
        enter, remember, leave = self.norms
        memory = self.dropped(enter(self.widening(self.embedding(encoder_ids))))
        for block in self.encoder:
            memory = block(memory, self.angles, self.dropped)
        memory = remember(memory)
        outputs = self.dropped(enter(self.widening(self.embedding(decoder_ids))))
        for block in self.decoder:
            outputs = block(outputs, self.angles, self.dropped, memory)
        return self.logits(leave(outputs))


class Block(nn.Module):
    """A layer of the encoder or, with attention to the context, of the decoder."""

    def __init__(self, heads: int, attention: Any, *others: Any) -> None:
        super().__init__()
        *context, forward = others
        self.heads = heads
        self.norm, self.joined = norm(attention.norm), dense(attention.query_key_value)
        self.mix, self.forward_norm = dense(attention.mix), norm(forward.norm)
        self.widen, self.narrow = dense(forward.widen), dense(forward.narrow)
        for each in context:
            self.context_norm, self.query = norm(each.norm), dense(each.query)
            self.key_value, self.context_mix = dense(each.key_value), dense(each.mix)

    def forward(
        self, inputs: Tensor, angles: Tensor, dropped: Callable[[Tensor], Tensor], memory: Tensor | None = None
    ) -> Tensor:
        queries, keys, values = map(self.split, self.joined(self.norm(inputs)).chunk(3, -1))
        mixed = look(rotated(queries, angles), rotated(keys, angles), values, is_causal=memory is not None)
        inputs = inputs + dropped(self.mix(mixed))
        if memory is not None:
            read = map(self.split, self.key_value(memory).chunk(2, -1))
            inputs = inputs + dropped(self.context_mix(look(self.split(self.query(self.context_norm(inputs))), *read)))
        return inputs + dropped(self.narrow(torch.relu(self.widen(self.forward_norm(inputs)))))

    def split(self, inputs: Tensor) -> Tensor:
        return inputs.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def lstm(forward: Any, *backward: Any) -> nn.LSTM:
    layer = nn.LSTM(forward.kernel.shape[0], forward.units, bidirectional=bool(backward), batch_first=True)
    for suffix, each in zip(("", "_reverse"), (forward, *backward), strict=False):
        weights = {"weight_ih": each.kernel, "weight_hh": each.recurrent, "bias_ih": each.bias}
        for name, variable in weights.items():
            value = torch.tensor(gates(variable, "ifco").T.copy())
            getattr(layer, f"{name}_l0{suffix}").data = value
        bias = getattr(layer, f"bias_hh_l0{suffix}")
        bias.data = torch.zeros_like(bias)
        bias.requires_grad = False  # we have one bias
    return layer


def rotated(heads: Tensor, angles: Tensor) -> Tensor:
    first, second = heads.chunk(2, -1)
    cosines, sines = angles[: heads.shape[2]].cos(), angles[: heads.shape[2]].sin()
    return torch.cat([first * cosines - second * sines, second * cosines + first * sines], -1)


def look(queries: Tensor, keys: Tensor, values: Tensor, **options: Any) -> Tensor:
    return scaled_dot_product_attention(queries, keys, values, **options).transpose(1, 2).flatten(2)


def tensor(variable: Any) -> Tensor:
    return torch.tensor(np.asarray(variable))


def dense(kernel: Any) -> nn.Linear:
    made = nn.Linear(*kernel.shape, bias=False)
    made.weight.data = tensor(kernel).T.contiguous()
    return made


def norm(layer: Any) -> nn.LayerNorm:
    made = nn.LayerNorm(layer.gain.shape[0], NORM_EPSILON, bias=False)
    made.weight.data = tensor(layer.gain)
    return made
