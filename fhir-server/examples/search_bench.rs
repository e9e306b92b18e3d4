//! What a search costs inside the process: `cargo run --release --example
//! search_bench [OBSERVATIONS]`. A hundred observations of five codes for each
//! patient; each line is the mean of a few hundred searches.

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use fhir_model::interaction::{Body, Handling, ResourceKey, Scope, SearchRequest};
use fhir_model::json::write::write_unstamped;
use fhir_model::outcome::Issue;
use fhir_model::primitive::id::ResourceId;
use fhir_model::schema::ty;
use fhir_server::index::extract::extract;
use fhir_server::search::registry::Definitions;
use fhir_server::search::{Search, SearchLimits};
use fhir_server::storage::{
    Dictionaries, Operation, PreparedResource, Reads, Store, StoreSettings, StoredBody,
};

const BASE: &str = "http://localhost/fhir";

const SEARCHES: &[&str] = &[
    "patient=p{}&code=http://loinc.org|1-1",
    "patient=p{}&code=http://loinc.org|1-1&date=ge2015",
    "patient=p{}",
    "code=1-1",
    "code=1-1&date=ge2015-03&date=lt2015-04",
    "code=1-1&value-quantity=gt98",
    "code=1-1&_summary=count",
    "date=ge2023-06",
    "patient.name=famiglia{}",
    "subject:Patient.gender=male&code=2-1",
    "_sort=-date",
    "_sort=-_lastUpdated",
    "code=3-1&_sort=date",
    "patient=p{}&_sort=-date",
    "_id=o{}",
    "patient=p{}&code=1-1&_include=Observation:subject",
];

fn main() -> Result<(), Box<dyn Error>> {
    let observations: usize = std::env::args().nth(1).map_or(Ok(20_000), |n| n.parse())?;
    let patients = (observations / 100).max(1);
    let folder = tempfile::tempdir()?;
    let store = Store::open(&StoreSettings::of(folder.path()))?;
    let definitions = Arc::new(Definitions::standard()?);
    let search = Search::new(Arc::clone(&definitions), vec![BASE.to_owned()], SearchLimits::default());
    let mut batch = Vec::new();
    for n in 0..patients + observations {
        let document = if n < patients { patient(n) } else { observation(n - patients, patients) };
        batch.push(prepared(&definitions, document)?);
        if batch.len() == 1000 || n + 1 == patients + observations {
            let batch = std::mem::take(&mut batch);
            store.write_blocking(move |unit| {
                for resource in batch {
                    unit.create(resource, Operation::Create)?;
                }
                Ok(())
            })?;
        }
    }
    println!("{patients} patients, {observations} observations");
    let mut reader = store.reader()?;
    let read = time(400, |n| {
        let id = ResourceId::parse(&format!("o{}", n * 7 % observations));
        let Some(id) = id else { return Ok(()) };
        let found = reader.current(&ResourceKey { resource_type: ty::OBSERVATION, id })?;
        let mut json = Vec::new();
        found.map_or(Ok(()), |found| found.write_json(&mut json)).map_err(Issue::from)
    })?;
    println!("{read:10.1} us  read by id");
    let rounds: usize = std::env::args().nth(3).map_or(Ok(200), |n| n.parse())?;
    let only = std::env::args().nth(2);
    for url in SEARCHES.iter().filter(|u| only.as_ref().is_none_or(|o| *o == **u)) {
        let mut bytes = 0;
        let mean = time(rounds, |n| {
            let url = url.replace("{}", &(n * 13 % patients.min(500)).to_string());
            let parameters = url.split('&').filter_map(|p| p.split_once('='));
            let parameters = parameters.map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
            let scope = Scope::Type(ty::OBSERVATION);
            let request = SearchRequest { scope, parameters, handling: Handling::Strict };
            if let Body::Json(json) = search.search(reader.connection(), &request, BASE)?.body {
                bytes = json.len();
            }
            Ok(())
        })?;
        println!("{mean:10.1} us  {url}  ({bytes} bytes, {:.2} of a read)", read / mean);
    }
    Ok(())
}

fn patient(n: usize) -> String {
    let gender = if n.is_multiple_of(2) { "male" } else { "female" };
    format!(
        r#"{{"resourceType":"Patient","id":"p{n}","gender":"{gender}","birthDate":"19{:02}-01-01",
           "name":[{{"family":"Famiglia{}"}}]}}"#,
        n % 100,
        n % 500
    )
}

fn observation(n: usize, patients: usize) -> String {
    format!(
        r#"{{"resourceType":"Observation","id":"o{n}","status":"final",
           "category":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/observation-category",
           "code":"vital-signs","display":"Vital signs"}}]}}],
           "code":{{"coding":[{{"system":"http://loinc.org","code":"{}-1",
           "display":"Body weight or another measure of common length"}}],"text":"Body weight"}},
           "subject":{{"reference":"Patient/p{}"}},"encounter":{{"reference":"Encounter/e{}"}},
           "effectiveDateTime":"20{:02}-{:02}-{:02}T10:00:00+01:00","issued":"2020-01-01T10:00:00.000+01:00",
           "valueQuantity":{{"value":{}.5,"unit":"kg","system":"http://unitsofmeasure.org","code":"kg"}}}}"#,
        n / patients % 5,
        n % patients,
        n / 10,
        10 + n % 14,
        1 + n % 12,
        1 + n % 28,
        40 + n % 60
    )
}

fn prepared(definitions: &Definitions, document: String) -> Result<PreparedResource, Box<dyn Error>> {
    let tree = fhir_model::json::read(document.into_bytes())?;
    let id = tree.id().and_then(ResourceId::parse).ok_or("no id")?;
    let key = ResourceKey { resource_type: tree.resource_type(), id };
    let rows = extract(definitions, &tree, &[BASE.to_owned()]);
    let mut bytes = Vec::new();
    let hole = write_unstamped(&tree, &mut bytes);
    Ok(PreparedResource::new(key, StoredBody { bytes, hole }, rows, &Dictionaries::default())?)
}

/// The mean microseconds of a run, over `rounds` runs or three seconds.
fn time(rounds: usize, mut run: impl FnMut(usize) -> Result<(), Issue>) -> Result<f64, Issue> {
    run(0)?;
    let begin = Instant::now();
    let mut done = 0;
    while done < rounds && begin.elapsed().as_secs() < 3 {
        run(done)?;
        done += 1;
    }
    Ok(begin.elapsed().as_secs_f64() * 1e6 / done as f64)
}
