"""A Transformer of ours run by others, for `decode.py`: PyTorch, LiteRT, ONNX Runtime's Loop, CTranslate2, Keras."""

import math
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.inference import State
from model.seq2seq import MASKED, Seq2SeqConfig, rotary_frequencies
from model.tokenizer import END, PAD, START

CONTEXT, REPLY, CANDIDATES = 40, 20, 8  # as in `decode.py`

Array = npt.NDArray[Any]
Greedy = Callable[[list[int]], Any]


def padded(contexts: Sequence[Sequence[int]]) -> npt.NDArray[np.int64]:
    """`[batch, CONTEXT]`."""
    ids = np.full((len(contexts), CONTEXT), PAD, np.int64)
    for row, context in zip(ids, contexts, strict=True):
        row[: len(context)] = context
    return ids


class _StepByStep:
    """Reads no tokens at once."""

    def read(self, tokens: Array, state: State) -> None:
        """As `model.decoding.Network` has it."""


class TorchSteps(_StepByStep):
    """PyTorch, eager; keys and values are kept as the bot keeps them."""

    def __init__(self, ours: Any, *, quantized: bool) -> None:
        import torch
        from torch import nn

        from tests.benchmarks.torch_networks import copy_of, tensor

        torch.set_num_threads(1)
        network: Any = copy_of(ours).eval()
        network.softmax = nn.Linear(ours.config.embedding_dim, ours.config.vocabulary_size)
        network.softmax.weight.data, network.softmax.bias.data = tensor(ours.embedding.embeddings), network.output_bias
        if quantized:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # there will be another way, says PyTorch
                network = torch.ao.quantization.quantize_dynamic(network, {nn.Linear}, dtype=torch.qint8)
        self._torch, self._network = torch, network

    def encode(self, contexts: Sequence[Sequence[int]]) -> State:
        torch, network = self._torch, self._network
        with torch.inference_mode():
            ids = torch.from_numpy(padded(contexts))
            absent = (ids == PAD)[:, None, None] * MASKED
            enter, remember, _ = network.norms
            memory = enter(network.widening(network.embedding(ids)))
            for block in network.encoder:
                memory, _ = self._block(block, memory, network.angles, None, None, absent)
            memory = remember(memory)
            context, layers = {"absent": absent.numpy()}, {}
            for number, block in enumerate(network.decoder):
                read = [block.split(each) for each in block.key_value(memory).chunk(2, -1)]
                for name, each in zip(("keys", "values"), read, strict=True):
                    context[f"{name}_{number}"] = each.numpy()
                    layers[f"written_{name}_{number}"] = each[:, :, :0].numpy()
        return State(context, layers)

    def step(self, tokens: Array, state: State) -> tuple[Array, State]:
        torch, network = self._torch, self._network
        context, layers = (
            {name: torch.from_numpy(value) for name, value in each.items()} for each in (state.context, state.layers)
        )
        with torch.inference_mode():
            enter, _, leave = network.norms
            outputs = enter(network.widening(network.embedding(torch.from_numpy(tokens)[:, None])))
            angles = network.angles[layers["written_keys_0"].shape[2] :]
            for number, block in enumerate(network.decoder):
                past = [layers[f"written_{name}_{number}"] for name in ("keys", "values")]
                read = context[f"keys_{number}"], context[f"values_{number}"]
                outputs, new = self._block(block, outputs, angles, past, read, context["absent"])
                layers |= dict(zip((f"written_keys_{number}", f"written_values_{number}"), new, strict=True))
            logits = network.softmax(network.projection(leave(outputs)))[:, 0]
            likelihoods = torch.log_softmax(logits, -1)
        return likelihoods.numpy(), State(state.context, {name: value.numpy() for name, value in layers.items()})

    def _block(self, block: Any, inputs: Any, angles: Any, past: Any, read: Any, absent: Any) -> Any:
        """A layer of the decoder, which has read something, or of the encoder; also its keys and values."""
        from tests.benchmarks.torch_networks import look, rotated

        queries, keys, values = map(block.split, block.joined(block.norm(inputs)).chunk(3, -1))
        new = [rotated(keys, angles), values]
        if past is not None:
            new = [self._torch.cat(parts, 2) for parts in zip(past, new, strict=True)]
        mixed = look(rotated(queries, angles), *new, attn_mask=absent if read is None else None)
        outputs = inputs + block.mix(mixed)
        if read is not None:
            queries = block.split(block.query(block.context_norm(outputs)))
            outputs = outputs + block.context_mix(look(queries, *read, attn_mask=absent))
        return outputs + block.narrow(self._torch.relu(block.widen(block.forward_norm(outputs)))), new


