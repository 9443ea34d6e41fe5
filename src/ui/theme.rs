//! Styles by meaning, and the one vocabulary of states: glyph, ASCII twin, word, colour.
//!
//! Only the terminal's own 16 colours, and never a colour alone: `NO_COLOR` takes colours away and
//! leaves glyph, word and weight.

use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::border;

use crate::app::state::Look;
use crate::model::record::RunRecord;
use crate::model::run_state::PhaseState;
use crate::model::state::{PauseReason, PhaseStatus, RunStatus};

/// A state as people read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the vocabulary is the table below")]
pub enum Mark {
    Gate,
    Running,
    Repair,
    InLine,
    Paused,
    Quiet,
    Done,
    Failed,
    Stopped,
    Unsure,
    Skipped,
    Strange,
}

impl Mark {
    /// Glyph, ASCII twin, word.
    #[must_use]
    pub fn told(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Gate => ("▲", "!", "gate"),
            Self::Running => ("●", "*", "running"),
            Self::Repair => ("↻", "~", "repair"),
            Self::InLine => ("○", ".", "in line"),
            Self::Paused => ("‖", "=", "paused"),
            Self::Quiet => ("◌", "?", "quiet"),
            Self::Done => ("✓", "+", "done"),
            Self::Failed => ("✗", "x", "failed"),
            Self::Stopped => ("■", "#", "stopped"),
            Self::Unsure => ("◆", "u", "unsure"),
            Self::Skipped => ("–", "-", "skipped"),
            Self::Strange => ("?", "?", "unknown"),
        }
    }

    /// How a run stands.
    #[must_use]
    pub fn of_run(record: &RunRecord) -> Self {
        let crashed = record.pause_reason.as_deref() == Some(PauseReason::Crashed.as_str());
        match RunStatus::parse(&record.state) {
            Some(status) if !status.is_terminal() && record.pending_gate.is_some() => Self::Gate,
            Some(RunStatus::Paused) if crashed => Self::Unsure,
            Some(status) => Self::of_status(status),
            None => Self::Strange,
        }
    }

    /// How a run stands, by its journal.
    #[must_use]
    pub fn of_status(status: RunStatus) -> Self {
        match status {
            RunStatus::Created => Self::InLine,
            RunStatus::Executing => Self::Running,
            RunStatus::AwaitingApproval => Self::Gate,
            RunStatus::Paused => Self::Paused,
            RunStatus::Completed => Self::Done,
            RunStatus::Failed => Self::Failed,
            RunStatus::Aborted => Self::Stopped,
        }
    }

    /// How a phase stands within a run.
    #[must_use]
    pub fn of_phase(phase: &PhaseState, run: RunStatus) -> Self {
        use crate::model::event::AttemptCause;
        match phase.status {
            PhaseStatus::Running | PhaseStatus::Validating => match run {
                RunStatus::Paused => Self::Paused,
                RunStatus::Aborted | RunStatus::Failed => Self::Stopped,
                _ if phase.cause == AttemptCause::Repair || !phase.errors.is_empty() => Self::Repair,
                _ => Self::Running,
            },
            PhaseStatus::AwaitingApproval if run == RunStatus::Aborted => Self::Stopped,
            PhaseStatus::AwaitingApproval => Self::Gate,
            PhaseStatus::Pending => Self::InLine,
            PhaseStatus::Completed => Self::Done,
            PhaseStatus::Failed => Self::Failed,
            PhaseStatus::Skipped => Self::Skipped,
        }
    }

    /// What an event of this type is about.
    #[must_use]
    pub fn of_event(kind: &str) -> Self {
        match kind {
            "approval.requested" => Self::Gate,
            "run.paused" | "budget.warned" => Self::Paused,
            "prompt.repaired" | "artifact.invalid" | "llm.retried" | "artifact.changed" => Self::Repair,
            "run.completed" | "phase.completed" | "artifact.validated" | "approval.resolved" => Self::Done,
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
            Mark::Paused => self.style(Color::Blue, Modifier::empty()),
            Mark::Done => self.good(),
            Mark::Failed => self.bad(),
            Mark::Unsure | Mark::Strange => self.style(Color::Yellow, Modifier::empty()),
            Mark::Stopped => self.plain(),
            Mark::InLine | Mark::Quiet | Mark::Skipped => self.dim(),
        }
    }

    /// The glyph of a state.
    #[must_use]
    pub fn glyph(self, mark: Mark) -> &'static str {
        let (glyph, twin, _) = mark.told();
        if self.ascii { twin } else { glyph }
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
