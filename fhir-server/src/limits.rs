//! Limits.
#[derive(Debug, Clone)]
pub struct Limits {
    pub bundle_entries_max: usize,
}
