//! Whatever arrives: nothing panics.

use std::sync::OnceLock;

use ihe_adapters::hl7v2::resources;
use ihe_adapters::wire::hl7v2::message::Message;
use proptest::prelude::*;

use crate::setting::{domains, italy, messages, samples};

/// What is put where something else stood.
const BY: &[&str] = &[
    "",
    "|",
    "^",
    "~",
    "&",
    "\\",
    "\"\"",
    "\r",
    "\n",
    "0",
    "99999999999999999999",
    "+",
    "-",
    ".",
    "à",
    "\\X00\\",
    "PID|",
    "OBX|1|SN|",
];

fn texts() -> &'static [String] {
    static TEXTS: OnceLock<Vec<String>> = OnceLock::new();
    TEXTS.get_or_init(|| {
        let all = messages().into_iter().chain(samples());
        all.map(|(_, text)| text).filter(|text| text.len() < 20_000).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]
    #[test]
    fn no_change_of_a_message_panics(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..6usize, prop::sample::select(BY)), 1..6),
    ) {
        let mut text = which.get(texts()).clone();
        for (at, length, by) in changes {
            let mut from = at.index(text.len() + 1);
            while !text.is_char_boundary(from) { from -= 1; }
            let mut to = (from + length).min(text.len());
            while !text.is_char_boundary(to) { to -= 1; }
            text.replace_range(from..to.max(from), by);
        }
        let domains = domains();
        if let Ok(message) = Message::parse(&text) {
            let _ = resources(&message, &italy(&domains));
        }
    }
}
