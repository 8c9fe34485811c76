//! Whether all parties counted the same. Pure: evidence in, verdicts out.

use hosp_feed::{Books, Leg};
use xtask::counts::Counts;
use xtask::stack::{LOAD, ORIGIN, PROXY};

use super::evidence::Evidence;

/// One fact, and what each party says about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Book {
    /// The fact.
    pub(super) title: &'static str,
    /// Who says what.
    pub(super) entries: Vec<(String, u64)>,
    /// Where they differ in detail although the sums may not.
    pub(super) details: Vec<String>,
}

impl Book {
    /// Whether all say the same.
    pub(super) fn agrees(&self) -> bool {
        self.details.is_empty() && self.entries.windows(2).all(|pair| pair[0].1 == pair[1].1)
    }

    fn new(title: &'static str, entries: &[(&str, u64)]) -> Self {
        let entries = entries.iter().map(|&(who, n)| (who.to_owned(), n)).collect();
        Self { title, entries, details: Vec::new() }
    }

    /// All parties' counts by method and status; each is compared with the first one's.
    fn by_kind(title: &'static str, parties: &[(&str, Counts)]) -> Self {
        let totals: Vec<(&str, u64)> = parties.iter().map(|(who, counts)| (*who, counts.total())).collect();
        let mut book = Self::new(title, &totals);
        if let Some(((first, counts), others)) = parties.split_first() {
            for (other, theirs) in others {
                let differences = counts.differences(theirs).into_iter();
                book.details.extend(differences.map(|(kind, mine, theirs)| {
                    format!("{kind}: {first} says {mine}, {other} says {theirs}")
                }));
            }
        }
        book
    }
}

/// What the agent says that it lost, and where.
fn lost(books: &Books) -> Book {
    let mut book = Book::new("lost by the agent", &[("lost", books.lost_total()), ("allowed", 0)]);
    let stages = books.lost.iter().filter(|(_, n)| **n > 0);
    book.details = stages.map(|(stage, n)| format!("stage {stage}: {n}")).collect();
    book
}

/// Compares everybody's books.
pub(super) fn compare(evidence: &Evidence) -> Vec<Book> {
    let Evidence { load, agent, origin, feed, .. } = evidence;
    let books = &agent.books;
    vec![
        Book::by_kind(
            "requests",
            &[
                ("demo-load sent", load.counts.clone()),
                ("hosp-agent, demo-load's sockets", evidence.seen(Leg::Client, LOAD)),
                ("hosp-agent, server leg", evidence.seen(Leg::Server, PROXY)),
                ("hosp-agent, server leg, /metrics", evidence.metered(Leg::Server)),
                ("hosp-proxy", evidence.proxy_requests.clone()),
            ],
        ),
        Book::by_kind(
            "attempts",
            &[
                ("demo-origin", origin.counts.clone()),
                ("hosp-agent, demo-origin's sockets", evidence.seen(Leg::Server, ORIGIN)),
                ("hosp-agent, client leg", evidence.seen(Leg::Client, PROXY)),
                ("hosp-agent, client leg, /metrics", evidence.metered(Leg::Client)),
            ],
        ),
        Book::new(
            "attempts in all",
            &[("hosp-proxy sent", evidence.attempts_sent()), ("demo-origin received", origin.requests())],
        ),
        Book::new(
            "live feed, server leg",
            &[("sum of its intervals", feed.server.requests), ("demo-load sent", load.sent)],
        ),
        Book::new(
            "live feed, client leg",
            &[("sum of its intervals", feed.client.requests), ("demo-origin received", origin.requests())],
        ),
        Book::new(
            "the agent's own books",
            &[
                ("seen", books.seen),
                ("recorded", books.recorded),
                ("recorded + lost + open", books.recorded + books.lost_total() + books.open),
            ],
        ),
        lost(books),
        Book::new(
            "never sent, for want of a connection",
            &[("demo-load", load.outcome("unsent")), ("allowed", 0)],
        ),
        Book::new("notes written twice", &[("demo-origin", origin.notes_repeated), ("allowed", 0)]),
    ]
}

#[cfg(test)]
mod tests;
