//! The transform functions, but for `create`, which makes elements in place.
//!
//! `dateOp` is named by the specification and not defined: using it is an
//! error of the map.
//!
//! Spec: <https://hl7.org/fhir/R4/valueset-map-transform.html>

use std::rc::Rc;

use fhir_model::fhirpath::{External, Quantity, Unit, Value};
use fhir_model::primitive::check;
use fhir_model::schema::{TypeId, name, ty};
use fhir_model::tree::Resource;

use super::ast::Function;
use super::compiled::{CompiledArgument, CompiledTransform};
use super::concept_map::Translated;
use super::error::TransformErrorKind;
use super::run::{Item, Outcome, Run};

impl<'s> Run<'_, 's, '_> {
    /// Computes the value of a function; `None` where there is none.
    pub(super) fn compute(&mut self, transform: &CompiledTransform) -> Outcome<Option<Item<'s>>> {
        let text = |run: &Self, at: usize| run.text_argument(transform, at);
        Ok(match transform.function {
            Function::Copy => Some(self.argument(transform, 0)?),
            Function::Evaluate => self.evaluated(transform)?,
            Function::Truncate => {
                let length = text(self, 1)?.unwrap_or_default();
                let length: usize =
                    length.parse().map_err(|_| failed(transform, format!("`{length}` is no length")))?;
                text(self, 0)?.map(|text| string(text.chars().take(length).collect::<String>()))
            }
            Function::Append => {
                let mut out = String::new();
                for at in 0..transform.arguments.len() {
                    out.push_str(&text(self, at)?.unwrap_or_default());
                }
                self.count_text(out.len())?;
                Some(string(out))
            }
            Function::Cast => self.cast(transform)?,
            Function::Escape => self.escape(transform)?,
            Function::Translate => self.translate(transform)?,
            Function::Uuid => Some(Item::Primitive(ty::ID, self.uuid().into())),
            Function::Reference => Some(self.reference(transform)?),
            Function::Pointer => {
                let (_, id) = self.target_resource(transform)?;
                Some(Item::Primitive(ty::URI, format!("urn:uuid:{id}").into()))
            }
            Function::C => Some(self.coding(transform)?),
            Function::Cc => Some(self.codeable_concept(transform)?),
            Function::Qty => Some(self.quantity(transform)?),
            Function::Id => Some(self.identifier(transform)?),
            Function::Cp => Some(self.contact_point(transform)?),
            Function::Create | Function::DateOp => {
                return Err(failed(transform, "the specification does not say what it does here"));
            }
        })
    }

    fn argument(&self, transform: &CompiledTransform, at: usize) -> Outcome<Item<'s>> {
        match transform.arguments.get(at) {
            Some(CompiledArgument::Variable(name)) => {
                self.variable(name).cloned().ok_or_else(|| TransformErrorKind::UnknownVariable(name.clone()))
            }
            Some(CompiledArgument::Literal(ty, text)) => Ok(Item::Primitive(*ty, text.as_str().into())),
            Some(CompiledArgument::Expression(_)) | None => Err(failed(transform, "an argument is missing")),
        }
    }

    fn text_argument(&self, transform: &CompiledTransform, at: usize) -> Outcome<Option<String>> {
        if at >= transform.arguments.len() {
            return Ok(None);
        }
        self.argument(transform, at).map(|item| self.text_of(&item))
    }

    fn evaluated(&self, transform: &CompiledTransform) -> Outcome<Option<Item<'s>>> {
        let Some(CompiledArgument::Expression(expression)) = transform.arguments.last() else {
            return Err(failed(transform, "an expression is missing"));
        };
        let focus = match transform.arguments.len() {
            2 => Some(self.argument(transform, 0)?),
            _ => None,
        };
        let mut values = self.evaluate(expression, focus.as_ref())?;
        match values.len() {
            0 => Ok(None),
            1 => Ok(values.pop()),
            count => {
                let text = expression.text().to_owned();
                Err(TransformErrorKind::Expression { text, problem: format!("gives {count} items, not one") })
            }
        }
    }

    fn cast(&self, transform: &CompiledTransform) -> Outcome<Option<Item<'s>>> {
        let value = self.argument(transform, 0)?;
        let Some(text) = self.text_of(&value) else { return Ok(None) };
        let Some(wanted) = transform.ty else {
            return Ok(Some(string(text)));
        };
        if !wanted.definition().is_primitive() {
            return Err(failed(transform, format!("a primitive value is no {}", wanted.name())));
        }
        let text = text.trim();
        let is_text = matches!(wanted, ty::STRING | ty::MARKDOWN | ty::CODE | ty::URI | ty::URL | ty::ID);
        if !is_text && !check::is_valid(wanted, text) {
            return Err(TransformErrorKind::WrongValue { ty: wanted.name(), given: text.to_owned() });
        }
        Ok(Some(Item::Primitive(wanted, text.into())))
    }

    /// `escape(text, from, to)`, or `escape(text, to)`: of plain text, XML, HTML and JSON.
    fn escape(&self, transform: &CompiledTransform) -> Outcome<Option<Item<'s>>> {
        let Some(text) = self.text_argument(transform, 0)? else { return Ok(None) };
        let last = transform.arguments.len() - 1;
        let (from, to) = (self.text_argument(transform, 1)?, self.text_argument(transform, last)?);
        let from = if last > 1 { from } else { None };
        let unknown = |format: &str| failed(transform, format!("format `{format}` is not known"));
        let plain = match from.as_deref() {
            None | Some("text" | "none") => text,
            Some("xml" | "html") => quick_xml::escape::unescape(&text)
                .map_err(|error| failed(transform, error.to_string()))?
                .into_owned(),
            Some("json") => serde_json::from_str(&format!("\"{text}\""))
                .map_err(|error| failed(transform, error.to_string()))?,
            Some(other) => return Err(unknown(other)),
        };
        Ok(Some(string(match to.as_deref() {
            None | Some("text" | "none") => plain,
            Some("xml" | "html") => quick_xml::escape::escape(plain.as_str()).into_owned(),
            Some("json") => {
                let quoted = serde_json::Value::String(plain).to_string();
                quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned()
            }
            Some(other) => return Err(unknown(other)),
        })))
    }

    fn translate(&self, transform: &CompiledTransform) -> Outcome<Option<Item<'s>>> {
        let value = self.argument(transform, 0)?;
        let part = self.text_argument(transform, 2)?;
        let Some((system, code)) = self.coded(&value) else { return Ok(None) };
        let Some(table) = transform.table else {
            let url = self.text_argument(transform, 1)?.unwrap_or_default();
            if url != super::concept_map::OID_TO_URI {
                return Err(failed(transform, "the concept map must be named in the map itself"));
            }
            return Ok(Some(Item::Primitive(ty::URI, self.map.oids.uri(&code).into())));
        };
        let table = match self.map.tables.get(table) {
            Some(Ok(table)) => table,
            Some(Err(problem)) => return Err(failed(transform, problem.clone())),
            None => return Err(failed(transform, "the concept map is not known")),
        };
        let Some(Translated { system, code, display }) = table.translate(system.as_deref(), &code) else {
            return Ok(None);
        };
        Ok(match part.as_deref() {
            Some("code") => Some(Item::Primitive(ty::CODE, code.into())),
            Some("system" | "uri") => Some(Item::Primitive(ty::URI, system.into())),
            Some("display") => display.map(string),
            None | Some("Coding" | "coding") => Some(made(coding_of(Some(system), Some(code), display))),
            Some("CodeableConcept") => {
                let coding = coding_of(Some(system), Some(code), display);
                Some(made(concept_of(&coding)))
            }
            Some(other) => return Err(failed(transform, format!("there is no part `{other}`"))),
        })
    }

    /// Returns the system and code of a coded value; of a primitive its text.
    fn coded(&self, value: &Item<'s>) -> Option<(Option<String>, String)> {
        let element = match value {
            Item::Source(Value::Element(element)) => Some(*element),
            Item::Target(node) => Some(self.out.element(*node)),
            Item::Source(Value::External(node)) if node.text().is_none() => {
                let part = |of: &str| attribute(*node, of);
                return part("code").map(|code| (part("codeSystem").map(|s| self.map.oids.uri(&s)), code));
            }
            _ => None,
        };
        match element.filter(|e| !e.definition().is_primitive()) {
            Some(element) => {
                let coding = element.child(name::CODING).unwrap_or(element);
                let code = coding.text_of(name::CODE)?.to_owned();
                Some((coding.text_of(name::SYSTEM).map(str::to_owned), code))
            }
            None => self.text_of(value).map(|text| (None, text)),
        }
    }

    /// Returns the type and id of the resource of the target that a variable means.
    fn target_resource(&mut self, transform: &CompiledTransform) -> Outcome<(TypeId, String)> {
        let node = match self.argument(transform, 0)? {
            Item::Target(node) => node,
            Item::Source(Value::Element(element)) if element.is_resource() => {
                let id = element.text_of(name::ID);
                let id = id.ok_or_else(|| failed(transform, "the resource has no id"))?;
                return Ok((element.ty(), id.to_owned()));
            }
            _ => return Err(failed(transform, "it needs a resource")),
        };
        let element = self.out.element(node);
        if !element.is_resource() {
            return Err(failed(transform, format!("it needs a resource, not a {}", element.ty().name())));
        }
        let of = element.ty();
        if let Some(id) = element.text_of(name::ID) {
            return Ok((of, id.to_owned()));
        }
        let id = self.uuid();
        if let Some((_, property)) = of.definition().property("id", 0) {
            self.out.add_value(node, property, &id);
        }
        Ok((of, id))
    }

    fn reference(&mut self, transform: &CompiledTransform) -> Outcome<Item<'s>> {
        let (of, id) = self.target_resource(transform)?;
        Ok(string(format!("{}/{id}", of.name())))
    }

    fn coding(&self, transform: &CompiledTransform) -> Outcome<Item<'s>> {
        let part = |at| self.text_argument(transform, at);
        Ok(made(coding_of(part(0)?, part(1)?, part(2)?)))
    }

    fn codeable_concept(&self, transform: &CompiledTransform) -> Outcome<Item<'s>> {
        let part = |at| self.text_argument(transform, at);
        if transform.arguments.len() == 1 {
            let mut concept = Resource::new(ty::CODEABLE_CONCEPT);
            add(&mut concept, "text", part(0)?);
            return Ok(made(concept));
        }
        Ok(made(concept_of(&coding_of(part(0)?, part(1)?, part(2)?))))
    }

    /// `qty('5 mg')`, or `qty(value, unit, system, code)`.
    fn quantity(&self, transform: &CompiledTransform) -> Outcome<Item<'s>> {
        let part = |at| self.text_argument(transform, at);
        let first = part(0)?.unwrap_or_default();
        let (value, unit) = match transform.arguments.len() {
            1 => {
                let at = first.find(|c: char| !c.is_ascii_digit() && !"+-.eE".contains(c));
                let (value, unit) = first.split_at(at.unwrap_or(first.len()));
                (value.to_owned(), Some(unit.trim().trim_matches('\'').to_owned()))
            }
            _ => (first, part(1)?),
        };
        if !check::is_valid(ty::DECIMAL, &value) {
            return Err(TransformErrorKind::WrongValue { ty: "decimal", given: value });
        }
        let mut quantity = Resource::new(ty::QUANTITY);
        add(&mut quantity, "value", Some(value));
        add(&mut quantity, "unit", unit.filter(|u| !u.is_empty()));
        add(&mut quantity, "system", part(2)?);
        add(&mut quantity, "code", part(3)?);
        Ok(made(quantity))
    }

    fn identifier(&self, transform: &CompiledTransform) -> Outcome<Item<'s>> {
        let part = |at| self.text_argument(transform, at);
        let mut identifier = Resource::new(ty::IDENTIFIER);
        if let (Some(code), Some((_, property))) = (part(2)?, ty::IDENTIFIER.definition().property("type", 0))
        {
            let system = "http://terminology.hl7.org/CodeSystem/v2-0203".to_owned();
            let concept = concept_of(&coding_of(Some(system), Some(code), None));
            let root = identifier.root_id();
            let node = identifier.add(root, property, property.ty);
            identifier.copy_children(node, concept.root());
        }
        add(&mut identifier, "system", part(0)?);
        add(&mut identifier, "value", part(1)?);
        Ok(made(identifier))
    }

    /// `cp(value)`, whose system its form tells, or `cp(system, value)`.
    fn contact_point(&self, transform: &CompiledTransform) -> Outcome<Item<'s>> {
        let part = |at| self.text_argument(transform, at);
        let (system, value) = match transform.arguments.len() {
            1 => {
                let value = part(0)?.unwrap_or_default();
                let form = |c: char| c.is_ascii_digit() || " +-()./".contains(c);
                let system = match value.as_str() {
                    v if v.contains("://") => "url",
                    v if v.contains('@') => "email",
                    v if v.chars().all(form) => "phone",
                    _ => "other",
                };
                (Some(system.to_owned()), Some(value))
            }
            _ => (part(0)?, part(1)?),
        };
        let mut contact = Resource::new(ty::CONTACT_POINT);
        add(&mut contact, "system", system);
        add(&mut contact, "value", value);
        Ok(made(contact))
    }
}

