//! A strict reader of the Prometheus text format (version 0.0.4), as far as the exporters here write it.

use std::collections::BTreeMap;

/// One sample of an exposition.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Name of the metric, with its `_bucket`, `_sum` or `_count`.
    pub name: String,
    /// Labels by name.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

/// All samples of one exposition.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scrape(Vec<Sample>);

/// A line that is no sample and no comment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the metrics is not in the Prometheus text format: {text}")]
pub struct BadLine {
    /// Number of the line, from 1.
    pub line: usize,
    /// The line itself.
    pub text: String,
}

impl Scrape {
    /// Reads a whole exposition; one bad line refuses all of it.
    pub fn parse(text: &str) -> Result<Self, BadLine> {
        let mut samples = Vec::new();
        for (index, line) in text.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let bad = || BadLine { line: index + 1, text: line.to_owned() };
            samples.push(sample(line).ok_or_else(bad)?);
        }
        Ok(Self(samples))
    }

    /// The samples of `name` whose labels include all of `labels`.
    pub fn select<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&str, &str)],
    ) -> impl Iterator<Item = &'a Sample> {
        self.0.iter().filter(move |sample| {
            sample.name == name
                && labels.iter().all(|(key, value)| sample.labels.get(*key).is_some_and(|v| v == value))
        })
    }

    /// Sum of [`Scrape::select`]; 0 where nothing matches.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.select(name, labels).map(|sample| sample.value).sum()
    }
}

fn sample(line: &str) -> Option<Sample> {
    let name_end = line.find(|c: char| c == '{' || c.is_whitespace())?;
    let (name, rest) = line.split_at(name_end);
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':') {
        return None;
    }
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (BTreeMap::new(), rest),
    };
    let mut fields = rest.split_whitespace();
    let value = fields.next()?.parse().ok()?;
    let timestamp_is_whole = fields.next().is_none_or(|stamp| stamp.parse::<i64>().is_ok());
    (timestamp_is_whole && fields.next().is_none()).then(|| Sample { name: name.to_owned(), labels, value })
}

/// Labels after the opening brace, and what follows the closing one.
fn labels(mut rest: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (key, after) = rest.split_once("=\"")?;
        let (value, after) = quoted(after)?;
        labels.insert(key.trim().to_owned(), value);
        rest = after.trim_start();
        rest = match rest.strip_prefix(',') {
            Some(after) => after,
            None if rest.starts_with('}') => rest,
            None => return None,
        };
    }
}

/// The value up to its closing quote, with `\\`, `\"` and `\n` undone, and what follows the quote.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match chars.next()?.1 {
                'n' => '\n',
                c @ ('"' | '\\') => c,
                _ => return None,
            }),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPOSITION: &str = r#"# HELP hosp_proxy_requests_total Requests.
# TYPE hosp_proxy_requests_total counter
hosp_proxy_requests_total{http_request_method="GET",http_response_status_code="200"} 41
hosp_proxy_requests_total{http_request_method="POST",http_response_status_code="200"} 1

odd{path="a\"b\\c\n,}",} 1e-3 1700000000000
up 1
latency_bucket{le="+Inf"} +Inf
"#;

    #[test]
    fn samples_are_summed_over_the_labels_left_open() {
        let scrape = Scrape::parse(EXPOSITION).unwrap();
        assert_eq!(scrape.sum("hosp_proxy_requests_total", &[]), 42.0);
        assert_eq!(scrape.sum("hosp_proxy_requests_total", &[("http_request_method", "GET")]), 41.0);
        assert_eq!(scrape.sum("hosp_proxy_requests_total", &[("http_request_method", "PUT")]), 0.0);
        assert_eq!(scrape.sum("up", &[]), 1.0);
        assert_eq!(scrape.sum("latency_bucket", &[("le", "+Inf")]), f64::INFINITY);
    }

    #[test]
    fn escapes_in_a_label_are_undone() {
        let scrape = Scrape::parse(EXPOSITION).unwrap();
        let odd = scrape.select("odd", &[]).next().unwrap();
        assert_eq!(odd.labels["path"], "a\"b\\c\n,}");
        assert_eq!(odd.value, 0.001);
    }

    #[test]
    fn one_bad_line_refuses_the_whole_exposition() {
        for bad in [
            "x",
            "x{",
            "x{a=\"b} 1",
            "x{a=\"b\"c=\"d\"} 1",
            "x one",
            "x 1 2 3",
            "x{a=\"\\q\"} 1",
            "a-b 1",
            "x 1 1.5",
        ] {
            let error = Scrape::parse(&format!("up 1\n{bad}\n")).unwrap_err();
            assert_eq!(error, BadLine { line: 2, text: bad.to_owned() });
        }
    }
}
