//! A manifest as ImagingStudy.
//!
//! Spec: <https://hl7.org/fhir/R4/imagingstudy-mappings.html>

use serde_json::{Value, json};

use super::manifest::{Manifest, Series, Study, is_uid};

const MODALITIES: &str = "http://dicom.nema.org/resources/ontology/DCM";

/// The modalities whose images are of a SOP class: what a manifest does not say
/// of its series, their instances do (DICOM PS3.4 B.5).
const MODALITY_OF_CLASS: &[(&str, &str)] = &[
    ("1.2.840.10008.5.1.4.1.1.1.1", "DX"),
    ("1.2.840.10008.5.1.4.1.1.1.2", "MG"),
    ("1.2.840.10008.5.1.4.1.1.1.3", "IO"),
    ("1.2.840.10008.5.1.4.1.1.12.1", "XA"),
    ("1.2.840.10008.5.1.4.1.1.12.2", "RF"),
    ("1.2.840.10008.5.1.4.1.1.128", "PT"),
    ("1.2.840.10008.5.1.4.1.1.13.1.3", "MG"),
    ("1.2.840.10008.5.1.4.1.1.2", "CT"),
    ("1.2.840.10008.5.1.4.1.1.20", "NM"),
    ("1.2.840.10008.5.1.4.1.1.3", "US"),
    ("1.2.840.10008.5.1.4.1.1.4", "MR"),
    ("1.2.840.10008.5.1.4.1.1.481.1", "RTIMAGE"),
    ("1.2.840.10008.5.1.4.1.1.481.2", "RTDOSE"),
    ("1.2.840.10008.5.1.4.1.1.481.3", "RTSTRUCT"),
    ("1.2.840.10008.5.1.4.1.1.481.5", "RTPLAN"),
    ("1.2.840.10008.5.1.4.1.1.6", "US"),
    ("1.2.840.10008.5.1.4.1.1.7", "OT"),
    ("1.2.840.10008.5.1.4.1.1.77.1.1", "ES"),
    ("1.2.840.10008.5.1.4.1.1.77.1.2", "GM"),
    ("1.2.840.10008.5.1.4.1.1.77.1.4", "XC"),
    ("1.2.840.10008.5.1.4.1.1.77.1.5", "OP"),
    ("1.2.840.10008.5.1.4.1.1.77.1.6", "SM"),
    ("1.2.840.10008.5.1.4.1.1.88", "SR"),
    ("1.2.840.10008.5.1.4.1.1.9", "ECG"),
    ("1.2.840.10008.5.1.4.1.1.11", "PR"),
    ("1.2.840.10008.5.1.4.1.1.104", "DOC"),
    ("1.2.840.10008.5.1.4.1.1.1", "CR"),
];

/// Makes the ImagingStudies of a manifest, each with the id that its UID gives;
/// who they are of is not said yet.
pub fn imaging_studies(manifest: &Manifest) -> Vec<Value> {
    let studies = manifest.studies.iter().filter(|study| is_uid(&study.uid));
    studies.map(|study| imaging_study(manifest, study)).collect()
}

/// Returns the id that the ImagingStudy of a study has here.
pub fn id_of(study: &str) -> String {
    let uri = format!("urn:oid:{study}");
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, uri.as_bytes()).to_string()
}

fn imaging_study(manifest: &Manifest, study: &Study) -> Value {
    let mut identifiers =
        vec![json!({ "system": "urn:dicom:uid", "value": format!("urn:oid:{}", study.uid) })];
    if !manifest.accession_number.is_empty() {
        identifiers.push(json!({
            "type": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN" }] },
            "value": manifest.accession_number,
        }));
    }
    let all: Vec<Value> = study.series.iter().filter(|series| is_uid(&series.uid)).map(series_of).collect();
    let mut modalities: Vec<&Value> = all.iter().map(|series| &series["modality"]).collect();
    modalities.dedup();
    let instances: usize = study.series.iter().map(|series| series.instances.len()).sum();
    let mut resource = json!({
        "resourceType": "ImagingStudy",
        "id": id_of(&study.uid),
        "identifier": identifiers,
        "status": "available",
        "modality": modalities,
        "numberOfSeries": all.len(),
        "numberOfInstances": instances,
        "series": all,
    });
    if let Some(begun) = date_of(&manifest.begun.0) {
        resource["started"] = json!(begun);
    }
    if let Some(study) = resource.as_object_mut() {
        study.retain(|_, value| value.as_array().is_none_or(|list| !list.is_empty()));
    }
    resource
}

/// Returns a day as FHIR writes it. What the time of a study is in is not said.
fn date_of(text: &str) -> Option<String> {
    let is_day = text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit());
    is_day.then(|| format!("{}-{}-{}", &text[..4], &text[4..6], &text[6..]))
}

fn series_of(series: &Series) -> Value {
    let of_class = |class: &str| {
        let is_below = |root: &str| {
            class.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        MODALITY_OF_CLASS.iter().find(|(root, _)| is_below(root)).map(|(_, modality)| *modality)
    };
    let told = Some(series.modality.as_str()).filter(|modality| !modality.is_empty());
    let modality =
        told.or_else(|| series.instances.iter().find_map(|(class, _)| of_class(class))).unwrap_or("OT");
    let instance = |(class, uid): &(String, String)| json!({ "uid": uid, "sopClass": { "system": "urn:ietf:rfc:3986", "code": format!("urn:oid:{class}") } });
    let instances = series.instances.iter().filter(|(class, uid)| is_uid(class) && is_uid(uid));
    let mut value = json!({
        "uid": series.uid,
        "modality": { "system": MODALITIES, "code": modality },
        "numberOfInstances": series.instances.len(),
    });
    let instances: Vec<Value> = instances.map(instance).collect();
    if !instances.is_empty() {
        value["instance"] = Value::Array(instances);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_has_the_modality_of_its_images() {
        for (told, class, expected) in [
            ("", "1.2.840.10008.5.1.4.1.1.4", "MR"),
            ("", "1.2.840.10008.5.1.4.1.1.4.1", "MR"),
            ("", "1.2.840.10008.5.1.4.1.1.1", "CR"),
            ("", "1.2.840.10008.5.1.4.1.1.1.1.1", "DX"),
            ("", "1.2.840.10008.5.1.4.1.1.2.1", "CT"),
            ("", "1.2.3", "OT"),
            ("PT", "1.2.840.10008.5.1.4.1.1.2", "PT"),
        ] {
            let series = Series {
                uid: "1.2".into(),
                modality: told.into(),
                location: String::new(),
                instances: vec![(class.into(), "1.3".into())],
            };
            assert_eq!(series_of(&series)["modality"]["code"], expected, "{class}");
        }
        assert_eq!((date_of("20150202").as_deref(), date_of("2015")), (Some("2015-02-02"), None));
    }
}
