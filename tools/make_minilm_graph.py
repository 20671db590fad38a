"""Writes the weightless ONNX graph of all-MiniLM-L6-v2 that the package carries.

The graph holds shapes and operators only: every initialiser is marked external, and `mnemic.models.minilm` hands the
weights over by name when it opens a session. It is made of the fused operators that onnxruntime ships in the domain
`com.microsoft`, so that nothing has to be optimised at load. Dense layers keep the [out, in] layout of the
safetensors file (transB), except the joined query-key-value matrix, whose operator asks for [in, 3 * out].

Run `python tools/make_minilm_graph.py` after a change here; a test compares its bytes with the committed file.
Needs the package `onnx`, for development only.
"""

from __future__ import annotations

import sys
from pathlib import Path

from onnx import ModelProto, NodeProto, TensorProto, helper

LAYERS, WIDTH, HEADS, INNER = 6, 384, 12, 1536
VOCABULARY, POSITIONS, SEGMENTS = 30_522, 512, 2
EPSILON = 1e-12
MASKED = -10_000.0
TARGET = Path(__file__).parents[1] / "src/mnemic/models/minilm.onnx"


def build() -> bytes:
    """The graph's bytes: input_ids [batch, tokens] and lengths [batch], int32, to vectors [batch, 384]."""
    nodes: list[NodeProto] = []
    weights: list[TensorProto] = []

    def weight(name: str, *shape: int) -> str:
        weights.append(_external(name, shape))
        return name

    def add(operator: str, inputs: list[str], output: str, *, fused: bool = True, **attributes: object) -> str:
        domain = "com.microsoft" if fused else ""
        outputs = [output, "unused"] if operator == "EmbedLayerNormalization" else [output]  # it insists on two
        nodes.append(helper.make_node(operator, inputs, outputs, domain=domain, **attributes))
        return output

    def normalise(state: str, added: str, bias: str, norm: str, output: str) -> str:
        inputs = [state, added, weight(f"{norm}.weight", WIDTH), weight(f"{norm}.bias", WIDTH)]
        inputs.append(weight(bias, WIDTH))
        return add("SkipLayerNormalization", inputs, output, epsilon=EPSILON)

    def dense(state: str, name: str, out: int, width: int) -> str:
        return add("FusedMatMul", [state, weight(name, out, width)], f"{name}.out", transB=1)

    segments = add("Sub", ["input_ids", "input_ids"], "segment_ids", fused=False)
    state = add(
        "EmbedLayerNormalization",
        [
            "input_ids",
            segments,
            weight("embeddings.word_embeddings.weight", VOCABULARY, WIDTH),
            weight("embeddings.position_embeddings.weight", POSITIONS, WIDTH),
            weight("embeddings.token_type_embeddings.weight", SEGMENTS, WIDTH),
            weight("embeddings.LayerNorm.weight", WIDTH),
            weight("embeddings.LayerNorm.bias", WIDTH),
        ],
        "embedded",
        epsilon=EPSILON,
    )
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}"
        joined = [weight(f"{at}.qkv.weight", WIDTH, 3 * WIDTH), weight(f"{at}.qkv.bias", 3 * WIDTH)]
        attended = add(
            "Attention",
            [state, *joined, "lengths"],
            f"{at}.attended",
            num_heads=HEADS,
            mask_filter_value=MASKED,
        )
        output = f"{at}.attention.output"
        projected = dense(attended, f"{output}.dense.weight", WIDTH, WIDTH)
        state = normalise(state, projected, f"{output}.dense.bias", f"{output}.LayerNorm", f"{at}.seen")
        inner = f"{at}.intermediate.dense"
        widened = dense(state, f"{inner}.weight", INNER, WIDTH)
        active = add("BiasGelu", [widened, weight(f"{inner}.bias", INNER)], f"{at}.active")
        narrowed = dense(active, f"{at}.output.dense.weight", WIDTH, INNER)
        state = normalise(state, narrowed, f"{at}.output.dense.bias", f"{at}.output.LayerNorm", f"{at}.state")

    # the mean over a text's tokens, then unit length: the division by their number cancels out
    tokens = add("Shape", ["input_ids"], "tokens", fused=False, start=1, end=2)
    nodes.append(helper.make_node("Squeeze", [tokens], ["n_tokens"]))
    nodes.append(helper.make_node("Range", ["zero", "n_tokens", "one"], ["positions"]))
    nodes.append(helper.make_node("Cast", ["positions"], ["positions32"], to=TensorProto.INT32))
    nodes.append(helper.make_node("Unsqueeze", ["lengths", "axis1"], ["lengths_column"]))
    nodes.append(helper.make_node("Less", ["positions32", "lengths_column"], ["is_token"]))
    nodes.append(helper.make_node("Cast", ["is_token"], ["mask"], to=TensorProto.FLOAT))
    nodes.append(helper.make_node("Unsqueeze", ["mask", "axis1"], ["mask_row"]))
    nodes.append(helper.make_node("MatMul", ["mask_row", state], ["summed_row"]))
    nodes.append(helper.make_node("Squeeze", ["summed_row", "axis1"], ["summed"]))
    nodes.append(helper.make_node("LpNormalization", ["summed"], ["vectors"], axis=-1, p=2))
    small = [
        helper.make_tensor("zero", TensorProto.INT64, [], [0]),
        helper.make_tensor("one", TensorProto.INT64, [], [1]),
        helper.make_tensor("axis1", TensorProto.INT64, [1], [1]),
    ]
    graph = helper.make_graph(
        nodes,
        "all-MiniLM-L6-v2",
        [
            helper.make_tensor_value_info("input_ids", TensorProto.INT32, ["batch", "tokens"]),
            helper.make_tensor_value_info("lengths", TensorProto.INT32, ["batch"]),
        ],
        [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["batch", WIDTH])],
        [*small, *weights],
    )
    model: ModelProto = helper.make_model(
        graph,
        producer_name="mnemic",
        ir_version=8,
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)],
    )
    return model.SerializeToString(deterministic=True)


def _external(name: str, shape: tuple[int, ...]) -> TensorProto:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape)
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="w")  # never read: each is handed over by its name
    return tensor


if __name__ == "__main__":
    TARGET.write_bytes(build())
    sys.stdout.write(f"{TARGET}: {TARGET.stat().st_size} bytes\n")