class _Static:
    """Our Transformer in TensorFlow with caches of a fixed size, which LiteRT needs."""

    def __init__(self, ours: Any) -> None:
        self.ours, self.config = ours, ours.config
        self.cache = (self.config.decoder_layers, self.config.heads, REPLY, self.config.head_units)

    def encode(self, ids: Any) -> Any:
        """Keys and values of the context for each layer, `[batch, layers, heads, time, units]`, and what is absent."""
        import tensorflow as tf

        _, mask, states = self.ours.encode(ids)
        keys, values = (tf.stack([state[part] for state in states], 1) for part in (2, 3))
        return keys, values, (1 - mask)[:, tf.newaxis, tf.newaxis] * MASKED

    def step(self, tokens: Any, position: Any, read: Any, written: Any) -> Any:
        """Log probabilities and longer caches; `position` counts the tokens that were written."""
        import tensorflow as tf

        ours, heads, units = self.ours, self.config.heads, self.config.head_units
        read_keys, read_values, absent = read
        angles = tf.cast(position, tf.float32) * rotary_frequencies(self.config)
        here = tf.one_hot(position, REPLY)[:, tf.newaxis]
        hidden = tf.cast(tf.range(REPLY) > position, tf.float32) * MASKED

        def split(inputs: Any) -> Any:
            return tf.reshape(inputs, [-1, heads, 1, units])

        def rotated(each: Any) -> Any:
            first, second = tf.split(each, 2, -1)
            cosines, sines = tf.cos(angles), tf.sin(angles)
            return tf.concat([first * cosines - second * sines, second * cosines + first * sines], -1)

        def look(queries: Any, keys: Any, values: Any, mask: Any) -> Any:
            scores = tf.matmul(queries, keys, transpose_b=True) / math.sqrt(units) + mask
            return tf.reshape(tf.matmul(tf.nn.softmax(scores), values), [-1, heads * units])

        outputs = ours.input_norm(tf.matmul(tf.gather(ours.embedding.embeddings, tokens), ours.widening.kernel))
        new = []
        for number, (attention, context, forward) in enumerate(ours.decoder):
            queries, keys, values = tf.split(tf.matmul(attention.norm(outputs), attention.query_key_value), 3, -1)
            cached = [
                past[:, number] * (1 - here) + part * here
                for past, part in zip(written, (rotated(split(keys)), split(values)), strict=True)
            ]
            outputs += tf.matmul(look(rotated(split(queries)), *cached, hidden), attention.mix)
            queries = split(tf.matmul(context.norm(outputs), context.query))
            mixed = look(queries, read_keys[:, number], read_values[:, number], absent)
            outputs += tf.matmul(mixed, context.mix)
            outputs += tf.matmul(tf.nn.relu(tf.matmul(forward.norm(outputs), forward.widen)), forward.narrow)
            new.append(cached)
        projected = tf.matmul(ours.output_norm(outputs), ours.projection.kernel)
        logits = tf.matmul(projected, ours.embedding.embeddings, transpose_b=True) + ours.output_bias
        return tf.nn.log_softmax(logits), *(tf.stack(parts, 1) for parts in zip(*new, strict=True))

    def interpreter(self, function: Any, *shapes: Any) -> Any:
        """A function, compiled for LiteRT with int8 weights."""
        import tensorflow as tf
        from ai_edge_litert.interpreter import Interpreter

        concrete = tf.function(function).get_concrete_function(*shapes)
        converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], self.ours)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        made = Interpreter(model_content=converter.convert(), num_threads=1)
        made.allocate_tensors()
        return made


def _invoke(interpreter: Any, *inputs: Array) -> list[Array]:
    for detail, value in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(detail["index"], value.astype(detail["dtype"]))
    interpreter.invoke()
    outputs = sorted(interpreter.get_output_details(), key=lambda detail: detail["name"])
    return [interpreter.get_tensor(detail["index"]) for detail in outputs]


