//! Text format of Prometheus, version 0.0.4: families of samples, each with its name, what it means, labels and a value.

use std::fmt::Write as _;

/// What a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It never goes down while the process runs.
    Counter,
    /// It goes up and down.
    Gauge,
}

/// A page of families.
#[derive(Debug, Default)]
pub(super) struct Text(String);

impl Text {
    /// Begins a family. `help` is one line.
    pub(super) fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
        Family { text: self, name }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Nothing can go wrong where the text is memory.
        let _ = writeln!(self.0, "{line}");
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }
}

/// A family whose samples follow.
pub(super) struct Family<'a> {
    text: &'a mut Text,
    name: &'static str,
}

impl Family<'_> {
    /// One sample. The values of labels are words of this program, so that nothing in them has to be escaped.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: f64) -> &mut Self {
        let name = self.name;
        let labels: Vec<_> = labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        match labels.is_empty() {
            true => self.text.line(format_args!("{name} {value}")),
            false => self.text.line(format_args!("{name}{{{}}} {value}", labels.join(","))),
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_has_its_meaning_its_kind_and_a_line_for_each_sample() {
        let mut text = Text::default();
        text.family("a_total", Kind::Counter, "Things.")
            .sample(&[], 3.0)
            .sample(&[("b", "c"), ("d", "e")], 0.5);
        assert_eq!(
            text.into_string(),
            "# HELP a_total Things.\n# TYPE a_total counter\na_total 3\na_total{b=\"c\",d=\"e\"} 0.5\n"
        );
    }
}
