//! Extensions: known, where they may stand, and what is in them.
//!
//! Spec: <https://hl7.org/fhir/R4/extensibility.html>

use fhir_model::outcome::Severity;
use fhir_model::schema::{TypeId, name, ty};
use fhir_model::tree::Element;

use super::location::Locations;
use super::uri::{is_absolute, is_example};
use super::{Place, Rule, Run};

impl<'r> Run<'_, 'r> {
    pub(super) fn extension(&mut self, place: Place<'r>, extension: Element<'r>) {
        let Some(url) = extension.text_of(name::URL) else { return };
        let part_of_another = !is_absolute(url);
        if part_of_another {
            let parent = Locations::of(extension.resource()).parent(extension.id());
            if parent.is_none_or(|p| p.ty() != ty::EXTENSION) {
                self.error(extension, Rule::NotAbsolute { url: url.to_owned() });
            }
            return;
        }
        let (plain, version, _) = crate::definitions::split_canonical(url);
        if version.is_some() {
            self.error(extension, Rule::ExtensionVersion { url: url.to_owned() });
        }
        let definitions = self.validator.profiles.definitions();
        let Some(definition) = definitions.resource(ty::STRUCTURE_DEFINITION, plain).cloned() else {
            let severity = self.unknown(plain);
            self.find(severity, extension, Rule::UnknownExtension { url: url.to_owned() });
            return;
        };
        self.modifier(extension, url, &definition);
        let contexts: Vec<(Option<&str>, &str)> = definition
            .root()
            .children_named(name::CONTEXT)
            .filter_map(|c| Some((c.text_of(name::TYPE), c.text_of(name::EXPRESSION)?)))
            .chain(FORGOTTEN_CONTEXTS.iter().filter(|f| f.0 == plain).map(|f| (Some("element"), f.1)))
            .collect();
        if !contexts.is_empty() && !self.allowed_here(place, extension, &contexts) {
            let allowed = contexts.iter().map(|(_, e)| *e).collect::<Vec<_>>().join(", ");
            let holder = Locations::of(extension.resource()).parent(extension.id()).unwrap_or(extension);
            self.error(holder, Rule::ExtensionContext { url: url.to_owned(), allowed });
        }
        self.named_profile(place, extension, plain, Severity::Information);
        self.parts(extension, plain);
    }

    /// The parts of a complex extension must be those that its definition has.
    fn parts(&mut self, extension: Element<'r>, url: &str) {
        let Ok(profile) = self.validator.profiles.get(url) else { return };
        let Some(known) = profile.extension_parts() else { return };
        for part in extension.children_named(name::EXTENSION) {
            let Some(part_url) = part.text_of(name::URL) else { continue };
            if !is_absolute(part_url) && !known.contains(&part_url) {
                self.error(part, Rule::ExtensionPart { url: url.to_owned(), part: part_url.to_owned() });
            }
        }
    }

    /// How bad an extension is that nobody defines. Elements of other versions
    /// of FHIR are carried by extensions that need no definition, and HL7's own
    /// are published in packages that are newer than the standard.
    fn unknown(&self, url: &str) -> Severity {
        let options = &self.validator.options;
        if is_of_other_version(url) || is_example(url) && options.example_urls {
            return Severity::Information;
        }
        let published = ["http://hl7.org/fhir/StructureDefinition/", "http://hl7.org/fhir/tools/"];
        if published.iter().any(|beginning| url.starts_with(beginning)) {
            return options.unknown_extension.min(Severity::Warning);
        }
        options.unknown_extension
    }

    fn modifier(&mut self, extension: Element<'r>, url: &str, definition: &fhir_model::tree::Resource) {
        let elements =
            definition.root().child_named("snapshot").or(definition.root().child_named("differential"));
        let Some(first) = elements.and_then(|e| e.child(name::ELEMENT)) else { return };
        let is_modifier = first.text_of(name::IS_MODIFIER) == Some("true");
        let stands_as = extension.name_id() == Some(name::MODIFIER_EXTENSION);
        if is_modifier != stands_as {
            let must = if is_modifier { "modifierExtension" } else { "extension" };
            self.error(extension, Rule::ExtensionModifier { url: url.to_owned(), must: must.to_owned() });
        }
    }

    /// Tells whether one of the contexts fits the element that holds the extension.
    fn allowed_here(
        &self,
        place: Place<'r>,
        extension: Element<'r>,
        contexts: &[(Option<&str>, &str)],
    ) -> bool {
        let locations = Locations::of(extension.resource());
        let Some(holder) = locations.parent(extension.id()) else { return true };
        let paths = context_paths(&locations, holder);
        contexts.iter().any(|(kind, expression)| match *kind {
            Some("extension") => holder.text_of(name::URL) == Some(*expression),
            Some("fhirpath") => {
                let Ok(parsed) = fhir_model::fhirpath::Expression::parse(expression) else { return true };
                // Asked from the root of the resource, or of any element above.
                match parsed.evaluate(&self.context(place), place.resource) {
                    Ok(found) => found.iter().any(|v| v.element() == Some(holder)),
                    Err(_) => true,
                }
            }
            _ => {
                paths.iter().any(|path| path == expression)
                    || *expression == "Element"
                    || *expression == "Resource" && holder.is_resource()
            }
        })
    }
}

/// Tells whether the url is that of an extension for an element of another version of FHIR.
///
/// Spec: <https://hl7.org/fhir/R4/versions.html#extensions>
fn is_of_other_version(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://hl7.org/fhir/") else { return false };
    let version = rest.split('/').next().unwrap_or_default();
    ["1.0", "3.0", "4.0", "4.3", "5.0"].contains(&version)
        && rest[version.len()..].starts_with("/StructureDefinition/extension-")
}

/// Contexts that the core package forgets: where its own snapshots have the extension.
const FORGOTTEN_CONTEXTS: &[(&str, &str)] =
    &[("http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type", "ElementDefinition.type")];

/// Returns the paths by which an `element` context may name an element: its
/// type and ancestors, and from each type above it the path down to it.
fn context_paths<'r>(locations: &Locations<'r>, holder: Element<'r>) -> Vec<String> {
    let mut paths = Vec::new();
    let mut below: Vec<String> = vec![String::new()];
    let mut at = holder;
    loop {
        let mut of: Option<TypeId> = Some(at.ty());
        while let Some(ty) = of {
            for rest in &below {
                paths.push(format!("{ty}{rest}"));
            }
            of = ty.definition().base;
        }
        if at.is_resource() {
            return paths;
        }
        let (Some(parent), Some(property)) = (locations.parent(at.id()), at.property()) else { return paths };
        let name = property.element.name;
        let mut spelled = vec![name.to_owned()];
        if property.element.is_choice {
            spelled.push(format!("{name}[x]"));
            spelled.push(property.name.to_owned());
        }
        below = spelled.iter().flat_map(|s| below.iter().map(move |b| format!(".{s}{b}"))).collect();
        at = parent;
    }
}