class LiteRTSteps(_StepByStep):
    """LiteRT, a model for each batch size, made when it is first needed."""

    def __init__(self, ours: Any) -> None:
        self._static = _Static(ours)
        self._encoders: dict[int, Any] = {}
        self._steps: dict[int, Any] = {}

    def encode(self, contexts: Sequence[Sequence[int]]) -> State:
        import tensorflow as tf

        batch = len(contexts)
        if batch not in self._encoders:
            shape = tf.TensorSpec([batch, CONTEXT], tf.int32)
            self._encoders[batch] = self._static.interpreter(self._static.encode, shape)
        keys, values, absent = _invoke(self._encoders[batch], padded(contexts))
        nothing = np.zeros((batch, *self._static.cache), np.float32)
        position = np.zeros(batch, np.int64)
        return State(
            {"keys": keys, "values": values, "absent": absent},
            {"keys": nothing, "values": nothing, "position": position},
        )

    def step(self, tokens: Array, state: State) -> tuple[Array, State]:
        import tensorflow as tf

        batch, position = len(tokens), state.layers["position"]
        read = [state.context[name] for name in ("keys", "values", "absent")]
        written = [state.layers[name] for name in ("keys", "values")]
        if batch not in self._steps:
            specs = [tf.TensorSpec(each.shape, tf.float32) for each in (*read, *written)]
            self._steps[batch] = self._static.interpreter(
                lambda tokens, position, *rest: self._static.step(tokens, position, rest[:3], rest[3:]),
                *(tf.TensorSpec([batch], tf.int32), tf.TensorSpec([], tf.int32), *specs),
            )
        likelihoods, keys, values = _invoke(self._steps[batch], tokens, position[0], *read, *written)
        return likelihoods, State(state.context, {"keys": keys, "values": values, "position": position + 1})


def litert_loop(ours: Any) -> Greedy:
    """All of a greedy reply in one model of LiteRT."""
    import tensorflow as tf

    static = _Static(ours)

    def reply(ids: Any) -> Any:
        read = static.encode(ids)
        nothing = tf.zeros([1, *static.cache])

        def step(position: Any, tokens: Any, keys: Any, values: Any, said: Any) -> Any:
            likelihoods, keys, values = static.step(tokens, position, read, (keys, values))
            tokens = tf.argmax(likelihoods, -1, output_type=tf.int32)
            return position + 1, tokens, keys, values, said + tf.one_hot(position, REPLY, dtype=tf.int32) * tokens

        start = (tf.constant(0), tf.constant([START]), nothing, nothing, tf.zeros([REPLY], tf.int32))
        return tf.while_loop(lambda position, *_: position < REPLY, step, start, maximum_iterations=REPLY)[-1]

    made = static.interpreter(reply, tf.TensorSpec([1, CONTEXT], tf.int32))
    return lambda context: _invoke(made, padded([context]))


def onnx_loop(ours: Any) -> Greedy:
    """The bot's int8 graphs as one graph of ONNX Runtime, with a Loop over the step."""
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper

    from model.bundle import DECODER, ENCODER
    from model.inference import ATTENTION, LIKELIHOODS
    from model.onnx_graph import export

    with tempfile.TemporaryDirectory() as folder:
        export(ours, Path(folder))
        encoder, decoder = (onnx.load(Path(folder) / name) for name in (ENCODER, DECODER))
        head = onnx.compose.add_prefix_graph(encoder.graph, "e_", rename_inputs=False, rename_outputs=False)
        body = onnx.compose.add_prefix_graph(decoder.graph, "d_", rename_inputs=False, rename_outputs=False)
        caches = [each.name for each in body.output if each.name.startswith("new_")]
        carried = ["tokens", *(name.removeprefix("new_") for name in caches)]
        nodes = [
            *(each for each in body.node if each.output[0] != ATTENTION),
            helper.make_node("ArgMax", [LIKELIHOODS], ["next"], axis=-1, keepdims=0),
            helper.make_node("Identity", ["next"], ["said"]),
            helper.make_node("Identity", ["going"], ["still_going"]),
        ]
        inputs = {each.name: each for each in body.input}
        outputs = {each.name: each for each in body.output}
        tokens = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "new"]) for name in ("next", "said")]
        flags = [helper.make_tensor_value_info(name, TensorProto.BOOL, []) for name in ("going", "still_going")]
        time = helper.make_tensor_value_info("time", TensorProto.INT64, [])
        step = helper.make_graph(
            nodes,
            "step",
            [time, flags[0], *(inputs[name] for name in carried)],
            [flags[1], tokens[0], *(outputs[name] for name in caches), tokens[1]],
        )
        names = [f"last_{name}" for name in carried]
        loop = helper.make_node("Loop", ["count", "true", "start", *carried[1:]], [*names, "reply"], body=step)
        constants = {"count": np.int64(REPLY), "true": np.bool_(True), "start": np.array([[START]])}
        graph = helper.make_graph(
            [*head.node, loop],
            "reply",
            list(head.input),
            [helper.make_tensor_value_info("reply", TensorProto.INT64, ["time", "batch", "new"])],
            [
                *(*head.initializer, *body.initializer),
                *(onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()),
            ],
        )
        model = helper.make_model(graph, opset_imports=list(encoder.opset_import), ir_version=encoder.ir_version)
        onnx.save(model, Path(folder) / "loop.onnx")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(Path(folder) / "loop.onnx", options, providers=["CPUExecutionProvider"])
    return lambda context: session.run(["reply"], {"ids": padded([context])})


