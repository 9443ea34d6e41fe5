//! The events pane: one or more lines per event, with live tail or a scroll position.
//!
//! The search or filter line is drawn at the bottom while it is being typed.

use super::panes;
use crate::app::screens::run::event_text::describe;
use crate::app::screens::run::state::{RunPane, RunScreen};
use crate::app::search::events::{MatchStatus, PromptKind, SearchPrompt};
use crate::model::event::JournalEvent;
use crate::model::money::grouped;
use crate::ui::draw_context::DrawContext;
use crate::ui::text::{cell, cell_right, cut, styled, wrapped};
use crate::ui::theme::StatusGlyph;
use crate::ui::{layout, modal};
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;

/// Draws the framed pane.
pub fn draw(pen: &mut DrawContext<'_>, area: Rect, run: &RunScreen) {
    let focused = run.focus == RunPane::Events;
    let mut title = panes::title(pen, run, RunPane::Events);
    let room = usize::from(area.width / 2);
    for (sign, typed) in [("&", &run.finding.filter), ("/", &run.finding.search)] {
        if !typed.is_empty() {
            title.push(styled(
                format!(
                    " {} ",
                    cut(&format!("{sign}{typed}"), room, pen.theme.more())
                ),
                pen.theme.waiting(),
            ));
        }
    }
    let inner = pen.panel(area, title, focused);
    follow_mark(pen, area, run);
    left_out(pen, area, run);
    body(pen, inner, run, focused);
}

/// Draws the event lines without a frame.
pub fn body(pen: &mut DrawContext<'_>, area: Rect, run: &RunScreen, focused: bool) {
    let asks = u16::from(run.finding.prompt.is_some()).min(area.height);
    let [list, foot] = layout::bottom(area, asks);
    pen.drawn.log = Some(list.height);
    if let Some(prompt) = &run.finding.prompt {
        typed(pen, foot, run, prompt);
    }
    lines(pen, list, run, focused);
    if run.tail.is_loading() {
        pen.text(
            list,
            usize::from(list.height.saturating_sub(1)),
            &pen.theme.own(" loading …"),
            pen.theme.dim(),
        );
    } else if run.tail.events().next().is_none() && !run.tail.filter().is_all() {
        pen.text(
            list,
            0,
            " no event matches the filter: Esc shows all",
            pen.theme.dim(),
        );
    }
}

/// Shows live tail or scrolled state in the bottom frame.
pub fn follow_mark(pen: &mut DrawContext<'_>, area: Rect, run: &RunScreen) {
    if run.tail.is_following() {
        let style = pen.theme.dim();
        pen.foot(area, "LIVE", style);
    } else {
        let style = pen.theme.waiting();
        pen.foot(
            area,
            &format!("scrolled, {} new", grouped(run.tail.below())),
            style,
        );
    }
}

/// Shows the number of filtered-out events in the bottom frame.
fn left_out(pen: &mut DrawContext<'_>, area: Rect, run: &RunScreen) {
    let (count, since) = run.tail.filtered_out();
    if count == 0 || area.width < 60 || area.height < 2 {
        return;
    }
    let since = if since > 1 {
        format!(" since #{}", grouped(since))
    } else {
        String::new()
    };
    let place = Rect {
        x: area.x + 2,
        y: area.bottom() - 1,
        width: area.width - 24,
        height: 1,
    };
    pen.text(
        place,
        0,
        &format!(" {} filtered out{since} ", grouped(count)),
        pen.theme.dim(),
    );
}

/// Draws the search or filter line with its match status.
fn typed(pen: &mut DrawContext<'_>, area: Rect, run: &RunScreen, prompt: &SearchPrompt) {
    let (sign, aside) = match prompt.asked {
        PromptKind::Search => ('/', hit(run)),
        PromptKind::Filter => (
            '&',
            "text, type:phase. or phase:plan; empty shows all".to_owned(),
        ),
    };
    let area = Rect {
        x: area.x + 1,
        width: area.width.saturating_sub(1),
        ..area
    };
    modal::reader::prompt(
        pen,
        area,
        (sign, &prompt.text),
        &aside,
        run.finding.hit == MatchStatus::Nowhere,
    );
}

fn hit(run: &RunScreen) -> String {
    let end = grouped(run.tail.span().1);
    match run.finding.hit {
        MatchStatus::None => "searches as you type".to_owned(),
        MatchStatus::Looking(at) => format!("looking … {} of {end}", grouped(at)),
        MatchStatus::At(seq) => format!("#{} of {end}", grouped(seq)),
        MatchStatus::Nowhere => "no matches".to_owned(),
        MatchStatus::NoMore(true) => "no later match".to_owned(),
        MatchStatus::NoMore(false) => "no earlier match".to_owned(),
    }
}

