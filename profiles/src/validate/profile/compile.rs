//! The rules of a profile, out of its snapshot.
//!
//! Elements come in document order, so that an element's parent has come
//! before it; ids tell slices apart (`Observation.component:systolic.code`).

use std::collections::HashMap;
use std::sync::Arc;

use fhir_model::fhirpath::Expression;
use fhir_model::schema::{self, BindingStrength, NameId, TypeId, UNBOUNDED, name};
use fhir_model::tree::{Element, Resource};

use super::{
    BindingRule, Discriminator, DiscriminatorKind, ElementRule, Invariant, PathStep, Profile, RuleId,
    Slicing, TypeRule,
};
use crate::definitions::split_canonical;
use crate::validate::narrative_control::NarrativeRule;

/// The greatest number of elements of a profile.
const ELEMENTS_MAX: usize = 50_000;

const MAX_VALUE_SET: &str = "http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet";
const MUST_HAVE_VALUE: &str =
    "http://hl7.org/fhir/5.0/StructureDefinition/extension-ElementDefinition.mustHaveValue";
const VALUE_ALTERNATIVES: &str =
    "http://hl7.org/fhir/5.0/StructureDefinition/extension-ElementDefinition.valueAlternatives";
/// Bindings beside the binding, as R5 has them and as tools wrote them before.
const ADDITIONAL_BINDINGS: &[&str] = &[
    "http://hl7.org/fhir/5.0/StructureDefinition/extension-ElementDefinition.binding.additional",
    "http://hl7.org/fhir/tools/StructureDefinition/additional-binding",
];
const MIN_LENGTH: &str = "http://hl7.org/fhir/StructureDefinition/minLength";

pub(super) fn compile(definition: Arc<Resource>) -> Result<Profile, String> {
    let root = definition.root();
    let url = root.text_of(name::URL).ok_or("it has no url")?;
    let url: Arc<str> = match root.text_of(name::VERSION) {
        Some(version) => format!("{url}|{version}").into(),
        None => url.into(),
    };
    let type_name = root.text_of(name::TYPE).ok_or("it has no type")?;
    let type_name = type_name.rsplit('/').next().unwrap_or(type_name);
    let constrains = TypeId::named(type_name)
        .ok_or_else(|| format!("it constrains {type_name}, which is no type of FHIR R4"))?;
    let elements = root.child_named("snapshot").ok_or("it has no snapshot")?;
    let mut made = Compilation {
        constrains,
        rules: Vec::new(),
        by_id: HashMap::new(),
        by_path: HashMap::new(),
        complaints: Vec::new(),
    };
    for (index, element) in elements.children_named(name::ELEMENT).enumerate() {
        if index >= ELEMENTS_MAX {
            return Err(format!("its snapshot has more than {ELEMENTS_MAX} elements"));
        }
        made.element(element);
    }
    if made.rules.is_empty() {
        return Err("its snapshot has no elements".to_owned());
    }
    let Compilation { rules, complaints, .. } = made;
    Ok(Profile { url, constrains, rules, complaints, definition })
}

struct Compilation {
    constrains: TypeId,
    rules: Vec<ElementRule>,
    by_id: HashMap<String, RuleId>,
    /// The rule that is no slice, or in no slice, of each path.
    by_path: HashMap<String, RuleId>,
    complaints: Vec<String>,
}

