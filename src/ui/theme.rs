//! Styles by meaning, and the colour of each state; glyph and word come from [`StatusGlyph`].
//!
//! Only the terminal's 16 colours are used, and never a colour alone: with `NO_COLOR`, glyph, word
//! and weight remain. Each theme uses those colours that have a contrast of at least 4.5 : 1 with
//! its background, at the default palette of terminals.

use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::border;

use crate::app::state::DisplayState;
use crate::model::event::RunFact;
use crate::model::settings::ThemeName;
use crate::model::state::Decision;
pub use crate::model::status_glyph::StatusGlyph;

impl StatusGlyph {
    /// What an event is about; an answer is marked by what was answered.
    #[must_use]
    pub fn of_event(fact: &RunFact) -> Self {
        match fact {
            RunFact::ApprovalResolved { action, .. } => match action {
                Decision::Approve => Self::Done,
                Decision::RequestChanges => Self::Repair,
                Decision::Reject => Self::Failed,
                Decision::Abort => Self::Aborted,
            },
            other => Self::of_kind(other.kind()),
        }
    }

    fn of_kind(kind: &str) -> Self {
        match kind {
            "approval.requested" => Self::Gate,
            "run.paused" | "budget.warned" | "artifact.warned" => Self::Paused,
            "prompt.repaired" | "artifact.invalid" | "llm.retried" | "llm.repaired"
            | "artifact.changed" => Self::Repair,
            "run.completed" | "phase.completed" | "artifact.validated" => Self::Done,
            "run.failed" | "phase.failed" | "session.failed" | "artifact.timeout"
            | "tool.denied" | "budget.exceeded" => Self::Failed,
            "run.aborted" => Self::Aborted,
            "phase.skipped" => Self::Skipped,
            "phase.started" | "run.started" | "run.resumed" => Self::Running,
            _ => Self::Queued,
        }
    }
}

/// A colour by what it is for; which of the 16 that is depends on what lies behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StateColor {
    Accent,
    Question,
    Bad,
    Good,
    Value,
    Rest,
}

impl StateColor {
    fn on(self, theme: ThemeName) -> Color {
        match (self, theme) {
            (Self::Accent, ThemeName::Light) => Color::Blue,
            (Self::Accent, _) => Color::Cyan,
            (Self::Question, ThemeName::Light) => Color::Magenta,
            (Self::Question, _) => Color::Yellow,
            (Self::Bad, ThemeName::Light) => Color::Red,
            (Self::Bad, _) => Color::LightRed,
            // The light greens of terminals are too faint on white for words.
            (Self::Good, ThemeName::Light) => Color::Black,
            (Self::Good, _) => Color::Green,
            (Self::Value, ThemeName::Light) => Color::Magenta,
            (Self::Value, _) => Color::LightMagenta,
            (Self::Rest, ThemeName::Light) => Color::Blue,
            (Self::Rest, _) => Color::LightBlue,
        }
    }
}

/// How things look here.
#[derive(Clone, Copy, Debug)]
pub struct Theme {
    color: bool,
    name: ThemeName,
    ascii: bool,
}

impl Theme {
    /// By what the operator and the terminal ask for.
    #[must_use]
    pub fn of(look: &DisplayState) -> Self {
        Self {
            color: !look.no_color && look.theme != ThemeName::Contrast,
            name: look.theme,
            ascii: look.ascii,
        }
    }

    fn style(self, hue: StateColor, modifier: Modifier) -> Style {
        let style = Style::new().add_modifier(modifier);
        if self.color {
            style.fg(hue.on(self.name))
        } else {
            style
        }
    }

    /// What is faint elsewhere is plain where everything must stand out.
    fn faint(self) -> Modifier {
        if self.name == ThemeName::Contrast {
            Modifier::empty()
        } else {
            Modifier::DIM
        }
    }

    /// Ordinary text.
    #[must_use]
    pub fn plain(self) -> Style {
        Style::new()
    }

    /// What matters less.
    #[must_use]
    pub fn dim(self) -> Style {
        Style::new().add_modifier(self.faint())
    }

