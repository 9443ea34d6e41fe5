//! Styles by meaning; also the colour of each state, whose glyph and word are in [`Mark`].
//!
//! Only the terminal's own 16 colours, and never a colour alone: `NO_COLOR` takes colours away and
//! leaves glyph, word and weight.

use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::border;

use crate::app::state::Look;
use crate::model::event::Fact;
pub use crate::model::mark::Mark;
use crate::model::state::Decision;

impl Mark {
    /// What an event is about; an answer is marked by what was answered.
    #[must_use]
    pub fn of_event(fact: &Fact) -> Self {
        match fact {
            Fact::ApprovalResolved { action, .. } => match action {
                Decision::Approve => Self::Done,
                Decision::RequestChanges => Self::Repair,
                Decision::Reject => Self::Failed,
                Decision::Abort => Self::Stopped,
            },
            other => Self::of_kind(other.kind()),
        }
    }

    fn of_kind(kind: &str) -> Self {
        match kind {
            "approval.requested" => Self::Gate,
            "run.paused" | "budget.warned" => Self::Paused,
            "prompt.repaired" | "artifact.invalid" | "llm.retried" | "artifact.changed" => Self::Repair,
            "run.completed" | "phase.completed" | "artifact.validated" => Self::Done,
            "run.failed" | "phase.failed" | "session.failed" | "artifact.timeout" | "tool.denied" | "budget.exceeded" => Self::Failed,
            "run.aborted" => Self::Stopped,
            "phase.skipped" => Self::Skipped,
            "phase.started" | "run.started" | "run.resumed" => Self::Running,
            _ => Self::InLine,
        }
    }
}

/// How things look here.
#[derive(Clone, Copy, Debug)]
pub struct Theme {
    color: bool,
    ascii: bool,
}

impl Theme {
    /// By what the operator and the terminal ask for.
    #[must_use]
    pub fn of(look: &Look) -> Self {
        Self { color: !look.no_color, ascii: look.ascii }
    }

    fn style(self, color: Color, modifier: Modifier) -> Style {
        let style = Style::new().add_modifier(modifier);
        if self.color { style.fg(color) } else { style }
    }

    /// Ordinary text.
    #[must_use]
    pub fn plain(self) -> Style {
        Style::new()
    }

    /// What matters less.
    #[must_use]
    pub fn dim(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// What names the screen or the thing.
    #[must_use]
    pub fn title(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// A key that can be pressed.
    #[must_use]
    pub fn key(self) -> Style {
        self.style(Color::Cyan, Modifier::BOLD)
    }

    /// The row or tab under the cursor.
    #[must_use]
    pub fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// What was searched, where it was found.
    #[must_use]
    pub fn found(self) -> Style {
        self.style(Color::Yellow, Modifier::UNDERLINED.union(Modifier::BOLD))
    }

    /// A screen that shows the past.
    #[must_use]
    pub fn past(self) -> Style {
        self.style(Color::Magenta, Modifier::REVERSED.union(Modifier::BOLD))
    }

    /// The frame of the pane with the focus.
    #[must_use]
    pub fn focus(self) -> Style {
        self.style(Color::Cyan, Modifier::empty())
    }

    /// Something that waits for the operator.
    #[must_use]
    pub fn waiting(self) -> Style {
        self.style(Color::Yellow, Modifier::BOLD)
    }

    /// Something wrong.
    #[must_use]
    pub fn bad(self) -> Style {
        self.style(Color::Red, Modifier::empty())
    }

    /// Something well.
    #[must_use]
    pub fn good(self) -> Style {
        self.style(Color::Green, Modifier::empty())
    }

    /// Names in data.
    #[must_use]
    pub fn data_key(self) -> Style {
        self.style(Color::Cyan, Modifier::empty())
    }

    /// Numbers and words in data.
    #[must_use]
    pub fn data_value(self) -> Style {
        self.style(Color::Magenta, Modifier::empty())
    }

    /// A state.
    #[must_use]
    pub fn of_mark(self, mark: Mark) -> Style {
        match mark {
            Mark::Gate => self.waiting(),
            Mark::Running => self.style(Color::Cyan, Modifier::empty()),
            Mark::Repair => self.style(Color::Magenta, Modifier::empty()),
            Mark::Paused | Mark::Waits => self.style(Color::Blue, Modifier::empty()),
            Mark::Done => self.good(),
            Mark::Failed => self.bad(),
            Mark::Unsure | Mark::Strange => self.style(Color::Yellow, Modifier::empty()),
            Mark::Stopped => self.plain(),
            Mark::InLine | Mark::Quiet | Mark::Skipped | Mark::Note => self.dim(),
        }
    }

    /// The glyph of a state.
    #[must_use]
    pub fn glyph(self, mark: Mark) -> &'static str {
        mark.glyph(self.ascii)
    }

    /// Our own words with their ASCII twins where only those may show. Never for foreign text:
    /// what others wrote is shown as they wrote it.
    #[must_use]
    pub fn own(self, text: &str) -> String {
        if !self.ascii {
            return text.to_owned();
        }
        let twin = |c: char| match c {
            '·' => '.',
            '…' => '~',
            '→' => '>',
            '─' | '–' => '-',
            '│' => '|',
            '▲' => '!',
            '●' => '*',
            '▸' => '>',
            '▁'..='█' => '#',
            other => other,
        };
        text.chars().map(twin).collect()
    }

    /// What stands for what was cut off.
    #[must_use]
    pub fn more(self) -> &'static str {
        if self.ascii { "~" } else { "…" }
    }

    /// The frame of panes.
    #[must_use]
    pub fn border(self) -> border::Set<'static> {
        const ASCII: border::Set<'static> = border::Set {
            top_left: "+",
            top_right: "+",
            bottom_left: "+",
            bottom_right: "+",
            vertical_left: "|",
            vertical_right: "|",
            horizontal_top: "-",
            horizontal_bottom: "-",
        };
        if self.ascii { ASCII } else { border::ROUNDED }
    }
}
