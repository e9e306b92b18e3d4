//! Where the patients of a message are on this server.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::xds::values::Cx;

/// Where the patients of one message are, each looked up once.
#[derive(Debug, Default)]
pub(crate) struct KnownPatients {
    known: Mutex<HashMap<Cx, Option<String>>>,
}

impl KnownPatients {
    /// Returns where a patient is, where that was looked up.
    pub(super) fn known(&self, cx: &Cx) -> Option<Option<String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(cx).cloned()
    }

    /// Notes what was found of a patient.
    pub(super) fn know(&self, cx: &Cx, place: Option<String>) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(cx.clone(), place);
    }

    /// Forgets them: others came in between.
    pub(super) fn forget(&self) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
