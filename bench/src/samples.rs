//! Samples: what was measured, by name, and what could not be.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::{Deserialize, Serialize};

/// How the reason ends when nobody asked for a measurement.
pub(crate) const NOT_MEASURED: &str = "was not measured";

/// Everything that a run has measured. Bytes, seconds, bytes a second.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Samples {
    values: BTreeMap<String, Vec<f64>>,
    /// The first fault of each measurement.
    faults: BTreeMap<String, String>,
}

impl Samples {
    pub(crate) fn add(&mut self, name: impl Into<String>, value: f64) {
        self.values.entry(name.into()).or_default().push(value);
    }

    /// Keeps a value, or the reason why there is none. Says so at once: a run takes minutes.
    pub(crate) fn record(&mut self, name: impl Into<String>, value: Result<f64>) {
        let name = name.into();
        match value {
            Ok(value) => {
                crate::say(&format!("  {name}: {}", shown(value)));
                self.add(name, value);
            }
            Err(error) => self.fail(name, &format!("{error:#}")),
        }
    }

    pub(crate) fn fail(&mut self, name: impl Into<String>, reason: &str) {
        let name = name.into();
        crate::say(&format!("  {name}: failed: {reason}"));
        // Processes tell at length; what they said last is the reason.
        let line = reason.lines().next().unwrap_or_default().to_owned();
        self.faults.entry(name).or_insert(line);
    }

    pub(crate) fn merge(&mut self, other: Self) {
        for (name, values) in other.values {
            self.values.entry(name).or_default().extend(values);
        }
        self.faults.extend(other.faults);
    }

    pub(crate) fn of(&self, name: &str) -> &[f64] {
        self.values.get(name).map_or(&[], Vec::as_slice)
    }

    /// What was measured under this name.
    ///
    /// # Errors
    ///
    /// Why it was not, in one round or in all.
    pub(crate) fn get(&self, name: &str) -> Result<Spread, String> {
        match self.faults.get(name) {
            Some(fault) => Err(fault.clone()),
            None => Spread::of(self.of(name)).ok_or_else(|| format!("{name} {NOT_MEASURED}")),
        }
    }

    /// Whether somebody has tried to measure this.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name) || self.faults.contains_key(name)
    }

    /// Whether somebody has tried to measure this or a part of it: a name goes on behind a dot.
    pub(crate) fn has_some_of(&self, name: &str) -> bool {
        let start = format!("{name}.");
        self.has(name) || !self.below(&start).is_ok_and(|parts| parts.is_empty())
    }

    /// The names that start so, and what was measured under each.
    ///
    /// # Errors
    ///
    /// Why one of them was not.
    pub(crate) fn below<'a>(&'a self, start: &str) -> Result<Vec<(&'a str, Spread)>, String> {
        let names = self.values.keys().chain(self.faults.keys());
        let named = names.filter_map(|name| Some((name.strip_prefix(start)?, name)));
        named.map(|(rest, name)| Ok((rest, self.get(name)?))).collect()
    }
}

/// Several measurements of the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    fn of(values: &[f64]) -> Option<Self> {
        let sorted = sorted(values);
        let (least, most) = (*sorted.first()?, *sorted.last()?);
        Some(Self { median: quantile(&sorted, 0.5), least, most })
    }
}

pub(crate) fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// The value that this share of them lies below; between two of them, a value in between. They are in order, and there
/// is at least one.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    low + (high - low) * place.fract()
}

/// From 0 to 1, another one for each of many numbers in a row: what is timed by it does not meet what recurs at the same moment each
/// time. Multiples of the golden ratio modulo 1 are spread evenly.
pub(crate) fn spread_evenly(number: usize) -> f64 {
    const GOLDEN_RATIO: f64 = 1.618_033_988_749_895;
    (number as f64 * GOLDEN_RATIO).fract()
}

/// Three significant figures, and no exponent for what people read.
fn shown(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if size >= 1000.0 => format!("{value:.0}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.6}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

    use super::*;

    #[test]
    fn a_quantile_lies_where_it_should_among_few_values() {
        let values = sorted(&[4.0, 1.0, 3.0, 2.0]);
        assert_eq!([0.0, 0.5, 1.0].map(|share| quantile(&values, share)), [1.0, 2.5, 4.0]);
        assert_eq!(quantile(&[7.0], 0.99), 7.0);
    }

    #[test]
    fn a_measurement_that_failed_says_why_also_when_another_round_did_not() {
        let mut samples = Samples::default();
        samples.fail("a", "it rained\nlast lines");
        assert_eq!(samples.get("a"), Err("it rained".into()));
        assert_eq!(samples.get("b"), Err("b was not measured".into()));
        samples.add("a", 2.0);
        assert_eq!(samples.get("a"), Err("it rained".into()));
        samples.add("b", 2.0);
        assert_eq!(samples.get("b").unwrap().median, 2.0);
    }

    #[test]
    fn samples_survive_being_written_and_read() {
        let mut samples = Samples::default();
        samples.add("a.1", 2.5);
        let text = serde_json::to_string(&samples).unwrap();
        let read: Samples = serde_json::from_str(&text).unwrap();
        assert_eq!(read.below("a.").unwrap(), [("1", samples.get("a.1").unwrap())]);
    }
}