/// Drawing parameters of the events in this frame.
struct EventPage<'a> {
    run: &'a RunScreen,
    needle: Vec<String>,
    moment: Option<u64>,
    width: usize,
}

fn lines(pen: &mut DrawContext<'_>, area: Rect, run: &RunScreen, focused: bool) {
    let needle = run
        .finding
        .event_filter()
        .terms()
        .map(str::to_owned)
        .collect();
    let page = EventPage {
        run,
        needle,
        moment: run.history_seq(),
        width: usize::from(area.width),
    };
    let cursor = run.tail.cursor();
    let shown = run.tail.visible(area.height);
    let drawn: Vec<(u64, Vec<Vec<Span<'static>>>)> = shown
        .iter()
        .map(|event| (event.seq, page.lines(pen, event)))
        .collect();
    let mut row = 0;
    for (seq, lines) in drawn.into_iter().skip(page.skipped(&shown, pen, area)) {
        for line in lines {
            pen.line(area, row, line);
            if seq == cursor && (focused || page.moment.is_some()) {
                pen.mark_row(area, row, pen.theme.selected());
            }
            row += 1;
        }
    }
}

impl EventPage<'_> {
    /// Returns how many events to skip at the top so that the selected event is fully visible.
    fn skipped(
        &self,
        shown: &[&std::sync::Arc<JournalEvent>],
        pen: &DrawContext<'_>,
        area: Rect,
    ) -> usize {
        if !self.run.finding.wrap {
            return 0;
        }
        let cursor = self.run.tail.cursor();
        let last = shown
            .iter()
            .position(|event| event.seq == cursor)
            .map_or(0, |at| at + 1);
        let mut room = usize::from(area.height);
        let mut first = last;
        for (index, event) in shown.iter().enumerate().take(last).rev() {
            let Some(left) = room.checked_sub(self.lines(pen, event).len()) else {
                break;
            };
            (room, first) = (left, index);
        }
        first.min(last.saturating_sub(1))
    }

    fn lines(&self, pen: &DrawContext<'_>, event: &JournalEvent) -> Vec<Vec<Span<'static>>> {
        let (theme, more) = (pen.theme, pen.theme.more());
        let later = self.moment.is_some_and(|moment| event.seq > moment);
        let tinted = |style: Style| if later { theme.dim() } else { style };
        let mut spans = vec![styled(
            format!(" {}  ", pen.state.clock(event.at)),
            theme.dim(),
        )];
        let mut used = 11;
        if self.width >= 70 {
            let digits = self.run.tail.span().1.to_string().len().max(5);
            spans.push(styled(
                format!("{}  ", cell_right(&event.seq.to_string(), digits, more)),
                theme.dim(),
            ));
            used += digits + 2;
        }
        let mark = StatusGlyph::of_event(&event.fact);
        let style = tinted(if mark == StatusGlyph::Queued {
            theme.plain()
        } else {
            theme.mark_style(mark)
        });
        spans.push(styled(format!("{} ", theme.glyph(mark)), style));
        spans.extend(self.match_status(pen, &cell(event.fact.kind(), 19, more), style));
        used += 21;
        let room = self.width.saturating_sub(used);
        let text = describe(&event.fact, pen.state.separator());
        let plain = tinted(theme.plain());
        if !self.run.finding.wrap || room < 10 {
            spans.extend(self.match_status(pen, &cut(&text, room, more), plain));
            return vec![spans];
        }
        let mut lines = Vec::new();
        for piece in wrapped(&text, room) {
            let mut line = std::mem::take(&mut spans);
            if line.is_empty() {
                line.push(styled(" ".repeat(used), plain));
            }
            line.extend(self.match_status(pen, &piece, plain));
            lines.push(line);
        }
        lines
    }

    /// Splits a text into highlighted matches and other text.
    fn match_status(&self, pen: &DrawContext<'_>, text: &str, style: Style) -> Vec<Span<'static>> {
        let lower = text.to_lowercase();
        let hit = pen.theme.found();
        let (mut spans, mut at) = (Vec::new(), 0);
        // If lowercasing changes the length, byte offsets do not map back to the original text.
        while !self.needle.is_empty() && lower.len() == text.len() {
            let next = self
                .needle
                .iter()
                .filter_map(|word| Some((at + lower.get(at..)?.find(word)?, word.len())))
                .min();
            let Some((begin, length)) = next else { break };
            let (Some(before), Some(word)) = (text.get(at..begin), text.get(begin..begin + length))
            else {
                break;
            };
            spans.extend([styled(before, style), styled(word, hit)]);
            at = begin + length;
        }
        spans.push(styled(text.get(at..).unwrap_or_default(), style));
        spans
    }
}
