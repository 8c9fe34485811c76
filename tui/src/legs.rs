//! A pair of values, one for each side on which requests are seen.

use hosp_feed::Leg;
use serde::Serialize;

/// One value for the server leg (what clients got) and one for the client leg (what the origin did).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Legs<T> {
    /// Of the server leg.
    pub server: T,
    /// Of the client leg.
    pub client: T,
}

impl<T> Legs<T> {
    /// Both legs, in the order in which they are shown.
    pub const BOTH: [Leg; 2] = [Leg::Server, Leg::Client];

    /// The value of one leg.
    pub const fn get(&self, leg: Leg) -> &T {
        match leg {
            Leg::Server => &self.server,
            Leg::Client => &self.client,
        }
    }

    /// The value of one leg, to change it.
    pub const fn get_mut(&mut self, leg: Leg) -> &mut T {
        match leg {
            Leg::Server => &mut self.server,
            Leg::Client => &mut self.client,
        }
    }

    /// Both values, each made from its leg.
    pub fn make(mut value: impl FnMut(Leg) -> T) -> Self {
        Self { server: value(Leg::Server), client: value(Leg::Client) }
    }
}
