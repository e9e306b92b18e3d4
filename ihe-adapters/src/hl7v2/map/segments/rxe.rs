//! RXE and RXO: a medication that is ordered, as MedicationRequest.
//!
//! Spec: HL7 v2-to-FHIR, RXO[MedicationRequest]; HL7 v2.5.1 sections 4.14.1, 4.14.4

use serde_json::{Value as Json, json};

use super::orc;
use crate::hl7v2::map::codes;
use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::row::{As, Constant, Row};
use crate::hl7v2::map::source::{Segment, Value};
use crate::hl7v2::map::statuses::{MEDICATION_CONTROL, MEDICATION_STATUS};
use crate::hl7v2::map::types::coded::CWE;
use crate::hl7v2::map::types::ei::EI;
use crate::hl7v2::map::types::quantity;
use crate::hl7v2::map::types::text::ST;
use crate::hl7v2::map::types::xcn::XCN;
use crate::hl7v2::map::work::Work;

/// Where RXE and RXO have the same things.
struct Places {
    segment: &'static str,
    code: usize,
    amount: [usize; 2],
    units: usize,
    form: usize,
    substitution: usize,
    dispensed: [usize; 2],
    strength: [usize; 2],
    rows: &'static [Row],
}

const SEGMENTS: &[Places] = &[
    Places {
        segment: "RXE",
        code: 2,
        amount: [3, 4],
        units: 5,
        form: 6,
        substitution: 9,
        dispensed: [10, 11],
        strength: [25, 26],
        rows: &[
            ("RXE-7", "dosageInstruction.additionalInstruction", CWE),
            ("RXE-12", "dispenseRequest.numberOfRepeatsAllowed", As::Of(count)),
            ("RXE-13", "requester", XCN),
            (
                "RXE-15",
                "identifier",
                As::Or(&As::Within("value", &ST, &[]), "type", Constant::Concept("v2-0203", "FILL")),
            ),
            ("RXE-21", "note", As::Of(instruction)),
            ("RXE-27", "reasonCode", CWE),
        ],
    },
    Places {
        segment: "RXO",
        code: 1,
        amount: [2, 3],
        units: 4,
        form: 5,
        substitution: 9,
        dispensed: [11, 12],
        strength: [18, 19],
        rows: &[
            ("RXO-6", "note", As::Of(instruction)),
            ("RXO-7", "dosageInstruction.additionalInstruction", CWE),
            ("RXO-13", "dispenseRequest.numberOfRepeatsAllowed", As::Of(count)),
            ("RXO-14", "requester", XCN),
            ("RXO-20", "reasonCode", CWE),
        ],
    },
];

/// What ORC says of a medication that is ordered.
const ORDER: &[Row] = &[
    ("ORC-2", "identifier", As::Or(&EI, "type", Constant::Concept("v2-0203", "PLAC"))),
    ("ORC-3", "identifier", As::Or(&EI, "type", Constant::Concept("v2-0203", "FILL"))),
    ("ORC-4", "groupIdentifier", EI),
    ("ORC-10", "recorder", XCN),
    ("ORC-12", "requester", XCN),
    ("ORC-16", "statusReason", CWE),
];

/// Begins the MedicationRequest of an order.
pub(in crate::hl7v2) fn request(work: &mut Work<'_>, order: &Segment<'_>, intent: &str) -> Draft {
    let mut request = Draft::new("MedicationRequest");
    work.fill(&mut request, order, ORDER);
    orc::event(work, &mut request, order);
    orc::when(work, &mut request, order);
    let source = work.source;
    let status = [(5, As::Code(&MEDICATION_STATUS)), (1, As::Code(&MEDICATION_CONTROL))]
        .iter()
        .find_map(|(field, kind)| work.convert(&mut request, source.value(order, *field)?, kind));
    request.put("status", status.unwrap_or_else(|| json!("active")));
    request.put("intent", json!(intent));
    if let Some(patient) = work.patient.clone() {
        request.put("subject", patient);
    }
    request
}