fn failed(transform: &CompiledTransform, problem: impl Into<String>) -> TransformErrorKind {
    TransformErrorKind::Function { function: transform.function.code(), problem: problem.into() }
}

fn string<'s>(text: impl Into<Rc<str>>) -> Item<'s> {
    Item::Primitive(ty::STRING, text.into())
}

fn made<'s>(value: Resource) -> Item<'s> {
    Item::Made(Rc::new(value))
}

fn attribute(node: External<'_>, of: &str) -> Option<String> {
    node.children(Some(of)).first().and_then(|child| child.text()).map(str::to_owned)
}

/// Adds a primitive to the root of a value.
fn add(to: &mut Resource, element: &str, text: Option<String>) {
    let root = to.root_id();
    if let (Some(text), Some((_, property))) = (text, to.resource_type().definition().property(element, 0)) {
        to.add_value(root, property, &text);
    }
}

fn coding_of(system: Option<String>, code: Option<String>, display: Option<String>) -> Resource {
    let mut coding = Resource::new(ty::CODING);
    add(&mut coding, "system", system.filter(|s| !s.is_empty()));
    add(&mut coding, "code", code);
    add(&mut coding, "display", display);
    coding
}

fn concept_of(coding: &Resource) -> Resource {
    let mut concept = Resource::new(ty::CODEABLE_CONCEPT);
    if let Some((_, property)) = ty::CODEABLE_CONCEPT.definition().property("coding", 0) {
        let root = concept.root_id();
        let node = concept.add(root, property, property.ty);
        concept.copy_children(node, coding.root());
    }
    concept
}

/// Makes a FHIR Quantity of one of FHIRPath's.
pub(super) fn quantity_of(quantity: &Quantity<'_>) -> Resource {
    let mut out = Resource::new(ty::QUANTITY);
    let code = match &quantity.unit {
        Unit::Calendar(unit) => unit.ucum().to_owned(),
        Unit::Ucum(code) => code.to_string(),
    };
    add(&mut out, "value", Some(quantity.value.to_string()));
    add(&mut out, "system", Some("http://unitsofmeasure.org".to_owned()));
    add(&mut out, "code", Some(code));
    out
}