impl Compilation {
    fn element(&mut self, element: Element<'_>) {
        let Some(path) = element.text_of(name::PATH) else { return };
        let id = match element.text_of(name::ID) {
            Some(id) if id.split('.').count() == path.split('.').count() => id.to_owned(),
            _ => path.to_owned(),
        };
        let rule_id = self.rules.len();
        let slice_name = element.text_of(name::SLICE_NAME).map(str::to_owned);
        let Some((parent_id, last)) = id.rsplit_once('.') else {
            if rule_id == 0 {
                let rule = self.rule(element, &id, None, None, None);
                self.rules.push(rule);
                self.by_id.insert(id.clone(), 0);
                self.by_path.insert(path.to_owned(), 0);
            }
            return;
        };
        let Some(parent) = self.parent(parent_id) else {
            self.complaints.push(format!("the element {id} has no parent in the snapshot"));
            return;
        };
        let (own_name, slice) = match last.split_once(':') {
            Some((own, slice)) => (own, Some(slice)),
            None => (last, None),
        };
        let spelled = own_name.strip_suffix("[x]").unwrap_or(own_name);
        // Older snapshots spell `valueQuantity` where `value[x]` is narrowed to one type.
        let (name, implied_type) = match NameId::of(spelled) {
            Some(name) if self.has_child(parent, name) || slice.is_some() => (name, None),
            other => match self.choice_spelled(parent, spelled) {
                Some((name, ty)) => (name, Some(ty)),
                None => match other {
                    Some(name) => (name, None),
                    None => {
                        self.complaints.push(format!("no element of FHIR R4 is called {spelled} ({id})"));
                        return;
                    }
                },
            },
        };
        let base = self.base_element(parent, name);
        let mut rule =
            self.rule(element, &id, Some(name), slice_name.clone().or(slice.map(str::to_owned)), base);
        if let Some(ty) = implied_type {
            rule.types.retain(|t| t.ty == ty);
            if rule.types.is_empty() {
                rule.types.push(TypeRule { ty, profiles: vec![], targets: vec![], aggregation: vec![] });
            }
            rule.same_types = false;
        }
        self.by_id.insert(id.clone(), rule_id);
        self.by_path.entry(path.to_owned()).or_insert(rule_id);
        let is_slice = slice.is_some() || slice_name.is_some();
        self.rules.push(rule);
        if is_slice {
            self.attach_slice(
                parent,
                parent_id,
                own_name,
                name,
                slice.or(slice_name.as_deref()).unwrap_or(""),
                rule_id,
            );
        } else {
            self.rules[parent].children.push(rule_id);
        }
    }

    fn parent(&self, id: &str) -> Option<RuleId> {
        self.by_id.get(id).or_else(|| self.by_path.get(id)).copied()
    }

    /// A slice `a/b` is a slice of the slice `a`; any other of the element itself.
    fn attach_slice(
        &mut self,
        parent: RuleId,
        parent_id: &str,
        own_name: &str,
        name: NameId,
        slice: &str,
        rule_id: RuleId,
    ) {
        if let Some((outer, _)) = slice.rsplit_once('/')
            && let Some(outer) = self.by_id.get(&format!("{parent_id}.{own_name}:{outer}")).copied()
        {
            self.rules[outer].slices.push(rule_id);
            return;
        }
        let sliced = self.rules[parent].children.iter().copied().find(|c| self.rules[*c].name == Some(name));
        match sliced {
            Some(sliced) => self.rules[sliced].slices.push(rule_id),
            // A slice whose sliced element the snapshot leaves out stands for it.
            None => self.rules[parent].children.push(rule_id),
        }
    }

    /// The types under which the children of a rule stand.
    fn parent_types(&self, parent: RuleId) -> Vec<TypeId> {
        if parent == Profile::ROOT {
            return vec![self.constrains];
        }
        let rule = &self.rules[parent];
        let path: Vec<&str> = rule.id.split('.').collect();
        // A backbone element is a type of its own, named by its path.
        let plain: Vec<&str> = path.iter().map(|s| s.split(':').next().unwrap_or(s)).collect();
        if let Some(ty) = TypeId::named(&plain.join(".")) {
            return vec![ty];
        }
        let mut types: Vec<TypeId> = rule.types.iter().map(|t| t.ty).collect();
        if let (Some(name), Some(grand)) = (rule.name, self.parent_of(parent)) {
            for holder in self.parent_types(grand) {
                if let Some(element) = holder.definition().element(name) {
                    let backbone =
                        element.types.iter().filter(|t| t.definition().kind == schema::TypeKind::Backbone);
                    types.extend(backbone);
                }
            }
        }
        types
    }

