//! The bulk import of single resources.

use crate::bench::{Bench, BenchError};

/// Filling the smaller folder is the measurement.
pub(super) fn measure(bench: &mut Bench<'_>) -> Result<(), BenchError> {
    bench.small_folder().map(|_| ())
}
