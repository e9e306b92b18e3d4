//! Bundles: identities of entries, references between them, and what a
//! document or message must be.
//!
//! Spec: <https://hl7.org/fhir/R4/bundle.html>

use std::collections::{HashMap, HashSet};

use fhir_model::outcome::Severity;
use fhir_model::reference::Literal;
use fhir_model::schema::{name, ty};
use fhir_model::tree::Element;

use super::uri::is_absolute;
use super::{Place, Rule, Run};

/// What a reference means within a Bundle.
pub(super) enum Found<'r> {
    /// By the rules of the specification.
    One(Element<'r>),
    /// Only by type and id, where the entry's fullUrl says otherwise.
    ByIdentity(Element<'r>),
    Many(usize),
    Nothing,
}

/// The entries of a Bundle.
pub(super) struct Entries<'r> {
    by_url: HashMap<&'r str, Vec<Element<'r>>>,
    /// Resources by `Type/id`.
    by_identity: HashMap<String, Vec<Element<'r>>>,
}

impl<'r> Entries<'r> {
    pub(super) fn of(root: Element<'r>) -> Entries<'r> {
        let mut entries = Entries { by_url: HashMap::new(), by_identity: HashMap::new() };
        if root.ty() != ty::BUNDLE {
            return entries;
        }
        for entry in root.children_named(name::ENTRY) {
            let Some(resource) = entry.child(name::RESOURCE) else { continue };
            if let Some(url) = entry.text_of(name::FULL_URL) {
                entries.by_url.entry(url).or_default().push(resource);
            }
            if let Some(id) = resource.text_of(name::ID) {
                entries.by_identity.entry(format!("{}/{id}", resource.ty())).or_default().push(resource);
            }
        }
        entries
    }

    /// Finds what `reference`, standing in `entry`, means.
    ///
    /// Spec: <https://hl7.org/fhir/R4/bundle.html#references>
    pub(super) fn find(&self, entry: Option<Element<'r>>, reference: &str) -> Found<'r> {
        let reference = reference.split('#').next().unwrap_or(reference);
        if reference.is_empty() {
            return Found::Nothing;
        }
        let plain = reference.split("/_history/").next().unwrap_or(reference);
        let absolute = if is_absolute(plain) {
            plain.to_owned()
        } else {
            let full_url = entry.and_then(|e| e.text_of(name::FULL_URL));
            match (full_url.and_then(base_of), full_url) {
                (Some(base), _) => format!("{base}/{plain}"),
                // Among UUIDs, `Patient/x` can only mean the entry `urn:uuid:x`.
                (None, Some(url)) if url.starts_with("urn:uuid:") && plain.contains('/') => {
                    format!("urn:uuid:{}", plain.rsplit('/').next().unwrap_or(plain))
                }
                _ => plain.to_owned(),
            }
        };
        match self.by_url.get(absolute.as_str()).map(Vec::as_slice) {
            Some([one]) => return Found::One(*one),
            Some(many) if many.len() > 1 => return Found::Many(many.len()),
            _ => {}
        }
        match self.by_identity.get(plain).map(Vec::as_slice) {
            Some([one, ..]) => Found::ByIdentity(*one),
            _ => Found::Nothing,
        }
    }
}

/// Returns the base of a RESTful URL.
fn base_of(full_url: &str) -> Option<&str> {
    Literal::parse(full_url)?.base
}

impl<'r> Run<'_, 'r> {
    /// Checks the rules of Bundles that invariants do not say.
    pub(super) fn bundle(&mut self, place: Place<'r>) {
        let bundle = place.resource;
        if bundle.ty() != ty::BUNDLE {
            return;
        }
        let kind = bundle.text_of(name::TYPE).unwrap_or_default();
        let entries: Vec<Element<'r>> = bundle.children_named(name::ENTRY).collect();
        for entry in &entries {
            self.identity(*entry, kind);
        }
        self.links(bundle, kind);
        match (kind, entries.first().and_then(|e| e.child(name::RESOURCE))) {
            ("document", Some(first)) if first.ty() == ty::COMPOSITION => self.document(&entries, first),
            ("document", first) => self.begins_wrong(bundle, first, "document", "Composition"),
            ("message", Some(first)) if first.ty() == ty::MESSAGE_HEADER => {
                for focus in first.children_named(name::FOCUS) {
                    self.must_be_in_bundle(entries[0], focus);
                }
            }
            ("message", first) => self.begins_wrong(bundle, first, "message", "MessageHeader"),
            _ => {}
        }
    }

    fn begins_wrong(&mut self, bundle: Element<'r>, first: Option<Element<'r>>, kind: &str, must: &str) {
        let rule = Rule::FirstEntry { kind: kind.to_owned(), must: must.to_owned() };
        self.error(first.unwrap_or(bundle), rule);
    }

    /// The fullUrl of an entry.
    fn identity(&mut self, entry: Element<'r>, kind: &str) {
        let resource = entry.child(name::RESOURCE);
        let Some(url) = entry.text_of(name::FULL_URL) else {
            let needless =
                matches!(kind, "transaction" | "batch" | "transaction-response" | "batch-response");
            if !needless && resource.is_some() {
                self.error(entry, Rule::FullUrlMissing {});
            }
            return;
        };
        if !is_absolute(url) {
            self.error(entry, Rule::FullUrlRelative { url: url.to_owned() });
            return;
        }
        let (Some(resource), Some(literal)) = (resource, Literal::parse(url)) else { return };
        if !url.starts_with("http") {
            return;
        }
        match resource.text_of(name::ID) {
            None if !matches!(kind, "transaction" | "batch") => {
                self.error(entry, Rule::FullUrlNoId { url: url.to_owned() });
            }
            Some(id) if literal.key.resource_type != resource.ty() || literal.key.id.as_str() != id => {
                let end = format!("/{}/{id}", resource.ty());
                self.error(entry, Rule::FullUrlMismatch { url: url.to_owned(), end });
            }
            _ => {}
        }
    }

    fn links(&mut self, bundle: Element<'r>, kind: &str) {
        let mut seen = HashSet::new();
        for link in bundle.children_named(name::LINK) {
            let Some(relation) = link.text_of(name::RELATION) else { continue };
            let is_once = matches!(relation, "self" | "first" | "previous" | "next" | "last");
            if is_once && !seen.insert(relation) {
                let rule =
                    Rule::Duplicate { what: "the link relation".to_owned(), value: relation.to_owned() };
                self.error(link, rule);
            }
            if matches!(kind, "document" | "message" | "collection")
                && matches!(relation, "first" | "previous" | "next" | "last")
                && let Some(at) = link.child(name::RELATION)
            {
                let reason = format!("the link relation '{relation}' is for search sets and histories");
                self.error(at, Rule::Definition { reason });
            }
        }
    }

    /// What the Composition refers to must be in the document, and everything
    /// in the document must be reached from it.
    fn document(&mut self, entries: &[Element<'r>], composition: Element<'r>) {
        let entry = entries[0];
        for child in [name::SUBJECT, name::ENCOUNTER, name::AUTHOR, name::CUSTODIAN] {
            for reference in composition.children_named(child) {
                self.must_be_in_bundle(entry, reference);
            }
        }
        for attester in composition.children_named(name::ATTESTER) {
            for party in attester.children_named(name::PARTY) {
                self.must_be_in_bundle(entry, party);
            }
        }
        let mut sections: Vec<Element<'r>> = composition.children_named(name::SECTION).collect();
        while let Some(section) = sections.pop() {
            for reference in section.children_named(name::ENTRY) {
                self.must_be_in_bundle(entry, reference);
            }
            sections.extend(section.children_named(name::SECTION));
        }
        self.reachable(entries);
    }

    fn must_be_in_bundle(&mut self, entry: Element<'r>, reference: Element<'r>) {
        let Some(text) = reference.text_of(name::REFERENCE) else { return };
        if text.starts_with('#') {
            return;
        }
        match self.entries.find(Some(entry), text) {
            Found::One(_) => {}
            Found::Many(found) => {
                self.error(reference, Rule::ManyInBundle { reference: text.to_owned(), found });
            }
            Found::ByIdentity(_) | Found::Nothing => {
                // A server's absolute URL may lead out of the document.
                let outside = text.starts_with("http")
                    && matches!(self.entries.find(Some(entry), text), Found::Nothing);
                let severity = if outside { Severity::Warning } else { Severity::Error };
                self.find(severity, reference, Rule::NotInBundle { reference: text.to_owned() });
            }
        }
    }

    /// Follows references forward and backward from the first entry.
    fn reachable(&mut self, entries: &[Element<'r>]) {
        let resources: Vec<Option<Element<'r>>> = entries.iter().map(|e| e.child(name::RESOURCE)).collect();
        let position: HashMap<_, usize> =
            resources.iter().enumerate().filter_map(|(at, r)| Some((r.as_ref()?.id(), at))).collect();
        let mut neighbours = vec![Vec::new(); entries.len()];
        for (from, resource) in resources.iter().enumerate() {
            let Some(resource) = resource else { continue };
            for text in references(*resource) {
                if let Found::One(target) = self.entries.find(Some(entries[from]), text)
                    && let Some(to) = position.get(&target.id())
                {
                    neighbours[from].push(*to);
                    neighbours[*to].push(from);
                }
            }
        }
        let mut reached = vec![false; entries.len()];
        let mut waiting = vec![0];
        while let Some(at) = waiting.pop() {
            if !std::mem::replace(&mut reached[at], true) {
                waiting.extend(neighbours[at].iter().copied());
            }
        }
        for (entry, _) in entries.iter().zip(reached).filter(|(_, reached)| !reached) {
            let url = entry.text_of(name::FULL_URL).unwrap_or_default().to_owned();
            self.error(*entry, Rule::NotReachable { url });
        }
    }
}

/// Returns every reference within an element.
fn references<'r>(element: Element<'r>) -> Vec<&'r str> {
    let mut found = Vec::new();
    let mut waiting = vec![element];
    while let Some(at) = waiting.pop() {
        if at.ty() == ty::REFERENCE
            && let Some(text) = at.text_of(name::REFERENCE)
        {
            found.push(text);
        }
        waiting.extend(at.children());
    }
    found
}
