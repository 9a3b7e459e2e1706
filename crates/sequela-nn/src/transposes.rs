//! Transposed weights, made when a way back first reads them after they have changed.

use crate::parameters::Parameters;
use crate::program::Param;
use sequela_kernels::recurrent::{self, WeightMatrix};
use sequela_kernels::{Buffer, Context, linear};

/// The transposes of all parameters that need one.
#[derive(Debug)]
pub(crate) struct Transposes {
    buffers: Vec<Buffer>,
    /// Versions of the parameters that the two matrices of each transpose are of.
    versions: Vec<[u64; 2]>,
}

impl Transposes {
    /// Room for transposes of these lengths; 0 for one that is never asked for.
    pub(crate) fn new(lengths: impl Iterator<Item = usize>) -> Self {
        let buffers: Vec<Buffer> = lengths.map(Buffer::new).collect();
        Self { versions: vec![[0; 2]; buffers.len()], buffers }
    }

    /// Bytes of all transposes.
    pub(crate) fn bytes(&self) -> usize {
        self.buffers.iter().map(|buffer| buffer.len() * 4).sum()
    }

    /// The transpose of a linear layer's weights.
    pub(crate) fn linear(
        &mut self,
        context: &Context,
        parameters: &Parameters,
        param: Param,
    ) -> &[f32] {
        let buffer = &mut self.buffers[param.index()];
        let version = &mut self.versions[param.index()][0];
        if let Some(shape) = parameters.spec(param).linear()
            && std::mem::replace(version, parameters.version()) != parameters.version()
        {
            linear::transpose(context, shape, parameters.packed(param), buffer);
        }
        buffer
    }

    /// The transpose of a recurrent layer's weights, in which these matrices are up to date.
    pub(crate) fn recurrent(
        &mut self,
        context: &Context,
        parameters: &Parameters,
        param: Param,
        matrices: impl Iterator<Item = WeightMatrix>,
    ) -> &[f32] {
        let buffer = &mut self.buffers[param.index()];
        if let Some(shape) = parameters.spec(param).recurrent() {
            for matrix in matrices {
                let version = &mut self.versions[param.index()][matrix as usize];
                if std::mem::replace(version, parameters.version()) != parameters.version() {
                    let packed = parameters.packed(param);
                    recurrent::transpose(context, shape, matrix, packed, buffer);
                }
            }
        }
        buffer
    }
}
