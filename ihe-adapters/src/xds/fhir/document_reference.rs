//! DocumentEntry as DocumentReference.
//!
//! Spec: IHE MHD 4.2, DocumentEntry-Mapping; ITI TF-3 4.2.3.2

use fhir_model::primitive::{base64, hexadecimal};
use fhir_model::schema::{NameId, name};
use fhir_model::tree::Element;
use serde_json::{Map, Value, json};

use super::codes::{coding, concept, read_coding, read_concepts};
use super::people::{self, authenticator, author, read_authenticator, read_author, source_patient};
use super::{
    URIS, as_sent, association_status, deprecated, entry_uuid, extension, extensions, identifiers,
    of_all_objects, part, parts, put_localized, read_cx, read_localized, read_of_all_objects, read_slots,
    read_unique_identifier, resource_id, slots, unique_id_identifier, value_of,
};
use crate::wire::ebrim::{Classification, Ends, ExternalIdentifier, ObjectKind, RegistryObject, Slot};
use crate::xds::values::{Cx, date_time_to_dtm, dtm_to_date_time};
use crate::xds::vocabulary::{APPROVED, DEPRECATED, RELATIONSHIPS, STABLE, document_entry as scheme};

const REFERENCE_IDS: &str = "urn:ihe:iti:xds:2013:referenceIdList";
const ABSENT: &str = "http://hl7.org/fhir/StructureDefinition/data-absent-reason";
const ENCOUNTER: &str = "urn:ihe:iti:xds:2015:encounterId";
/// Slots that have elements of their own.
const MAPPED_SLOTS: &[&str] = &[
    "creationTime",
    "serviceStartTime",
    "serviceStopTime",
    "languageCode",
    "legalAuthenticator",
    "hash",
    "size",
    "sourcePatientId",
    "sourcePatientInfo",
    REFERENCE_IDS,
];
/// Schemes of classifications that have elements of their own.
const MAPPED_SCHEMES: &[&str] = &[
    scheme::AUTHOR,
    scheme::CLASS_CODE,
    scheme::CONFIDENTIALITY_CODE,
    scheme::EVENT_CODE,
    scheme::FORMAT_CODE,
    scheme::FACILITY_TYPE_CODE,
    scheme::PRACTICE_SETTING_CODE,
    scheme::TYPE_CODE,
];

/// Where on this server the things are that a document belongs to.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// The patient, `Patient/[id]`.
    pub patient: Option<String>,
    /// The bytes of the document, `Binary/[id]`.
    pub document: Option<String>,
}

/// Writes a document, and the relationships whose source it is.
pub fn document_reference(
    object: &RegistryObject,
    relationships: &[&RegistryObject],
    places: &Places,
) -> Value {
    let mut contained = Vec::new();
    let mut reference = Map::new();
    let mut put = |element: &str, value: Value| {
        let is_empty = match &value {
            Value::Null => true,
            Value::Array(list) => list.is_empty(),
            Value::Object(object) => object.is_empty(),
            _ => false,
        };
        if !is_empty {
            reference.insert(element.to_owned(), value);
        }
    };
    put("resourceType", json!("DocumentReference"));
    put("id", json!(resource_id(&object.id).unwrap_or(&object.id)));
    put("extension", Value::Array(unmapped(object)));
    if let Some(unique_id) = object.identifier(scheme::UNIQUE_ID) {
        put("masterIdentifier", unique_id_identifier(unique_id));
    }
    put("identifier", Value::Array(identifiers(object)));
    let is_deprecated = object.status.as_deref() == Some(DEPRECATED);
    put("status", json!(if is_deprecated { "superseded" } else { "current" }));
    put("type", first_concept(object, scheme::TYPE_CODE));
    put("category", concepts(object, scheme::CLASS_CODE));
    put("subject", subject(object.identifier(scheme::PATIENT_ID), places));
    let authors = object.classified_by(scheme::AUTHOR).enumerate();
    put("author", authors.map(|(at, a)| author(a, at + 1, &mut contained)).collect());
    if let Some(person) = object.slot_value("legalAuthenticator").filter(|p| !p.trim().is_empty()) {
        put("authenticator", authenticator(person, &mut contained));
    }
    put("relatesTo", relationships.iter().filter_map(|r| relates_to(r)).collect());
    put("securityLabel", concepts(object, scheme::CONFIDENTIALITY_CODE));
    let format = object.classified_by(scheme::FORMAT_CODE).next().map(coding);
    let mut content = json!({ "attachment": attachment(object, places) });
    if let Some(format) = format {
        content["format"] = format;
    }
    put("content", json!([content]));
    put("context", Value::Object(context(object, &mut contained)));
    put_localized(&mut reference, "description", &object.description);
    if !contained.is_empty() {
        reference.insert("contained".to_owned(), Value::Array(contained));
    }
    Value::Object(reference)
}

