//! Recurrent cells as their papers write them, one scalar at a time.
//!
//! Weight matrices are `(G*H, F)` and `(G*H, H)` row by row in PyTorch's gate order: i, f, g, o
//! for the LSTM and r, z, n for the GRU. Both biases of PyTorch are here; where one bias is
//! trained, give it as `bias_ih` and zeros as `bias_hh`.

use super::tape::Var;
use crate::activation::Activation;
use crate::recurrent::{Cell, Reset};

/// The weights of one cell. `weight_ih: (G*H, F)`, `weight_hh: (G*H, H)`, biases `(G*H)`.
#[derive(Debug, Clone, Copy)]
pub struct CellWeights<'a, 't> {
    /// Input to hidden.
    pub weight_ih: &'a [Var<'t>],
    /// Hidden to hidden.
    pub weight_hh: &'a [Var<'t>],
    /// Bias beside the input product.
    pub bias_ih: &'a [Var<'t>],
    /// Bias beside the hidden product; tells only for the GRU's n gate with
    /// [`Reset::AfterProduct`].
    pub bias_hh: &'a [Var<'t>],
}

/// What a cell leaves behind.
#[derive(Debug, Clone)]
pub struct Trace<'t> {
    /// `h_t` for every step, `(T, H)`.
    pub hidden: Vec<Vec<Var<'t>>>,
    /// The last hidden state; the initial one where there is no step.
    pub last_hidden: Vec<Var<'t>>,
    /// The last cell state of an LSTM or LRU; empty for other cells.
    pub last_cell: Vec<Var<'t>>,
}

