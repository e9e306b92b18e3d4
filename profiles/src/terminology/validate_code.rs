//! `$validate-code`, of a code system or a value set.
//!
//! Spec: <https://hl7.org/fhir/R4/valueset-operation-validate-code.html>

use serde_json::{Value, json};

use super::error::TerminologyError;
use super::lookup::shortened;
use super::{CodingRef, Membership, Terminology};

impl Terminology {
    /// Tells, as Parameters in JSON, whether one of the codes given is in the
    /// value set; without one, whether it is in its code system.
    ///
    /// # Errors
    /// When the value set or the code system is not known here.
    pub fn validate_code(
        &self,
        value_set: Option<&str>,
        codings: &[CodingRef<'_>],
    ) -> Result<Value, TerminologyError> {
        if codings.is_empty() {
            let text = "a code is needed: give `code` with `system`, `coding` or `codeableConcept`";
            return Err(TerminologyError::Invalid(text.to_owned()));
        }
        if let Some(canonical) = value_set
            && self.value_set(canonical).is_none()
        {
            return Err(TerminologyError::NotFound(format!("the value set {}", shortened(canonical))));
        }
        let mut why = Vec::new();
        for coding in codings {
            let in_set = value_set.map(|canonical| self.validate(canonical, coding));
            match in_set {
                Some(Membership::NotMember { reason } | Membership::Unknown { reason }) => {
                    why.push(format!("{}: {reason}", called(coding)));
                    continue;
                }
                Some(Membership::Member { .. }) | None => {}
            }
            match self.validate_in_system(coding) {
                Membership::Member { display: Some(valid) } => {
                    let given = shortened(coding.display.unwrap_or_default());
                    let message = format!("'{given}' is not a display of {}", called(coding));
                    return Ok(answer(false, Some(&message), Some(&valid), coding));
                }
                Membership::Member { display: None } => {
                    let display = self.display_of(coding);
                    return Ok(answer(true, None, display.as_deref(), coding));
                }
                // A value set that lists the code knows it, whatever is here of the system.
                Membership::Unknown { .. } if value_set.is_some() => {
                    return Ok(answer(true, None, coding.display, coding));
                }
                Membership::NotMember { reason } | Membership::Unknown { reason } => {
                    why.push(format!("{}: {reason}", called(coding)));
                }
            }
        }
        let first = &codings[0];
        Ok(answer(false, Some(&why.join("; ")), None, first))
    }

    fn display_of(&self, coding: &CodingRef<'_>) -> Option<String> {
        let system = self.code_system(coding.system?)?;
        system.display(system.concept(coding.code)?).map(str::to_owned)
    }
}

fn called(coding: &CodingRef<'_>) -> String {
    format!("{}#{}", shortened(coding.system.unwrap_or_default()), shortened(coding.code))
}

fn answer(result: bool, message: Option<&str>, display: Option<&str>, coding: &CodingRef<'_>) -> Value {
    let mut out = vec![json!({ "name": "result", "valueBoolean": result })];
    if let Some(message) = message {
        out.push(json!({ "name": "message", "valueString": message }));
    }
    if let Some(display) = display {
        out.push(json!({ "name": "display", "valueString": display }));
    }
    out.push(json!({ "name": "code", "valueCode": coding.code }));
    if let Some(system) = coding.system {
        out.push(json!({ "name": "system", "valueUri": system }));
    }
    json!({ "resourceType": "Parameters", "parameter": out })
}
