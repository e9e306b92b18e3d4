//! Tables of HL7 v2 by which appointments, documents and medications stand.
//!
//! Spec: HL7 v2-to-FHIR, concept maps; HL7 v2.5.1 chapters 4, 9, 10

use super::codes::Codes;

/// How an appointment stands (filler status), as Appointment.status.
pub(in crate::hl7v2) const FILLER_STATUS: Codes = Codes {
    table: "0278",
    rows: &[
        ("Pending", "", "pending"),
        ("PENDING", "", "pending"),
        ("Waitlist", "", "waitlist"),
        ("WAITLIST", "", "waitlist"),
        ("Booked", "", "booked"),
        ("BOOKED", "", "booked"),
        ("Overbook", "", "booked"),
        ("OVERBOOK", "", "booked"),
        ("Started", "", "checked-in"),
        ("STARTED", "", "checked-in"),
        ("Complete", "", "fulfilled"),
        ("COMPLETE", "", "fulfilled"),
        ("Cancelled", "", "cancelled"),
        ("CANCELLED", "", "cancelled"),
        ("Dc", "", "cancelled"),
        ("DC", "", "cancelled"),
        ("Noshow", "", "noshow"),
        ("NOSHOW", "", "noshow"),
        ("Deleted", "", "entered-in-error"),
        ("DELETED", "", "entered-in-error"),
    ],
};

/// The same, as what a participant says.
pub(in crate::hl7v2) const PARTICIPATION_STATUS: Codes = Codes {
    table: "0278",
    rows: &[
        ("Booked", "", "accepted"),
        ("BOOKED", "", "accepted"),
        ("Overbook", "", "accepted"),
        ("Started", "", "accepted"),
        ("Complete", "", "accepted"),
        ("Cancelled", "", "declined"),
        ("CANCELLED", "", "declined"),
        ("Dc", "", "declined"),
        ("Deleted", "", "declined"),
        ("Pending", "", "needs-action"),
        ("PENDING", "", "needs-action"),
        ("Waitlist", "", "tentative"),
    ],
};

/// How far a document is.
pub(in crate::hl7v2) const COMPLETION: Codes = Codes {
    table: "0271",
    rows: &[
        ("LA", "", "final"),
        ("AU", "", "final"),
        ("IP", "", "preliminary"),
        ("DI", "", "preliminary"),
        ("DO", "", "preliminary"),
        ("IN", "", "preliminary"),
        ("PA", "", "preliminary"),
    ],
};

/// How confidential a document is.
pub(in crate::hl7v2) const CONFIDENTIALITY: Codes = Codes {
    table: "0272",
    rows: &[
        ("U", "v3-Confidentiality", "N"),
        ("R", "v3-Confidentiality", "R"),
        ("V", "v3-Confidentiality", "V"),
    ],
};

/// Whether a vaccine was given.
pub(in crate::hl7v2) const IMMUNIZATION_STATUS: Codes = Codes {
    table: "0322",
    rows: &[("CP", "", "completed"), ("PA", "", "completed"), ("RE", "", "not-done"), ("NA", "", "not-done")],
};

/// Whether a medication was given.
pub(in crate::hl7v2) const ADMINISTRATION_STATUS: Codes = Codes {
    table: "0322",
    rows: &[("CP", "", "completed"), ("PA", "", "stopped"), ("RE", "", "not-done"), ("NA", "", "not-done")],
};

/// How an order of a medication stands.
pub(in crate::hl7v2) const MEDICATION_STATUS: Codes = Codes {
    table: "0038",
    rows: &[
        ("IP", "", "active"),
        ("SC", "", "active"),
        ("CM", "", "completed"),
        ("HD", "", "on-hold"),
        ("CA", "", "cancelled"),
        ("DC", "", "stopped"),
        ("RP", "", "stopped"),
        ("ER", "", "entered-in-error"),
    ],
};

/// What is to be done with an order of a medication, as how it stands then.
pub(in crate::hl7v2) const MEDICATION_CONTROL: Codes = Codes {
    table: "0119",
    rows: &[
        ("NW", "", "active"),
        ("OK", "", "active"),
        ("RE", "", "active"),
        ("RF", "", "active"),
        ("AF", "", "active"),
        ("RL", "", "active"),
        ("OE", "", "active"),
        ("XO", "", "active"),
        ("XX", "", "active"),
        ("XR", "", "active"),
        ("RO", "", "active"),
        ("SN", "", "active"),
        ("PR", "", "active"),
        ("PY", "", "active"),
        ("HD", "", "on-hold"),
        ("HR", "", "on-hold"),
        ("OH", "", "on-hold"),
        ("CA", "", "cancelled"),
        ("CR", "", "cancelled"),
        ("OC", "", "cancelled"),
        ("DC", "", "stopped"),
        ("DR", "", "stopped"),
        ("OD", "", "stopped"),
        ("RP", "", "stopped"),
        ("FU", "", "completed"),
    ],
};