    fn parent_of(&self, rule: RuleId) -> Option<RuleId> {
        let (parent, _) = self.rules[rule].id.rsplit_once('.')?;
        self.parent(parent)
    }

    fn has_child(&self, parent: RuleId, name: NameId) -> bool {
        self.parent_types(parent).iter().any(|ty| ty.definition().element(name).is_some())
    }

    fn base_element(&self, parent: RuleId, name: NameId) -> Option<&'static schema::ElementDefinition> {
        self.parent_types(parent).iter().find_map(|ty| ty.definition().element(name))
    }

    fn choice_spelled(&self, parent: RuleId, spelled: &str) -> Option<(NameId, TypeId)> {
        self.parent_types(parent).iter().find_map(|ty| {
            let (_, property) = ty.definition().property(spelled, 0)?;
            property.element.is_choice.then_some((property.element.name_id, property.ty))
        })
    }

    fn rule(
        &mut self,
        element: Element<'_>,
        id: &str,
        name: Option<NameId>,
        slice_name: Option<String>,
        base: Option<&'static schema::ElementDefinition>,
    ) -> ElementRule {
        let min = element.text_of(name::MIN).and_then(|m| m.parse().ok()).unwrap_or(0);
        let max = match element.text_of(name::MAX) {
            Some("*") | None => UNBOUNDED,
            Some(max) => max.parse().unwrap_or(UNBOUNDED),
        };
        let types: Vec<TypeRule> = element.children_named(name::TYPE).filter_map(type_rule).collect();
        let same_types = base.is_some_and(|base| same_types(&types, base));
        ElementRule {
            id: id.to_owned(),
            name,
            same_cardinality: slice_name.is_none() && base.is_some_and(|b| b.min == min && b.max == max),
            slice_name,
            min,
            max,
            types,
            same_types,
            fixed: choice(element, "fixed").map(Element::id),
            pattern: choice(element, "pattern").map(Element::id),
            min_value: choice(element, "minValue").map(Element::id),
            max_value: choice(element, "maxValue").map(Element::id),
            max_length: element.text_of(name::MAX_LENGTH).and_then(|m| m.parse().ok()),
            min_length: extension_value(element, MIN_LENGTH).and_then(|m| m.parse().ok()),
            value_required: extension_value(element, MUST_HAVE_VALUE) == Some("true"),
            value_alternatives: extension_values(element, VALUE_ALTERNATIVES).map(str::to_owned).collect(),
            narrative: NarrativeRule::of(element),
            binding: element.child(name::BINDING).and_then(|b| binding_rule(b, base)),
            invariants: element
                .children_named(name::CONSTRAINT)
                .filter_map(|c| self.invariant(c, base))
                .collect(),
            children: Vec::new(),
            slicing: element.child(name::SLICING).map(|s| self.slicing(s, id)),
            slices: Vec::new(),
        }
    }

    fn invariant(
        &self,
        constraint: Element<'_>,
        base: Option<&schema::ElementDefinition>,
    ) -> Option<Invariant> {
        let key = constraint.text_of(name::KEY)?;
        let expression = constraint.text_of(name::EXPRESSION)?;
        if in_base(key, expression, base) || (base.is_none() && in_type(self.constrains, key)) {
            return None;
        }
        Some(Invariant {
            key: key.to_owned(),
            human: constraint.text_of(name::HUMAN).unwrap_or(expression).to_owned(),
            is_error: constraint.text_of(name::SEVERITY) != Some("warning"),
            expression: Expression::parse(expression).map_err(|error| error.to_string()),
        })
    }

    fn slicing(&mut self, slicing: Element<'_>, id: &str) -> Slicing {
        let rules = slicing.text_of(name::RULES);
        let mut discriminators = Vec::new();
        for discriminator in slicing.children_named(name::DISCRIMINATOR) {
            let kind = match discriminator.text_of(name::TYPE) {
                Some("value") => DiscriminatorKind::Value,
                Some("exists") => DiscriminatorKind::Exists,
                Some("pattern") => DiscriminatorKind::Pattern,
                Some("type") => DiscriminatorKind::Type,
                Some("profile") => DiscriminatorKind::Profile,
                other => {
                    self.complaints.push(format!(
                        "the slicing of {id} has a discriminator of type {}",
                        other.unwrap_or("none")
                    ));
                    continue;
                }
            };
            let text = discriminator.text_of(name::PATH).unwrap_or("$this");
            match path(text) {
                Some(path) => discriminators.push(Discriminator { kind, path }),
                None => self
                    .complaints
                    .push(format!("the slicing of {id} has a discriminator that cannot be followed: {text}")),
            }
        }
        Slicing {
            discriminators,
            closed: rules == Some("closed"),
            open_at_end: rules == Some("openAtEnd"),
            ordered: slicing.text_of(name::ORDERED) == Some("true"),
        }
    }
}

