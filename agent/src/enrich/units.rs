//! The unit or container that a request's socket belongs to, and those that each service runs in.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use foldhash::fast::RandomState;
use hosp_agent_ebpf::Record;
use hosp_feed::ServiceInfo;

use super::scanner::Scanner;
use crate::names::NameId;

/// Most units told of one service.
const MAX_UNITS: usize = 16;

/// Most cgroups without a name that are remembered, so that they are not looked for again and again.
const MAX_NAMELESS: usize = 4096;

/// What is known about a cgroup.
#[derive(Clone, Debug)]
enum Unit {
    /// The last scan found it.
    Found(Arc<str>),
    /// The answer to this question will tell.
    Asked(u64),
    /// Gone before it was found, or not below the mount that this process sees.
    Nameless,
}

/// Units of cgroups. Belongs to the owner.
#[derive(Debug, Default)]
pub(super) struct Units {
    cgroups: HashMap<u64, Unit, RandomState>,
    /// Which services have had sockets in which cgroups.
    used: HashSet<(NameId, u64), RandomState>,
}

impl Units {
    /// Notes that `service` has a socket in the cgroup of `record`, and asks for the cgroup's name if it is new.
    pub(super) fn note(&mut self, record: &Record, service: NameId, scanner: &mut Scanner) {
        let cgroup = record.cgroup;
        if cgroup == 0 || self.used.contains(&(service, cgroup)) {
            return;
        }
        self.used.insert((service, cgroup));
        self.cgroups.entry(cgroup).or_insert_with(|| Unit::Asked(scanner.ask()));
    }

    /// Takes in what a scan found. Cgroups that are gone are forgotten.
    pub(super) fn learn(&mut self, question: u64, found: HashMap<u64, Arc<str>>) {
        let nameless = self.cgroups.values().filter(|unit| matches!(unit, Unit::Nameless)).count();
        self.cgroups.retain(|cgroup, unit| match unit {
            Unit::Asked(asked) if *asked <= question => {
                *unit = Unit::Nameless;
                true
            }
            Unit::Asked(_) => true,
            Unit::Nameless => nameless < MAX_NAMELESS,
            Unit::Found(_) => found.contains_key(cgroup),
        });
        self.cgroups.extend(found.into_iter().map(|(cgroup, name)| (cgroup, Unit::Found(name))));
        let Self { cgroups, used } = self;
        used.retain(|(_, cgroup)| cgroups.contains_key(cgroup));
    }

    /// The unit of a cgroup; empty when it is not known, or not yet.
    pub(super) fn name(&self, cgroup: u64) -> Arc<str> {
        match self.cgroups.get(&cgroup) {
            Some(Unit::Found(name)) => name.clone(),
            Some(Unit::Asked(_) | Unit::Nameless) | None => "".into(),
        }
    }

    /// Every service with the units that it runs in.
    pub(super) fn services(&self, service: impl Fn(NameId) -> String) -> Vec<ServiceInfo> {
        let mut services: BTreeMap<NameId, BTreeSet<Arc<str>>> = BTreeMap::new();
        for &(service, cgroup) in &self.used {
            services.entry(service).or_default().insert(self.name(cgroup));
        }
        let info = services.into_iter().map(|(id, units)| {
            let named = units.into_iter().filter(|unit| !unit.is_empty()).take(MAX_UNITS);
            ServiceInfo { service: service(id), units: named.map(|unit| unit.to_string()).collect() }
        });
        info.filter(|info| !info.units.is_empty()).collect()
    }
}
