//! What was measured: the rows of the table with what they are to reach, the
//! figures that have no baseline, as text and as JSON.

use std::fmt::Write;

use serde_json::{Value, json};

use super::error::BenchError;

/// What a number is to reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// At least so much.
    AtLeast(f64),
    /// At most so much.
    AtMost(f64),
}

impl Target {
    fn is_met(self, value: f64) -> bool {
        match self {
            Target::AtLeast(least) => value >= least,
            Target::AtMost(most) => value <= most,
        }
    }

    fn text(self) -> String {
        match self {
            Target::AtLeast(value) => format!("at least {}", short(value)),
            Target::AtMost(value) => format!("at most {}", short(value)),
        }
    }

    fn json(self) -> Value {
        match self {
            Target::AtLeast(value) => json!({ "atLeast": value }),
            Target::AtMost(value) => json!({ "atMost": value }),
        }
    }
}

/// A row of the table: what is compared with what.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RowKind {
    /// The name for `--only`.
    pub name: &'static str,
    /// What is measured.
    pub what: &'static str,
    /// What it is compared with; empty when with nothing.
    pub against: &'static str,
    /// The unit of both.
    pub unit: &'static str,
    /// What the ratio, or without a baseline the value itself, is to reach.
    pub target: Target,
}

/// The rows, in the order of the table.
pub const ROWS: [RowKind; 11] = [
    RowKind {
        name: "read",
        what: "read by id",
        against: "the same answers from memory, same HTTP stack",
        unit: "requests/s",
        target: Target::AtLeast(0.7),
    },
    RowKind {
        name: "create",
        what: "create Observation, durable",
        against: "prepared inserts of the bodies, same durability and group",
        unit: "resources/s",
        target: Target::AtLeast(0.4),
    },
    RowKind {
        name: "search",
        what: "search by patient and code, 20 matches",
        against: "read by id",
        unit: "requests/s",
        target: Target::AtLeast(0.35),
    },
    RowKind {
        name: "import",
        what: "import of transaction Bundles",
        against: "serde_json::Value parse of the bytes, one thread",
        unit: "s",
        target: Target::AtMost(4.0),
    },
    RowKind {
        name: "growth",
        what: "p50 of that search, ten times the data",
        against: "p50 with the data",
        unit: "ms",
        target: Target::AtMost(1.3),
    },
    RowKind {
        name: "count",
        what: "_summary=count of a one-code search",
        against: "the count by one SQL statement, same index",
        unit: "counts/s",
        target: Target::AtLeast(0.7),
    },
    RowKind {
        name: "download",
        what: "all matches of that, pages of 1,000",
        against: "the bodies by one SQL statement, as they lie in the database",
        unit: "resources/s",
        target: Target::AtLeast(0.4),
    },
    RowKind {
        name: "validation",
        what: "validation against the base profile",
        against: "parse of the bytes",
        unit: "s",
        target: Target::AtMost(6.0),
    },
    RowKind {
        name: "memory",
        what: "resident memory under load, at most",
        against: "",
        unit: "MiB",
        target: Target::AtMost(200.0),
    },
    RowKind {
        name: "start",
        what: "start to first answered read",
        against: "",
        unit: "ms",
        target: Target::AtMost(200.0),
    },
    RowKind {
        name: "match",
        what: "p50 of Patient/$match, as many Patients as the scale says",
        against: "p50 of read by id",
        unit: "ms",
        target: Target::AtMost(5.0),
    },
];

/// What was measured of a row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measured {
    /// The server's.
    pub ours: f64,
    /// What it is compared with.
    pub baseline: Option<f64>,
    /// Whether this does not tell if the target is met.
    pub undecided: bool,
    /// What there is to say of it.
    pub note: String,
    /// More numbers, by name.
    pub details: Vec<(&'static str, f64)>,
}

/// What came of a row.
#[derive(Debug)]
pub enum Outcome {
    /// It was measured.
    Measured(Measured),
    /// The server does not do this yet.
    NotYet(&'static str),
    /// It could not be measured.
    Failed(BenchError),
}

/// A row as measured.
#[derive(Debug)]
pub struct Row {
    /// Which.
    pub kind: RowKind,
    /// What came of it.
    pub outcome: Outcome,
}

impl Row {
    fn measured(&self) -> Option<&Measured> {
        match &self.outcome {
            Outcome::Measured(measured) => Some(measured),
            Outcome::NotYet(_) | Outcome::Failed(_) => None,
        }
    }

    /// Returns ours in relation to the baseline.
    pub fn ratio(&self) -> Option<f64> {
        let measured = self.measured()?;
        Some(measured.ours / measured.baseline.filter(|baseline| *baseline > 0.0)?)
    }

    /// Tells whether the target is met; `None` when that cannot be told.
    pub fn is_met(&self) -> Option<bool> {
        let measured = self.measured().filter(|m| !m.undecided)?;
        let value = if self.kind.against.is_empty() { measured.ours } else { self.ratio()? };
        Some(self.kind.target.is_met(value))
    }