/// Writes what has no element of its own.
fn unmapped(object: &RegistryObject) -> Vec<Value> {
    let mut all = of_all_objects(object);
    let object_type = object.object_type.as_deref().filter(|t| *t != STABLE);
    all.extend(object_type.map(|t| extension("object-type", "valueString", t)));
    all.extend(slots(object.slots.iter().filter(|slot| !MAPPED_SLOTS.contains(&slot.name.as_str()))));
    all.extend(unmapped_classifications(object, MAPPED_SCHEMES));
    let mapped = [scheme::PATIENT_ID, scheme::UNIQUE_ID];
    all.extend(unmapped_identifiers(object, &mapped));
    all
}

pub(super) fn unmapped_classifications<'o>(
    object: &'o RegistryObject,
    mapped: &'o [&str],
) -> impl Iterator<Item = Value> + 'o {
    let is_mapped = |c: &&Classification| c.scheme.as_deref().is_some_and(|s| mapped.contains(&s));
    object.classifications.iter().filter(move |c| !is_mapped(c)).map(|classification| {
        let scheme = classification.scheme.iter().map(|s| json!({ "url": "scheme", "valueString": s }));
        let mut parts: Vec<Value> = scheme.collect();
        parts.extend(classification.node.iter().map(|node| json!({ "url": "node", "valueString": node })));
        let code = coding(classification);
        if code.as_object().is_some_and(|code| !code.is_empty()) {
            parts.push(json!({ "url": "code", "valueCoding": code }));
        }
        json!({ "url": format!("{}classification", super::EXTENSIONS), "extension": parts })
    })
}

pub(super) fn unmapped_identifiers<'o>(
    object: &'o RegistryObject,
    mapped: &'o [&str],
) -> impl Iterator<Item = Value> + 'o {
    let others = object.external_identifiers.iter().filter(|i| !mapped.contains(&i.scheme.as_str()));
    others.map(|identifier| {
        let parts = json!([
            { "url": "scheme", "valueString": identifier.scheme },
            { "url": "value", "valueString": identifier.value },
        ]);
        json!({ "url": format!("{}identifier", super::EXTENSIONS), "extension": parts })
    })
}

/// Reads classifications and identifiers that have no element of their own.
pub(super) fn read_unmapped(root: Element<'_>, object: &mut RegistryObject) {
    let text = |of: Element<'_>, named| part(of, named).map(str::to_owned);
    for classification in extensions(root, "classification") {
        let code = parts(classification, "code").next().map(|code| read_coding(code, "")).unwrap_or_default();
        object.classifications.push(Classification {
            scheme: text(classification, "scheme"),
            node: text(classification, "node"),
            ..code
        });
    }
    for identifier in extensions(root, "identifier") {
        if let (Some(scheme), Some(value)) = (text(identifier, "scheme"), text(identifier, "value")) {
            object.external_identifiers.push(external_identifier(&scheme, value));
        }
    }
    object.slots.extend(read_slots(root));
}

pub(super) fn external_identifier(scheme: &str, value: String) -> ExternalIdentifier {
    ExternalIdentifier { scheme: scheme.to_owned(), value, ..ExternalIdentifier::default() }
}

pub(super) fn concepts(object: &RegistryObject, scheme: &str) -> Value {
    object.classified_by(scheme).map(concept).collect()
}