/// Reads RXE or RXO into a request. What was read before counts.
pub(in crate::hl7v2) fn ordered(
    work: &mut Work<'_>,
    request: &mut Draft,
    segment: &Segment<'_>,
    components: &[&Segment<'_>],
) {
    let Some(places) = SEGMENTS.iter().find(|places| places.segment == segment.name) else { return };
    medication(work, request, segment, places, components);
    dose(work, request, segment, places);
    let source = work.source;
    if request.takes("substitution.allowedCodeableConcept")
        && let Some(allowed) = source.value(segment, places.substitution).and_then(substitution)
    {
        request.put("substitution.allowedCodeableConcept", allowed);
    }
    if request.takes("dispenseRequest.quantity") {
        let [amount, units] = places.dispensed.map(|field| source.value(segment, field));
        if let Some(quantity) = quantity::quantity(work, amount, units) {
            request.put("dispenseRequest.quantity", quantity);
        }
    }
    work.fill(request, segment, places.rows);
    if segment.name == "RXE"
        && let Some(most) = source.value(segment, 19)
        && let Some(numerator) = work.convert(request, most, &quantity::CQ)
    {
        let day = json!({ "value": 1, "unit": "d", "system": "http://unitsofmeasure.org", "code": "d" });
        let ratio = json!({ "numerator": numerator, "denominator": day });
        request.put("dosageInstruction.maxDosePerPeriod", ratio);
    }
}

/// What is to be given: its code, or a Medication where form, strength or components are told.
fn medication(
    work: &mut Work<'_>,
    request: &mut Draft,
    segment: &Segment<'_>,
    places: &Places,
    components: &[&Segment<'_>],
) {
    let source = work.source;
    let is_known = ["medicationCodeableConcept", "medicationReference"];
    if is_known.iter().any(|element| !request.element(element).is_null()) {
        return;
    }
    let Some(code) = source.value(segment, places.code) else { return };
    let Some(code) = work.convert(request, code, &CWE) else { return };
    let form = source.value(segment, places.form).and_then(|value| work.convert(request, value, &CWE));
    let [amount, units] = places.strength;
    let strength = quantity::quantity(work, source.value(segment, amount), source.value(segment, units));
    if form.is_none() && strength.is_none() && components.is_empty() {
        request.put("medicationCodeableConcept", code);
        return;
    }
    let mut medication = json!({ "resourceType": "Medication", "code": code });
    if let Some(form) = form {
        medication["form"] = form;
    }
    let one = json!({ "value": 1 });
    let mut ingredients: Vec<Json> = Vec::new();
    if let Some(strength) = strength {
        let strength = json!({ "numerator": strength, "denominator": one });
        ingredients.push(json!({ "itemCodeableConcept": code, "strength": strength }));
    }
    ingredients.extend(components.iter().filter_map(|component| ingredient(work, request, component, &one)));
    if !ingredients.is_empty() {
        medication["ingredient"] = json!(ingredients);
    }
    let reference = request.contain(medication);
    request.put("medicationReference", reference);
}

/// Whether a component acts: an additive does, a base does not (table 0166).
const ACTIVE: &[(&str, bool)] = &[("A", true), ("B", false)];

/// RXC: a component of what is mixed; a base is not what acts.
fn ingredient(work: &mut Work<'_>, request: &mut Draft, segment: &Segment<'_>, one: &Json) -> Option<Json> {
    let source = work.source;
    let code = work.convert(request, source.value(segment, 2)?, &CWE)?;
    let mut ingredient = json!({ "itemCodeableConcept": code });
    let kind = source.value(segment, 1);
    let is_active = kind.and_then(Value::peek).and_then(|code| ACTIVE.iter().find(|(kind, _)| code == *kind));
    if let Some((_, is_active)) = is_active {
        kind.into_iter().for_each(Value::note_all);
        ingredient["isActive"] = json!(is_active);
    }
    if let Some(amount) = quantity::quantity(work, source.value(segment, 3), source.value(segment, 4)) {
        ingredient["strength"] = json!({ "numerator": amount, "denominator": one });
    }
    Some(ingredient)
}

/// How much is given at once: a quantity, or from one to another.
fn dose(work: &mut Work<'_>, request: &mut Draft, segment: &Segment<'_>, places: &Places) {
    let source = work.source;
    if !request.element("dosageInstruction")[0]["doseAndRate"].is_null() {
        return;
    }
    let units = source.value(segment, places.units);
    let [least, most] = places.amount.map(|field| source.value(segment, field));
    let (low, high) = (quantity::quantity(work, least, units), quantity::quantity(work, most, units));
    let (element, value) = match (low, high) {
        (Some(low), Some(high)) => ("doseRange", json!({ "low": low, "high": high })),
        (Some(one), None) | (None, Some(one)) => ("doseQuantity", one),
        (None, None) => return,
    };
    request.put(&format!("dosageInstruction.doseAndRate.{element}"), value);
    let ordered = codes::concept("http://terminology.hl7.org/CodeSystem/dose-rate-type", "ordered");
    request.put("dosageInstruction.doseAndRate.type", ordered);
}

/// Whether another product may be given (tables 0161 and 0167).
fn substitution(value: Value<'_>) -> Option<Json> {
    const SYSTEM: &str = "v3-substanceAdminSubstitution";
    let code = match value.text()?.trim() {
        "N" | "0" => "N",
        "G" => "G",
        "T" => "TE",
        "Y" => "E",
        other => return Some(codes::concept("v2-0167", other)),
    };
    Some(codes::concept(SYSTEM, code))
}

/// A number that may be zero.
fn count(_: &mut Work<'_>, _: &mut Draft, value: Value<'_>) -> Option<Json> {
    let number: u32 = value.peek()?.trim().parse().ok()?;
    value.text()?;
    Some(json!(number))
}

/// An instruction, as a comment.
fn instruction(_: &mut Work<'_>, _: &mut Draft, value: Value<'_>) -> Option<Json> {
    let text = value.text_of(2).or_else(|| value.text_of(9)).or_else(|| value.text_of(1))?;
    Some(json!({ "text": text }))
}
