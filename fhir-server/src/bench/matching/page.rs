//! What came out, as a page with the curve.

use std::fmt::Write;

use super::tally::{Curve, Share, Tally};
use crate::identity::weights::Weights;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 320.0;
/// The least share that is drawn.
const LOW: f64 = 0.8;

/// Returns a page of its own: no script, nothing to be fetched.
pub(super) fn page(tally: &Tally, weights: &Weights) -> String {
    let mut rows = String::new();
    for (what, share) in [
        ("Precision of what is linked, by pairs", tally.precision),
        ("Recall, by pairs", tally.recall),
        ("Precision of the persons that come of it", tally.precision_of_persons),
        ("Recall of the persons that come of it", tally.recall_of_persons),
        ("Left to people, and one person", tally.review),
        ("Records that people look at", tally.reviewed_records),
        ("Neither linked nor left to people", tally.missed),
    ] {
        let Share { of, all } = share;
        let _ = writeln!(rows, "<tr><td>{what}</td><td>{:.5}</td><td>{of} of {all}</td></tr>", share.value());
    }
    let svg = svg(tally, weights);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Matching</title>\n<style>\n\
         body {{ font: 16px sans-serif; max-width: 44rem; margin: 2rem auto; color: #222 }}\n\
         td {{ padding: .2rem .8rem .2rem 0 }} td + td {{ text-align: right }}\n\
         </style></head><body>\n<h1>Who is taken for the same person</h1>\n\
         <p>{} records. Two are linked from {} bits on, and left to people from {} on.</p>\n\
         <table>\n{rows}</table>\n<h2>By the threshold of links</h2>\n{svg}\n</body></html>\n",
        tally.records, weights.link, weights.review
    )
}

fn svg(tally: &Tally, weights: &Weights) -> String {
    let first = tally.curve.first().map_or(0.0, |point| point.link);
    let last = tally.curve.last().map_or(1.0, |point| point.link).max(first + 1.0);
    let across = |link: f64| 50.0 + (link - first) / (last - first) * WIDTH;
    let down = |share: f64| 20.0 + (1.0 - share.max(LOW)) / (1.0 - LOW) * HEIGHT;
    let line = |of: fn(&Curve) -> Share| {
        let point = |point: &Curve| format!("{:.1},{:.1}", across(point.link), down(of(point).value()));
        tally.curve.iter().map(point).collect::<Vec<_>>().join(" ")
    };
    let mut out = format!(
        "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"Precision and recall by threshold\">\n",
        WIDTH + 70.0,
        HEIGHT + 60.0
    );
    for share in [0.8, 0.85, 0.9, 0.95, 1.0] {
        let y = down(share);
        let _ = writeln!(
            out,
            "<line x1=\"50\" x2=\"{:.0}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>\
             <text x=\"5\" y=\"{:.1}\" font-size=\"13\">{share:.2}</text>",
            WIDTH + 50.0,
            y + 4.0
        );
    }
    let x = across(weights.link);
    let bottom = HEIGHT + 20.0;
    let _ = writeln!(
        out,
        "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"20\" y2=\"{bottom:.0}\" stroke=\"#888\" stroke-dasharray=\"4\"/>\
         <text x=\"{x:.1}\" y=\"{:.0}\" font-size=\"13\" text-anchor=\"middle\">{} bits</text>",
        bottom + 20.0,
        weights.link
    );
    for (points, colour, what, y) in [
        (line(|point| point.precision), "#1f6fb4", "precision", bottom + 36.0),
        (line(|point| point.recall), "#c2410c", "recall", bottom + 20.0),
    ] {
        let _ = writeln!(
            out,
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\
             <text x=\"50\" y=\"{y:.0}\" font-size=\"13\" fill=\"{colour}\">{what}</text>"
        );
    }
    out.push_str("</svg>");
    out
}
