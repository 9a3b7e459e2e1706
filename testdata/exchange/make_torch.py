"""State dicts of PyTorch with what their networks say, and the same networks exported as ONNX.

    python make_torch.py        (torch, safetensors, onnx, onnxscript)

For each case: torch_CASE.safetensors is the state dict as torch saves it, torch_CASE.io.safetensors has the scaled inputs
x (B, T, F), their lengths and the outputs y of ragged sequences, torch_CASE.onnx and torch_CASE_dynamo.onnx are the graphs
of torch's two exporters for sequences of one length.
"""

import warnings
from pathlib import Path

import onnx
import torch
from safetensors.torch import save_file
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

HERE = Path(__file__).parent
FEATURES, OUTPUTS, STEPS = 3, 2, 6
LENGTHS = [6, 2, 4, 1, 6]
warnings.filterwarnings("ignore")

CASES = {
    # name: (class, options, hidden, what the head stands on)
    "lstm": (torch.nn.LSTM, {}, 7, "state"),
    "lstm_l2_bi": (torch.nn.LSTM, {"num_layers": 2, "bidirectional": True}, 5, "state"),
    "lstm_steps": (torch.nn.LSTM, {"num_layers": 2}, 4, "steps"),
    "gru": (torch.nn.GRU, {}, 7, "last"),
    "gru_l2_bi": (torch.nn.GRU, {"num_layers": 2, "bidirectional": True}, 5, "state"),
    "gru_plain": (torch.nn.GRU, {"bias": False}, 4, "state"),
    "rnn_tanh": (torch.nn.RNN, {"num_layers": 2}, 6, "state"),
    "rnn_relu_bi": (torch.nn.RNN, {"nonlinearity": "relu", "bidirectional": True}, 6, "state"),
    "lstm_hidden": (torch.nn.LSTM, {}, 6, "hidden"),
}

# The newer exporter knows no nn.RNN.
DYNAMO = ("lstm", "lstm_steps", "gru_l2_bi")


class Network(torch.nn.Module):
    """A recurrent stack with a head."""

    def __init__(self, kind, options, hidden, stands):
        super().__init__()
        self.rnn = kind(FEATURES, hidden, batch_first=True, **options)
        self.stands = stands
        width = hidden * (2 if options.get("bidirectional") else 1)
        if stands == "hidden":
            self.first, self.second = torch.nn.Linear(width, 4), torch.nn.Linear(4, OUTPUTS)
        else:
            self.fc = torch.nn.Linear(width, OUTPUTS)

    def forward(self, x, lengths=None):
        packed = x if lengths is None else pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        out, state = self.rnn(packed)
        state = state[0] if isinstance(state, tuple) else state
        if lengths is not None:
            out, _ = pad_packed_sequence(out, batch_first=True, total_length=x.shape[1])
        if self.stands == "steps":
            return self.fc(out)
        if self.stands == "last" and lengths is None:
            return self.fc(out[:, -1])
        last = torch.cat([state[-2], state[-1]], 1) if self.rnn.bidirectional else state[-1]
        return self.second(torch.relu(self.first(last))) if self.stands == "hidden" else self.fc(last)


def strip(path):
    """Takes the lines of Python that each node came from out of a graph."""
    model = onnx.load(path)
    for part in (model.graph, *model.graph.node):
        del part.metadata_props[:]
        part.doc_string = ""
    for values in (model.graph.value_info, model.graph.input, model.graph.output, model.graph.initializer):
        for value in values:
            del value.metadata_props[:]
    del model.graph.value_info[:]
    onnx.save(model, path)


def main():
    for seed, (name, case) in enumerate(CASES.items()):
        torch.manual_seed(seed)
        network = Network(*case).eval()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.mul_(1.5)
            x = torch.randn(len(LENGTHS), STEPS, FEATURES)
            for row, length in zip(x, LENGTHS):
                row[length:] = 0.0
            y = network(x, torch.tensor(LENGTHS))
        save_file(network.state_dict(), HERE / f"torch_{name}.safetensors")
        io = {"x": x, "lengths": torch.tensor(LENGTHS), "y": y.contiguous()}
        save_file(io, HERE / f"torch_{name}.io.safetensors")
        axes = {"x": {0: "batch", 1: "time"}, "y": {0: "batch"}}
        shared = {"input_names": ["x"], "output_names": ["y"], "dynamic_axes": axes}
        path = str(HERE / f"torch_{name}")
        torch.onnx.export(network, (x,), f"{path}.onnx", dynamo=False, opset_version=17, **shared)
        if name in DYNAMO:
            torch.onnx.export(network, (x,), f"{path}_dynamo.onnx", dynamo=True, external_data=False, **shared)
            strip(f"{path}_dynamo.onnx")


if __name__ == "__main__":
    main()