def ctranslate2(config: Seq2SeqConfig) -> tuple[Greedy, Greedy]:
    """A Transformer of CTranslate2 in int8 of the same number and size of layers, with weights drawn at random."""
    import ctranslate2 as engine
    from ctranslate2.specs import TransformerSpec

    rng, units = np.random.default_rng(0), config.encoder_units

    def linear(spec: Any, inputs: int, outputs: int) -> None:
        spec.weight = rng.normal(0, inputs**-0.5, (outputs, inputs)).astype(np.float32)
        spec.bias = np.zeros(outputs, np.float32)

    def norm(spec: Any) -> None:
        spec.gamma, spec.beta = np.ones(units, np.float32), np.zeros(units, np.float32)

    spec = TransformerSpec.from_config((config.encoder_layers, config.decoder_layers), config.heads)
    spec.register_source_vocabulary(["<blank>", "<s>", "</s>", *map(str, range(3, config.vocabulary_size))])
    spec.register_target_vocabulary(["<blank>", "<s>", "</s>", *map(str, range(3, config.vocabulary_size))])
    for side in (spec.encoder, spec.decoder):
        embeddings = side.embeddings[0] if side is spec.encoder else side.embeddings
        embeddings.weight = rng.normal(0, 0.2, (config.vocabulary_size, units)).astype(np.float32)
        norm(side.layer_norm)
        for layer in side.layer:
            norm(layer.self_attention.layer_norm)
            linear(layer.self_attention.linear[0], units, 3 * units)
            linear(layer.self_attention.linear[1], units, units)
            norm(layer.ffn.layer_norm)
            linear(layer.ffn.linear_0, units, 4 * units)
            linear(layer.ffn.linear_1, 4 * units, units)
            if side is spec.decoder:
                norm(layer.attention.layer_norm)
                for part, outputs in enumerate((units, 2 * units, units)):
                    linear(layer.attention.linear[part], units, outputs)
    linear(spec.decoder.projection, units, config.vocabulary_size)
    spec.validate()
    spec.optimize("int8")
    with tempfile.TemporaryDirectory() as folder:
        spec.save(folder)
        translator = engine.Translator(folder, compute_type="int8", intra_threads=1, inter_threads=1)
    length = {"min_decoding_length": REPLY, "max_decoding_length": REPLY, "beam_size": 1}

    def greedy(context: list[int]) -> Any:
        return translator.translate_batch([list(map(str, context))], **length)

    def eight(context: list[int]) -> Any:
        drawn = {"sampling_topk": 0, "sampling_topp": 0.9, "sampling_temperature": 0.9, "num_hypotheses": CANDIDATES}
        (found,) = translator.translate_batch([list(map(str, context))], **length, **drawn, return_scores=True)
        return translator.score_batch([[str(END)]] * CANDIDATES, found.hypotheses)

    return greedy, eight


def keras_predict(ours: Any) -> Greedy:
    """The textbook's loop: `predict` of the whole reply so far for each token."""
    import keras

    encoder_ids, decoder_ids = keras.Input([None], dtype="int32"), keras.Input([None], dtype="int32")
    model = keras.Model([encoder_ids, decoder_ids], ours(encoder_ids, decoder_ids))

    def greedy(context: list[int]) -> list[int]:
        said = [START]
        for _ in range(REPLY):
            logits = model.predict([np.array([context]), np.array([said])], verbose=0)
            said.append(int(logits[0, -1].argmax()))
        return said

    return greedy
