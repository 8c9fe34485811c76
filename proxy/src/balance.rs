//! Which endpoint a try goes to: of two drawn by lot, the one where less time is to be spent, among the lowest tier
//! that is in good health, and another one than the tries before.

/// The endpoints that one request has tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tried(u64);

impl Tried {
    /// Takes note of a try at the endpoint of this number.
    pub fn insert(&mut self, number: u64) {
        self.0 |= Self::bit(number);
    }

    /// Whether that endpoint was tried; wrong now and then, which costs nothing but the preference.
    pub fn contains(self, number: u64) -> bool {
        self.0 & Self::bit(number) != 0
    }

    fn bit(number: u64) -> u64 {
        1 << (number % 64)
    }
}

/// What counts of one endpoint before its cost does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its origin's tier.
    pub tier: usize,
    /// Whether it is fit to be tried.
    pub healthy: bool,
    /// Whether one more may be under way there.
    pub has_room: bool,
    /// Whether the request was there already.
    pub tried: bool,
}

/// Where a try goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// To the endpoint at this position.
    At(usize),
    /// Nowhere: all that would do are full.
    Full,
    /// Nowhere: there is no endpoint.
    Nobody,
}

/// Picks among `standings`, of which only the first 64 count. Where none is in good health, all of the first tier
/// are as good as any: the last endpoint is never given up on. `dice` gives a number below its argument.
pub fn pick(
    standings: impl Iterator<Item = Standing>,
    cost: impl Fn(usize) -> f64,
    mut dice: impl FnMut(u32) -> u32,
) -> Pick {
    // The best kind of endpoint seen so far, and those of that kind: with room, and of those the ones not yet tried.
    let mut best = None;
    let (mut roomy, mut fresh) = (0u64, 0u64);
    for (at, standing) in standings.take(64).enumerate() {
        let kind = (!standing.healthy, standing.tier);
        if best.is_none_or(|best| kind < best) {
            (best, roomy, fresh) = (Some(kind), 0, 0);
        }
        if best == Some(kind) {
            roomy |= u64::from(standing.has_room) << at;
            fresh |= u64::from(standing.has_room && !standing.tried) << at;
        }
    }
    let set = if fresh != 0 { fresh } else { roomy };
    match (best, set.count_ones()) {
        (None, _) => Pick::Nobody,
        (_, 0) => Pick::Full,
        (_, 1) => Pick::At(set.trailing_zeros() as usize),
        (_, many) => {
            let first = dice(many);
            // Another one than the first, each as likely.
            let second = (first + 1 + dice(many - 1)) % many;
            let (first, second) = (nth(set, first), nth(set, second));
            Pick::At(if cost(second) < cost(first) { second } else { first })
        }
    }
}

/// The position of the `n`-th bit that is set.
fn nth(mut set: u64, n: u32) -> usize {
    for _ in 0..n {
        set &= set - 1;
    }
    set.trailing_zeros() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Standing = Standing { tier: 0, healthy: true, has_room: true, tried: false };
    const SICK: Standing = Standing { healthy: false, ..GOOD };
    const FULL: Standing = Standing { has_room: false, ..GOOD };
    const TRIED: Standing = Standing { tried: true, ..GOOD };
    const SPARE: Standing = Standing { tier: 1, ..GOOD };

    /// Where all are drawn by lot as often as can be: every one that can be picked.
    fn picked(standings: &[Standing], costs: &[f64]) -> Vec<usize> {
        let mut all: Vec<usize> = (0..64)
            .filter_map(|lot| {
                let mut lots = [lot % 8, lot / 8].into_iter();
                let dice = |below: u32| lots.next().unwrap() % below;
                match pick(standings.iter().copied(), |at| costs[at], dice) {
                    Pick::At(at) => Some(at),
                    _ => None,
                }
            })
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    #[test]
    fn health_tier_room_and_tries_count_in_this_order() {
        let check = |standings: &[Standing], expect: &[usize]| {
            assert_eq!(picked(standings, &[0.0; 4]), expect, "{standings:?}");
        };
        check(&[GOOD, GOOD, GOOD], &[0, 1, 2]);
        check(&[GOOD, SICK], &[0]);
        check(&[SICK, SICK], &[0, 1]);
        check(&[SICK], &[0]);
        check(&[SPARE, GOOD], &[1]);
        check(&[SICK, SPARE], &[1]);
        check(&[SICK, Standing { healthy: false, ..SPARE }], &[0]);
        check(&[TRIED, GOOD], &[1]);
        check(&[TRIED, TRIED], &[0, 1]);
        check(&[TRIED, SPARE], &[0]);
        check(&[FULL, TRIED], &[1]);
        check(&[FULL, FULL], &[]);
        check(&[FULL, SPARE], &[]);
    }

    #[test]
    fn the_dearest_of_all_is_picked_only_when_it_is_alone() {
        assert_eq!(picked(&[GOOD; 3], &[1.0, 9.0, 2.0]), [0, 2]);
        assert_eq!(picked(&[GOOD; 2], &[5.0, 1.0]), [1]);
        assert_eq!(picked(&[TRIED, GOOD], &[1.0, 100.0]), [1]);
    }

    #[test]
    fn nobody_and_full_are_told_apart() {
        let none = |standings: &[Standing]| pick(standings.iter().copied(), |_| 0.0, |_| 0);
        assert_eq!(none(&[]), Pick::Nobody);
        assert_eq!(none(&[FULL]), Pick::Full);
    }

    #[test]
    fn the_nth_bit_is_found() {
        assert_eq!((0..3).map(|n| nth(0b1011_0000, n)).collect::<Vec<_>>(), [4, 5, 7]);
    }
}