/// Returns a value that an element of a definition states: `fixed`, `pattern` ...
pub(in crate::validate) fn choice<'e>(element: Element<'e>, prefix: &str) -> Option<Element<'e>> {
    element.children().find(|c| c.property().is_some_and(|p| p.element.name == prefix))
}

fn type_rule(element: Element<'_>) -> Option<TypeRule> {
    let code = element.text_of(name::CODE)?;
    // `http://hl7.org/fhirpath/System.String` is the type of ids and urls.
    let code = match code.strip_prefix("http://hl7.org/fhirpath/System.") {
        Some(_) => {
            extension_value(element, "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type")
                .unwrap_or("string")
        }
        None => code.rsplit('/').next().unwrap_or(code),
    };
    let texts = |name| element.children_named(name).filter_map(|e| e.value().map(str::to_owned)).collect();
    Some(TypeRule {
        ty: TypeId::named(code)?,
        profiles: texts(name::PROFILE),
        targets: texts(name::TARGET_PROFILE),
        aggregation: texts(name::AGGREGATION),
    })
}

/// Tells whether a profile's types say nothing that the base does not.
fn same_types(types: &[TypeRule], base: &schema::ElementDefinition) -> bool {
    let is_base = |rule: &TypeRule| {
        rule.profiles.is_empty() && rule.aggregation.is_empty() && same_targets(&rule.targets, base)
    };
    let covers = |ty: &TypeId| {
        types
            .iter()
            .any(|t| ty.is_a(t.ty) || t.ty.is_a(*ty) && ty.definition().kind == schema::TypeKind::Backbone)
    };
    types.iter().all(is_base)
        && (base.types.iter().all(covers)
            || types.is_empty()
            || base.types.iter().all(|t| t.definition().kind == schema::TypeKind::Backbone))
}

/// Tells whether the targets of a reference are those of the base: any, or the same.
fn same_targets(targets: &[String], base: &schema::ElementDefinition) -> bool {
    let types: Vec<Option<TypeId>> = targets.iter().map(|t| core_type(t)).collect();
    if base.targets.is_empty() {
        return types.iter().all(|t| *t == Some(schema::ty::RESOURCE));
    }
    targets.is_empty()
        || base.targets.iter().all(|t| types.contains(&Some(*t))) && types.iter().all(Option::is_some)
}

/// Returns the type whose base definition a canonical names.
pub(in crate::validate) fn core_type(canonical: &str) -> Option<TypeId> {
    let (url, _, _) = split_canonical(canonical);
    TypeId::named(url.strip_prefix("http://hl7.org/fhir/StructureDefinition/")?)
}

