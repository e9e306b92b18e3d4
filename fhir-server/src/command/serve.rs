//! `lanterna serve`.

use std::process::ExitCode;
use std::sync::Arc;

use crate::config::{ServeArguments, Settings};
use crate::rest::server::{self, ServerSettings};

/// Serves until it is asked to end.
///
/// # Errors
/// When the data cannot be opened or the address not be listened on.
pub fn serve(
    settings: &Settings,
    arguments: &ServeArguments,
) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let serve = settings.serve(arguments)?;
    let scheme = if serve.tls.is_some() { "https" } else { "http" };
    let mut bases = vec![format!("{scheme}://{}/fhir", serve.listen)];
    bases.push(format!("{scheme}://localhost:{}/fhir", serve.listen.port()));
    bases.extend(settings.base.clone());
    let (store, api) = super::open(settings, bases)?;
    let server_settings = ServerSettings {
        listen: serve.listen,
        public_base: settings.base.clone(),
        tls: serve.tls,
        workers: serve.workers,
        limits: settings.limits.clone(),
        cors_origins: serve.cors_origins,
    };
    let data = settings.data.display().to_string();
    let started = move |addresses: &[std::net::SocketAddr]| {
        for address in addresses {
            eprintln!("lanterna serves FHIR R4 at {scheme}://{address}/fhir, data in {data}");
        }
    };
    let listen = serve.listen;
    actix_web::rt::System::new()
        .block_on(server::serve(Arc::new(api), store, server_settings, started))
        .map_err(|error| {
            if error.kind() == std::io::ErrorKind::AddrInUse {
                format!("{listen} is in use: stop what listens there, or choose another with --listen").into()
            } else {
                Box::<dyn std::error::Error>::from(format!("cannot serve at {listen}: {error}"))
            }
        })?;
    Ok(ExitCode::SUCCESS)
}
