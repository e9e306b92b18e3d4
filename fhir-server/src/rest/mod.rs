//! stub
pub mod outcome {
    use fhir_model::outcome::Issue;
    pub fn status_line(_i: &Issue) -> (u16, &'static str) {
        (400, "Bad Request")
    }
}
