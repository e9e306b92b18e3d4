//! Each event becomes the resources that are expected of it.

use serde_json::Value;

use crate::setting::{as_json, domains, folder, italy, mapped, messages};

#[test]
fn each_message_becomes_what_is_expected() {
    let domains = domains();
    let context = italy(&domains);
    let mut differing = Vec::new();
    for (name, text) in messages() {
        let found = match mapped(&text, &context) {
            Ok(mapped) => as_json(&mapped),
            Err(refused) => {
                serde_json::json!({ "refused": refused.to_string(), "code": refused.fault.code() })
            }
        };
        let path = folder().join("golden").join(format!("{name}.json"));
        if std::env::var("GOLDEN").as_deref() == Ok("write") {
            let text = serde_json::to_string_pretty(&found).expect("JSON");
            std::fs::write(&path, text + "\n").expect("written");
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        let expected: Value = serde_json::from_str(&expected).unwrap_or_default();
        if found != expected {
            differing.push(format!("{name}: {}", serde_json::to_string_pretty(&found).expect("JSON")));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}