fn first_concept(object: &RegistryObject, scheme: &str) -> Value {
    object.classified_by(scheme).next().map_or(Value::Null, concept)
}

/// Writes the patient: where he is on this server, and who he is in the affinity domain.
pub(super) fn subject(patient_id: Option<&str>, places: &Places) -> Value {
    let mut subject = Map::new();
    let cx = patient_id.and_then(Cx::parse);
    let made = cx.as_ref().map(Cx::to_string);
    if let Some(sent) = patient_id.and_then(|id| as_sent(id, made.as_deref())) {
        subject.insert("extension".to_owned(), json!([sent]));
    }
    if let Some(patient) = &places.patient {
        subject.insert("reference".to_owned(), json!(patient));
    }
    if let Some(cx) = cx {
        subject.insert("identifier".to_owned(), json!({ "system": cx.system(), "value": cx.id }));
    }
    Value::Object(subject)
}

/// Reads the identifier of a patient in an affinity domain.
pub(super) fn read_patient_id(reference: Element<'_>) -> Option<String> {
    let made = reference.child(name::IDENTIFIER).and_then(read_cx).map(|cx| cx.to_string());
    let sent = super::sent(reference).map(str::to_owned);
    // What was sent holds as long as the identifier is the one made of it.
    let is_same = sent.as_deref().and_then(Cx::parse).map(|cx| cx.to_string()) == made;
    sent.filter(|_| is_same).or(made)
}

/// Puts a time under the name of an element, and what was sent where that is more exact.
pub(super) fn put_time(into: &mut Map<String, Value>, element: &str, dtm: Option<&str>) {
    let Some(dtm) = dtm else { return };
    let made = dtm_to_date_time(dtm);
    let back = made.as_deref().and_then(date_time_to_dtm);
    if let Some(made) = made {
        into.insert(element.to_owned(), json!(made));
    }
    if let Some(sent) = as_sent(dtm, back.as_deref()) {
        into.insert(format!("_{element}"), json!({ "extension": [sent] }));
    }
}

/// Reads a time.
pub(super) fn read_time(parent: Element<'_>, element: NameId) -> Option<String> {
    let time = parent.child(element)?;
    let sent = super::sent(time);
    let is_same = sent.and_then(dtm_to_date_time).as_deref() == time.value();
    match sent.filter(|_| is_same) {
        Some(sent) => Some(sent.to_owned()),
        None => time.value().and_then(date_time_to_dtm),
    }
}

fn attachment(object: &RegistryObject, places: &Places) -> Value {
    let mut attachment = Map::new();
    let mut put = |element: &str, value: Option<Value>| {
        if let Some(value) = value {
            attachment.insert(element.to_owned(), value);
        }
    };
    let text = |text: Option<&str>| text.map(str::trim).filter(|t| !t.is_empty()).map(|t| json!(t));
    put("contentType", text(object.mime_type.as_deref()));
    put("language", text(object.slot_value("languageCode")));
    put("url", text(places.document.as_deref()));
    let size = object.slot_value("size");
    // FHIR counts to 2^31 - 1.
    let number = size.and_then(|size| size.parse::<u32>().ok()).filter(|n| i32::try_from(*n).is_ok());
    put("size", number.map(|n| json!(n)));
    let sent = size.and_then(|size| as_sent(size, number.map(|n| n.to_string()).as_deref()));
    put("_size", sent.map(|sent| json!({ "extension": [sent] })));
    let hash = object.slot_value("hash");
    let bytes = hash.and_then(hexadecimal::decode).filter(|bytes| !bytes.is_empty());
    let made = bytes.as_deref().map(hexadecimal::encode);
    put("hash", bytes.map(|bytes| json!(base64::encode(&bytes))));
    let sent = hash.and_then(|hash| as_sent(hash, made.as_deref()));
    put("_hash", sent.map(|sent| json!({ "extension": [sent] })));
    put_localized(&mut attachment, "title", &object.name);
    put_time(&mut attachment, "creation", object.slot_value("creationTime"));
    if attachment.is_empty() {
        // There has to be one, and nothing is known of it.
        attachment.insert("extension".to_owned(), json!([{ "url": ABSENT, "valueCode": "unknown" }]));
    }
    Value::Object(attachment)
}

