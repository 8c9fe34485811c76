//! Medians and ratios of repeated measurements.

/// The median of `values`; the mean of the two middle ones where their number is even, `None` where there
/// are none.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// The median of the ratios `a / b` of pairs measured one after the other, which cancels the drift of the
/// machine between pairs.
pub fn median_ratio(pairs: &[(f64, f64)]) -> Option<f64> {
    let ratios: Vec<f64> = pairs.iter().filter(|(_, b)| *b > 0.0).map(|(a, b)| a / b).collect();
    median(&ratios)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_ignores_one_wild_round() {
        let cases: [(&[f64], Option<f64>); 4] = [
            (&[], None),
            (&[3.0], Some(3.0)),
            (&[900.0, 1.0, 2.0], Some(2.0)),
            (&[4.0, 1.0, 2.0, 3.0], Some(2.5)),
        ];
        for (values, expect) in cases {
            assert_eq!(median(values), expect, "{values:?}");
        }
    }

    #[test]
    fn drift_between_pairs_cancels() {
        assert_eq!(median_ratio(&[(98.0, 100.0), (49.0, 50.0), (196.0, 200.0)]), Some(0.98));
        assert_eq!(median_ratio(&[(1.0, 0.0)]), None);
    }
}
