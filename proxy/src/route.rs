//! Routes: which policy counts for a request, by its method and path.
//!
//! [`pattern`] is what a path looks like, [`policy`] what is done for its requests, [`explain`] tells people which
//! values hold and why. The operator's rules are gone through in their order, first match wins; what a rule leaves
//! open comes from the configuration's general settings.

pub mod explain;
pub mod pattern;
pub mod policy;

use http::Method;

pub use pattern::{Pattern, PatternError};
pub use policy::{HedgePolicy, Priority, RepeatRule, RoutePolicy};

/// What the operator says about the requests of one route. What is absent comes from the general settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// What its paths look like.
    pub pattern: Pattern,
    /// Its methods; none means all.
    pub methods: Vec<Method>,
    /// What differs from the general settings.
    pub given: Overrides,
}

impl Rule {
    /// Whether a request is of this route. A route for GET is one for HEAD as well: HEAD asks for GET's head.
    pub fn matches(&self, method: &Method, path: &str) -> bool {
        let of_method = |own: &Method| own == method || (*own == Method::GET && *method == Method::HEAD);
        (self.methods.is_empty() || self.methods.iter().any(of_method)) && self.pattern.matches(path)
    }
}

/// The values that a rule gives itself; `None` leaves the general setting.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Overrides {
    /// See [`RoutePolicy::tries`].
    pub tries: Option<u32>,
    /// See [`RoutePolicy::deadline`].
    pub deadline: Option<std::time::Duration>,
    /// See [`RoutePolicy::try_timeout`].
    pub try_timeout: Option<std::time::Duration>,
    /// See [`RoutePolicy::hedge`]; `Some(None)` turns hedging off.
    pub hedge: Option<Option<HedgePolicy>>,
    /// See [`RoutePolicy::replay`].
    pub replay: Option<usize>,
    /// See [`RoutePolicy::priority`].
    pub priority: Option<Priority>,
    /// See [`RoutePolicy::repeat`].
    pub repeat: Option<RepeatRule>,
}

impl Overrides {
    fn over(&self, general: &RoutePolicy) -> RoutePolicy {
        RoutePolicy {
            route: general.route,
            tries: self.tries.unwrap_or(general.tries),
            deadline: self.deadline.unwrap_or(general.deadline),
            try_timeout: self.try_timeout.or(general.try_timeout),
            hedge: self.hedge.unwrap_or(general.hedge),
            replay: self.replay.unwrap_or(general.replay),
            priority: self.priority.unwrap_or(general.priority),
            repeat: self.repeat.unwrap_or(general.repeat),
        }
    }
}

/// All rules, with the general settings laid under each.
#[derive(Clone, Debug, PartialEq)]
pub struct Routes {
    general: RoutePolicy,
    rules: Vec<(Rule, RoutePolicy)>,
}

impl Routes {
    /// `rules` in their order over the `general` settings, whose priority is that of requests which nothing else
    /// gives one.
    pub fn new(general: RoutePolicy, rules: Vec<Rule>) -> Self {
        let rules = rules
            .into_iter()
            .zip(1..=u16::MAX)
            .map(|(rule, route)| {
                let policy = RoutePolicy { route, ..rule.given.over(&general) };
                (rule, policy)
            })
            .collect();
        Self { general, rules }
    }

    /// The policy of a request.
    pub fn resolve(&self, method: &Method, path: &str) -> RoutePolicy {
        match self.find(method, path) {
            Some((Rule { given: Overrides { priority: Some(_), .. }, .. }, policy)) => *policy,
            Some((_, policy)) => self.prioritised(*policy, method, path),
            None => self.prioritised(self.general, method, path),
        }
    }

    /// The first rule for a request, with the policy that it makes.
    pub fn find(&self, method: &Method, path: &str) -> Option<&(Rule, RoutePolicy)> {
        self.rules.iter().find(|(rule, _)| rule.matches(method, path))
    }

    /// What counts where no rule says otherwise.
    pub fn general(&self) -> &RoutePolicy {
        &self.general
    }

    /// The rules in their order.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = &Rule> {
        self.rules.iter().map(|(rule, _)| rule)
    }

    fn prioritised(&self, policy: RoutePolicy, method: &Method, path: &str) -> RoutePolicy {
        RoutePolicy { priority: Priority::of(method, path).unwrap_or(self.general.priority), ..policy }
    }
}

#[cfg(test)]
mod tests;
