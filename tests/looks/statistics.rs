//! Statistics: whether two samples can come from the same distribution, by the test of Kolmogorov and Smirnov, which sees any
//! difference, and that of Wilcoxon, which sees small ones in pairs whose two halves were taken together.

/// A value of one sample, and the value of the other that was taken beside it.
pub(crate) type Pair = [f64; 2];

/// How unlikely a difference must be to count as one, in each of the two tests.
const ALPHA: f64 = 0.0005;

/// Whether the two samples differ more than by chance.
pub(crate) fn differ(pairs: &[Pair]) -> bool {
    levels(pairs).iter().any(|level| *level < ALPHA)
}

/// How likely samples of one distribution are to differ at least as much as these two, by both tests.
pub(crate) fn levels(pairs: &[Pair]) -> [f64; 2] {
    [kolmogorov_smirnov(pairs), wilcoxon(pairs)]
}

fn kolmogorov_smirnov(pairs: &[Pair]) -> f64 {
    let root = (pairs.len() as f64 / 2.0).sqrt();
    let lambda = (root + 0.12 + 0.11 / root) * largest_gap(pairs);
    kolmogorovs_tail(lambda)
}

/// The largest distance between the two cumulative distributions. Equal values count together, on whichever side.
fn largest_gap(pairs: &[Pair]) -> f64 {
    let sorted = [0, 1].map(|which: usize| {
        let mut sample: Vec<f64> = pairs.iter().map(|pair| pair[which]).collect();
        sample.sort_by(f64::total_cmp);
        sample
    });
    let share = |sample: &[f64], limit: f64| {
        sample.partition_point(|value| *value <= limit) as f64 / sample.len() as f64
    };
    let gap = |limit: &f64| (share(&sorted[0], *limit) - share(&sorted[1], *limit)).abs();
    sorted.iter().flatten().map(gap).fold(0.0, f64::max)
}

/// The tail of Kolmogorov's distribution. Its series does not converge near 0, where the tail is 1.
fn kolmogorovs_tail(lambda: f64) -> f64 {
    if lambda < 0.2 {
        return 1.0;
    }
    let term = |k: i32| {
        let k = f64::from(k);
        (-2.0 * k * k * lambda * lambda).exp() * if k % 2.0 == 0.0 { -2.0 } else { 2.0 }
    };
    (1..100).map(term).sum::<f64>().clamp(0.0, 1.0)
}

/// The signed-rank test, by the normal distribution: for hundreds of pairs. Pairs without a difference say nothing, and
/// equal differences share their ranks.
fn wilcoxon(pairs: &[Pair]) -> f64 {
    let mut differences: Vec<f64> =
        pairs.iter().map(|[one, other]| one - other).filter(|difference| *difference != 0.0).collect();
    differences.sort_by(|one, other| one.abs().total_cmp(&other.abs()));
    let mut rank = 0.5;
    let (mut sum, mut variance) = (0.0, 0.0);
    for tied in differences.chunk_by(|one, other| one.abs() == other.abs()) {
        let count = tied.len() as f64;
        let shared = rank + count / 2.0;
        rank += count;
        sum += tied.iter().map(|difference| difference.signum() * shared).sum::<f64>();
        variance += count * shared * shared;
    }
    if variance == 0.0 { 1.0 } else { normal_tails(sum / variance.sqrt()) }
}

/// How likely a normal variable is to be at least so far from its mean, in standard deviations, on either side. Chebyshev's
/// approximation of the error function, good to seven digits.
fn normal_tails(z: f64) -> f64 {
    const COEFFICIENTS: [f64; 10] = [
        0.170_872_77,
        -0.822_152_23,
        1.488_515_87,
        -1.135_203_98,
        0.278_868_07,
        -0.186_288_06,
        0.096_784_18,
        0.374_091_96,
        1.000_023_68,
        -1.265_512_23,
    ];
    let x = z.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.5 * x);
    let series = COEFFICIENTS.iter().fold(0.0, |sum, coefficient| sum * t + coefficient);
    t * (series - x * x).exp()
}

#[test]
fn kolmogorovs_table_is_met() {
    for (lambda, expected) in [(0.5, 0.963_945), (1.0, 0.269_999), (1.358, 0.050_03), (1.949, 0.001_003)] {
        let tail = kolmogorovs_tail(lambda);
        assert!((tail - expected).abs() < 1e-4, "{lambda}: {tail}");
    }
}

#[test]
fn the_normal_distributions_table_is_met() {
    for (z, expected) in [(0.0, 1.0), (1.0, 0.317_311), (-1.959_964, 0.05), (3.290_527, 0.001)] {
        let tails = normal_tails(z);
        assert!((tails - expected).abs() < 1e-6, "{z}: {tails}");
    }
}

#[test]
fn wilcoxons_own_example_is_met() {
    // Darwin's maize, in eighths of an inch: the sum of the negative ranks is 24, of all 120.
    let differences =
        [49.0, -67.0, 8.0, 16.0, 6.0, 23.0, 28.0, 41.0, 14.0, 29.0, 56.0, 24.0, 75.0, 60.0, -48.0];
    let pairs: Vec<Pair> = differences.iter().map(|difference| [*difference, 0.0]).collect();
    let level = wilcoxon(&pairs);
    assert!((level - 0.040_880).abs() < 1e-4, "{level}");
}

#[test]
fn equal_samples_are_alike_and_shifted_ones_are_not() {
    let pairs = |shift: f64| -> Vec<Pair> {
        (0..500).map(|n| [f64::from(n) + shift, f64::from((n * 7 + 3) % 500)]).collect()
    };
    assert!(!differ(&pairs(0.0)), "{:?}", levels(&pairs(0.0)));
    assert!(differ(&pairs(100.0)));
    assert!((largest_gap(&pairs(100.0)) - 0.2).abs() < 1e-9);
}

#[test]
fn ties_say_nothing() {
    assert!(!differ(&[[1.0, 1.0]; 500]));
    let mut pairs: Vec<Pair> = (0..500).map(|n| if n % 2 == 0 { [1.0, 2.0] } else { [2.0, 1.0] }).collect();
    assert!(!differ(&pairs));
    pairs.extend([[2.0, 1.0]; 200]);
    assert!(differ(&pairs));
}
