//! The commonest UCUM units, for comparing quantities without a full table.
//!
//! Knows metric prefixes, products, quotients, powers and parentheses of the
//! units below; special units (degrees, logarithms) and arbitrary units
//! compare with themselves only. A server with a full UCUM table gives it to
//! the context as [`super::Units`].
//!
//! Spec: <https://ucum.org/ucum>

use std::fmt::Write;

use rust_decimal::Decimal;

/// How often each base unit is a factor: m, s, g, rad, K, C, cd, mol.
type Dimension = [i8; 8];

const BASE_NAMES: [&str; 8] = ["m", "s", "g", "rad", "K", "C", "cd", "mol"];
const NONE: Dimension = [0; 8];
const LENGTH: Dimension = [1, 0, 0, 0, 0, 0, 0, 0];
const AREA: Dimension = [2, 0, 0, 0, 0, 0, 0, 0];
const VOLUME: Dimension = [3, 0, 0, 0, 0, 0, 0, 0];
const TIME: Dimension = [0, 1, 0, 0, 0, 0, 0, 0];
const FREQUENCY: Dimension = [0, -1, 0, 0, 0, 0, 0, 0];
const MASS: Dimension = [0, 0, 1, 0, 0, 0, 0, 0];
const FORCE: Dimension = [1, -2, 1, 0, 0, 0, 0, 0];
const PRESSURE: Dimension = [-1, -2, 1, 0, 0, 0, 0, 0];
const ENERGY: Dimension = [2, -2, 1, 0, 0, 0, 0, 0];
const POWER: Dimension = [2, -3, 1, 0, 0, 0, 0, 0];
const AMOUNT: Dimension = [0, 0, 0, 0, 0, 0, 0, 1];

/// A unit: its code, whether prefixes go with it, its factor and dimension.
type Row = (&'static str, bool, &'static str, Dimension);

const UNITS: &[Row] = &[
    ("m", true, "1", LENGTH),
    ("[in_i]", false, "0.0254", LENGTH),
    ("[ft_i]", false, "0.3048", LENGTH),
    ("[yd_i]", false, "0.9144", LENGTH),
    ("[mi_i]", false, "1609.344", LENGTH),
    ("l", true, "0.001", VOLUME),
    ("L", true, "0.001", VOLUME),
    ("ar", true, "100", AREA),
    ("s", true, "1", TIME),
    ("min", false, "60", TIME),
    ("h", false, "3600", TIME),
    ("d", false, "86400", TIME),
    ("wk", false, "604800", TIME),
    ("mo", false, "2629800", TIME),
    ("a", false, "31557600", TIME),
    ("Hz", true, "1", FREQUENCY),
    ("Bq", true, "1", FREQUENCY),
    ("g", true, "1", MASS),
    ("t", true, "1000000", MASS),
    ("[lb_av]", false, "453.59237", MASS),
    ("[oz_av]", false, "28.349523125", MASS),
    ("[gr]", false, "0.06479891", MASS),
    ("N", true, "1000", FORCE),
    ("Pa", true, "1000", PRESSURE),
    ("bar", true, "100000000", PRESSURE),
    ("m[Hg]", true, "133322000", PRESSURE),
    ("m[H2O]", true, "9806650", PRESSURE),
    ("J", true, "1000", ENERGY),
    ("cal", true, "4184", ENERGY),
    ("W", true, "1000", POWER),
    ("mol", true, "1", AMOUNT),
    ("eq", true, "1", AMOUNT),
    ("rad", true, "1", [0, 0, 0, 1, 0, 0, 0, 0]),
    ("K", true, "1", [0, 0, 0, 0, 1, 0, 0, 0]),
    ("C", true, "1", [0, 0, 0, 0, 0, 1, 0, 0]),
    ("A", true, "1", [0, -1, 0, 0, 0, 1, 0, 0]),
    ("V", true, "1000", [2, -2, 1, 0, 0, -1, 0, 0]),
    ("cd", true, "1", [0, 0, 0, 0, 0, 0, 1, 0]),
    ("Gy", true, "1", [2, -2, 0, 0, 0, 0, 0, 0]),
    ("Sv", true, "1", [2, -2, 0, 0, 0, 0, 0, 0]),
    ("kat", true, "1", [0, -1, 0, 0, 0, 0, 0, 1]),
    ("U", true, "0.0000000166666666666666666667", [0, -1, 0, 0, 0, 0, 0, 1]),
    ("%", false, "0.01", NONE),
    ("[ppth]", false, "0.001", NONE),
    ("[ppm]", false, "0.000001", NONE),
];

