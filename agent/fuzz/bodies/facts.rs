//! What the agent reads from the proxy's admin socket: any bytes are facts or an error, and facts travel on in a
//! snapshot as they are.

use hosp_feed::ProxyFacts;

/// Reads the facts that `bytes` are.
pub(crate) fn check(bytes: &[u8]) {
    let Ok(facts) = hosp_agent::proxy::parse(bytes) else { return };
    let json = serde_json::to_vec(&facts).expect("facts have string keys only");
    let again: ProxyFacts = serde_json::from_slice(&json).expect("what was written can be read");
    assert_eq!(facts, again);
}
