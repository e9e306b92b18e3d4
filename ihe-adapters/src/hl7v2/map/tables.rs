//! The tables of HL7 v2 whose codes have others in FHIR.
//!
//! Spec: HL7 v2-to-FHIR, concept maps.

use super::codes::Codes;

const V3_MARITAL: &str = "v3-MaritalStatus";
const V3_NULL: &str = "v3-NullFlavor";
const V3_ROLE: &str = "v3-RoleCode";
const V3_ACT: &str = "v3-ActCode";
const INTERPRETATION: &str = "v3-ObservationInterpretation";

/// Administrative sex.
pub(in crate::hl7v2) const SEX: Codes = Codes {
    table: "0001",
    rows: &[
        ("F", "", "female"),
        ("M", "", "male"),
        ("O", "", "other"),
        ("U", "", "unknown"),
        ("A", "", "other"),
        ("N", "", "other"),
    ],
};

/// What is to be done with material, as the intent of a request.
pub(in crate::hl7v2) const SPECIMEN_ACTION: Codes =
    Codes { table: "0065", rows: &[("G", "", "reflex-order")] };

/// Marital status.
pub(in crate::hl7v2) const MARITAL_STATUS: Codes = Codes {
    table: "0002",
    rows: &[
        ("M", V3_MARITAL, "M"),
        ("S", V3_MARITAL, "S"),
        ("D", V3_MARITAL, "D"),
        ("W", V3_MARITAL, "W"),
        ("C", V3_MARITAL, "C"),
        ("I", V3_MARITAL, "I"),
        ("N", V3_MARITAL, "A"),
        ("A", V3_MARITAL, "L"),
        ("E", V3_MARITAL, "L"),
        ("P", V3_MARITAL, "T"),
        ("G", V3_MARITAL, "T"),
        ("R", V3_MARITAL, "T"),
        ("B", V3_MARITAL, "U"),
        ("U", V3_NULL, "UNK"),
        ("O", V3_NULL, "OTH"),
        ("T", V3_NULL, "NAVU"),
    ],
};

/// Patient class, as the class of an Encounter.
pub(in crate::hl7v2) const PATIENT_CLASS: Codes = Codes {
    table: "0004",
    rows: &[
        ("E", V3_ACT, "EMER"),
        ("I", V3_ACT, "IMP"),
        ("O", V3_ACT, "AMB"),
        ("P", V3_ACT, "PRENC"),
        ("R", "v2-0004", "R"),
        ("B", "v2-0004", "B"),
        ("C", "v2-0004", "C"),
        ("N", "v2-0004", "N"),
        ("U", "v2-0004", "U"),
        ("I", V3_ACT, "ACUTE"),
        ("I", V3_ACT, "NONAC"),
        ("O", V3_ACT, "OBSENC"),
        ("O", V3_ACT, "SS"),
        ("O", V3_ACT, "HH"),
        ("O", V3_ACT, "FLD"),
        ("O", V3_ACT, "VR"),
    ],
};

/// Patient class, as the status of an Encounter of which no event tells one.
pub(in crate::hl7v2) const CLASS_STATUS: Codes = Codes {
    table: "0004",
    rows: &[
        ("E", "", "in-progress"),
        ("I", "", "in-progress"),
        ("O", "", "in-progress"),
        ("P", "", "planned"),
        ("R", "", "in-progress"),
        ("B", "", "in-progress"),
        ("C", "", "in-progress"),
        ("N", "", "in-progress"),
        ("U", "", "unknown"),
    ],
};

/// Status of an order.
pub(in crate::hl7v2) const ORDER_STATUS: Codes = Codes {
    table: "0038",
    rows: &[
        ("CM", "", "completed"),
        ("IP", "", "active"),
        ("HD", "", "on-hold"),
        ("CA", "", "revoked"),
        ("ER", "", "entered-in-error"),
        ("DC", "", "revoked"),
        ("RP", "", "revoked"),
        ("SC", "", "active"),
    ],
};

