//! Markdown as it was written, with its structure in colour.
//!
//! The source is shown, not a rendering of it: what an operator approves must not hide where a link
//! leads or what stands in a comment.

use std::ops::Range;

use crate::app::text::highlight::Highlight;
use pulldown_cmark::{Event, Options, Parser, Tag};

/// The coloured stretches of a text, in order and apart; the innermost meaning wins.
#[must_use]
pub fn highlights(text: &str) -> Vec<(Range<usize>, Highlight)> {
    let mut layers: Vec<(Range<usize>, Highlight)> = Vec::new();
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
        let tint = match event {
            Event::Start(Tag::Heading { .. }) => Highlight::Heading,
            Event::Start(Tag::Strong) => Highlight::Strong,
            Event::Start(Tag::Emphasis | Tag::Strikethrough) => Highlight::Emphasis,
            Event::Start(Tag::CodeBlock(_)) | Event::Code(_) => Highlight::Code,
            Event::Start(Tag::Link { .. } | Tag::Image { .. }) => Highlight::Link,
            Event::Html(_) | Event::InlineHtml(_) => Highlight::Comment,
            Event::Rule | Event::TaskListMarker(_) => Highlight::Mark,
            Event::Start(Tag::Item) => {
                let sign = text[range.clone()].find(char::is_whitespace).unwrap_or(1);
                layers.push((range.start..range.start + sign, Highlight::Mark));
                continue;
            }
            _ => continue,
        };
        layers.push((range, tint));
    }
    flatten(layers)
}

/// Stretches within stretches as stretches side by side: later ones lie on top.
fn flatten(layers: Vec<(Range<usize>, Highlight)>) -> Vec<(Range<usize>, Highlight)> {
    let mut flat: Vec<(Range<usize>, Highlight)> = Vec::new();
    let mut open: Vec<(Range<usize>, Highlight)> = Vec::new();
    let mut at = 0;
    let mut close_to = |open: &mut Vec<(Range<usize>, Highlight)>,
                        flat: &mut Vec<(Range<usize>, Highlight)>,
                        to: usize| {
        while let Some((range, tint)) = open.last().cloned() {
            let end = range.end.min(to);
            if at < end {
                flat.push((at.max(range.start)..end, tint));
            }
            at = at.max(end);
            if range.end > to {
                break;
            }
            open.pop();
        }
        at = at.max(to);
    };
    // The parser tells them by their beginnings, outer ones first.
    for (range, tint) in layers {
        close_to(&mut open, &mut flat, range.start);
        open.push((range, tint));
    }
    close_to(&mut open, &mut flat, usize::MAX);
    flat.retain(|(range, _)| range.start < range.end);
    flat
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_source_stays_and_its_structure_is_told() {
        use Highlight::{Code, Heading, Link, Mark, Strong};
        let text = "# Plan\n- do **this** with `x`\n- [read](http://a.b)\n";
        let told: Vec<(&str, Highlight)> = highlights(text)
            .into_iter()
            .map(|(range, tint)| (text[range].trim_end(), tint))
            .collect();
        assert_eq!(
            told,
            [
                ("# Plan", Heading),
                ("-", Mark),
                ("**this**", Strong),
                ("`x`", Code),
                ("-", Mark),
                ("[read](http://a.b)", Link)
            ]
        );
    }

    proptest! {
        #[test]
        fn stretches_are_in_order_and_apart(text in "[-#*_`>\\[\\]()a-c \\n]{0,80}") {
            let mut at = 0;
            for (range, _) in highlights(&text) {
                prop_assert!(range.start >= at && range.start < range.end && text.get(range.clone()).is_some(), "{range:?}");
                at = range.end;
            }
        }
    }
}
