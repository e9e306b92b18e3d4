//! A transform by a map: a Patient to a Person, compiled once.

use std::time::Instant;

use fhir_model::json;
use profiles::definitions::Definitions;
use profiles::mapping::{Compiled, Map, Options, TransformSource};

use crate::bench::{Bench, BenchError};

const MAP: &str = "map 'http://m' = m\n\
    uses 'http://hl7.org/fhir/StructureDefinition/Patient' alias Patient as source\n\
    uses 'http://hl7.org/fhir/StructureDefinition/Person' alias Person as target\n\
    group main(source src : Patient, target tgt : Person) {\n\
      src.gender as v -> tgt.gender = v 'gender';\n\
      src.birthDate as v -> tgt.birthDate = v 'birth';\n\
      src.name as n -> tgt.name as t then {\n\
        n.family as v -> t.family = v 'family';\n\
        n.given as v -> t.given = v 'given';\n\
      } 'name';\n\
      src.identifier as i -> tgt.identifier as t then {\n\
        i.system as v -> t.system = v 'system';\n\
        i.value as v where (v.length() > 0) -> t.value = v 'value';\n\
      } 'identifier';\n\
    }\n";

const PATIENT: &str = r#"{"resourceType":"Patient","identifier":[{"system":"http://x","value":"RSSMRA80A01D969S"}],"name":[{"family":"Rossi","given":["Maria","Grazia"]}],"gender":"female","birthDate":"1980-01-01"}"#;

pub(super) fn measure(bench: &mut Bench<'_>) -> Result<(), BenchError> {
    let failed = |error: &dyn std::fmt::Display| BenchError::Load(error.to_string());
    let map = Map::parse(MAP).map_err(|error| failed(&error))?;
    let compiled = Compiled::new(&map, &[], &Definitions::new()).map_err(|error| failed(&error))?;
    let patient = json::read(PATIENT).map_err(|error| failed(&error))?;
    let begin = Instant::now();
    let mut done = 0_u32;
    while begin.elapsed() < bench.options.time {
        let made = compiled.transform(TransformSource::Resource(&patient), Options::default());
        std::hint::black_box(made.map_err(|error| failed(&error))?);
        done += 1;
    }
    let rate = f64::from(done) / begin.elapsed().as_secs_f64();
    bench.figure(
        "transform",
        "a Patient to a Person by a map of 10 rules, one thread",
        rate,
        "transforms/s",
        None,
    );
    Ok(())
}