/// Relationship of somebody to a patient.
pub(in crate::hl7v2) const RELATIONSHIP: Codes = Codes {
    table: "0063",
    rows: &[
        ("SEL", V3_ROLE, "ONESELF"),
        ("SPO", V3_ROLE, "SPS"),
        ("DOM", V3_ROLE, "SIGOTHR"),
        ("CHD", V3_ROLE, "CHILD"),
        ("GCH", V3_ROLE, "GRNDCHILD"),
        ("NCH", V3_ROLE, "NCHILD"),
        ("SCH", V3_ROLE, "STPCHLD"),
        ("FCH", V3_ROLE, "CHLDFOST"),
        ("PAR", V3_ROLE, "PRN"),
        ("MTH", V3_ROLE, "MTH"),
        ("FTH", V3_ROLE, "FTH"),
        ("GRP", V3_ROLE, "GRPRN"),
        ("EXF", V3_ROLE, "EXT"),
        ("SIB", V3_ROLE, "SIB"),
        ("BRO", V3_ROLE, "BRO"),
        ("SIS", V3_ROLE, "SIS"),
        ("FND", V3_ROLE, "FRND"),
        ("EMR", "v2-0131", "E"),
        ("EMC", "v2-0131", "C"),
        ("UNK", "v2-0131", "U"),
        ("OTH", "v2-0131", "O"),
    ],
};

/// Interpretation of an observation: those that are others in FHIR, or none.
pub(in crate::hl7v2) const INTERPRETATIONS: Codes = Codes {
    table: "0078",
    rows: &[
        ("<", INTERPRETATION, "<"),
        (">", INTERPRETATION, ">"),
        ("A", INTERPRETATION, "A"),
        ("AA", INTERPRETATION, "AA"),
        ("B", INTERPRETATION, "B"),
        ("CAR", INTERPRETATION, "CAR"),
        ("D", INTERPRETATION, "D"),
        ("DET", INTERPRETATION, "DET"),
        ("E", INTERPRETATION, "E"),
        ("EX", INTERPRETATION, "EX"),
        ("EXP", INTERPRETATION, "EXP"),
        ("H", INTERPRETATION, "H"),
        ("HH", INTERPRETATION, "HH"),
        ("HU", INTERPRETATION, "HU"),
        ("I", INTERPRETATION, "I"),
        ("IE", INTERPRETATION, "IE"),
        ("IND", INTERPRETATION, "IND"),
        ("L", INTERPRETATION, "L"),
        ("LL", INTERPRETATION, "LL"),
        ("LU", INTERPRETATION, "LU"),
        ("MS", INTERPRETATION, "MS"),
        ("N", INTERPRETATION, "N"),
        ("NCL", INTERPRETATION, "NCL"),
        ("ND", INTERPRETATION, "ND"),
        ("NEG", INTERPRETATION, "NEG"),
        ("NR", INTERPRETATION, "NR"),
        ("NS", INTERPRETATION, "NS"),
        ("POS", INTERPRETATION, "POS"),
        ("R", INTERPRETATION, "R"),
        ("RR", INTERPRETATION, "RR"),
        ("S", INTERPRETATION, "S"),
        ("SDD", INTERPRETATION, "SDD"),
        ("SYN-R", INTERPRETATION, "SYN-R"),
        ("SYN-S", INTERPRETATION, "SYN-S"),
        ("U", INTERPRETATION, "U"),
        ("UNE", INTERPRETATION, "UNE"),
        ("VS", INTERPRETATION, "VS"),
        ("W", INTERPRETATION, "W"),
        ("WR", INTERPRETATION, "WR"),
    ],
};

/// Status of an observation.
pub(in crate::hl7v2) const OBSERVATION_STATUS: Codes = Codes {
    table: "0085",
    rows: &[
        ("F", "", "final"),
        ("P", "", "preliminary"),
        ("C", "", "corrected"),
        ("A", "", "amended"),
        ("D", "", "entered-in-error"),
        ("X", "", "cancelled"),
        ("I", "", "registered"),
        ("O", "", "registered"),
        ("N", "", "final"),
        ("R", "", "preliminary"),
        ("S", "", "preliminary"),
        ("B", "", "amended"),
        ("U", "", "final"),
        ("V", "", "final"),
        ("W", "", "entered-in-error"),
        // Of what nobody knows how final it is, no more is said than that.
        ("P", "", "partial"),
        ("P", "", "unknown"),
    ],
};

/// Order control, as the status of a request.
pub(in crate::hl7v2) const ORDER_CONTROL: Codes = Codes {
    table: "0119",
    rows: &[
        ("NW", "", "active"),
        ("FU", "", "completed"),
        ("HR", "", "on-hold"),
        ("CR", "", "revoked"),
        ("AF", "", "active"),
        ("CA", "", "active"),
        ("HD", "", "active"),
        ("OK", "", "active"),
        ("PR", "", "active"),
        ("PY", "", "active"),
        ("RL", "", "active"),
        ("RO", "", "active"),
        ("RQ", "", "active"),
        ("OH", "", "on-hold"),
        ("DC", "", "revoked"),
        ("DF", "", "revoked"),
        ("DR", "", "revoked"),
        ("OC", "", "revoked"),
        ("OD", "", "revoked"),
    ],
};