/// `f(x)`.
pub fn activate(kind: Activation, x: Var<'_>) -> Var<'_> {
    match kind {
        Activation::Identity => x,
        Activation::Tanh => x.tanh(),
        Activation::Relu => x.relu(),
        Activation::Sigmoid => x.sigmoid(),
        Activation::Softplus => x.softplus(),
        Activation::Decay => (x.relu() * -1.0).exp(),
    }
}

/// Runs a cell over one sequence `xs` of `T` steps of `F` values, from `hidden` and `cell` (the
/// latter is not read unless the cell has such a state). `decays`, `(T, H)`, are read by
/// [`Cell::GruD`] alone.
///
/// **Source** Elman 1990; Hochreiter and Schmidhuber 1997 with the forget gate of Gers 2000;
/// Cho 2014 (arXiv 1406.1078) for [`Reset::BeforeProduct`] with PyTorch's meaning of z, and
/// `torch.nn.GRU` for [`Reset::AfterProduct`]; Che 2018 (equation 12) for the fading h; Feng 2024 (arXiv 2410.01201) for the minimal cells,
/// Orvieto 2023 (arXiv 2303.06349) for the LRU.
pub fn run<'t>(
    kind: Cell,
    weights: CellWeights<'_, 't>,
    xs: &[Vec<Var<'t>>],
    decays: &[Vec<Var<'t>>],
    hidden: &[Var<'t>],
    cell: &[Var<'t>],
) -> Trace<'t> {
    let (mut h, mut c) = (hidden.to_vec(), Vec::new());
    if kind.has_cell_state() {
        c = cell.to_vec();
    }
    let mut outputs = Vec::with_capacity(xs.len());
    for (t, x) in xs.iter().enumerate() {
        if kind.fades() {
            h = h.iter().zip(&decays[t]).map(|(&h, &decay)| decay * h).collect();
        }
        match kind {
            Cell::Elman(activation) => h = elman(activation, weights, x, &h),
            Cell::Lstm => (h, c) = lstm(weights, x, &h, &c),
            Cell::Gru(Reset::AfterProduct) | Cell::GruD(Reset::AfterProduct) => {
                h = gru_after(weights, x, &h);
            }
            Cell::Gru(Reset::BeforeProduct) | Cell::GruD(Reset::BeforeProduct) => {
                h = gru_before(weights, x, &h);
            }
            Cell::MinGru => h = min_gru(weights, x, &h),
            Cell::MinLstm => h = min_lstm(weights, x, &h),
            Cell::Lru => (h, c) = lru(weights, x, &h, &c),
        }
        outputs.push(h.clone());
    }
    Trace { hidden: outputs, last_hidden: h, last_cell: c }
}

/// `h_t = f(W_ih x_t + W_hh h_{t-1} + b)`.
fn elman<'t>(
    activation: Activation,
    weights: CellWeights<'_, 't>,
    x: &[Var<'t>],
    h: &[Var<'t>],
) -> Vec<Var<'t>> {
    (0..h.len())
        .map(|j| activate(activation, from_input(weights, j, x) + from_hidden(weights, j, h)))
        .collect()
}

/// `i, f, o = sigmoid(..)`, `g = tanh(..)`, `c_t = f c_{t-1} + i g`, `h_t = o tanh(c_t)`.
fn lstm<'t>(
    weights: CellWeights<'_, 't>,
    x: &[Var<'t>],
    h: &[Var<'t>],
    c: &[Var<'t>],
) -> (Vec<Var<'t>>, Vec<Var<'t>>) {
    let units = h.len();
    let gate = |k: usize, j: usize| {
        from_input(weights, k * units + j, x) + from_hidden(weights, k * units + j, h)
    };
    let next: Vec<Var<'t>> = (0..units)
        .map(|j| gate(1, j).sigmoid() * c[j] + gate(0, j).sigmoid() * gate(2, j).tanh())
        .collect();
    let output = (0..units).map(|j| gate(3, j).sigmoid() * next[j].tanh()).collect();
    (output, next)
}

/// `n = tanh(W_in x + b_in + r (W_hn h + b_hn))`, `h_t = (1 - z) n + z h_{t-1}`.
fn gru_after<'t>(weights: CellWeights<'_, 't>, x: &[Var<'t>], h: &[Var<'t>]) -> Vec<Var<'t>> {
    let units = h.len();
    (0..units)
        .map(|j| {
            let r = (from_input(weights, j, x) + from_hidden(weights, j, h)).sigmoid();
            let z =
                (from_input(weights, units + j, x) + from_hidden(weights, units + j, h)).sigmoid();
            let n = (from_input(weights, 2 * units + j, x)
                + r * from_hidden(weights, 2 * units + j, h))
            .tanh();
            n - z * n + z * h[j]
        })
        .collect()
}

/// `n = tanh(W_in x + W_hn (r h) + b)`, `h_t = (1 - z) n + z h_{t-1}`.
fn gru_before<'t>(weights: CellWeights<'_, 't>, x: &[Var<'t>], h: &[Var<'t>]) -> Vec<Var<'t>> {
    let units = h.len();
    let reset: Vec<Var<'t>> = (0..units)
        .map(|j| (from_input(weights, j, x) + from_hidden(weights, j, h)).sigmoid() * h[j])
        .collect();
    (0..units)
        .map(|j| {
            let z =
                (from_input(weights, units + j, x) + from_hidden(weights, units + j, h)).sigmoid();
            let n = (from_input(weights, 2 * units + j, x)
                + from_hidden(weights, 2 * units + j, &reset))
            .tanh();
            n - z * n + z * h[j]
        })
        .collect()
}

/// `z = sigmoid(W_z x + b)`, `h_t = (1 - z) h_{t-1} + z (W_n x + b)`.
fn min_gru<'t>(weights: CellWeights<'_, 't>, x: &[Var<'t>], h: &[Var<'t>]) -> Vec<Var<'t>> {
    let units = h.len();
    (0..units)
        .map(|j| {
            let z = from_input(weights, j, x).sigmoid();
            let n = from_input(weights, units + j, x);
            h[j] - z * h[j] + z * n
        })
        .collect()
}

/// `f, i = sigmoid(..)`, `h_t = f / (f + i) h_{t-1} + i / (f + i) (W_n x + b)`.
fn min_lstm<'t>(weights: CellWeights<'_, 't>, x: &[Var<'t>], h: &[Var<'t>]) -> Vec<Var<'t>> {
    let units = h.len();
    (0..units)
        .map(|j| {
            let f = from_input(weights, j, x).sigmoid();
            let i = from_input(weights, units + j, x).sigmoid();
            let n = from_input(weights, 2 * units + j, x);
            f / (f + i) * h[j] + i / (f + i) * n
        })
        .collect()
}

/// `s_t = l s_{t-1} + sqrt(1 - |l|^2) (W x + b)` of complex numbers; `h = Re s`, `c = Im s`.
fn lru<'t>(
    weights: CellWeights<'_, 't>,
    x: &[Var<'t>],
    h: &[Var<'t>],
    c: &[Var<'t>],
) -> (Vec<Var<'t>>, Vec<Var<'t>>) {
    let units = h.len();
    let unit = |j: usize| {
        let (nu, tau) = (weights.weight_hh[j], weights.weight_hh[units + j]);
        let size = (nu.exp() * -1.0).exp();
        let gain = (size * size * -1.0 + 1.0).sqrt();
        let whole = tau * tau + 1.0;
        let re = size * (tau * tau * -1.0 + 1.0) / whole;
        let im = size * (tau + tau) / whole;
        (
            re * h[j] - im * c[j] + gain * from_input(weights, j, x),
            im * h[j] + re * c[j] + gain * from_input(weights, units + j, x),
        )
    };
    (0..units).map(unit).unzip()
}

/// Row `j` of `W_ih x + b_ih`.
fn from_input<'t>(weights: CellWeights<'_, 't>, j: usize, x: &[Var<'t>]) -> Var<'t> {
    product(&weights.weight_ih[j * x.len()..][..x.len()], x, weights.bias_ih[j])
}

/// Row `j` of `W_hh h + b_hh`.
fn from_hidden<'t>(weights: CellWeights<'_, 't>, j: usize, h: &[Var<'t>]) -> Var<'t> {
    product(&weights.weight_hh[j * h.len()..][..h.len()], h, weights.bias_hh[j])
}

/// `bias + sum_k row_k x_k`.
fn product<'t>(row: &[Var<'t>], x: &[Var<'t>], bias: Var<'t>) -> Var<'t> {
    row.iter().zip(x).fold(bias, |sum, (&w, &x)| sum + w * x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::tape::Tape;
    use sequela_core::Random;

    const CELLS: [Cell; 10] = [
        Cell::Elman(Activation::Tanh),
        Cell::Elman(Activation::Relu),
        Cell::Lstm,
        Cell::Gru(Reset::AfterProduct),
        Cell::Gru(Reset::BeforeProduct),
        Cell::GruD(Reset::AfterProduct),
        Cell::GruD(Reset::BeforeProduct),
        Cell::MinGru,
        Cell::MinLstm,
        Cell::Lru,
    ];
    const SIZES: [usize; 8] = [4 * 3 * 2, 4 * 3 * 3, 12, 12, 4 * 2, 4 * 3, 3, 3];

    /// A loss on every output and final state, as a function of all leaves in one list.
    fn loss<'t>(kind: Cell, leaves: &[Var<'t>]) -> Var<'t> {
        let mut parts = Vec::new();
        let mut rest = leaves;
        for size in SIZES {
            let (part, after) = rest.split_at(size);
            parts.push(part);
            rest = after;
        }
        let weights = CellWeights {
            weight_ih: parts[0],
            weight_hh: parts[1],
            bias_ih: parts[2],
            bias_hh: parts[3],
        };
        let xs: Vec<Vec<Var<'t>>> = parts[4].chunks(2).map(<[Var<'t>]>::to_vec).collect();
        let decays: Vec<Vec<Var<'t>>> = parts[5].chunks(3).map(<[Var<'t>]>::to_vec).collect();
        let trace = run(kind, weights, &xs, &decays, parts[6], parts[7]);
        let all = trace.hidden.iter().flatten().chain(&trace.last_hidden).chain(&trace.last_cell);
        all.enumerate().fold(leaves[0].leaf(0.0), |sum, (k, &h)| sum + h * (0.3 + k as f64 / 7.0))
    }

    #[test]
    fn gradients_of_every_cell_agree_with_central_differences() {
        let random = Random::new(11, 0);
        let count: usize = SIZES.iter().sum();
        let values: Vec<f64> = (0..count as u64).map(|i| 0.5 * random.normal(i)).collect();
        let at = |kind: Cell, values: &[f64]| {
            let tape = Tape::new();
            loss(kind, &tape.vars(values)).value()
        };
        for kind in CELLS {
            let tape = Tape::new();
            let leaves = tape.vars(&values);
            let gradient = tape.backward(&[(loss(kind, &leaves), 1.0)]);
            for k in 0..count {
                let (mut up, mut down) = (values.clone(), values.clone());
                up[k] += 1e-6;
                down[k] -= 1e-6;
                let difference = (at(kind, &up) - at(kind, &down)) / 2e-6;
                let found = gradient.of(leaves[k]);
                assert!((found - difference).abs() < 1e-7, "{kind:?} {k}: {found} {difference}");
            }
        }
    }

    #[test]
    fn no_step_leaves_the_initial_state() {
        let tape = Tape::new();
        let nothing: Vec<Var<'_>> = tape.vars(&[0.0; 64]);
        let weights = CellWeights {
            weight_ih: &nothing,
            weight_hh: &nothing,
            bias_ih: &nothing,
            bias_hh: &nothing,
        };
        let trace =
            run(Cell::Lstm, weights, &[], &[], &tape.vars(&[1.0, 2.0]), &tape.vars(&[3.0, 4.0]));
        let values = |vars: &[Var<'_>]| vars.iter().map(|v| v.value()).collect::<Vec<_>>();
        assert_eq!((trace.hidden.len(), values(&trace.last_hidden)), (0, vec![1.0, 2.0]));
        assert_eq!(values(&trace.last_cell), [3.0, 4.0]);
    }
}