/// Prefixes as powers of ten; the longer stand first.
const PREFIXES: &[(&str, i32)] = &[
    ("da", 1),
    ("T", 12),
    ("G", 9),
    ("M", 6),
    ("k", 3),
    ("h", 2),
    ("d", -1),
    ("c", -2),
    ("m", -3),
    ("u", -6),
    ("n", -9),
    ("p", -12),
    ("f", -15),
];

/// The greatest length of a unit and the greatest depth of its parentheses.
const LENGTH_MAX: usize = 128;
const DEPTH_MAX: usize = 8;

/// Returns the value in base units and a text for their product; `None` for
/// units that are not known here.
pub(super) fn canonical(value: Decimal, unit: &str) -> Option<(Decimal, String)> {
    if unit.len() > LENGTH_MAX {
        return None;
    }
    let mut parser = Parser { rest: unit, depth: 0 };
    let scaled = parser.term()?;
    if !parser.rest.is_empty() {
        return None;
    }
    let mut text = String::new();
    for (name, power) in BASE_NAMES.iter().zip(scaled.dimension) {
        if power != 0 {
            // Writing to a string does not fail.
            let _ = write!(text, "{name}{power} ");
        }
    }
    Some((value.checked_mul(scaled.factor)?.normalize(), text))
}

#[derive(Clone, Copy)]
struct Scaled {
    factor: Decimal,
    dimension: Dimension,
}

impl Scaled {
    fn times(self, other: Scaled, divide: bool) -> Option<Scaled> {
        let factor = if divide {
            self.factor.checked_div(other.factor)?
        } else {
            self.factor.checked_mul(other.factor)?
        };
        let mut dimension = self.dimension;
        for (to, power) in dimension.iter_mut().zip(other.dimension) {
            *to = if divide { to.checked_sub(power)? } else { to.checked_add(power)? };
        }
        Some(Scaled { factor, dimension })
    }

    fn power(self, exponent: i8) -> Option<Scaled> {
        let mut out = Scaled { factor: Decimal::ONE, dimension: NONE };
        for _ in 0..exponent.unsigned_abs() {
            out = out.times(self, exponent < 0)?;
        }
        Some(out)
    }
}

struct Parser<'u> {
    rest: &'u str,
    depth: usize,
}

