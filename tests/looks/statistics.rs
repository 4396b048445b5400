//! Whether two samples can come from the same distribution: the test of Kolmogorov and Smirnov.

/// How likely samples of one distribution are to differ at least as much as these two.
pub(crate) fn same_distribution(one: &[f64], other: &[f64]) -> f64 {
    let (n, m) = (one.len() as f64, other.len() as f64);
    let root = (n * m / (n + m)).sqrt();
    let lambda = (root + 0.12 + 0.11 / root) * largest_gap(one, other);
    tail(lambda)
}

/// The largest distance between the two cumulative distributions.
fn largest_gap(one: &[f64], other: &[f64]) -> f64 {
    let sorted = |sample: &[f64]| {
        let mut sample = sample.to_vec();
        sample.sort_by(f64::total_cmp);
        sample
    };
    let (one, other) = (sorted(one), sorted(other));
    let share = |sample: &[f64], limit: f64| {
        sample.partition_point(|value| *value <= limit) as f64 / sample.len() as f64
    };
    let gap = |limit: &f64| (share(&one, *limit) - share(&other, *limit)).abs();
    one.iter().chain(&other).map(gap).fold(0.0, f64::max)
}

/// The tail of Kolmogorov's distribution. Its series does not converge near 0, where the tail is 1.
fn tail(lambda: f64) -> f64 {
    if lambda < 0.2 {
        return 1.0;
    }
    let term = |k: i32| {
        let k = f64::from(k);
        (-2.0 * k * k * lambda * lambda).exp() * if k % 2.0 == 0.0 { -2.0 } else { 2.0 }
    };
    (1..100).map(term).sum::<f64>().clamp(0.0, 1.0)
}

#[test]
fn kolmogorovs_table_is_met() {
    for (lambda, expected) in [(0.5, 0.963_945), (1.0, 0.269_999), (1.358, 0.050_03), (1.949, 0.001_003)] {
        assert!((tail(lambda) - expected).abs() < 1e-4, "{lambda}: {}", tail(lambda));
    }
}

#[test]
fn equal_samples_are_alike_and_shifted_ones_are_not() {
    let sample: Vec<f64> = (0..500).map(f64::from).collect();
    let shifted: Vec<f64> = sample.iter().map(|value| value + 100.0).collect();
    assert!(same_distribution(&sample, &sample) > 0.999);
    assert!(same_distribution(&sample, &shifted) < 1e-6);
    assert!((largest_gap(&sample, &shifted) - 0.2).abs() < 1e-9);
}