fn context(object: &RegistryObject, contained: &mut Vec<Value>) -> Map<String, Value> {
    let mut context = Map::new();
    let (mut encounters, mut related) = (Vec::new(), Vec::new());
    for id in object.slot(REFERENCE_IDS).iter().filter(|id| !id.trim().is_empty()) {
        let kind = id.split('^').nth(4).unwrap_or_default();
        let mut reference = json!({ "extension": [extension("as-sent", "valueString", id.as_str())] });
        reference["identifier"] = identifier_of_cxi(id);
        if kind == ENCOUNTER { encounters.push(reference) } else { related.push(reference) }
    }
    for (element, list) in [("encounter", encounters), ("related", related)] {
        if !list.is_empty() {
            context.insert(element.to_owned(), Value::Array(list));
        }
    }
    let events = concepts(object, scheme::EVENT_CODE);
    if events.as_array().is_some_and(|events| !events.is_empty()) {
        context.insert("event".to_owned(), events);
    }
    let mut period = Map::new();
    put_time(&mut period, "start", object.slot_value("serviceStartTime"));
    put_time(&mut period, "end", object.slot_value("serviceStopTime"));
    if !period.is_empty() {
        context.insert("period".to_owned(), Value::Object(period));
    }
    for (element, of) in
        [("facilityType", scheme::FACILITY_TYPE_CODE), ("practiceSetting", scheme::PRACTICE_SETTING_CODE)]
    {
        if let Some(code) = object.classified_by(of).next() {
            context.insert(element.to_owned(), concept(code));
        }
    }
    let mut source = match subject(object.slot_value("sourcePatientId"), &Places::default()) {
        Value::Object(source) => source,
        _ => Map::new(),
    };
    let info = object.slot("sourcePatientInfo");
    if info.iter().any(|line| !line.trim().is_empty()) {
        source.insert("reference".to_owned(), source_patient(info, contained));
    }
    if !source.is_empty() {
        context.insert("sourcePatientInfo".to_owned(), Value::Object(source));
    }
    context
}

/// Writes a reference id (CXi): id, authority, kind.
fn identifier_of_cxi(text: &str) -> Value {
    let mut parts = text.split('^');
    let id = parts.next().unwrap_or_default();
    let oid = parts.nth(2).and_then(|authority| authority.split('&').nth(1)).filter(|oid| !oid.is_empty());
    let mut identifier = Map::new();
    if let Some(kind) = parts.next().filter(|kind| !kind.trim().is_empty()) {
        identifier.insert("type".to_owned(), json!({ "coding": [{ "code": kind.trim() }] }));
    }
    if let Some(oid) = oid {
        identifier.insert("system".to_owned(), json!(format!("urn:oid:{oid}")));
    }
    identifier.insert("value".to_owned(), json!(if id.trim().is_empty() { text } else { id }));
    Value::Object(identifier)
}

fn read_cxi(reference: Element<'_>, default_kind: Option<&str>) -> Option<String> {
    if let Some(sent) = super::sent(reference) {
        return Some(sent.to_owned());
    }
    let identifier = reference.child(name::IDENTIFIER)?;
    let value = identifier.text_of(name::VALUE)?;
    let kind = identifier.child(name::TYPE).and_then(|t| t.child(name::CODING)?.text_of(name::CODE));
    let kind = kind.or(default_kind).unwrap_or("urn:ihe:iti:xds:2013:uniqueId");
    let oid = identifier.text_of(name::SYSTEM).and_then(|s| s.strip_prefix("urn:oid:"));
    Some(oid.map_or_else(|| format!("{value}^^^^{kind}"), |oid| format!("{value}^^^&{oid}&ISO^{kind}")))
}