    fn note(&self) -> String {
        match &self.outcome {
            Outcome::Measured(measured) => measured.note.clone(),
            Outcome::NotYet(why) => format!("not yet: {why}"),
            Outcome::Failed(error) => format!("failed: {error}"),
        }
    }

    fn json(&self) -> Value {
        let measured = self.measured();
        let details: serde_json::Map<String, Value> = measured
            .iter()
            .flat_map(|m| &m.details)
            .map(|(name, v)| ((*name).to_owned(), json!(v)))
            .collect();
        json!({
            "name": self.kind.name,
            "what": self.kind.what,
            "against": self.kind.against,
            "unit": self.kind.unit,
            "state": match self.outcome {
                Outcome::Measured(_) => "measured",
                Outcome::NotYet(_) => "notYet",
                Outcome::Failed(_) => "failed",
            },
            "ours": measured.map(|m| m.ours),
            "baseline": measured.and_then(|m| m.baseline),
            "ratio": self.ratio(),
            "target": self.kind.target.json(),
            "met": self.is_met(),
            "note": self.note(),
            "details": details,
        })
    }
}

/// A figure without a baseline.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// The name in JSON.
    pub name: &'static str,
    /// What it is.
    pub what: String,
    /// Its value.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// What it is to reach, if anything.
    pub target: Option<Target>,
}

impl Figure {
    fn is_met(&self) -> Option<bool> {
        Some(self.target?.is_met(self.value))
    }
}

/// All that was measured, and how.
#[derive(Debug)]
pub struct Report {
    /// Cores of the machine.
    pub cores: usize,
    /// Observations stored for the rows that ask for many.
    pub observations: usize,
    /// Connections of the loads.
    pub connections: usize,
    /// Seconds of each load.
    pub seconds: f64,
    /// The rows that were asked for.
    pub rows: Vec<Row>,
    /// The figures.
    pub figures: Vec<Figure>,
    /// What figures could not be measured, and why.
    pub failures: Vec<(&'static str, BenchError)>,
}

impl Report {
    /// Tells whether something could not be measured.
    pub fn has_failed(&self) -> bool {
        !self.failures.is_empty() || self.rows.iter().any(|row| matches!(row.outcome, Outcome::Failed(_)))
    }

    /// Returns everything as JSON.
    pub fn json(&self) -> Value {
        let figures: Vec<Value> = self
            .figures
            .iter()
            .map(|figure| {
                json!({
                    "name": figure.name,
                    "what": figure.what,
                    "value": figure.value,
                    "unit": figure.unit,
                    "target": figure.target.map(Target::json),
                    "met": figure.is_met(),
                })
            })
            .collect();
        let failures =
            self.failures.iter().map(|(name, error)| json!({ "name": name, "why": error.to_string() }));
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "optimized": !cfg!(debug_assertions),
            "cores": self.cores,
            "observations": self.observations,
            "connections": self.connections,
            "seconds": self.seconds,
            "rows": self.rows.iter().map(Row::json).collect::<Vec<_>>(),
            "figures": figures,
            "failures": failures.collect::<Vec<_>>(),
        })
    }

    /// Returns everything as tables for a terminal.
    pub fn text(&self) -> String {
        let mut out = String::new();
        if cfg!(debug_assertions) {
            out.push_str("This is a development build: its figures say nothing.\n\n");
        }
        let _ = writeln!(
            out,
            "{} cores, {} Observations, {} connections, {} s for each load; medians of three rounds\n",
            self.cores,
            short(self.observations as f64),
            self.connections,
            self.seconds
        );
        let mut rows = vec![["", "ours", "baseline", "ratio", "to reach", "met"].map(str::to_owned)];
        rows.extend(self.rows.iter().map(|row| {
            let with_unit = |value: f64| format!("{} {}", short(value), row.kind.unit);
            let measured = row.measured();
            [
                row.kind.what.to_owned(),
                measured.map_or_else(String::new, |m| with_unit(m.ours)),
                measured.and_then(|m| m.baseline).map_or_else(String::new, with_unit),
                row.ratio().map_or_else(String::new, |ratio| format!("{ratio:.2}")),
                row.kind.target.text(),
                met(row.is_met(), matches!(row.outcome, Outcome::Failed(_))),
            ]
        }));
        out.push_str(&columns(&rows));
        if !self.figures.is_empty() {
            let mut rows = vec![["", "figure", "to reach", "met"].map(str::to_owned)];
            rows.extend(self.figures.iter().map(|figure| {
                [
                    figure.what.clone(),
                    format!("{} {}", short(figure.value), figure.unit),
                    figure.target.map_or_else(String::new, Target::text),
                    figure.is_met().map_or_else(String::new, |is_met| met(Some(is_met), false)),
                ]
            }));
            out.push('\n');
            out.push_str(&columns(&rows));
        }
        out.push('\n');
        for row in &self.rows {
            let against = if row.kind.against.is_empty() {
                "".to_owned()
            } else {
                format!(" against {}", row.kind.against)
            };
            let note = row.note();
            let gap = if note.is_empty() { "" } else { ": " };
            let _ = writeln!(out, "{}{against}{gap}{note}", row.kind.name);
        }
        for (name, error) in &self.failures {
            let _ = writeln!(out, "{name}: failed: {error}");
        }
        out
    }
}