impl Parser<'_> {
    fn accept(&mut self, c: char) -> bool {
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// `a.b/c`, from left to right.
    fn term(&mut self) -> Option<Scaled> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return None;
        }
        let mut out = Scaled { factor: Decimal::ONE, dimension: NONE };
        if !self.accept('/') {
            out = self.component()?;
        } else {
            out = out.times(self.component()?, true)?;
        }
        loop {
            let divide = if self.accept('.') {
                false
            } else if self.accept('/') {
                true
            } else {
                self.depth -= 1;
                return Some(out);
            };
            out = out.times(self.component()?, divide)?;
        }
    }

    fn component(&mut self) -> Option<Scaled> {
        if self.accept('(') {
            let inner = self.term()?;
            return self.accept(')').then_some(inner);
        }
        let end = symbol_end(self.rest);
        let (symbol, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        // An annotation counts as 1 and means nothing.
        let symbol = symbol.split_once('{').map_or(symbol, |(before, _)| before);
        if symbol.is_empty() {
            return (end > 0).then_some(Scaled { factor: Decimal::ONE, dimension: NONE });
        }
        if symbol.bytes().all(|b| b.is_ascii_digit()) {
            return Some(Scaled { factor: Decimal::from_str_exact(symbol).ok()?, dimension: NONE });
        }
        let digits = symbol.bytes().rev().take_while(u8::is_ascii_digit).count();
        let (mut atom, exponent) = symbol.split_at_checked(symbol.len() - digits)?;
        let mut exponent: i8 = if exponent.is_empty() { 1 } else { exponent.parse().ok()? };
        if digits > 0
            && let Some(before) = atom.strip_suffix(['-', '+'])
        {
            exponent = if atom.ends_with('-') { -exponent } else { exponent };
            atom = before;
        }
        // `10*6` and `10^6`.
        if atom == "10*" || atom == "10^" {
            return Scaled { factor: Decimal::TEN, dimension: NONE }.power(exponent);
        }
        atom_scale(atom)?.power(exponent)
    }
}

/// Finds where a symbol ends; what stands in brackets or braces belongs to it.
fn symbol_end(text: &str) -> usize {
    let mut depth = 0usize;
    for (at, c) in text.char_indices() {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            '.' | '/' | '(' | ')' if depth == 0 => return at,
            _ => {}
        }
    }
    text.len()
}

fn atom_scale(atom: &str) -> Option<Scaled> {
    let find = |code: &str| UNITS.iter().find(|(name, ..)| *name == code);
    let scaled = |row: &Row, power: i32| {
        let factor = Decimal::from_str_exact(row.2).ok()?;
        let ten = (0..power.unsigned_abs()).try_fold(Decimal::ONE, |f, _| f.checked_mul(Decimal::TEN))?;
        let factor = if power < 0 { factor.checked_div(ten)? } else { factor.checked_mul(ten)? };
        Some(Scaled { factor, dimension: row.3 })
    };
    if let Some(row) = find(atom) {
        return scaled(row, 0);
    }
    PREFIXES.iter().find_map(|(prefix, power)| {
        let row = find(atom.strip_prefix(prefix)?)?;
        if row.1 { scaled(row, *power) } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_amounts() {
        for (a, unit_a, b, unit_b) in [
            ("4", "g", "4000", "mg"),
            ("0.04", "m2", "4", "cm.m"),
            ("2", "g/m", "2", "g.m-1"),
            ("1", "L", "1", "dm3"),
            ("1", "mg/dL", "10", "mg/L"),
            ("7", "d", "1", "wk"),
            ("1", "10*9/L", "1000", "10*6/L"),
            ("1", "mm[Hg]", "133.322", "Pa"),
            ("1", "{score}", "1", "1"),
            ("60", "/min", "1", "Hz"),
            ("100", "%", "1", "1"),
        ] {
            let number = |text| Decimal::from_str_exact(text).unwrap_or_default();
            let (left, right) = (canonical(number(a), unit_a), canonical(number(b), unit_b));
            assert!(left.is_some(), "{unit_a}");
            let ((left, left_unit), (right, right_unit)) =
                (left.unwrap_or_default(), right.unwrap_or_default());
            assert_eq!(left_unit, right_unit, "{unit_a} {unit_b}");
            assert_eq!(left.round_dp(12), right.round_dp(12), "{a} {unit_a} = {b} {unit_b}");
        }
    }

    #[test]
    fn unknown_units() {
        for unit in ["", "[s]", "Cel", "kmin", "((((((((((m))))))))))", "m)", "m.", "m99999"] {
            assert_eq!(canonical(Decimal::ONE, unit), None, "{unit}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(unit in r"[a-zA-Z0-9\[\]{}()./*^+-]{0,24}") {
            let _ = canonical(Decimal::ONE, &unit);
        }
    }
}
