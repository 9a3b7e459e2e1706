//! A program as a table for people.

use crate::error::Error;
use crate::param::ParamSpec;
use crate::plan::{Capacity, Keep, Wanted};
use crate::program::{Program, Rows};
use crate::runner::Runner;
use sequela_kernels::stride;
use std::fmt::Write;

impl Program {
    /// All operations with their inputs, rows, width, parameters and bytes, and what a batch of
    /// this capacity takes in training and in inference.
    ///
    /// # Errors
    /// [`Error::Batch`] or [`Error::Limit`] where the capacity does not fit.
    ///
    /// # Example
    /// ```
    /// use sequela_nn::{Builder, Capacity, Rows};
    /// let mut builder = Builder::new();
    /// let x = builder.input("x", Rows::Sequences, 3)?;
    /// builder.output("same", x);
    /// let program = builder.finish()?;
    /// let table = program.table(&Capacity::uniform(&program, 8, 0))?;
    /// assert!(table.contains("input"));
    /// # Ok::<(), sequela_nn::Error>(())
    /// ```
    pub fn table(&self, capacity: &Capacity) -> Result<String, Error> {
        let training = Runner::new(self, capacity, &Keep::Gradients(vec![Wanted::Parameters]))?;
        let inference = Runner::new(self, capacity, &Keep::Nothing)?;
        let mut lines = vec![
            ["node", "operation", "inputs", "rows", "width", "weights", "bytes"].map(String::from),
        ];
        for (index, node) in self.nodes().iter().enumerate() {
            let inputs: Vec<String> =
                node.inputs.iter().map(|value| value.index().to_string()).collect();
            let rows = match node.rows {
                Rows::Sequences => "sequences".to_owned(),
                Rows::Steps(layout) => self.layouts()[layout.index()].clone(),
            };
            let param = node.op.operation().param().map(|param| &self.params()[param.index()]);
            let bytes = capacity.of(node.rows) * stride(node.width) * 4;
            lines.push([
                index.to_string(),
                self.label(index),
                inputs.join(" "),
                rows,
                node.width.to_string(),
                param.map_or(String::new(), |spec| spec.count().to_string()),
                bytes.to_string(),
            ]);
        }
        let mut table = aligned(&lines);
        let weights: usize = self.params().iter().map(ParamSpec::count).sum();
        let _ = writeln!(table, "\nweights {weights}");
        for (name, value) in self.outputs() {
            let _ = writeln!(table, "output {name} = node {}", value.index());
        }
        for term in self.losses() {
            let (prediction, target) = (term.prediction.index(), term.target.index());
            let _ =
                writeln!(table, "loss {:?} of node {prediction} against node {target}", term.kind);
        }
        let _ = writeln!(
            table,
            "bytes for {} sequences and {:?} rows: {} in training, {} in inference",
            capacity.sequences,
            capacity.rows,
            training.bytes(),
            inference.bytes()
        );
        Ok(table)
    }

    /// The operation of a node and what it is about.
    fn label(&self, index: usize) -> String {
        let op = &self.nodes()[index].op;
        match op {
            crate::Op::Input(op) => format!("input {}", self.inputs()[op.input.index()].name),
            _ => op.label(self.params()),
        }
    }
}

/// Columns padded to their widest entry; numbers are at the right.
fn aligned(lines: &[[String; 7]]) -> String {
    let mut widths = [0; 7];
    for line in lines {
        for (width, entry) in widths.iter_mut().zip(line) {
            *width = (*width).max(entry.chars().count());
        }
    }
    let mut out = String::new();
    for line in lines {
        let mut text = String::new();
        for (column, (entry, width)) in line.iter().zip(widths).enumerate() {
            let gap = if column == 0 { "" } else { "  " };
            let _ = match column {
                1..=3 => write!(text, "{gap}{entry:<width$}"),
                _ => write!(text, "{gap}{entry:>width$}"),
            };
        }
        out.push_str(text.trim_end());
        out.push('\n');
    }
    out
}
