//! Picture of the results: what accounts add up to, what blocks of which size carry, and how long a cell takes.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::results::Results;
use crate::samples::{Samples, quantile, sorted};

const SIZE: (u32, u32) = (1500, 460);
const FONT: (&str, u32) = ("sans-serif", 14);
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 90, 181),
    RGBColor(220, 50, 32),
    RGBColor(0, 130, 80),
    RGBColor(150, 90, 200),
    RGBColor(230, 150, 0),
    RGBColor(90, 90, 90),
    RGBColor(0, 170, 190),
];

/// One line of a panel.
struct Line {
    label: String,
    points: Vec<(f64, f64)>,
}

/// A panel: both axes are logarithmic.
struct Panel<'a> {
    title: &'a str,
    x: &'a str,
    y: &'a str,
    lines: Vec<Line>,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws it, as SVG.
pub(crate) fn draw(results: &Results, path: &Path) -> Result<()> {
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    let failed = |error| anyhow!("drawing: {error}");
    area.fill(&WHITE).map_err(|error| failed(format!("{error}")))?;
    let panels = [accounts(&results.samples), blocks(&results.samples), delays(&results.samples)];
    for (panel, place) in panels.iter().zip(area.split_evenly((1, 3))) {
        panel.draw(&place).map_err(|error| failed(format!("{error}")))?;
    }
    area.present().map_err(|error| failed(format!("{error}")))
}

fn accounts(samples: &Samples) -> Panel<'_> {
    let mut lines = Vec::new();
    for (server, limit) in [("prosody", 10.0), ("ejabberd", 3.0)] {
        let points = numbered(samples, &format!("limited.{server}."), 1e3);
        let limits = points.iter().map(|(accounts, _)| (*accounts, accounts * limit)).collect();
        lines.push(Line { label: server.into(), points });
        lines.push(Line { label: format!("{server}: its limit, base64 and all"), points: limits });
    }
    Panel { title: "Goodput by accounts, stock limits", x: "accounts a side", y: "kB/s", lines }
}

fn blocks(samples: &Samples) -> Panel<'_> {
    let mut lines = Vec::new();
    for server in ["prosody", "ejabberd"] {
        let raw = numbered(samples, &format!("{server}.raw.1."), 1e6);
        let ends = [raw.first(), raw.last()].into_iter().flatten().map(|point| point.0);
        // Ours finds its own size.
        let ours = samples.get(&format!("{server}.secure.1")).ok();
        let ours = ends.filter_map(|x| Some((x, ours?.median / 1e6))).collect();
        lines.push(Line { label: format!("{server}: raw stanzas"), points: raw });
        if server == "prosody" {
            let aligned = numbered(samples, "prosody.aligned.1.", 1e6);
            lines.push(Line { label: "prosody: the same, records like ours".into(), points: aligned });
        }
        lines.push(Line { label: format!("{server}: ours, of a size that it finds"), points: ours });
        let slixmpp = numbered(samples, &format!("{server}.slixmpp.1."), 1e6);
        lines.push(Line { label: format!("{server}: slixmpp"), points: slixmpp });
    }
    Panel { title: "Goodput by size of block, no limits", x: "bytes", y: "MB/s", lines }
}

fn delays(samples: &Samples) -> Panel<'_> {
    let names = [
        ("prosody.ping.times", "raw IQ, idle, Prosody"),
        ("prosody.cell.times", "Tor cell, idle, Prosody"),
        ("ejabberd.ping.times", "raw IQ, idle, ejabberd"),
        ("ejabberd.cell.times", "Tor cell, idle, ejabberd"),
        ("loaded.cell.times", "Tor cell during bulk, stock Prosody"),
    ];
    let line = |(name, label): (&str, &str)| {
        let times = sorted(samples.of(name));
        let shares = (1..=99).map(f64::from).filter(|_| !times.is_empty());
        let points = shares.map(|share| (share, quantile(&times, share / 100.0) * 1e3)).collect();
        Line { label: label.into(), points }
    };
    Panel { title: "There and back", x: "percentile", y: "ms", lines: names.map(line).into() }
}

/// What stands under this name and a number, as the number and the median.
fn numbered(samples: &Samples, start: &str, unit: f64) -> Vec<(f64, f64)> {
    let number =
        |(name, spread): (&str, crate::samples::Spread)| Some((name.parse().ok()?, spread.median / unit));
    let mut points: Vec<(f64, f64)> =
        samples.below(start).unwrap_or_default().into_iter().filter_map(number).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points
}

impl Panel<'_> {
    fn draw(&self, area: &Area) -> Result<(), Box<dyn std::error::Error>> {
        let ends = |values: &mut dyn Iterator<Item = f64>| {
            values.fold(None, |ends: Option<(f64, f64)>, value| {
                Some(ends.map_or((value, value), |(low, high)| (low.min(value), high.max(value))))
            })
        };
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let (Some(x), Some(y)) = (ends(&mut points().map(|p| p.0)), ends(&mut points().map(|p| p.1))) else {
            return Ok(());
        };
        // The legend stands above the lines.
        let top = y.1 * 1.5 * (y.1 / y.0).powf(0.1 * self.lines.len() as f64);
        let mut chart = ChartBuilder::on(area)
            .caption(self.title, ("sans-serif", 18))
            .margin(8)
            .x_label_area_size(40)
            .y_label_area_size(56)
            .build_cartesian_2d((x.0 * 0.9..x.1 * 1.1).log_scale(), (y.0 * 0.5..top).log_scale())?;
        chart
            .configure_mesh()
            .x_desc(self.x)
            .y_desc(self.y)
            .x_labels(5)
            .y_labels(7)
            .x_label_formatter(&|value| format!("{value}"))
            .y_label_formatter(&|value| format!("{value}"))
            .label_style(FONT)
            .light_line_style(TRANSPARENT)
            .draw()?;
        for (line, colour) in self.lines.iter().zip(COLOURS) {
            if line.points.is_empty() {
                continue;
            }
            let series = LineSeries::new(line.points.iter().copied(), colour.stroke_width(2))
                .point_size(if line.points.len() > 20 { 0 } else { 3 });
            let swatch = move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2));
            chart.draw_series(series)?.label(line.label.as_str()).legend(swatch);
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.8))
            .label_font(FONT)
            .draw()?;
        Ok(())
    }
}
