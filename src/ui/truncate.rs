//! Priority truncation of lines.
//!
//! A part has forms from the longest to the shortest. While a line is too wide, the part with the
//! highest rank switches to its next form, and is dropped after the last one. Rank 0 keeps its
//! shortest form.

use ratatui::style::Style;
use ratatui::text::Span;

use super::text::{cells, styled};

/// A part of a line, with shorter forms.
pub struct LinePart {
    rank: u8,
    forms: Vec<Vec<Span<'static>>>,
    style: Style,
}

impl LinePart {
    /// Creates a part; parts with a higher rank are shortened first.
    #[must_use]
    pub fn new(rank: u8, style: Style, form: impl AsRef<str>) -> Self {
        Self {
            rank,
            forms: vec![vec![styled(form, style)]],
            style,
        }
    }

    /// Creates a part of several spans, shortened as a unit.
    #[must_use]
    pub fn of(rank: u8, spans: Vec<Span<'static>>) -> Self {
        Self {
            rank,
            forms: vec![spans],
            style: Style::new(),
        }
    }

    /// Adds a shorter form.
    #[must_use]
    pub fn or(mut self, shorter: impl AsRef<str>) -> Self {
        self.forms.push(vec![styled(shorter, self.style)]);
        self
    }

    /// Adds a shorter form of several spans.
    #[must_use]
    pub fn or_of(mut self, spans: Vec<Span<'static>>) -> Self {
        self.forms.push(spans);
        self
    }

    fn width(&self) -> usize {
        self.forms
            .first()
            .map_or(0, |form| form.iter().map(|span| cells(&span.content)).sum())
    }

    /// Switches to the next shorter form; returns whether there was one.
    fn shrink(&mut self) -> bool {
        if self.forms.is_empty() || (self.rank == 0 && self.forms.len() == 1) {
            return false;
        }
        self.forms.remove(0);
        true
    }
}

/// Returns the spans of the parts, shortened to `width` cells.
#[must_use]
pub fn fitted(mut parts: Vec<LinePart>, width: usize) -> Vec<Span<'static>> {
    while parts.iter().map(LinePart::width).sum::<usize>() > width {
        let mut order: Vec<usize> = (0..parts.len()).collect();
        order.sort_by_key(|at| std::cmp::Reverse(parts[*at].rank));
        if !order.into_iter().any(|at| parts[at].shrink()) {
            break;
        }
    }
    parts
        .into_iter()
        .filter_map(|part| part.forms.into_iter().next())
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matters_least_goes_first_and_what_matters_most_stays() {
        let line = |width| {
            let plain = Style::new();
            let parts = vec![
                LinePart::new(0, plain, "gate "),
                LinePart::new(2, plain, "1 of 3 "),
                LinePart::new(1, plain, "spec -> plan ").or("spec "),
                LinePart::new(0, plain, "v2 3f9c12ab"),
            ];
            fitted(parts, width)
                .iter()
                .map(|span| span.content.to_string())
                .collect::<String>()
        };
        assert_eq!(line(80), "gate 1 of 3 spec -> plan v2 3f9c12ab");
        assert_eq!(line(30), "gate spec -> plan v2 3f9c12ab");
        assert_eq!(line(22), "gate spec v2 3f9c12ab");
        assert_eq!(line(17), "gate v2 3f9c12ab");
        assert_eq!(
            line(3),
            "gate v2 3f9c12ab",
            "the rest is cut where it is drawn"
        );
    }
}