fn binding_rule(binding: Element<'_>, base: Option<&schema::ElementDefinition>) -> Option<BindingRule> {
    let strength = match binding.text_of(name::STRENGTH)? {
        "required" => BindingStrength::Required,
        "extensible" => BindingStrength::Extensible,
        "preferred" => BindingStrength::Preferred,
        _ => BindingStrength::Example,
    };
    let value_set = binding.text_of(name::VALUE_SET).unwrap_or("").to_owned();
    let max_value_set = extension_value(binding, MAX_VALUE_SET).map(str::to_owned);
    let in_base = base
        .and_then(|b| b.binding)
        .is_some_and(|b| b.strength == strength && b.value_set == split_canonical(&value_set).0);
    let additional: Vec<(BindingStrength, String)> = binding
        .children_named(name::EXTENSION)
        .filter(|e| e.text_of(name::URL).is_some_and(|url| ADDITIONAL_BINDINGS.contains(&url)))
        .filter_map(additional_binding)
        .collect();
    if (in_base || value_set.is_empty()) && max_value_set.is_none() && additional.is_empty() {
        return None;
    }
    Some(BindingRule { strength, value_set, max_value_set, additional })
}

/// Reads a binding beside the binding; `None` for one that asks nothing of
/// the content, or only in some context of use.
fn additional_binding(extension: Element<'_>) -> Option<(BindingStrength, String)> {
    if extension.children_named(name::EXTENSION).any(|part| part.text_of(name::URL) == Some("usage")) {
        return None;
    }
    let strength = match extension_value(extension, "purpose")? {
        "required" | "maximum" => BindingStrength::Required,
        "extensible" => BindingStrength::Extensible,
        "preferred" => BindingStrength::Preferred,
        _ => return None,
    };
    Some((strength, extension_value(extension, "valueSet")?.to_owned()))
}

/// Tells whether the base type already holds elements to a constraint.
fn in_base(key: &str, expression: &str, base: Option<&schema::ElementDefinition>) -> bool {
    if key == "ele-1" || key == "ext-1" {
        return true;
    }
    let Some(base) = base else { return false };
    base.constraints.iter().any(|c| c.key == key && c.expression == expression)
        || base.types.iter().any(|ty| in_type(*ty, key))
}

fn in_type(ty: TypeId, key: &str) -> bool {
    let mut at = Some(ty);
    while let Some(ty) = at {
        if ty.definition().constraints.iter().any(|c| c.key == key) {
            return true;
        }
        at = ty.definition().base;
    }
    false
}

fn extension_values<'r>(element: Element<'r>, url: &str) -> impl Iterator<Item = &'r str> {
    let of_url = move |e: &Element<'r>| e.text_of(name::URL) == Some(url);
    let found = element.children_named(name::EXTENSION).filter(of_url);
    found.filter_map(|e| e.child(name::VALUE)?.value())
}

fn extension_value<'r>(element: Element<'r>, url: &str) -> Option<&'r str> {
    extension_values(element, url).next()
}

/// Parses the path of a discriminator.
pub(in crate::validate) fn path(text: &str) -> Option<Vec<PathStep>> {
    let mut steps = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = step_end(rest);
        let (step, after) = rest.split_at(end);
        rest = after.strip_prefix('.').unwrap_or(after);
        let argument = |function: &str| {
            let inner = step.strip_prefix(function)?.strip_prefix('(')?.strip_suffix(')')?;
            Some(inner.trim().trim_matches(['\'', '"']).to_owned())
        };
        if step == "$this" {
            continue;
        } else if step == "resolve()" {
            steps.push(PathStep::Resolve);
        } else if let Some(url) = argument("extension") {
            steps.push(PathStep::Extension(url));
        } else if let Some(type_name) = argument("ofType").or_else(|| argument("as")) {
            let type_name = type_name.strip_prefix("FHIR.").unwrap_or(&type_name).to_owned();
            steps.push(PathStep::OfType(TypeId::named(&type_name)?));
        } else {
            let spelled = step.strip_suffix("[x]").unwrap_or(step).trim_matches('`');
            steps.push(PathStep::Child(NameId::of(spelled)?));
        }
    }
    Some(steps)
}

/// Where the first step of a path ends: at a dot outside of parentheses.
fn step_end(text: &str) -> usize {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            '.' if depth == 0 => return at,
            _ => {}
        }
    }
    text.len()
}