/// Status of a report.
pub(in crate::hl7v2) const RESULT_STATUS: Codes = Codes {
    table: "0123",
    rows: &[
        ("F", "", "final"),
        ("P", "", "preliminary"),
        ("C", "", "corrected"),
        ("R", "", "partial"),
        ("X", "", "cancelled"),
        ("I", "", "registered"),
        ("A", "", "partial"),
        ("M", "", "preliminary"),
        ("N", "", "registered"),
        ("O", "", "registered"),
        ("S", "", "registered"),
        ("C", "", "amended"),
        ("C", "", "appended"),
        ("X", "", "entered-in-error"),
    ],
};

/// Type of an allergy, as its category.
pub(in crate::hl7v2) const ALLERGY_CATEGORY: Codes = Codes {
    table: "0127",
    rows: &[
        ("DA", "", "medication"),
        ("FA", "", "food"),
        ("EA", "", "environment"),
        ("AA", "", "biologic"),
        ("PA", "", "environment"),
        ("LA", "", "environment"),
    ],
};

/// Severity of an allergy, as its criticality.
pub(in crate::hl7v2) const CRITICALITY: Codes =
    Codes { table: "0128", rows: &[("SV", "", "high"), ("MI", "", "low")] };

/// Type of an address, as its use.
pub(in crate::hl7v2) const ADDRESS_USE: Codes = Codes {
    table: "0190",
    rows: &[
        ("H", "", "home"),
        ("B", "", "work"),
        ("C", "", "temp"),
        ("BA", "", "old"),
        ("BI", "", "billing"),
        ("O", "", "work"),
    ],
};

/// Type of an address, as its type.
pub(in crate::hl7v2) const ADDRESS_TYPE: Codes =
    Codes { table: "0190", rows: &[("M", "", "postal"), ("SH", "", "postal")] };

/// Type of a name, as its use.
pub(in crate::hl7v2) const NAME_USE: Codes = Codes {
    table: "0200",
    rows: &[
        ("L", "", "official"),
        ("D", "", "usual"),
        ("M", "", "maiden"),
        ("B", "", "maiden"),
        ("N", "", "nickname"),
        ("TEMP", "", "temp"),
        ("MSK", "", "anonymous"),
        ("BAD", "", "old"),
        ("R", "", "official"),
        ("NAV", "", "temp"),
    ],
};

/// Use of a telecommunication.
pub(in crate::hl7v2) const TELECOM_USE: Codes =
    Codes { table: "0201", rows: &[("PRN", "", "home"), ("WPN", "", "work"), ("PRS", "", "mobile")] };

/// Equipment of a telecommunication, as its system.
pub(in crate::hl7v2) const TELECOM_SYSTEM: Codes = Codes {
    table: "0202",
    rows: &[
        ("PH", "", "phone"),
        ("FX", "", "fax"),
        ("BP", "", "pager"),
        ("Internet", "", "email"),
        ("MD", "", "other"),
        ("CP", "", "phone"),
        ("X.400", "", "email"),
        ("SAT", "", "other"),
        ("TDD", "", "other"),
        ("TTY", "", "other"),
    ],
};

/// Assembly order of a name.
pub(in crate::hl7v2) const ASSEMBLY_ORDER: Codes =
    Codes { table: "0444", rows: &[("G", "", "G"), ("F", "", "F")] };

/// Priority of a request.
pub(in crate::hl7v2) const PRIORITY: Codes =
    Codes { table: "0485", rows: &[("R", "", "routine"), ("S", "", "stat"), ("A", "", "asap")] };

/// Priority of a visit.
pub(in crate::hl7v2) const VISIT_PRIORITY: Codes = Codes {
    table: "0217",
    rows: &[("1", "v3-ActPriority", "EM"), ("2", "v3-ActPriority", "UR"), ("3", "v3-ActPriority", "EL")],
};

/// A table whose codes are the same in FHIR.
pub(in crate::hl7v2) const fn same(table: &'static str) -> Codes {
    Codes { table, rows: &[] }
}