    /// What names the screen or the thing.
    #[must_use]
    pub fn title(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// A key that can be pressed.
    #[must_use]
    pub fn key(self) -> Style {
        self.style(StateColor::Accent, Modifier::BOLD)
    }

    /// The row or tab under the cursor.
    #[must_use]
    pub fn selected(self) -> Style {
        // One colour for all of it: reversed, each part would stand on a ground of its own.
        Style::new()
            .fg(Color::Reset)
            .add_modifier(Modifier::REVERSED)
            .remove_modifier(Modifier::DIM)
    }

    /// What was searched, where it was found.
    #[must_use]
    pub fn found(self) -> Style {
        self.style(
            StateColor::Question,
            Modifier::UNDERLINED.union(Modifier::BOLD),
        )
    }

    /// The place that a search stands at.
    #[must_use]
    pub fn hit(self) -> Style {
        self.style(
            StateColor::Question,
            Modifier::REVERSED.union(Modifier::BOLD),
        )
    }

    /// A screen that shows the past.
    #[must_use]
    pub fn past(self) -> Style {
        self.style(StateColor::Value, Modifier::REVERSED.union(Modifier::BOLD))
    }

    /// The frame of the pane with the focus.
    #[must_use]
    pub fn focus(self) -> Style {
        self.style(StateColor::Accent, Modifier::empty())
    }

    /// Something that waits for the operator.
    #[must_use]
    pub fn waiting(self) -> Style {
        self.style(StateColor::Question, Modifier::BOLD)
    }

    /// Something wrong.
    #[must_use]
    pub fn bad(self) -> Style {
        self.style(
            StateColor::Bad,
            if self.name == ThemeName::Contrast {
                Modifier::BOLD
            } else {
                Modifier::empty()
            },
        )
    }

    /// Something well.
    #[must_use]
    pub fn good(self) -> Style {
        self.style(StateColor::Good, Modifier::empty())
    }

    /// Names in data.
    #[must_use]
    pub fn data_key(self) -> Style {
        self.style(StateColor::Accent, Modifier::empty())
    }

    /// Numbers and words in data.
    #[must_use]
    pub fn data_value(self) -> Style {
        self.style(StateColor::Value, Modifier::empty())
    }

    /// A state.
    #[must_use]
    pub fn mark_style(self, mark: StatusGlyph) -> Style {
        match mark {
            StatusGlyph::Gate => self.waiting(),
            StatusGlyph::Running => self.style(StateColor::Accent, Modifier::empty()),
            StatusGlyph::Repair => self.style(StateColor::Value, Modifier::empty()),
            StatusGlyph::Paused | StatusGlyph::Waiting => {
                self.style(StateColor::Rest, Modifier::empty())
            }
            StatusGlyph::Done => self.good(),
            StatusGlyph::Failed => self.bad(),
            StatusGlyph::NeedsCheck | StatusGlyph::Unknown => {
                self.style(StateColor::Question, Modifier::empty())
            }
            StatusGlyph::Aborted => self.plain(),
            StatusGlyph::Queued | StatusGlyph::Quiet | StatusGlyph::Skipped | StatusGlyph::Note => {
                self.dim()
            }
        }
    }

    /// The glyph of a state.
    #[must_use]
    pub fn glyph(self, mark: StatusGlyph) -> &'static str {
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
            '░' | '▒' => ':',
            '╱' => '/',
            '◷' => 'w',
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::svg::SvgPalette;

    const HUES: [StateColor; 6] = [
        StateColor::Accent,
        StateColor::Question,
        StateColor::Bad,
        StateColor::Good,
        StateColor::Value,
        StateColor::Rest,
    ];

    /// Relative luminance, as accessibility guidelines define it.
    fn luminance(rgb: [u8; 3]) -> f64 {
        let linear = |part: u8| {
            let c = f64::from(part) / 255.0;
            if c <= 0.04045 {
                c / 12.92
            } else {
                ((c + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * linear(rgb[0]) + 0.7152 * linear(rgb[1]) + 0.0722 * linear(rgb[2])
    }

    fn contrast(one: [u8; 3], other: [u8; 3]) -> f64 {
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn every_colour_stands_out_from_its_background() {
        for name in [ThemeName::Dark, ThemeName::Light] {
            let palette = SvgPalette::render_svg(name);
            for hue in HUES {
                let ratio = contrast(palette.rgb(hue.on(name)), palette.background);
                assert!(ratio >= 4.5, "{hue:?} on {name:?}: {ratio:.1}");
            }
        }
    }
}
