//! How the process is asked to end.

/// Waits until the process is asked to end: SIGTERM from a service manager,
/// SIGINT from a keyboard.
pub async fn asked_to_end() {
    let interrupt = tokio::signal::ctrl_c();
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut terminate) => {
            futures_util::future::select(Box::pin(interrupt), Box::pin(terminate.recv())).await;
        }
        Err(_) => {
            let _ = interrupt.await;
        }
    }
}
