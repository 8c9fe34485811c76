//! The kernel's own books: per-CPU counters, independent of the ring buffer.

/// Index of a per-CPU counter of [`crate::Leg::Server`]; add [`LEG_STRIDE`] for the client leg.
///
/// `seen = recorded + lost + open`: every request line counts once as seen, and later once as recorded (ended, and not
/// lost in the ring) or as lost at one stage; what is neither is still open.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// Request lines that passed.
    Seen = 0,
    /// Requests that ended with status 0; this and the next ones whether or not the record found room in the ring.
    EndedNone = 1,
    /// Requests that ended with a status of 100 to 199.
    Ended1xx = 2,
    /// Requests that ended with a status of 200 to 299.
    Ended2xx = 3,
    /// Requests that ended with a status of 300 to 399.
    Ended3xx = 4,
    /// Requests that ended with a status of 400 to 499.
    Ended4xx = 5,
    /// Requests that ended with a status of 500 to 599.
    Ended5xx = 6,
    /// Requests that ended with any other status.
    EndedOther = 7,
    /// Lost: the ring buffer was full.
    LostRing = 8,
    /// Lost: more requests were pending on one connection than it has places for.
    LostPending = 9,
    /// Lost: the connection's thread was lost before the answer ended.
    LostResync = 10,
    /// Times that a connection's thread was lost.
    Resyncs = 11,
    /// Connections that speak HTTP/1.
    ConnHttp1 = 12,
    /// Connections that speak TLS.
    ConnTls = 13,
    /// Connections that speak HTTP/2 in the clear.
    ConnHttp2 = 14,
    /// Connections that speak anything else, or that were upgraded or tunnelled.
    ConnOpaque = 15,
    /// Connections for which the kernel had no memory to spare.
    NoStorage = 16,
}

/// Counters of one leg.
pub const LEG_STRIDE: u32 = 32;
/// Counters in all.
pub const COUNTERS: u32 = 2 * LEG_STRIDE;

impl Counter {
    /// The stages at which a request can be lost, as the `stage` label names them.
    pub const LOST: [(Self, &'static str); 3] =
        [(Self::LostRing, "ring"), (Self::LostPending, "pending"), (Self::LostResync, "resync")];

    /// Counters of requests that ended, by class of status. Those for whose record the ring had no room are among
    /// them, and count as [`Counter::LostRing`], too.
    pub const ENDED: [Self; 7] = [
        Self::EndedNone,
        Self::Ended1xx,
        Self::Ended2xx,
        Self::Ended3xx,
        Self::Ended4xx,
        Self::Ended5xx,
        Self::EndedOther,
    ];

    /// The counter that the end of a request with this status adds to.
    pub const fn ended(status: u16) -> Self {
        match status {
            0 => Self::EndedNone,
            100..200 => Self::Ended1xx,
            200..300 => Self::Ended2xx,
            300..400 => Self::Ended3xx,
            400..500 => Self::Ended4xx,
            500..600 => Self::Ended5xx,
            _ => Self::EndedOther,
        }
    }

    /// Place in the array of counters.
    pub const fn index(self, leg: crate::Leg) -> u32 {
        self as u32
            + match leg {
                crate::Leg::Server => 0,
                crate::Leg::Client => LEG_STRIDE,
            }
    }
}
