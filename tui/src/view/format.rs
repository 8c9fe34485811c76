//! Numbers as people read them at a glance: few digits, one unit, never better than the truth.

/// A count in at most 5 characters: `9999`, `12.3k`, `123M`.
pub(super) fn count(n: u64) -> String {
    if n < 10_000 { n.to_string() } else { scaled(n as f64) }
}

/// A rate in at most 5 characters: `0.25`, `12.3`, `1234`, `12.3k`.
pub(super) fn rate(r: f64) -> String {
    match r {
        r if r <= 0.0 => "0".to_owned(),
        r if r < 9.995 => format!("{r:.2}"),
        r if r < 99.95 => format!("{r:.1}"),
        r if r < 9999.5 => format!("{r:.0}"),
        r => scaled(r),
    }
}

/// Bytes in at most 5 characters, in powers of 1000.
pub(super) fn bytes(n: u64) -> String {
    if n < 1000 { format!("{n}B") } else { scaled(n as f64) }
}

/// Three digits and a letter; `>999P` beyond.
fn scaled(n: f64) -> String {
    [("k", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12), ("P", 1e15)]
        .into_iter()
        .find(|(_, size)| n / size < 999.5)
        .map_or_else(|| ">999P".to_owned(), |(unit, size)| format!("{}{unit}", three_digits(n / size)))
}

fn three_digits(n: f64) -> String {
    let decimals = if n < 9.995 { 2 } else { usize::from(n < 99.95) };
    format!("{n:.decimals$}")
}

/// A latency in at most 6 characters: `850µs`, `1.23ms`, `12.3s`, `>9999s`.
pub(super) fn latency(micros: u64, ascii: bool) -> String {
    match micros {
        0..1_000 => format!("{micros}{}", if ascii { "us" } else { "µs" }),
        1_000..999_500 => format!("{}ms", three_digits(micros as f64 / 1e3)),
        999_500..9_999_500_000 => format!("{}s", three_digits(micros as f64 / 1e6)),
        _ => ">9999s".to_owned(),
    }
}

/// A share (0 to 1) in at most 7 characters, rounded down: a single failure is never shown as 100 %.
pub(super) fn share(share: f64) -> String {
    let percent = share.clamp(0.0, 1.0) * 100.0;
    // The smallest step keeps 0.29 × 100 from being shown as 28.99.
    let floor = |scale: f64| ((percent + 1e-9) * scale).floor() / scale;
    match share {
        s if s >= 1.0 => "100%".to_owned(),
        s if s >= 0.99 => format!("{:.3}%", floor(1000.0).min(99.999)),
        _ => format!("{:.2}%", floor(100.0)),
    }
}

/// A part of a whole in at most 6 characters: `0.4%`, `<0.1%`; empty when there is no whole.
pub(super) fn part(part: u64, whole: u64) -> String {
    let percent = part as f64 * 100.0 / whole as f64;
    match (part, whole) {
        (_, 0) => String::new(),
        (0, _) => "0%".to_owned(),
        (p, w) if p >= w => "100%".to_owned(),
        _ if percent < 0.1 => "<0.1%".to_owned(),
        _ => format!("{:.1}%", (percent * 10.0).floor() / 10.0),
    }
}

/// A length of time in its two largest units: `12s`, `3m05s`, `15m`, `3h12m`, `4d03h`.
pub(super) fn age(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..=60 => format!("{seconds}s"),
        61..3600 if seconds.is_multiple_of(60) => format!("{minutes}m"),
        61..3600 => format!("{minutes}m{:02}s", seconds % 60),
        3600..86_400 => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{}d{:02}h", days.min(99_999), hours % 24),
    }
}

/// The same to the millisecond: `20:59:06.789`.
pub(super) fn clock_ms(unix_ms: u64) -> String {
    format!("{}.{:03}", clock(unix_ms), unix_ms % 1000)
}

/// A wall-clock time of day in UTC: `20:59:06`.
pub(super) fn clock(unix_ms: u64) -> String {
    let second = unix_ms / 1000 % 86_400;
    format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn figures_read_well() {
        let cases = [
            (count(9999), "9999"),
            (count(10_000), "10.0k"),
            (count(999_499), "999k"),
            (count(999_999), "1.00M"),
            (count(1 << 53), "9.01P"),
            (rate(0.0), "0"),
            (rate(0.251), "0.25"),
            (rate(9.999), "10.0"),
            (rate(99.99), "100"),
            (rate(9999.9), "10.0k"),
            (bytes(999), "999B"),
            (bytes(1234), "1.23k"),
            (latency(0, false), "0µs"),
            (latency(850, true), "850us"),
            (latency(1_234, false), "1.23ms"),
            (latency(99_960, false), "100ms"),
            (latency(999_499, false), "999ms"),
            (latency(999_500, false), "1.00s"),
            (latency(12_345_678, false), "12.3s"),
            (latency(u64::MAX, false), ">9999s"),
            (part(0, 5), "0%"),
            (part(1, 100_000), "<0.1%"),
            (part(4, 1000), "0.4%"),
            (part(999_999, 1_000_000), "99.9%"),
            (part(5, 5), "100%"),
            (part(0, 0), ""),
            (age(5), "5s"),
            (age(60), "60s"),
            (age(185), "3m05s"),
            (age(900), "15m"),
            (age(11_520), "3h12m"),
            (age(356_400), "4d03h"),
            (clock(1_795_467_546_789), "20:59:06"),
            (clock_ms(1_795_467_546_089), "20:59:06.089"),
        ];
        for (got, expect) in cases {
            assert_eq!(got, expect);
        }
    }

    #[test]
    fn a_single_failure_is_never_100_percent() {
        let cases = [
            (1.0, "100%"),
            (0.999_999_999_999, "99.999%"),
            (0.99982, "99.982%"),
            (0.99, "99.000%"),
            (0.948_79, "94.87%"),
            (0.29, "29.00%"),
            (0.0, "0.00%"),
        ];
        for (ratio, expect) in cases {
            assert_eq!(share(ratio), expect);
        }
    }

    proptest! {
        #[test]
        fn no_number_outgrows_its_column(n in any::<u64>(), r in 0.0_f64..1e300, q in -1.0_f64..2.0) {
            prop_assert!(count(n).len() <= 5, "{}", count(n));
            prop_assert!(bytes(n).len() <= 5, "{}", bytes(n));
            prop_assert!(rate(r).len() <= 5, "{}", rate(r));
            prop_assert!(latency(n, true).len() <= 6, "{}", latency(n, true));
            prop_assert!(share(q).len() <= 7, "{}", share(q));
            prop_assert!(age(n).len() <= 9, "{}", age(n));
            prop_assert!(clock(n).len() == 8);
        }
    }
}
