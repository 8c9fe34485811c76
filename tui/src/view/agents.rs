//! The popup of agents: where they are, whether they answer, what they cost.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::{Clear, Paragraph};

use super::format;
use super::look::{Look, Role};
use crate::state::{Agent, Host, Link, State};

pub(super) fn render(frame: &mut Frame<'_>, area: Rect, state: &State, look: &Look) {
    // Two lines for each agent, and the box around them.
    let wanted = u16::try_from(state.agents.len() * 2 + 2).unwrap_or(u16::MAX);
    let area = Rect { height: wanted.clamp(4, area.height), ..area };
    let width = usize::from(area.width.saturating_sub(2));
    let mut lines = Vec::new();
    for (agent, host) in state.agents.iter().zip(&state.data.hosts) {
        let (text, role) = connection(state, agent);
        lines.push(Line::styled(look.fit(&format!(" {}  {text}", agent.address), width), look.style(role)));
        let facts = host.as_ref().map_or_else(|| "nothing heard yet".to_owned(), |host| facts(agent, host));
        lines.push(Line::styled(look.fit(&format!("   {facts}"), width), look.style(Role::Quiet)));
    }
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(lines).block(look.popup("Agents (Esc closes)")), area);
}

fn connection(state: &State, agent: &Agent) -> (String, Role) {
    let ago = |then: std::time::Duration| format::age(state.now.up.saturating_sub(then).as_secs());
    match &agent.link {
        Link::Live { .. } => ("live".to_owned(), Role::Strong),
        Link::Stale { since } => (format!("stale for {}", ago(*since)), Role::Bad),
        Link::Connecting { after: None } => ("connecting".to_owned(), Role::Strong),
        Link::Connecting { after: Some(reason) } => (format!("down: {reason}"), Role::Bad),
        Link::Down { reason, .. } => (format!("down: {reason}"), Role::Bad),
    }
}

fn facts(agent: &Agent, host: &Host) -> String {
    let up = host.unix_ms.saturating_sub(host.agent.started_unix_ms) / 1000;
    format!(
        "{} pid {}, {}, up {}, {} restarts, {} missed, CPU {:.1}s, memory {}",
        host.agent.host,
        host.agent.pid,
        host.agent.version,
        format::age(up),
        agent.restarts,
        agent.missed,
        host.cost.agent_cpu_seconds.clamp(0.0, 1e9),
        format::bytes(host.cost.agent_rss_bytes),
    )
}