fn met(is_met: Option<bool>, has_failed: bool) -> String {
    match is_met {
        Some(true) => "yes",
        Some(false) => "no",
        None if has_failed => "failed",
        None => "open",
    }
    .to_owned()
}

/// Sets cells in columns: the first to the left, numbers to the right.
fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (at, (width, cell)) in widths.iter().zip(row).enumerate() {
            let _ = match at {
                0 => write!(line, "{cell:<width$}"),
                _ => write!(line, "  {cell:>width$}"),
            };
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// Writes a number with as many digits as are worth reading.
fn short(value: f64) -> String {
    let digits = match value.abs() {
        v if v >= 100.0 || v == v.trunc() => 0,
        v if v >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{value:.digits$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut out = String::new();
    for (at, digit) in whole.chars().enumerate() {
        let left = whole.len() - at;
        if at > 0 && left.is_multiple_of(3) && !out.ends_with('-') {
            out.push(',');
        }
        out.push(digit);
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, outcome: Outcome) -> Row {
        let kind = ROWS.into_iter().find(|kind| kind.name == name).expect("a row");
        Row { kind, outcome }
    }

    fn measured(ours: f64, baseline: Option<f64>) -> Outcome {
        Outcome::Measured(Measured { ours, baseline, details: vec![("p50Ms", 1.5)], ..Measured::default() })
    }

    fn report(rows: Vec<Row>) -> Report {
        let figure = |name, target| Figure { name, what: name.to_owned(), value: 9000.0, unit: "/s", target };
        let figures = vec![figure("reads", Some(Target::AtLeast(8000.0))), figure("creates", None)];
        Report {
            cores: 2,
            observations: 100_000,
            connections: 64,
            seconds: 5.0,
            rows,
            figures,
            failures: vec![],
        }
    }

    #[test]
    fn numbers_are_short() {
        for (value, expected) in [
            (0.0, "0"),
            (0.456, "0.46"),
            (12.34, "12.3"),
            (999.4, "999"),
            (1000.0, "1,000"),
            (1_234_567.8, "1,234,568"),
            (-1234.0, "-1,234"),
            (-123.0, "-123"),
        ] {
            assert_eq!(short(value), expected);
        }
    }

    #[test]
    fn what_is_met() {
        for (name, outcome, expected) in [
            ("read", measured(71.0, Some(100.0)), Some(true)),
            ("read", measured(69.0, Some(100.0)), Some(false)),
            ("read", measured(69.0, Some(0.0)), None),
            ("read", measured(69.0, None), None),
            ("import", measured(4.1, Some(1.0)), Some(false)),
            ("import", measured(3.9, Some(1.0)), Some(true)),
            ("memory", measured(150.0, None), Some(true)),
            ("memory", measured(250.0, None), Some(false)),
            ("validation", Outcome::NotYet("x"), None),
            ("start", Outcome::Failed(BenchError::NotTold("x")), None),
            (
                "import",
                Outcome::Measured(Measured { undecided: true, baseline: Some(1.0), ..Measured::default() }),
                None,
            ),
        ] {
            assert_eq!(row(name, outcome).is_met(), expected, "{name}");
        }
    }

    #[test]
    fn the_table_as_text() {
        let rows = vec![
            row("read", measured(71_000.0, Some(100_000.0))),
            row("validation", Outcome::NotYet("there is no validator")),
            row("start", Outcome::Failed(BenchError::NotTold("that"))),
        ];
        let report = report(rows);
        assert!(report.has_failed());
        let text = report.text();
        for line in [
            "2 cores, 100,000 Observations, 64 connections, 5 s for each load; medians of three rounds",
            "                                                  ours            baseline  ratio       to reach     met",
            "read by id                           71,000 requests/s  100,000 requests/s   0.71  at least 0.70     yes",
            "validation against the base profile                                                    at most 6    open",
            "start to first answered read                                                         at most 200  failed",
            "validation against parse of the bytes: not yet: there is no validator",
            "start: failed: this system does not tell that",
            "reads    9,000 /s  at least 8,000  yes",
            "creates  9,000 /s",
        ] {
            assert!(text.lines().any(|l| l == line), "{line:?} in\n{text}");
        }
    }

    #[test]
    fn the_table_as_json() {
        let rows = vec![row("read", measured(50.0, Some(100.0))), row("validation", Outcome::NotYet("x"))];
        let json = report(rows).json();
        assert_eq!(json["rows"][0]["ratio"], 0.5);
        assert_eq!(json["rows"][0]["met"], false);
        assert_eq!(json["rows"][0]["target"]["atLeast"], 0.7);
        assert_eq!(json["rows"][0]["details"]["p50Ms"], 1.5);
        assert_eq!(json["rows"][1]["state"], "notYet");
        assert_eq!(json["rows"][1]["met"], Value::Null);
        assert_eq!(json["figures"][0]["met"], true);
        assert_eq!(json["figures"][1]["target"], Value::Null);
    }
}
