//! One message against compiled schemas.

use xsd_schema::SchemaSet;
use xsd_schema::validation::errors::{PathStep, ValidationError};
use xsd_schema::validation::validator::ValidationWarning;
use xsd_schema::validation::{SchemaValidator, ValidationFlags, ValidationSink, drive_quick_xml};

use super::{Invalid, Place};
use crate::wire::namespaces::{XOP, prefix};
use crate::wire::xml::{source_of, source_without};

/// So many things of a message are told.
const TOLD_MAX: usize = 10;
/// So many characters of each: a schema's word may quote a value of any length.
const CHARACTERS_MAX: usize = 500;

/// Makes what checks by compiled schemas.
pub(super) fn validator(set: &SchemaSet) -> SchemaValidator<'_> {
    SchemaValidator::new(set, ValidationFlags::default() - ValidationFlags::BUILD_PSVI_TYPED_VALUES)
}

/// Tells what schemas do not allow of an element of a message.
pub(super) fn check(
    set: &SchemaSet,
    validator: &SchemaValidator<'_>,
    message: &[u8],
    place: &Place,
) -> Vec<Invalid> {
    let Some((namespace, local)) = place.last().filter(|name| is_declared(set, name)) else {
        return Vec::new();
    };
    let at_root =
        |what: &str| vec![Invalid { what: cut(what), place: format!("/{}", named(namespace, local)) }];
    // Documents beside the message stand for nothing that a schema knows of.
    let source = source_of(message, place).and_then(|source| source_without(&source, (XOP, "Include")));
    let Some(source) = source else { return at_root("it cannot be cut out of the message") };
    let mut told = Told::default();
    let mut run = validator.start_run(&mut told);
    let driven = drive_quick_xml(source.as_bytes(), &mut run, set);
    drop(run);
    match driven {
        Err(error) if told.0.is_empty() => at_root(&error.to_string()),
        _ => told.0,
    }
}

/// Tells whether schemas have an element of this name.
fn is_declared(set: &SchemaSet, (namespace, local): &(&str, &str)) -> bool {
    let names = (set.name_table.get(namespace), set.name_table.get(local));
    matches!(names, (Some(namespace), Some(local)) if set.lookup_element(Some(namespace), local).is_some())
}

/// What is told of a message.
#[derive(Default)]
struct Told(Vec<Invalid>);

impl ValidationSink for &mut Told {
    fn on_error(&mut self, error: ValidationError) {
        if self.0.len() >= TOLD_MAX {
            return;
        }
        let steps = error.instance_path().into_iter().flat_map(|path| path.steps().map(step));
        let place = steps.collect::<String>();
        self.0.push(Invalid { what: cut(&error.message), place });
    }

    // What is only odd is allowed.
    fn on_warning(&mut self, _: ValidationWarning) {}
}

fn step(step: &PathStep) -> String {
    let name = named(step.name().namespace_uri(), step.name().local_name());
    match step.position() {
        Some(position) => format!("/{name}[{position}]"),
        None => format!("/@{name}"),
    }
}

/// Writes a name as we write it in messages.
fn named(namespace: &str, local: &str) -> String {
    let local = cut(local);
    match prefix(namespace) {
        Some(prefix) => format!("{prefix}:{local}"),
        None => local,
    }
}

fn cut(text: &str) -> String {
    text.chars().take(CHARACTERS_MAX).collect()
}