/// Writes a relationship.
fn relates_to(relationship: &RegistryObject) -> Option<Value> {
    let ends = relationship.ends.as_ref()?;
    let (_, code) = RELATIONSHIPS.iter().find(|(kind, _)| *kind == ends.kind)?;
    let mut parts = vec![
        json!({ "url": "id", "valueString": relationship.id }),
        json!({ "url": "type", "valueString": ends.kind }),
    ];
    parts.extend(slots(&relationship.slots));
    parts.extend(unmapped_classifications(relationship, &[]));
    let association = json!({ "url": format!("{}association", super::EXTENSIONS), "extension": parts });
    let target = resource_id(&ends.target).map_or_else(
        || json!({ "identifier": { "system": URIS, "value": ends.target } }),
        |id| json!({ "reference": format!("DocumentReference/{id}") }),
    );
    let mut relates_to = json!({ "extension": [association], "code": code, "target": target });
    if relationship.status.as_deref() == Some(DEPRECATED) {
        relates_to["modifierExtension"] = deprecated();
    }
    Some(relates_to)
}

/// Reads the relationships whose source a document is.
pub fn relationships(root: Element<'_>) -> Vec<RegistryObject> {
    let mut all = Vec::new();
    if root.child(name::RELATES_TO).is_none() {
        return all;
    }
    let source = entry_uuid(root);
    for (at, relation) in root.children_named(name::RELATES_TO).enumerate() {
        let Some(target) = relation.child(name::TARGET) else { continue };
        let literal = target.text_of(name::REFERENCE).and_then(|r| r.rsplit('/').next());
        let identified = target.child(name::IDENTIFIER).and_then(|i| i.text_of(name::VALUE));
        let target = match (literal, identified) {
            (Some(id), _) => format!("urn:uuid:{id}"),
            (None, Some(value)) => value.to_owned(),
            (None, None) => continue,
        };
        let association = extensions(relation, "association").next();
        let part = |named| association.and_then(|association| part(association, named));
        let code = relation.text_of(name::CODE).unwrap_or_default();
        let of_code = RELATIONSHIPS.iter().find(|(_, c)| *c == code).map(|(kind, _)| *kind);
        let sent = part("type").filter(|kind| RELATIONSHIPS.contains(&(kind, code)));
        let Some(kind) = sent.or(of_code) else { continue };
        let mut object = RegistryObject {
            kind: ObjectKind::Association,
            id: part("id").map_or_else(|| derived_id(&source, at), str::to_owned),
            status: Some(association_status(relation)),
            ends: Some(Ends { kind: kind.to_owned(), source: source.clone(), target }),
            ..RegistryObject::default()
        };
        object.logical_id = Some(object.id.clone());
        if let Some(association) = association {
            read_unmapped(association, &mut object);
        }
        all.push(object);
    }
    all
}

/// Makes the id of an association that came by FHIR, where it has none: the
/// same each time.
pub(super) fn derived_id(source: &str, at: usize) -> String {
    let name = format!("{source}#{at}");
    format!("urn:uuid:{}", uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, name.as_bytes()))
}

/// Reads a document. `patient`: who it is of, where the resource does not say it
/// in terms of the affinity domain.
pub fn registered_document(root: Element<'_>, patient: Option<&str>) -> RegistryObject {
    let mut object = RegistryObject {
        kind: ObjectKind::ExtrinsicObject,
        id: entry_uuid(root),
        object_type: Some(value_of(root, "object-type").unwrap_or(STABLE).to_owned()),
        description: read_localized(root, name::DESCRIPTION),
        ..RegistryObject::default()
    };
    let is_current = root.text_of(name::STATUS) == Some("current");
    object.status = Some(if is_current { APPROVED } else { DEPRECATED }.to_owned());
    read_of_all_objects(root, &mut object);
    let codes =
        |parent: Element<'_>, element, scheme| read_concepts(parent, element, scheme).collect::<Vec<_>>();
    let classifications = &mut object.classifications;
    let authors = root.children_named(name::AUTHOR).map(|a| read_author(root, a, scheme::AUTHOR));
    classifications.extend(authors.filter(|author| !author.slots.is_empty()));
    classifications.extend(codes(root, name::CATEGORY, scheme::CLASS_CODE));
    classifications.extend(codes(root, name::TYPE, scheme::TYPE_CODE));
    classifications.extend(codes(root, name::SECURITY_LABEL, scheme::CONFIDENTIALITY_CODE));
    let person = root.child(name::AUTHENTICATOR).and_then(|a| read_authenticator(root, a));
    put_slot(&mut object, "legalAuthenticator", person);
    if let Some(content) = root.child(name::CONTENT) {
        let format = content.child(name::FORMAT).map(|format| read_coding(format, scheme::FORMAT_CODE));
        object.classifications.extend(format);
        if let Some(attachment) = content.child(name::ATTACHMENT) {
            read_attachment(attachment, &mut object);
        }
    }
    if let Some(context) = root.child(name::CONTEXT) {
        read_context(root, context, &mut object);
    }
    let of_subject = root.child(name::SUBJECT).and_then(read_patient_id);
    if let Some(patient) = of_subject.as_deref().or(patient) {
        object.external_identifiers.push(external_identifier(scheme::PATIENT_ID, patient.to_owned()));
    }
    if let Some(unique_id) = root.child(name::MASTER_IDENTIFIER).and_then(read_unique_identifier) {
        object.external_identifiers.push(external_identifier(scheme::UNIQUE_ID, unique_id));
    }
    read_unmapped(root, &mut object);
    object
}

