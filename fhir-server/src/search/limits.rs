//! How much one search may ask for. Each limit has a unit, a default, a
//! reason, and the error that tells of it.

/// The limits of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchLimits {
    /// Entries of a page when the caller gives no `_count`.
    pub page_size_default: u32,
    /// Entries of a page at most; a greater `_count` is lowered to this, as the specification allows.
    pub page_size_max: u32,
    /// Parameters of one search; each becomes a condition of the statement.
    pub parameters_max: usize,
    /// Alternatives (`a,b,c`) of one parameter.
    pub alternatives_max: usize,
    /// Steps of a chain or of nested `_has`; each is a join.
    pub chain_depth_max: usize,
    /// Conditions of one search after chains, types and `_filter` are spelled out.
    pub terms_max: usize,
    /// Sort keys.
    pub sort_keys_max: usize,
    /// `_include` and `_revinclude` of one search.
    pub includes_max: usize,
    /// Rounds of `:iterate`.
    pub iterations_max: usize,
    /// Included resources of one page; beyond, the Bundle says that it was cut.
    pub included_max: usize,
    /// Bytes of a `_filter`.
    pub filter_bytes_max: usize,
    /// Nesting of a `_filter`.
    pub filter_depth_max: usize,
    /// Resources read in full to answer `_text`, `_content` and sorts that
    /// no index orders.
    pub scanned_max: usize,
    /// Resources changed since the first page whose earlier place is looked up for a later page.
    pub changed_max: usize,
    /// Bytes of bodies in one page; the page ends early (with a next link) past it.
    pub page_bytes_max: usize,
}

impl Default for SearchLimits {
    fn default() -> SearchLimits {
        SearchLimits {
            page_size_default: 50,
            page_size_max: 10_000,
            parameters_max: 100,
            alternatives_max: 2_000,
            chain_depth_max: 6,
            terms_max: 4_000,
            sort_keys_max: 8,
            includes_max: 32,
            iterations_max: 8,
            included_max: 10_000,
            filter_bytes_max: 8_192,
            filter_depth_max: 32,
            scanned_max: 20_000,
            changed_max: 5_000,
            page_bytes_max: 64 << 20,
        }
    }
}
