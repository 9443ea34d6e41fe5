//! Whatever is pasted wherever: nothing panics, nothing is decided or sent, and a text that is written holds no control.

use proptest::prelude::*;

use crate::app::msg::Msg;
use crate::app::test_support;
use crate::app::test_support::{ConsoleHarness, SampleRunState};
use crate::app::text::text_input::{PASTE_BYTES, TextInput};
use crate::model::state::Risk;

/// Keys that lead to each place that takes a text, or takes none.
const PLACES: [&[&str]; 8] = [
    &[],
    &["/"],
    &[":"],
    &["n"],
    &["?"],
    &["!"],
    &["!", "c"],
    &["!", "/"],
];

fn pasted() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        prop::sample::select(vec![
            "\u{1b}[201~",
            "\u{1b}[200~",
            "\u{1b}]52;c;QQ==\u{7}",
            "\r\n",
            "\r",
            "\n",
            "\0",
            "\t",
            "\u{9b}31m",
            "\u{202e}",
            "\u{e0041}",
            "A",
            "y",
            "q",
            "é",
            "e\u{301}",
            "👩‍👩‍👧",
            "\u{200b}",
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ];
    prop::collection::vec(pieces, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_paste_of_anything_anywhere_decides_nothing(texts in prop::collection::vec(pasted(), 1..4), place in 0..PLACES.len()) {
        let mut bench = ConsoleHarness::new((80, 24), vec![test_support::opened(&test_support::journal(SampleRunState::Awaiting), Risk::Medium).record], SampleRunState::Awaiting).start(None);
        for key in PLACES[place] {
            bench.press(key);
            bench.drew_gate(true);
            bench.ticks += 2000;
        }
        for text in texts {
            bench.feed(Msg::Paste(text));
        }
        prop_assert!(bench.sent.is_empty(), "{:?}", bench.sent);
    }

    #[test]
    fn a_written_text_holds_no_control_and_no_more_than_a_paste_may_bring(text in pasted()) {
        let mut input = TextInput::default();
        prop_assert!(!input.paste(&text));
        prop_assert!(input.text().chars().all(|c| c == '\n' || !c.is_control()), "{:?}", input.text());
    }
}

#[test]
fn a_paste_is_taken_up_to_its_limit_and_what_is_past_it_is_cut_and_said() {
    for (bytes, cut) in [(PASTE_BYTES, false), (PASTE_BYTES + 1, true)] {
        let mut input = TextInput::default();
        assert_eq!(
            (input.paste(&"x".repeat(bytes)), input.text().len()),
            (cut, PASTE_BYTES),
            "{bytes}"
        );
    }
}