fn put_slot(object: &mut RegistryObject, name: &str, value: Option<String>) {
    put_slots(object, name, value.into_iter().collect());
}

fn put_slots(object: &mut RegistryObject, name: &str, values: Vec<String>) {
    if !values.is_empty() {
        object.slots.push(Slot { name: name.to_owned(), slot_type: None, values });
    }
}

fn read_attachment(attachment: Element<'_>, object: &mut RegistryObject) {
    let text = |name| attachment.text_of(name).map(str::to_owned);
    object.mime_type = text(name::CONTENT_TYPE);
    object.name = read_localized(attachment, name::TITLE);
    put_slot(object, "creationTime", read_time(attachment, name::CREATION));
    put_slot(object, "languageCode", text(name::LANGUAGE));
    let size = attachment.child(name::SIZE);
    let number = |text: &str| text.parse::<u64>().ok();
    let made = size.and_then(|s| s.value());
    let sent = size.and_then(super::sent).filter(|sent| made.is_none_or(|m| number(m) == number(sent)));
    put_slot(object, "size", sent.or(made).map(str::to_owned));
    let Some(hash) = attachment.child(name::HASH) else { return };
    let made = hash.value().and_then(base64::decode).map(|bytes| hexadecimal::encode(&bytes));
    let sent = super::sent(hash).filter(|sent| made.as_deref().is_none_or(|m| m.eq_ignore_ascii_case(sent)));
    put_slot(object, "hash", sent.map(str::to_owned).or(made));
}

fn read_context(root: Element<'_>, context: Element<'_>, object: &mut RegistryObject) {
    for (element, scheme) in [
        (name::EVENT, scheme::EVENT_CODE),
        (name::FACILITY_TYPE, scheme::FACILITY_TYPE_CODE),
        (name::PRACTICE_SETTING, scheme::PRACTICE_SETTING_CODE),
    ] {
        object.classifications.extend(read_concepts(context, element, scheme));
    }
    if let Some(period) = context.child(name::PERIOD) {
        put_slot(object, "serviceStartTime", read_time(period, name::START));
        put_slot(object, "serviceStopTime", read_time(period, name::END));
    }
    if let Some(source) = context.child(name::SOURCE_PATIENT_INFO) {
        let contained = people::contained(root, source);
        let identifiers = contained.into_iter().flat_map(|c| c.children_named(name::IDENTIFIER));
        let identified = || Some(identifiers.filter_map(read_cx).next()?.to_string());
        put_slot(object, "sourcePatientId", read_patient_id(source).or_else(identified));
        let info = contained.map(people::read_source_patient);
        put_slots(object, "sourcePatientInfo", info.unwrap_or_default());
    }
    let encounters = context.children_named(name::ENCOUNTER).filter_map(|e| read_cxi(e, Some(ENCOUNTER)));
    let related = context.children_named(name::RELATED).filter_map(|r| read_cxi(r, None));
    put_slots(object, REFERENCE_IDS, encounters.chain(related).collect());
}
