//! The figures of hosp-tui's overview, read from a terminal's screen; and the same figures from `/metrics`.

use hosp_feed::Leg;
use xtask::stack::Stack;

use crate::metered::{self, LegCounts};

/// Columns of the key figures.
const COLUMNS: usize = 5;
/// Rows of the status table, and the place of each in [`LegCounts::classes`].
const CLASSES: [(&str, usize); 5] = [("2xx", 2), ("3xx", 3), ("4xx", 4), ("5xx", 5), ("none", 0)];

/// What the overview shows as a sum over its window.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Figures {
    /// Server leg, client leg.
    pub(crate) ended: [u64; 2],
    failed: [u64; 2],
    /// In percent.
    success: [f64; 2],
    attempts_per_request: f64,
    /// In percent.
    without_origin: f64,
    retries: u64,
    /// By leg, in the order of [`CLASSES`].
    statuses: [[u64; CLASSES.len()]; 2],
}

impl Figures {
    /// What a screen of this width shows; `None` while there is something else on it.
    pub(crate) fn read(width: u16, screen: &str) -> Option<Self> {
        let lines: Vec<&str> = screen.lines().collect();
        let names = lines.iter().position(|line| line.contains("requests/s "))?;
        let (values, details) =
            (columns(width, lines.get(names + 1)?), columns(width, lines.get(names + 2)?));
        let percent = |text: &str| text.split('%').next()?.parse().ok();
        let count = |text: &str| text.split(' ').next()?.parse().ok();
        Some(Self {
            ended: [count(&details[0])?, count(&details[3])?],
            failed: [count(&details[1])?, count(&details[2])?],
            success: [percent(&values[1])?, percent(&values[2])?],
            attempts_per_request: values[3].parse().ok()?,
            without_origin: percent(&values[4])?,
            retries: count(&details[4])?,
            statuses: statuses(&lines)?,
        })
    }

    /// What it should show, by the `/metrics` of hosp-agent and hosp-proxy.
    pub(crate) fn metered(stack: &Stack) -> Self {
        let legs = [Leg::Server, Leg::Client].map(|leg| metered::leg(stack, leg));
        let proxy = metered::proxy(stack);
        let hits = proxy.sum("hosp_proxy_cache_requests_total", &[("result", "hit")]);
        let ended = legs.each_ref().map(|leg| leg.ended);
        Self {
            ended,
            failed: legs.each_ref().map(|leg| leg.counted() - leg.succeeded),
            success: legs.each_ref().map(|leg| 100.0 * leg.succeeded as f64 / leg.counted() as f64),
            attempts_per_request: ended[1] as f64 / ended[0] as f64,
            without_origin: 100.0 * hits / proxy.sum("hosp_proxy_requests_total", &[]),
            retries: proxy.sum("hosp_proxy_retries_total", &[]) as u64,
            statuses: legs.each_ref().map(|leg: &LegCounts| CLASSES.map(|(_, place)| leg.classes[place])),
        }
    }

    /// Whether a screen with these figures tells that truth: counts to the last request, shares rounded down to
    /// the digits that it shows, so that none is better than the truth.
    pub(crate) fn tells(&self, truth: &Self) -> bool {
        let down = |shown: f64, truth: f64| (-1e-9..0.01 + 1e-9).contains(&(truth - shown));
        let shares = self.success.iter().zip(truth.success).all(|(shown, truth)| down(*shown, truth));
        shares
            && down(self.without_origin, truth.without_origin)
            && (self.attempts_per_request - truth.attempts_per_request).abs() < 0.000_501
            && (self.ended, self.failed, self.retries) == (truth.ended, truth.failed, truth.retries)
            && self.statuses == truth.statuses
    }
}

/// The parts of a line of the key figures.
fn columns(width: u16, line: &str) -> [String; COLUMNS] {
    let width = usize::from(width) / COLUMNS;
    std::array::from_fn(|n| line.chars().skip(n * width).take(width).collect::<String>().trim().to_owned())
}

/// Counts by leg and class: at 80 columns both legs stand in one line, at 120 one block is below the other.
fn statuses(lines: &[&str]) -> Option<[[u64; CLASSES.len()]; 2]> {
    let mut counts = [[0; CLASSES.len()]; 2];
    for (place, (name, _)) in CLASSES.into_iter().enumerate() {
        let rows = lines.iter().filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let at = fields.iter().position(|field| field.trim_end_matches('!') == name)?;
            let numbers: Vec<u64> = fields[at + 1..].iter().filter_map(|field| field.parse().ok()).collect();
            Some(numbers)
        });
        let numbers: Vec<u64> = rows.flatten().collect();
        let &[server, client] = numbers.as_slice() else { return None };
        (counts[0][place], counts[1][place]) = (server, client);
    }
    Some(counts)
}
