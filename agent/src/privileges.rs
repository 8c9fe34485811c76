//! What the agent must be allowed to do, and giving up all of that once it is done.
//!
//! Capabilities belong to threads (`capabilities(7)`): [`reduce`] must run before any other thread is started, since
//! those inherit what is left.

use caps::{CapSet, Capability, CapsHashSet};

/// Needed to load the programs and to attach them; each with what serves as well.
const TO_ATTACH: [(Capability, &[Capability]); 3] = [
    (Capability::CAP_NET_ADMIN, &[]),
    (Capability::CAP_BPF, &[Capability::CAP_SYS_ADMIN]),
    (Capability::CAP_PERFMON, &[Capability::CAP_SYS_ADMIN]),
];

/// Kept for as long as the agent runs: to see which process owns a socket, whosever it is.
const TO_RUN: [Capability; 2] = [Capability::CAP_SYS_PTRACE, Capability::CAP_DAC_READ_SEARCH];

/// What this process lacks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not permitted to observe, for lack of {0}: run with sudo, or have the service manager grant that")]
pub struct Missing(String);

/// Why privileges could not be given up. The agent must not go on then.
#[derive(Debug, thiserror::Error)]
#[error("cannot give up {what}: {reason}")]
pub struct ReduceError {
    what: &'static str,
    reason: String,
}

/// Whether this process may load and attach the programs.
pub fn check() -> Result<(), Missing> {
    let effective = caps::read(None, CapSet::Effective).unwrap_or_default();
    let missing = missing(&effective);
    if missing.is_empty() { Ok(()) } else { Err(Missing(missing.join(", "))) }
}

fn missing(effective: &CapsHashSet) -> Vec<String> {
    TO_ATTACH
        .iter()
        .filter(|(cap, instead)| {
            !effective.contains(cap) && !instead.iter().any(|cap| effective.contains(cap))
        })
        .map(|(cap, _)| cap.to_string())
        .collect()
}

/// Keeps of this thread's capabilities only what running needs, in every set, and makes sure that no program
/// started from here could gain any.
pub fn reduce() -> Result<(), ReduceError> {
    rustix::thread::set_no_new_privs(true)
        .map_err(|error| ReduceError { what: "new privileges", reason: error.to_string() })?;
    let failed = |what| move |error: caps::errors::CapsError| ReduceError { what, reason: error.to_string() };
    let permitted = caps::read(None, CapSet::Permitted).map_err(failed("capabilities"))?;
    let keep: CapsHashSet = TO_RUN.into_iter().filter(|cap| permitted.contains(cap)).collect();
    caps::clear(None, CapSet::Ambient).map_err(failed("ambient capabilities"))?;
    if permitted.contains(&Capability::CAP_SETPCAP) {
        let bounding = caps::read(None, CapSet::Bounding).map_err(failed("bounding capabilities"))?;
        for cap in bounding.difference(&keep) {
            caps::drop(None, CapSet::Bounding, *cap).map_err(failed("bounding capabilities"))?;
        }
    }
    caps::clear(None, CapSet::Inheritable).map_err(failed("inheritable capabilities"))?;
    caps::set(None, CapSet::Effective, &keep).map_err(failed("effective capabilities"))?;
    caps::set(None, CapSet::Permitted, &keep).map_err(failed("permitted capabilities"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn admin_serves_instead_of_the_finer_capabilities() {
        let all = |caps: &[Capability]| missing(&caps.iter().copied().collect());
        assert_eq!(all(&[Capability::CAP_NET_ADMIN, Capability::CAP_SYS_ADMIN]), [] as [&str; 0]);
        assert_eq!(all(&[Capability::CAP_NET_ADMIN, Capability::CAP_BPF]), ["CAP_PERFMON"]);
        assert_eq!(all(&[]), ["CAP_NET_ADMIN", "CAP_BPF", "CAP_PERFMON"]);
    }

    #[test]
    fn what_is_given_up_is_gone_from_every_set_and_from_new_threads() {
        // On a thread of its own, because capabilities do not come back.
        let checks = || {
            let keep: CapsHashSet = TO_RUN.into_iter().collect();
            for set in [CapSet::Effective, CapSet::Permitted, CapSet::Inheritable, CapSet::Ambient] {
                let left = caps::read(None, set).unwrap();
                assert!(left.is_subset(&keep), "{set:?}: {left:?}");
            }
            assert!(rustix::thread::no_new_privs().unwrap());
            assert!(check().is_err());
        };
        let reduced = thread::spawn(move || {
            reduce().unwrap();
            checks();
            reduce().expect("there is nothing left to give up");
            thread::spawn(checks).join()
        });
        reduced.join().unwrap().unwrap();
    }
}
