//! How fast is JSON read into the tree and written back, against
//! `serde_json::Value` on the same bytes? The examples of the specification,
//! medians of seven passes: `cargo bench -p fhir-model --bench json`.

use std::hint::black_box;
use std::io::Read;
use std::path::PathBuf;
use std::time::Instant;

fn main() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/testdata/fhir/hl7.fhir.r4.examples-4.0.1.tgz");
    let Ok(file) = std::fs::File::open(&path) else {
        println!("absent, nothing measured: {}", path.display());
        return;
    };
    let mut documents: Vec<Vec<u8>> = Vec::new();
    for entry in tar::Archive::new(flate2::read::GzDecoder::new(file)).entries().expect("package") {
        let mut bytes = Vec::new();
        let mut entry = entry.expect("entry");
        entry.read_to_end(&mut bytes).expect("readable");
        if fhir_model::json::read(bytes.clone()).is_ok() {
            documents.push(bytes);
        }
    }
    let total: usize = documents.iter().map(Vec::len).sum();
    let trees: Vec<_> = documents.iter().filter_map(|d| fhir_model::json::read(d.clone()).ok()).collect();
    let values: Vec<serde_json::Value> =
        documents.iter().filter_map(|d| serde_json::from_slice(d).ok()).collect();
    let report = |what: &str, pass: &dyn Fn()| {
        let mut seconds: Vec<f64> = (0..7)
            .map(|_| {
                let begin = Instant::now();
                pass();
                begin.elapsed().as_secs_f64()
            })
            .collect();
        seconds.sort_by(f64::total_cmp);
        println!("{what:<28} {:>8.1} MB/s", total as f64 / seconds[3] / 1e6);
    };
    println!("{} documents, {:.1} MB", documents.len(), total as f64 / 1e6);
    report("serde_json::Value, read", &|| {
        for d in &documents {
            black_box(serde_json::from_slice::<serde_json::Value>(d).ok());
        }
    });
    report("tree, read", &|| {
        for d in &documents {
            black_box(fhir_model::json::read(d.clone()).ok());
        }
    });
    report("serde_json::Value, write", &|| {
        for v in &values {
            black_box(serde_json::to_vec(v).ok());
        }
    });
    report("tree, write", &|| {
        for t in &trees {
            black_box(fhir_model::json::to_json(t));
        }
    });
}
