//! `POST [base]`: a Bundle of type batch or transaction.
//!
//! Spec: <https://hl7.org/fhir/R4/http.html#transaction>

use fhir_model::interaction::{BundleRequest, Caller, Performed};
use fhir_model::outcome::{Issue, IssueType, Reason};
use fhir_model::schema::name;

use super::batch;
use super::entry::write_response;
use super::perform::Server;
use super::transaction::Transaction;
use super::url::clip;

/// Performs a Bundle by its type.
///
/// # Errors
/// For a transaction the first entry that fails, and nothing is stored; for a
/// batch only what is wrong with the Bundle itself.
pub(crate) async fn perform(
    server: &Server,
    caller: &Caller,
    request: BundleRequest,
) -> Result<Performed, Issue> {
    let root = request.bundle.root();
    let entries = root.children_named(name::ENTRY).count();
    let entries_max = server.limits().bundle_entries_max;
    if entries > entries_max {
        return Err(Issue::error(IssueType::TooLong).at("Bundle.entry").text(format!(
            "{entries} entries, and this server takes {entries_max} in one Bundle; send several"
        )));
    }
    match root.text_of(name::TYPE) {
        Some("batch") if caller.once.is_some() => Err(Issue::error(IssueType::NotSupported)
            .because(Reason::Unprocessable)
            .text("a key is for what is performed as a whole: a batch is performed entry by entry")),
        Some("batch") => batch::batch(server, caller, &request).await,
        Some("transaction") => {
            let transaction = Transaction::parse(&request.bundle, request.handling)?;
            let transaction = transaction.with_contents(request.contents)?;
            drop(request.bundle);
            let written = server.transact(caller, transaction, false).await?;
            let repeated = written.iter().find_map(|(_, performed)| performed.repeated.clone());
            let answers: Vec<Vec<u8>> = written
                .iter()
                .map(|(method, performed)| {
                    let mut out = Vec::with_capacity(256);
                    write_response(&caller.base, *method, performed, &mut out);
                    out
                })
                .collect();
            let performed = Performed::json(batch::bundle_of("transaction-response", &answers));
            Ok(Performed { repeated, ..performed })
        }
        other => Err(Issue::error(IssueType::Invalid).because(Reason::Unprocessable).at("Bundle.type").text(
            format!(
                "a Bundle posted to the base is a batch or a transaction, this one is `{}`",
                clip(other.unwrap_or(""))
            ),
        )),
    }
}
